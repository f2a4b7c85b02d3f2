package i82599

import "nicsim.dev/nicsim/reg"

// flowDirectorRegs are the Flow Director filters (82599 datasheet 8.2.3.21).
var flowDirectorRegs = []reg.Row[Device]{
	{Name: "FDIRCTRL", Title: "Flow Director Filters Control", Off: 0x0EE00, Mask: 0xFF1F7FB3, Spec: "8.2.3.21.1"},
	{Name: "FDIRHKEY", Title: "Flow Director Filters Lookup Table Hash Key", Off: 0x0EE68, Reset: 0x80000001, Spec: "8.2.3.21.2"},
	{Name: "FDIRSKEY", Title: "Flow Director Filters Signature Hash Key", Off: 0x0EE6C, Reset: 0x80800101, Spec: "8.2.3.21.3"},
	{Name: "FDIRDIP4M", Title: "Flow Director Filters Destination IPv4 Mask", Off: 0x0EE3C, Spec: "8.2.3.21.4"},
	{Name: "FDIRSIP4M", Title: "Flow Director Filters Source IPv4 Mask", Off: 0x0EE40, Spec: "8.2.3.21.5"},
	{Name: "FDIRTCPM", Title: "Flow Director Filters TCP Mask", Off: 0x0EE44, Spec: "8.2.3.21.6"},
	{Name: "FDIRUDPM", Title: "Flow Director Filters UDP Mask", Off: 0x0EE48, Spec: "8.2.3.21.7"},
	{Name: "FDIRIP6M", Title: "Flow Director Filters IPv6 Mask", Off: 0x0EE74, Spec: "8.2.3.21.8"},
	{Name: "FDIRM", Title: "Flow Director Filters Other Mask", Off: 0x0EE70, Mask: 0x3F, Spec: "8.2.3.21.9"},
	{Name: "FDIRFREE", Title: "Flow Director Filters Free", Off: 0x0EE38, Mask: 0x7FFFFFFF, Reset: 0x8000, Spec: "8.2.3.21.10"},
	{Name: "FDIRLEN", Title: "Flow Director Filters Length", Off: 0x0EE4C, Mode: reg.RC, Spec: "8.2.3.21.11"},
	{Name: "FDIRUSTAT", Title: "Flow Director Filters Usage Statistics", Off: 0x0EE50, Mode: reg.RC, Spec: "8.2.3.21.12"},
	{Name: "FDIRFSTAT", Title: "Flow Director Filters Failed Usage Statistics", Off: 0x0EE54, Mode: reg.RC, Spec: "8.2.3.21.13"},
	{Name: "FDIRMATCH", Title: "Flow Director Filters Match Statistics", Off: 0x0EE58, Mode: reg.RC, Spec: "8.2.3.21.14"},
	{Name: "FDIRMISS", Title: "Flow Director Filters Miss Match Statistics", Off: 0x0EE5C, Mode: reg.RC, Spec: "8.2.3.21.15"},
	{Name: "FDIRSIPV6", Title: "Flow Director Filters Source IPv6", Off: 0x0EE0C, N: 3, Spec: "8.2.3.21.16"},
	{Name: "FDIRIPSA", Title: "Flow Director Filters IP SA", Off: 0x0EE18, Spec: "8.2.3.21.17"},
	{Name: "FDIRIPDA", Title: "Flow Director Filters IP DA", Off: 0x0EE1C, Spec: "8.2.3.21.18"},
	{Name: "FDIRPORT", Title: "Flow Director Filters Port", Off: 0x0EE20, Spec: "8.2.3.21.19"},
	{Name: "FDIRVLAN", Title: "Flow Director Filters VLAN and Flex Bytes", Off: 0x0EE24, Spec: "8.2.3.21.20"},
	{Name: "FDIRHASH", Title: "Flow Director Filters Hash Signature", Off: 0x0EE28, Mask: 0x7FFFFFFF, Spec: "8.2.3.21.21"},
	{Name: "FDIRCMD", Title: "Flow Director Filters Command", Off: 0x0EE2C, Mask: 0x3F7F9FFB, Spec: "8.2.3.21.22"},
}
