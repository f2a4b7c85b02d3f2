package i82599

import "nicsim.dev/nicsim/reg"

// interruptRegs are interrupt causes, masks, moderation and vectors (82599
// datasheet 8.2.3.5).
var interruptRegs = []reg.Row[Device]{
	{Name: "EICR", Title: "Extended Interrupt Cause", Off: 0x00800, Mode: reg.W1C, Mask: 0x7FFFFFFF, Spec: "8.2.3.5.1", Read: (*Device).readEICR, Wrote: (*Device).wroteEICR},
	{Name: "EICS", Title: "Extended Interrupt Cause Set", Off: 0x00808, Mode: reg.WO, Mask: 0x7FFFFFFF, Spec: "8.2.3.5.2", Read: (*Device).readEICS, Wrote: (*Device).wroteEICS},
	{Name: "EIMS", Title: "Extended Interrupt Mask Set/Read", Off: 0x00880, Mask: 0x7FFFFFFF, Spec: "8.2.3.5.3", Read: (*Device).readEIMS, Wrote: (*Device).wroteEIMS},
	{Name: "EIMC", Title: "Extended Interrupt Mask Clear", Off: 0x00888, Mode: reg.WO, Mask: 0x7FFFFFFF, Spec: "8.2.3.5.4", Wrote: (*Device).wroteEIMC},
	{Name: "EIAC", Title: "Extended Interrupt Auto Clear", Off: 0x00810, Mask: 0x4000FFFF, Spec: "8.2.3.5.5", Wrote: (*Device).wroteEIAC},
	{Name: "EIAM", Title: "Extended Interrupt Auto Mask Enable", Off: 0x00890, Mask: 0x7FFFFFFF, Spec: "8.2.3.5.6", Read: (*Device).readEIAM, Wrote: (*Device).wroteEIAM},
	{Name: "EICS", Title: "Extended Interrupt Cause Set, vectors 32 n - 32 on", Off: 0x00A90, N: 2, First: 1, Mode: reg.WO, Spec: "8.2.3.5.7", Read: (*Device).readEICS, Wrote: (*Device).wroteEICS},
	{Name: "EIMS", Title: "Extended Interrupt Mask Set/Read, vectors 32 n - 32 on", Off: 0x00AA0, N: 2, First: 1, Spec: "8.2.3.5.8", Read: (*Device).readEIMS, Wrote: (*Device).wroteEIMS},
	{Name: "EIMC", Title: "Extended Interrupt Mask Clear, vectors 32 n - 32 on", Off: 0x00AB0, N: 2, First: 1, Mode: reg.WO, Spec: "8.2.3.5.9", Wrote: (*Device).wroteEIMC},
	{Name: "EIAM", Title: "Extended Interrupt Auto Mask Enable, vectors 32 n - 32 on", Off: 0x00AD0, N: 2, First: 1, Spec: "8.2.3.5.10", Read: (*Device).readEIAM, Wrote: (*Device).wroteEIAM},
	{Name: "EITRSEL", Title: "MSI-X to EITR Select", Off: 0x00894, Spec: "8.2.3.5.11"},
	{Name: "EITR", Title: "Extended Interrupt Throttle", Off: 0x00820, N: 24, Mask: 0x8FFF8FF8, Spec: "8.2.3.5.12", Read: (*Device).readEITR, Wrote: (*Device).wroteEITR},
	{Name: "EITR", Title: "Extended Interrupt Throttle", Off: 0x12300, N: 105, First: 24, Mask: 0x8FFF8FF8, Spec: "8.2.3.5.12", Read: (*Device).readEITR, Wrote: (*Device).wroteEITR},
	{Name: "L34TIMIR", Title: "L3 L4 Tuples Immediate Interrupt Rx", Off: 0x0E800, N: 128, Mask: 0x0FFFF000, Spec: "8.2.3.5.13", Wrote: (*Device).wroteL34TIMIR},
	{Name: "LLITHRESH", Title: "LLI Size Threshold", Off: 0x0EC90, Mask: 0xFFF, Spec: "8.2.3.5.14", Wrote: (*Device).wroteLLITHRESH},
	{Name: "IMIRVP", Title: "Immediate Interrupt Rx VLAN Priority", Off: 0x0EC60, Mask: 0xF, Spec: "8.2.3.5.15", Wrote: (*Device).wroteIMIRVP},
	{Name: "IMIRVP", Title: "Immediate Interrupt Rx VLAN Priority", Off: 0x05AC0, Alias: "IMIRVP", Spec: "8.2.3.5.15"},
	{Name: "IVAR", Title: "Interrupt Vector Allocation", Off: 0x00900, N: 64, Mask: 0xBFBFBFBF, Spec: "8.2.3.5.16", Wrote: (*Device).wroteIVAR},
	{Name: "IVAR_MISC", Title: "Miscellaneous Interrupt Vector Allocation", Off: 0x00A00, Mask: 0xFFFF, Spec: "8.2.3.5.17", Wrote: (*Device).wroteIVAR},
	{Name: "GPIE", Title: "General Purpose Interrupt Enable", Off: 0x00898, Mask: 0xC000FFFF, Spec: "8.2.3.5.18", Wrote: (*Device).wroteGPIE},
}

// msixRegs are the MSI-X registers outside the MSI-X table (82599 datasheet
// 8.2.3.6).
var msixRegs = []reg.Row[Device]{
	{Name: "PBACL", Title: "MSI-X PBA Clear", Off: 0x110C0, N: 8, Mode: reg.W1C, Spec: "8.2.3.6.1", Wrote: (*Device).wrotePBACL},
	{Name: "PBACL", Title: "MSI-X PBA Clear", Off: 0x11068, Alias: "PBACL", Spec: "8.2.3.6.1"},
}
