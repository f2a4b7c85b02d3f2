package i82599

import "nicsim.dev/nicsim/reg"

// flowControlRegs are pause and priority flow control (82599 datasheet
// 8.2.3.3).
var flowControlRegs = []reg.Row[Device]{
	{Name: "PFCTOP", Title: "Priority Flow Control Type Opcode", Off: 0x03008, Reset: 0x01018808, Spec: "8.2.3.3.1"},
	{Name: "FCTTV", Title: "Flow Control Transmit Timer Value", Off: 0x03200, N: 4, Spec: "8.2.3.3.2", Wrote: (*Device).wroteFCTTV},
	{Name: "FCRTL", Title: "Flow Control Receive Threshold Low", Off: 0x03220, N: 8, Mask: 0x8007FFF0, Spec: "8.2.3.3.3", Wrote: (*Device).wroteFCRTL},
	{Name: "FCRTH", Title: "Flow Control Receive Threshold High", Off: 0x03260, N: 8, Mask: 0x8007FFF0, Spec: "8.2.3.3.4", Wrote: (*Device).wroteFCRTH},
	{Name: "FCRTV", Title: "Flow Control Refresh Threshold Value", Off: 0x032A0, Mask: 0xFFFF, Spec: "8.2.3.3.5", Wrote: (*Device).wroteFCRTV},
	{Name: "TFCS", Title: "Transmit Flow Control Status", Off: 0x0CE00, Mode: reg.RO, Reset: 0xFF, Spec: "8.2.3.3.6", Read: (*Device).readTFCS},
	{Name: "FCCFG", Title: "Flow Control Configuration", Off: 0x03D00, Mask: 0x18, Spec: "8.2.3.3.7", Wrote: (*Device).wroteFCCFG},
}
