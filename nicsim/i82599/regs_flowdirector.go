package i82599

import "nicsim.dev/nicsim/reg"

// flowDirectorRegs are the Flow Director filters (82599 datasheet 8.2.3.21).
var flowDirectorRegs = []reg.Row[Device]{
	{Name: "FDIRCTRL", Title: "Flow Director Filters Control", Off: 0x0EE00, Mask: 0xFF1F7FB3, Spec: "8.2.3.21.1", Read: (*Device).readFDIRCTRL, Wrote: (*Device).wroteFDIRCTRL},
	{Name: "FDIRHKEY", Title: "Flow Director Filters Lookup Table Hash Key", Off: 0x0EE68, Reset: 0x80000001, Spec: "8.2.3.21.2", Wrote: (*Device).wroteFDIRHKEY},
	{Name: "FDIRSKEY", Title: "Flow Director Filters Signature Hash Key", Off: 0x0EE6C, Reset: 0x80800101, Spec: "8.2.3.21.3", Wrote: (*Device).wroteFDIRSKEY},
	{Name: "FDIRDIP4M", Title: "Flow Director Filters Destination IPv4 Mask", Off: 0x0EE3C, Spec: "8.2.3.21.4", Wrote: (*Device).wroteFDIRDIP4M},
	{Name: "FDIRSIP4M", Title: "Flow Director Filters Source IPv4 Mask", Off: 0x0EE40, Spec: "8.2.3.21.5", Wrote: (*Device).wroteFDIRSIP4M},
	{Name: "FDIRTCPM", Title: "Flow Director Filters TCP Mask", Off: 0x0EE44, Spec: "8.2.3.21.6", Wrote: (*Device).wroteFDIRTCPM},
	{Name: "FDIRUDPM", Title: "Flow Director Filters UDP Mask", Off: 0x0EE48, Spec: "8.2.3.21.7", Wrote: (*Device).wroteFDIRUDPM},
	{Name: "FDIRIP6M", Title: "Flow Director Filters IPv6 Mask", Off: 0x0EE74, Spec: "8.2.3.21.8", Wrote: (*Device).wroteFDIRIP6M},
	{Name: "FDIRM", Title: "Flow Director Filters Other Mask", Off: 0x0EE70, Mask: 0x3F, Spec: "8.2.3.21.9", Wrote: (*Device).wroteFDIRM},
	{Name: "FDIRFREE", Title: "Flow Director Filters Free", Off: 0x0EE38, Mask: 0x7FFFFFFF, Reset: 0x8000, Spec: "8.2.3.21.10", Read: (*Device).readFDIRFREE, Wrote: (*Device).wroteFDIRFREE},
	{Name: "FDIRLEN", Title: "Flow Director Filters Length", Off: 0x0EE4C, Mode: reg.RC, Spec: "8.2.3.21.11", Read: (*Device).readFDIRLEN},
	{Name: "FDIRUSTAT", Title: "Flow Director Filters Usage Statistics", Off: 0x0EE50, Mode: reg.RC, Spec: "8.2.3.21.12", Read: (*Device).readFDIRUSTAT},
	{Name: "FDIRFSTAT", Title: "Flow Director Filters Failed Usage Statistics", Off: 0x0EE54, Mode: reg.RC, Spec: "8.2.3.21.13", Read: (*Device).readFDIRFSTAT},
	{Name: "FDIRMATCH", Title: "Flow Director Filters Match Statistics", Off: 0x0EE58, Mode: reg.RC, Spec: "8.2.3.21.14", Read: (*Device).readFDIRMATCH},
	{Name: "FDIRMISS", Title: "Flow Director Filters Miss Match Statistics", Off: 0x0EE5C, Mode: reg.RC, Spec: "8.2.3.21.15", Read: (*Device).readFDIRMISS},
	{Name: "FDIRSIPV6", Title: "Flow Director Filters Source IPv6", Off: 0x0EE0C, N: 3, Spec: "8.2.3.21.16", Read: (*Device).readFDIRSIPV6, Wrote: (*Device).wroteFDIRSIPV6},
	{Name: "FDIRIPSA", Title: "Flow Director Filters IP SA", Off: 0x0EE18, Spec: "8.2.3.21.17", Read: (*Device).readFDIRIPSA, Wrote: (*Device).wroteFDIRIPSA},
	{Name: "FDIRIPDA", Title: "Flow Director Filters IP DA", Off: 0x0EE1C, Spec: "8.2.3.21.18", Read: (*Device).readFDIRIPDA, Wrote: (*Device).wroteFDIRIPDA},
	{Name: "FDIRPORT", Title: "Flow Director Filters Port", Off: 0x0EE20, Spec: "8.2.3.21.19", Read: (*Device).readFDIRPORT, Wrote: (*Device).wroteFDIRPORT},
	{Name: "FDIRVLAN", Title: "Flow Director Filters VLAN and Flex Bytes", Off: 0x0EE24, Spec: "8.2.3.21.20", Read: (*Device).readFDIRVLAN, Wrote: (*Device).wroteFDIRVLAN},
	{Name: "FDIRHASH", Title: "Flow Director Filters Hash Signature", Off: 0x0EE28, Mask: 0x7FFFFFFF, Spec: "8.2.3.21.21", Read: (*Device).readFDIRHASH, Wrote: (*Device).wroteFDIRHASH},
	{Name: "FDIRCMD", Title: "Flow Director Filters Command", Off: 0x0EE2C, Mask: 0x3F7F9FFB, Spec: "8.2.3.21.22", Read: (*Device).readFDIRCMD, Wrote: (*Device).wroteFDIRCMD},
}
