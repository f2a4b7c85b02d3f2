package i82599

import "nicsim.dev/nicsim/reg"

// eepromRegs are EEPROM and flash access (82599 datasheet 8.2.3.2).
var eepromRegs = []reg.Row[Device]{
	// EEC resets to: auto-read and every load done, EEPROM present, 4096 words,
	// 16-bit addresses, flash writes disabled.
	{Name: "EEC", Title: "EEPROM/Flash Control", Off: 0x10010, Mask: 0x77, Reset: 0x003FB710, Spec: "8.2.3.2.1", Wrote: (*Device).wroteEEC},
	{Name: "EERD", Title: "EEPROM Read", Off: 0x10014, Mask: 0xFFFD, Spec: "8.2.3.2.2", Wrote: (*Device).wroteEERD},
	{Name: "FLA", Title: "Flash Access", Off: 0x1001C, Mask: 0x80000017, Spec: "8.2.3.2.3", Wrote: (*Device).wroteFLA},
	{Name: "EEMNGCTL", Title: "Manageability EEPROM Control", Off: 0x10110, Mask: 0x1FFFF, Reset: 0x80000000, Spec: "8.2.3.2.4"},
	{Name: "EEMNGDATA", Title: "Manageability EEPROM Read/Write Data", Off: 0x10114, Mask: 0xFFFF, Spec: "8.2.3.2.5"},
	{Name: "FLMNGCTL", Title: "Manageability Flash Control", Off: 0x10118, Mask: 0x07FFFFFF, Spec: "8.2.3.2.6"},
	{Name: "FLMNGDATA", Title: "Manageability Flash Read Data", Off: 0x1011C, Spec: "8.2.3.2.7"},
	{Name: "FLOP", Title: "Flash Opcode", Off: 0x1013C, Mask: 0xFFFF, Reset: 0x6252, Spec: "8.2.3.2.8"},
	{Name: "GRC", Title: "General Receive Control", Off: 0x10200, Mask: 0x2, Spec: "8.2.3.2.9"},
}
