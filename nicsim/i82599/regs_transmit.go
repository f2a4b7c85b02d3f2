package i82599

import "nicsim.dev/nicsim/reg"

// transmitRegs are the transmit rings, segmentation and packet buffers (82599
// datasheet 8.2.3.9).
var transmitRegs = []reg.Row[Device]{
	{Name: "DTXMXSZRQ", Title: "DMA Tx TCP Max Allow Size Requests", Off: 0x08100, Mask: 0xFFF, Reset: 0x10, Spec: "8.2.3.9.1"},
	{Name: "DMATXCTL", Title: "DMA Tx Control", Off: 0x04A80, Mask: 0xFFFF0009, Reset: 0x81000000, Spec: "8.2.3.9.2", Wrote: (*Device).wroteDMATXCTL},
	// The masks of a segmented packet's TCP flags: the first clears FIN and PSH,
	// the middle ones CWR too, the last CWR.
	{Name: "DTXTCPFLGL", Title: "DMA Tx TCP Flags Control Low", Off: 0x04A88, Mask: 0x0FFF0FFF, Reset: 0x0F760FF6, Spec: "8.2.3.9.3", Wrote: (*Device).wroteDTXTCPFLGL},
	{Name: "DTXTCPFLGH", Title: "DMA Tx TCP Flags Control High", Off: 0x04A8C, Mask: 0xFFF, Reset: 0xF7F, Spec: "8.2.3.9.4", Wrote: (*Device).wroteDTXTCPFLGH},
	{Name: "TDBAL", Title: "Transmit Descriptor Base Address Low", Off: 0x06000, Stride: 0x40, N: 128, Mask: 0xFFFFFF80, Spec: "8.2.3.9.5", Wrote: (*Device).wroteTDBA},
	{Name: "TDBAH", Title: "Transmit Descriptor Base Address High", Off: 0x06004, Stride: 0x40, N: 128, Spec: "8.2.3.9.6", Wrote: (*Device).wroteTDBA},
	{Name: "TDLEN", Title: "Transmit Descriptor Length", Off: 0x06008, Stride: 0x40, N: 128, Mask: 0xFFF80, Spec: "8.2.3.9.7", Wrote: (*Device).wroteTDLEN},
	{Name: "TDH", Title: "Transmit Descriptor Head", Off: 0x06010, Stride: 0x40, N: 128, Mask: 0xFFFF, Spec: "8.2.3.9.8", Read: (*Device).readTDH, Wrote: (*Device).wroteTDH},
	{Name: "TDT", Title: "Transmit Descriptor Tail", Off: 0x06018, Stride: 0x40, N: 128, Mask: 0xFFFF, Spec: "8.2.3.9.9", Wrote: (*Device).wroteTDT},
	{Name: "TXDCTL", Title: "Transmit Descriptor Control", Off: 0x06028, Stride: 0x40, N: 128, Mode: reg.SC, Mask: 0x067F7F7F, SelfClear: 0x04000000, Spec: "8.2.3.9.10", Wrote: (*Device).wroteTXDCTL},
	{Name: "TDWBAL", Title: "Tx Descriptor Completion Write Back Address Low", Off: 0x06038, Stride: 0x40, N: 128, Mask: 0xFFFFFFFD, Spec: "8.2.3.9.11", Wrote: (*Device).wroteTDWBA},
	{Name: "TDWBAH", Title: "Tx Descriptor Completion Write Back Address High", Off: 0x0603C, Stride: 0x40, N: 128, Spec: "8.2.3.9.12", Wrote: (*Device).wroteTDWBA},
	{Name: "TXPBSIZE", Title: "Transmit Packet Buffer Size", Off: 0x0CC00, N: 8, Mask: 0xFFC00, Reset: 0x28000, Spec: "8.2.3.9.13"},
	{Name: "MNGTXMAP", Title: "Manageability Transmit TC Mapping", Off: 0x0CD10, Mask: 0x7, Spec: "8.2.3.9.14"},
	{Name: "MTQC", Title: "Multiple Transmit Queues Command", Off: 0x08120, Mask: 0xF, Spec: "8.2.3.9.15", Wrote: (*Device).wroteMTQC},
	{Name: "TXPBTHRESH", Title: "Tx Packet Buffer Threshold", Off: 0x04950, Mask: 0x3FF, Reset: 0x96, Spec: "8.2.3.9.16"},
	{Name: "TXPBTHRESH", Title: "Tx Packet Buffer Threshold", Off: 0x04954, N: 7, First: 1, Mask: 0x3FF, Spec: "8.2.3.9.16"},
}
