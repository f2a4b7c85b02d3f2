package i82599

import "nicsim.dev/nicsim/reg"

// virtualizationRegs are the physical function's side of pools and virtual
// functions (82599 datasheet 8.2.3.27).
var virtualizationRegs = []reg.Row[Device]{
	{Name: "PFVTCTL", Title: "VT Control", Off: 0x051B0, Mask: 0x60001F81, Spec: "8.2.3.27.1"},
	{Name: "PFMailbox", Title: "PF Mailbox", Off: 0x04B00, N: 64, Mask: 0x1B, Spec: "8.2.3.27"},
	{Name: "PFMBICR", Title: "PF Mailbox Interrupt Causes", Off: 0x00710, N: 4, Mode: reg.W1C, Spec: "8.2.3.27"},
	{Name: "PFMBIMR", Title: "PF Mailbox Interrupt Mask", Off: 0x00720, N: 2, Spec: "8.2.3.27"},
	{Name: "PFVFLRE", Title: "PF VFLR Events Indication", Off: 0x00600, Mode: reg.RO, Spec: "8.2.3.27"},
	{Name: "PFVFLRE", Title: "PF VFLR Events Indication", Off: 0x001C0, First: 1, Mode: reg.RO, Spec: "8.2.3.27"},
	{Name: "PFVFLREC", Title: "PF VFLR Events Clear", Off: 0x00700, N: 2, Mode: reg.W1C, Spec: "8.2.3.27"},
	{Name: "PFVFRE", Title: "PF VF Receive Enable", Off: 0x051E0, N: 2, Spec: "8.2.3.27.7"},
	{Name: "PFVFTE", Title: "PF VF Transmit Enable", Off: 0x08110, N: 2, Spec: "8.2.3.27.8"},
	{Name: "PFQDE", Title: "PF Queue Drop Enable", Off: 0x02F04, Mask: 0x00037F01, Spec: "8.2.3.27.9", Wrote: (*Device).wrotePFQDE},
	{Name: "PFVMTXSW", Title: "PF VM Tx Switch Loopback Enable", Off: 0x05180, N: 2, Spec: "8.2.3.27"},
	{Name: "PFVFSPOOF", Title: "PF VF Anti Spoof Control", Off: 0x08200, N: 8, Mask: 0xFFFF, Spec: "8.2.3.27"},
	{Name: "PFDTXGSWC", Title: "PF DMA Tx General Switch Control", Off: 0x08220, Mask: 0x1, Spec: "8.2.3.27"},
	{Name: "PFVMVIR", Title: "PF VM VLAN Insert", Off: 0x08000, N: 64, Mask: 0xC000FFFF, Spec: "8.2.3.27"},
	{Name: "PFVML2FLT", Title: "PF VM L2 Control", Off: 0x0F000, N: 64, Mask: 0x1F000000, Spec: "8.2.3.27.14"},
	{Name: "PFVLVF", Title: "PF VM VLAN Pool Filter", Off: 0x0F100, N: 64, Mask: 0x80000FFF, Spec: "8.2.3.27.15"},
	{Name: "PFVLVFB", Title: "PF VM VLAN Pool Filter Bitmap", Off: 0x0F200, N: 128, Spec: "8.2.3.27.16"},
	{Name: "PFUTA", Title: "PF Unicast Table Array", Off: 0x0F400, N: 128, Spec: "8.2.3.27.17"},
	{Name: "PFMRCTL", Title: "PF Mirror Rule Control", Off: 0x0F600, N: 4, Mask: 0x3F0F, Spec: "8.2.3.27"},
	{Name: "PFMRVLAN", Title: "PF Mirror Rule VLAN", Off: 0x0F610, N: 8, Spec: "8.2.3.27"},
	{Name: "PFMRVM", Title: "PF Mirror Rule Pool", Off: 0x0F630, N: 8, Spec: "8.2.3.27"},
	{Name: "PFMBMEM", Title: "PF Mailbox Memory, 16 words a VF", Off: 0x13000, N: 1024, Spec: "8.2.3.27"},
}
