package nicsim

// Drop is why a frame or a packet went no further. Where devlink-trap (Linux
// Documentation/networking/devlink/devlink-trap.rst) has a word for it, that
// word is used.
type Drop uint8

const (
	DropNone Drop = iota

	// On transmit.
	DropTxDisabled        // transmit path disabled
	DropTxNoLink          // link is down
	DropTxBadDescriptor   // unknown type, reserved bits, no length
	DropTxChainTooLong    // more buffers than the hardware takes
	DropTxDMAFault        // a buffer lies outside the device's memory
	DropTxBadLength       // shorter or longer than a frame may be
	DropTxBadContext      // offload asked with a context that makes no sense
	DropTxBadSegmentation // MSS 0, header longer than the frame
	DropTxAntiSpoof

	// On the wire.
	DropWireLoss

	// On receive.
	DropRxDisabled      // receive path disabled
	DropRxCRC           // frame check sequence wrong
	DropRxTooShort      // runt
	DropRxTooLong       // beyond the maximum frame size
	DropRxMACFilter     // destination address matches no filter
	DropRxVLANFilter    // VLAN matches no filter
	DropRxSteered       // a filter says drop
	DropRxBufferFull    // no room in the packet buffer
	DropRxNoDescriptor  // no descriptor in a queue with drop enable
	DropRxQueueDisabled // the queue is not enabled
	DropRxDMAFault      // a buffer lies outside the device's memory
	DropRxPause         // flow control frame, consumed by the MAC
	DropRxReset         // in the adapter when it was reset

	NumDrops
)

var dropNames = [NumDrops]string{
	DropNone:              "none",
	DropTxDisabled:        "tx_disabled",
	DropTxNoLink:          "tx_no_link",
	DropTxBadDescriptor:   "tx_bad_descriptor",
	DropTxChainTooLong:    "tx_chain_too_long",
	DropTxDMAFault:        "tx_dma_fault",
	DropTxBadLength:       "tx_bad_length",
	DropTxBadContext:      "tx_bad_context",
	DropTxBadSegmentation: "tx_bad_segmentation",
	DropTxAntiSpoof:       "tx_anti_spoof",
	DropWireLoss:          "wire_loss",
	DropRxDisabled:        "rx_disabled",
	DropRxCRC:             "rx_crc_error",
	DropRxTooShort:        "rx_too_short",
	DropRxTooLong:         "mtu_value_is_too_small",
	DropRxMACFilter:       "dmac_filter",
	DropRxVLANFilter:      "ingress_vlan_filter",
	DropRxSteered:         "ingress_flow_action_drop",
	DropRxBufferFull:      "tail_drop",
	DropRxNoDescriptor:    "rx_no_descriptor",
	DropRxQueueDisabled:   "rx_queue_disabled",
	DropRxDMAFault:        "rx_dma_fault",
	DropRxPause:           "rx_flow_control",
	DropRxReset:           "rx_reset",
}

func (d Drop) String() string {
	if d < NumDrops {
		return dropNames[d]
	}
	return "unknown"
}
