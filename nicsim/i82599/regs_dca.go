package i82599

import "nicsim.dev/nicsim/reg"

// dcaRegs are direct cache access and relaxed ordering (82599 datasheet
// 8.2.3.11).
var dcaRegs = []reg.Row[Device]{
	{Name: "DCA_RXCTRL", Title: "Rx DCA Control", Off: 0x0100C, Stride: 0x40, N: 64, Mask: 0xFF00B2E0, Reset: 0xB200, Spec: "8.2.3.11.1"},
	{Name: "DCA_RXCTRL", Title: "Rx DCA Control", Off: 0x0D00C, Stride: 0x40, N: 64, First: 64, Mask: 0xFF00B2E0, Reset: 0xB200, Spec: "8.2.3.11.1"},
	{Name: "DCA_RXCTRL", Title: "Rx DCA Control", Off: 0x02200, N: 16, Alias: "DCA_RXCTRL", Spec: "8.2.3.11.1"},
	{Name: "DCA_TXCTRL", Title: "Tx DCA Control", Off: 0x0600C, Stride: 0x40, N: 128, Mask: 0xFF002A20, Reset: 0x2A00, Spec: "8.2.3.11.2"},
	{Name: "DCA_ID", Title: "DCA Requester ID Information", Off: 0x11070, Mode: reg.RO, Spec: "8.2.3.11.3"},
	{Name: "DCA_CTRL", Title: "DCA Control", Off: 0x11074, Mask: 0x1F, Reset: 0x1, Spec: "8.2.3.11.4"},
}
