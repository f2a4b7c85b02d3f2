package i82599

import "nicsim.dev/nicsim/reg"

// receiveDMARegs are the receive rings and packet buffers (82599 datasheet
// 8.2.3.8). Queues from 64 on have a second range.
var receiveDMARegs = []reg.Row[Device]{
	{Name: "RDBAL", Title: "Receive Descriptor Base Address Low", Off: 0x01000, Stride: 0x40, N: 64, Mask: 0xFFFFFF80, Spec: "8.2.3.8.1", Wrote: (*Device).wroteRDBA},
	{Name: "RDBAL", Title: "Receive Descriptor Base Address Low", Off: 0x0D000, Stride: 0x40, N: 64, First: 64, Mask: 0xFFFFFF80, Spec: "8.2.3.8.1", Wrote: (*Device).wroteRDBA},
	{Name: "RDBAH", Title: "Receive Descriptor Base Address High", Off: 0x01004, Stride: 0x40, N: 64, Spec: "8.2.3.8.2", Wrote: (*Device).wroteRDBA},
	{Name: "RDBAH", Title: "Receive Descriptor Base Address High", Off: 0x0D004, Stride: 0x40, N: 64, First: 64, Spec: "8.2.3.8.2", Wrote: (*Device).wroteRDBA},
	{Name: "RDLEN", Title: "Receive Descriptor Length", Off: 0x01008, Stride: 0x40, N: 64, Mask: 0xFFF80, Spec: "8.2.3.8.3", Wrote: (*Device).wroteRDLEN},
	{Name: "RDLEN", Title: "Receive Descriptor Length", Off: 0x0D008, Stride: 0x40, N: 64, First: 64, Mask: 0xFFF80, Spec: "8.2.3.8.3", Wrote: (*Device).wroteRDLEN},
	{Name: "RDH", Title: "Receive Descriptor Head", Off: 0x01010, Stride: 0x40, N: 64, Mask: 0xFFFF, Spec: "8.2.3.8.4", Read: (*Device).readRDH, Wrote: (*Device).wroteRDH},
	{Name: "RDH", Title: "Receive Descriptor Head", Off: 0x0D010, Stride: 0x40, N: 64, First: 64, Mask: 0xFFFF, Spec: "8.2.3.8.4", Read: (*Device).readRDH, Wrote: (*Device).wroteRDH},
	{Name: "RDT", Title: "Receive Descriptor Tail", Off: 0x01018, Stride: 0x40, N: 64, Mask: 0xFFFF, Spec: "8.2.3.8.5", Wrote: (*Device).wroteRDT},
	{Name: "RDT", Title: "Receive Descriptor Tail", Off: 0x0D018, Stride: 0x40, N: 64, First: 64, Mask: 0xFFFF, Spec: "8.2.3.8.5", Wrote: (*Device).wroteRDT},
	{Name: "RXDCTL", Title: "Receive Descriptor Control", Off: 0x01028, Stride: 0x40, N: 64, Mask: 0x42000000, Spec: "8.2.3.8.6", Wrote: (*Device).wroteRXDCTL},
	{Name: "RXDCTL", Title: "Receive Descriptor Control", Off: 0x0D028, Stride: 0x40, N: 64, First: 64, Mask: 0x42000000, Spec: "8.2.3.8.6", Wrote: (*Device).wroteRXDCTL},
	// SRRCTL resets to: 2 KB packet buffer, 256-byte header buffer.
	{Name: "SRRCTL", Title: "Split Receive Control", Off: 0x01014, Stride: 0x40, N: 64, Mask: 0x1FC03F1F, Reset: 0x402, Spec: "8.2.3.8.7", Wrote: (*Device).wroteSRRCTL},
	{Name: "SRRCTL", Title: "Split Receive Control", Off: 0x0D014, Stride: 0x40, N: 64, First: 64, Mask: 0x1FC03F1F, Reset: 0x402, Spec: "8.2.3.8.7", Wrote: (*Device).wroteSRRCTL},
	{Name: "SRRCTL", Title: "Split Receive Control", Off: 0x02100, N: 16, Alias: "SRRCTL", Spec: "8.2.3.8.7"},
	// RDRXCTL resets to: DMA initialization done, RSCFRSTSIZE 8.
	{Name: "RDRXCTL", Title: "Receive DMA Control", Off: 0x02F00, Mask: 0x063E0002, Reset: 0x00100008, Spec: "8.2.3.8.8"},
	{Name: "RXPBSIZE", Title: "Receive Packet Buffer Size", Off: 0x03C00, N: 8, Mask: 0xFFC00, Reset: 0x80000, Spec: "8.2.3.8.9", Wrote: (*Device).wroteRXPBSIZE},
	{Name: "RXCTRL", Title: "Receive Control", Off: 0x03000, Mask: 0x1, Spec: "8.2.3.8.10", Wrote: (*Device).wroteRXCTRL},
	{Name: "RXMEMWRAP", Title: "Rx Packet Buffer Flush Detect", Off: 0x03190, Mode: reg.RO, Reset: 0x88888888, Spec: "8.2.3.8.11"},
	{Name: "RSCDBU", Title: "RSC Data Buffer Control", Off: 0x03028, Mask: 0x80, Spec: "8.2.3.8.12"},
	{Name: "RSCCTL", Title: "RSC Control", Off: 0x0102C, Stride: 0x40, N: 64, Mask: 0xD, Spec: "8.2.3.8.13", Wrote: (*Device).wroteRSCCTL},
	{Name: "RSCCTL", Title: "RSC Control", Off: 0x0D02C, Stride: 0x40, N: 64, First: 64, Mask: 0xD, Spec: "8.2.3.8.13", Wrote: (*Device).wroteRSCCTL},
}
