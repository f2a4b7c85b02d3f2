package i82599

import "nicsim.dev/nicsim/reg"

// generalRegs are device control, pins, LEDs and I2C (82599 datasheet 8.2.3.1).
var generalRegs = []reg.Row[Device]{
	{Name: "CTRL", Title: "Device Control", Off: 0x00000, Mode: reg.SC, Mask: 0x0400000C, SelfClear: 0x04000008, Spec: "8.2.3.1.1", Wrote: (*Device).wroteCTRL},
	{Name: "CTRL", Title: "Device Control", Off: 0x00004, Alias: "CTRL", Spec: "8.2.3.1.1"},
	{Name: "STATUS", Title: "Device Status", Off: 0x00008, Mode: reg.RO, Reset: 0x00080000, Spec: "8.2.3.1.2", Read: (*Device).readSTATUS},
	{Name: "CTRL_EXT", Title: "Extended Device Control", Off: 0x00018, Mode: reg.SC, Mask: 0x14034000, SelfClear: 0x4000, Spec: "8.2.3.1.3", Wrote: (*Device).wroteCTRLEXT},
	{Name: "ESDP", Title: "Extended SDP Control", Off: 0x00020, Mask: 0xFCFFFFFF, Spec: "8.2.3.1.4", Read: (*Device).readESDP, Wrote: (*Device).wroteESDP},
	{Name: "I2CCTL", Title: "I2C Control", Off: 0x00028, Mask: 0xA, Spec: "8.2.3.1.5", Read: (*Device).readI2CCTL, Wrote: (*Device).wroteI2CCTL},
	{Name: "LEDCTL", Title: "LED Control", Off: 0x00200, Mask: 0xCFCFCFEF, Reset: 0x05040100, Spec: "8.2.3.1.6", Wrote: (*Device).wroteLEDCTL},
	{Name: "EXVET", Title: "Extended VLAN Ether Type", Off: 0x05078, Mask: 0xFFFF0000, Reset: 0x81000000, Spec: "8.2.3.1.7", Wrote: (*Device).wroteEXVET},
}
