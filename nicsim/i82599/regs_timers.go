package i82599

import "nicsim.dev/nicsim/reg"

// timerRegs are the interval timer (82599 datasheet 8.2.3.19).
var timerRegs = []reg.Row[Device]{
	{Name: "TCPTIMER", Title: "TCP Timer", Off: 0x0004C, Mode: reg.SC, Mask: 0xFFF, SelfClear: 0x100, Spec: "8.2.3.19.1", Wrote: (*Device).wroteTCPTIMER},
}
