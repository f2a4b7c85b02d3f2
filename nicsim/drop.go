package nicsim

// Drop is why a frame or a packet went no further. Where devlink-trap (Linux
// Documentation/networking/devlink/devlink-trap.rst) has a word for it, that
// word is used.
type Drop uint8

const (
	DropNone Drop = iota

	// On transmit.
	DropTxBadDescriptor
	DropTxChainTooLong
	DropTxDMAFault
	DropTxBadLength
	DropTxBadSegmentation
	DropTxBadRing
	DropTxReset
	DropTxIPsec

	// On the wire.
	DropWireLoss

	// On receive.
	DropRxDisabled
	DropRxCRC
	DropRxTooShort
	DropRxTooLong
	DropRxLength
	DropRxMACFilter
	DropRxVLANFilter
	DropRxSteered
	DropRxBufferFull
	DropRxNoDescriptor
	DropRxQueueDisabled
	DropRxDMAFault
	DropRxBadRing
	DropRxPause
	DropRxReset
	DropRxLinkSec

	NumDrops
)

// dropTexts gives each drop its name and its reason in words.
var dropTexts = [NumDrops][2]string{
	DropNone:              {"none", "not dropped"},
	DropTxBadDescriptor:   {"tx_bad_descriptor", "unknown type, reserved bits, no length"},
	DropTxChainTooLong:    {"tx_chain_too_long", "more buffers than the hardware takes"},
	DropTxDMAFault:        {"tx_dma_fault", "a buffer lies outside the device's memory"},
	DropTxBadLength:       {"tx_bad_length", "shorter or longer than a frame may be"},
	DropTxBadSegmentation: {"tx_bad_segmentation", "MSS 0, header longer than the frame"},
	DropTxBadRing:         {"tx_bad_ring", "ring outside memory or tail beyond it: the queue stops"},
	DropTxReset:           {"tx_reset", "begun when its queue was disabled or reset"},
	DropTxIPsec:           {"tx_ipsec", "asks for IPsec, and is no packet that it can be applied to"},
	DropWireLoss:          {"wire_loss", "lost by the impairment of the wire"},
	DropRxDisabled:        {"rx_disabled", "receive path disabled"},
	DropRxCRC:             {"rx_crc_error", "frame check sequence wrong"},
	DropRxTooShort:        {"rx_too_short", "shorter than a frame may be"},
	DropRxTooLong:         {"mtu_value_is_too_small", "beyond the maximum frame size"},
	DropRxLength:          {"rx_length_error", "802.3 length is not that of the frame"},
	DropRxMACFilter:       {"dmac_filter", "destination address matches no filter"},
	DropRxVLANFilter:      {"ingress_vlan_filter", "VLAN matches no filter"},
	DropRxSteered:         {"ingress_flow_action_drop", "a filter says drop"},
	DropRxBufferFull:      {"tail_drop", "no room in the packet buffer"},
	DropRxNoDescriptor:    {"rx_no_descriptor", "no descriptor in a queue with drop enable"},
	DropRxQueueDisabled:   {"rx_queue_disabled", "the queue is not enabled"},
	DropRxDMAFault:        {"rx_dma_fault", "a buffer lies outside the device's memory"},
	DropRxBadRing:         {"rx_bad_ring", "ring outside memory or tail beyond it"},
	DropRxPause:           {"rx_flow_control", "flow control frame, consumed by the MAC"},
	DropRxReset:           {"rx_reset", "in the adapter when it was reset"},
	DropRxLinkSec:         {"rx_linksec", "its SecTAG, channel, packet number or signature is not what LinkSec expects"},
}

// String returns the name, which counters carry too.
func (d Drop) String() string {
	if d < NumDrops {
		return dropTexts[d][0]
	}
	return "unknown"
}

// Why returns the reason in words.
func (d Drop) Why() string {
	if d < NumDrops {
		return dropTexts[d][1]
	}
	return "unknown"
}

// Transmit says whether the frame was on its way to the wire.
func (d Drop) Transmit() bool { return d > DropNone && d < DropWireLoss }
