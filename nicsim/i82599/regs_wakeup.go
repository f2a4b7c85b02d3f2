package i82599

import "nicsim.dev/nicsim/reg"

// wakeUpRegs are wake-up filters and their memory (82599 datasheet 8.2.3.24).
var wakeUpRegs = []reg.Row[Device]{
	{Name: "WUC", Title: "Wake Up Control", Off: 0x05800, Mask: 0x12, Spec: "8.2.3.24.1"},
	{Name: "WUFC", Title: "Wake Up Filter Control", Off: 0x05808, Mask: 0x003F81FF, Spec: "8.2.3.24.2"},
	{Name: "WUS", Title: "Wake Up Status", Off: 0x05810, Mode: reg.W1C, Mask: 0x003F01FF, Spec: "8.2.3.24.3"},
	{Name: "IPAV", Title: "IP Address Valid", Off: 0x05838, Mask: 0x1000F, Spec: "8.2.3.24.4", Wrote: (*Device).wroteIPAV},
	{Name: "IP4AT", Title: "IPv4 Address Table", Off: 0x05840, Stride: 8, N: 4, Spec: "8.2.3.24.5"},
	{Name: "IP6AT", Title: "IPv6 Address Table", Off: 0x05880, N: 4, Spec: "8.2.3.24.6", Wrote: (*Device).wroteIP6AT},
	{Name: "WUPL", Title: "Wake Up Packet Length", Off: 0x05900, Mode: reg.RO, Spec: "8.2.3.24.7"},
	{Name: "WUPM", Title: "Wake Up Packet Memory", Off: 0x05A00, N: 32, Mode: reg.RO, Spec: "8.2.3.24.8"},
	{Name: "FHFT", Title: "Flexible Host Filter Table, filters 0 to 3", Off: 0x09000, N: 256, Spec: "8.2.3.24.9"},
	{Name: "FHFT", Title: "Flexible Host Filter Table, filters 4 and 5", Off: 0x09800, N: 128, First: 256, Spec: "8.2.3.24.9"},
}
