package i82599

import "nicsim.dev/nicsim/reg"

// macRegs are the MAC, its PCS and link negotiation (82599 datasheet 8.2.3.22).
var macRegs = []reg.Row[Device]{
	{Name: "PCS1GCFIG", Title: "PCS_1G Global Config 1", Off: 0x04200, Mask: 0x40000000, Spec: "8.2.3.22.1"},
	{Name: "PCS1GLCTL", Title: "PCS_1G Link Control", Off: 0x04208, Mask: 0x02040061, Reset: 0x02040000, Spec: "8.2.3.22.2"},
	{Name: "PCS1GLSTA", Title: "PCS_1G Link Status", Off: 0x0420C, Mode: reg.RO, Spec: "8.2.3.22.3"},
	{Name: "PCS1GANA", Title: "PCS_1G Auto-Negotiation Advertisement", Off: 0x04218, Mask: 0xB1A0, Reset: 0x1A0, Spec: "8.2.3.22.4"},
	{Name: "PCS1GANLP", Title: "PCS_1G AN Link Partner Ability", Off: 0x0421C, Mode: reg.RO, Spec: "8.2.3.22.5"},
	{Name: "PCS1GANNP", Title: "PCS_1G AN Next Page Transmit", Off: 0x04220, Mask: 0xBFFF, Spec: "8.2.3.22.6"},
	{Name: "PCS1GANLPNP", Title: "PCS_1G AN Link Partner Next Page", Off: 0x04224, Mode: reg.RO, Spec: "8.2.3.22.7"},
	// HLREG0 resets to: append and strip CRC, pad, report length errors.
	{Name: "HLREG0", Title: "MAC Core Control 0", Off: 0x04240, Mask: 0x18F38407, Reset: 0x0801040B, Spec: "8.2.3.22.8", Wrote: (*Device).wroteHLREG0},
	{Name: "HLREG1", Title: "MAC Core Status 1", Off: 0x04244, Mode: reg.RC, Spec: "8.2.3.22.9"},
	{Name: "PAP", Title: "Pause and Pace", Off: 0x04248, Mask: 0x000F0000, Spec: "8.2.3.22.10"},
	{Name: "MSCA", Title: "MDI Single Command and Address", Off: 0x0425C, Mask: 0x7FFFFFFF, Spec: "8.2.3.22.11", Wrote: (*Device).wroteMSCA},
	{Name: "MSRWD", Title: "MDI Single Read and Write Data", Off: 0x04260, Mask: 0xFFFF, Spec: "8.2.3.22.12"},
	{Name: "MAXFRS", Title: "Max Frame Size", Off: 0x04268, Mask: 0xFFFF0000, Reset: 0x05EE0000, Spec: "8.2.3.22.13", Wrote: (*Device).wroteMAXFRS},
	{Name: "PCSS1", Title: "XGXS Status 1", Off: 0x04288, Mode: reg.RO, Spec: "8.2.3.22.14"},
	{Name: "PCSS2", Title: "XGXS Status 2", Off: 0x0428C, Mode: reg.RO, Reset: 0x8000, Spec: "8.2.3.22.15"},
	{Name: "XPCSS", Title: "10GBASE-X PCS Status", Off: 0x04290, Mode: reg.RO, Spec: "8.2.3.22.16"},
	{Name: "SERDESC", Title: "SerDes Interface Control", Off: 0x04298, Reset: 0x1B1B0000, Spec: "8.2.3.22.17"},
	{Name: "MACS", Title: "FIFO Status/Control Report", Off: 0x0429C, Mask: 0x0FFF000F, Reset: 0x061F0000, Spec: "8.2.3.22.18"},
	// AUTOC and AUTOC2 reset to: 10 GbE serial (SFI), no backplane negotiation.
	{Name: "AUTOC", Title: "Auto-Negotiation Control", Off: 0x042A0, Mode: reg.SC, SelfClear: 0x1000, Reset: 0xC09C6004, Spec: "8.2.3.22.19", Wrote: (*Device).wroteAUTOC},
	{Name: "LINKS", Title: "Link Status", Off: 0x042A4, Mode: reg.RO, Spec: "8.2.3.22.20", Read: (*Device).readLINKS},
	{Name: "LINKS2", Title: "Link Status 2", Off: 0x04324, Mode: reg.RO, Spec: "8.2.3.22.21", Read: (*Device).readLINKS2},
	{Name: "AUTOC2", Title: "Auto-Negotiation Control 2", Off: 0x042A8, Mask: 0xFFFF0000, Reset: 0x00020000, Spec: "8.2.3.22.22", Wrote: (*Device).wroteAUTOC2},
	{Name: "ANLP1", Title: "Auto-Negotiation Link Partner Link Control Word 1", Off: 0x042B0, Mode: reg.RO, Spec: "8.2.3.22.23", Read: (*Device).readANLP1},
	{Name: "ANLP2", Title: "Auto-Negotiation Link Partner Link Control Word 2", Off: 0x042B4, Mode: reg.RO, Spec: "8.2.3.22.24"},
	{Name: "MMNGC", Title: "MAC Manageability Control", Off: 0x042D0, Mode: reg.RO, Spec: "8.2.3.22.25"},
	{Name: "ANLPNP1", Title: "Auto-Negotiation Link Partner Next Page 1", Off: 0x042D4, Mode: reg.RO, Spec: "8.2.3.22.26"},
	{Name: "ANLPNP2", Title: "Auto-Negotiation Link Partner Next Page 2", Off: 0x042D8, Mode: reg.RO, Spec: "8.2.3.22.27"},
	{Name: "KRPCSFC", Title: "KR PCS and FEC Control", Off: 0x042E0, Mask: 0x0DFD0000, Spec: "8.2.3.22.28"},
	{Name: "KRPCSS", Title: "KR PCS Status", Off: 0x042E4, Mode: reg.RO, Spec: "8.2.3.22.29"},
	{Name: "FECS1", Title: "FEC Status 1", Off: 0x042E8, Mode: reg.RC, Spec: "8.2.3.22.30"},
	{Name: "FECS2", Title: "FEC Status 2", Off: 0x042EC, Mode: reg.RC, Spec: "8.2.3.22.31"},
	{Name: "CoreCTL", Title: "Core Analog Configuration", Off: 0x14F00, Mask: 0x1FFFF, Spec: "8.2.3.22.32", Wrote: (*Device).wroteCoreCTL},
	{Name: "SMADARCTL", Title: "Core Common Configuration", Off: 0x14F10, Mask: 0x1FFFF, Spec: "8.2.3.22.33", Wrote: (*Device).wroteSMADARCTL},
	{Name: "MFLCN", Title: "MAC Flow Control", Off: 0x04294, Mask: 0xF, Spec: "8.2.3.22.34", Wrote: (*Device).wroteMFLCN},
	{Name: "SGMIIC", Title: "SGMII Control", Off: 0x04314, Mask: 0x2FFFF, Spec: "8.2.3.22.35"},
}
