package i82599

import "nicsim.dev/nicsim/reg"

// fcoeRegs are Fibre Channel over Ethernet (82599 datasheet 8.2.3.20). The
// delimiters reset to the codes of RFC 3643 in the order of the descriptors.
var fcoeRegs = []reg.Row[Device]{
	{Name: "FCPTRL", Title: "FC User Descriptor Pointer Low", Off: 0x02410, Spec: "8.2.3.20"},
	{Name: "FCPTRH", Title: "FC User Descriptor Pointer High", Off: 0x02414, Spec: "8.2.3.20"},
	{Name: "FCBUFF", Title: "FC Buffer Control", Off: 0x02418, Spec: "8.2.3.20"},
	{Name: "FCDMARW", Title: "FC Receive DMA RW", Off: 0x02420, Spec: "8.2.3.20"},
	{Name: "TEOFF", Title: "Tx FC EOF", Off: 0x04A94, Reset: 0x50494241, Spec: "8.2.3.20"},
	{Name: "TSOFF", Title: "Tx FC SOF", Off: 0x04A98, Reset: 0x36352E2D, Spec: "8.2.3.20"},
	{Name: "REOFF", Title: "Rx FC EOF", Off: 0x05158, Reset: 0x50494241, Spec: "8.2.3.20"},
	{Name: "RSOFF", Title: "Rx FC SOF", Off: 0x051F8, Reset: 0x36352E2D, Spec: "8.2.3.20"},
	{Name: "FCFLT", Title: "FC Filter Context", Off: 0x05108, Spec: "8.2.3.20"},
	{Name: "FCFLTRW", Title: "FC Filter RW Control", Off: 0x05110, Spec: "8.2.3.20"},
	{Name: "FCPARAM", Title: "FC Offset Parameter", Off: 0x051D8, Spec: "8.2.3.20"},
	{Name: "FCRXCTRL", Title: "FC Receive Control", Off: 0x05100, Mask: 0xFFF, Spec: "8.2.3.20"},
	{Name: "FCRECTL", Title: "FCoE Redirection Control", Off: 0x0ED00, Mask: 0x1, Spec: "8.2.3.20"},
	{Name: "FCRETA", Title: "FCoE Redirection Table", Off: 0x0ED10, N: 8, Mask: 0x7F, Spec: "8.2.3.20"},
}
