package i82599

import "nicsim.dev/nicsim/reg"

var registers = [][]reg.Row[Device]{{
	{Name: "CTRL", Off: 0, Mode: reg.SC, SelfClear: 1 << 26, Spec: "8.2.3.1.1", Wrote: (*Device).wroteCTRL},
	{Name: "RDBAL", Off: 0x1000, Stride: 0x40, N: 64, Spec: "8.2.3.8.1", Wrote: (*Device).wroteRDBA},
	{Name: "RDBAH", Off: 0x1004, Stride: 0x40, N: 64, Spec: "8.2.3.8.2", Wrote: (*Device).wroteRDBA},
	{Name: "RDLEN", Off: 0x1008, Stride: 0x40, N: 64, Spec: "8.2.3.8.3", Wrote: (*Device).wroteRDLEN},
	{Name: "RDH", Off: 0x1010, Stride: 0x40, N: 64, Spec: "8.2.3.8.4", Read: (*Device).readRDH, Wrote: (*Device).wroteRDH},
	{Name: "RDT", Off: 0x1018, Stride: 0x40, N: 64, Spec: "8.2.3.8.5", Wrote: (*Device).wroteRDT},
	{Name: "RXDCTL", Off: 0x1028, Stride: 0x40, N: 64, Spec: "8.2.3.8.6", Wrote: (*Device).wroteRXDCTL},
	{Name: "SRRCTL", Off: 0x1014, Stride: 0x40, N: 64, Spec: "8.2.3.8.7", Wrote: (*Device).wroteSRRCTL},
	{Name: "RAL", Off: 0xA200, Stride: 8, N: 128, Spec: "8.2.3.7.8"},
	{Name: "RAH", Off: 0xA204, Stride: 8, N: 128, Spec: "8.2.3.7.9"},
	{Name: "RXCTRL", Off: 0x3000, Spec: "8.2.3.8.10", Wrote: (*Device).wroteRXCTRL},
	{Name: "DMATXCTL", Off: 0x4A80, Spec: "8.2.3.9.2", Wrote: (*Device).wroteDMATXCTL},
	{Name: "TDBAL", Off: 0x6000, Stride: 0x40, N: 128, Spec: "8.2.3.9.5", Wrote: (*Device).wroteTDBA},
	{Name: "TDBAH", Off: 0x6004, Stride: 0x40, N: 128, Spec: "8.2.3.9.6", Wrote: (*Device).wroteTDBA},
	{Name: "TDLEN", Off: 0x6008, Stride: 0x40, N: 128, Spec: "8.2.3.9.7", Wrote: (*Device).wroteTDLEN},
	{Name: "TDH", Off: 0x6010, Stride: 0x40, N: 128, Spec: "8.2.3.9.8", Read: (*Device).readTDH, Wrote: (*Device).wroteTDH},
	{Name: "TDT", Off: 0x6018, Stride: 0x40, N: 128, Spec: "8.2.3.9.9", Wrote: (*Device).wroteTDT},
	{Name: "TXDCTL", Off: 0x6028, Stride: 0x40, N: 128, Spec: "8.2.3.9.10", Wrote: (*Device).wroteTXDCTL},
	{Name: "TDWBAL", Off: 0x6038, Stride: 0x40, N: 128, Spec: "8.2.3.9.11", Wrote: (*Device).wroteTDWBA},
	{Name: "TDWBAH", Off: 0x603C, Stride: 0x40, N: 128, Spec: "8.2.3.9.12", Wrote: (*Device).wroteTDWBA},
}}
