package i82599

import "nicsim.dev/nicsim/reg"

// managementRegs filter packets for the management controller (82599 datasheet
// 8.2.3.25), and carry commands to the firmware (10.5).
var managementRegs = []reg.Row[Device]{
	{Name: "MAVTV", Title: "Management VLAN TAG Value", Off: 0x05010, N: 8, Mask: 0xFFF, Spec: "8.2.3.25"},
	{Name: "MFUTP", Title: "Management Flex UDP/TCP Ports", Off: 0x05030, N: 8, Spec: "8.2.3.25"},
	{Name: "METF", Title: "Management Ethernet Type Filters", Off: 0x05190, N: 4, Mask: 0xC000FFFF, Spec: "8.2.3.25"},
	{Name: "MANC", Title: "Management Control", Off: 0x05820, Mask: 0x07FA0000, Spec: "8.2.3.25.4"},
	{Name: "MFVAL", Title: "Manageability Filters Valid", Off: 0x05824, Spec: "8.2.3.25"},
	{Name: "MANC2H", Title: "Management Control To Host", Off: 0x05860, Mask: 0xFF, Spec: "8.2.3.25"},
	{Name: "MDEF", Title: "Manageability Decision Filters", Off: 0x05890, N: 8, Spec: "8.2.3.25"},
	{Name: "MDEF_EXT", Title: "Manageability Decision Filters Extended", Off: 0x05160, N: 8, Spec: "8.2.3.25"},
	{Name: "MIPAF", Title: "Manageability IP Address Filter", Off: 0x058B0, N: 16, Spec: "8.2.3.25"},
	{Name: "MMAL", Title: "Manageability MAC Address Low", Off: 0x05910, Stride: 8, N: 4, Spec: "8.2.3.25"},
	{Name: "MMAH", Title: "Manageability MAC Address High", Off: 0x05914, Stride: 8, N: 4, Mask: 0xFFFF, Spec: "8.2.3.25"},
	{Name: "FTFT", Title: "Flexible TCO Filter Table", Off: 0x09400, N: 256, Spec: "8.2.3.25"},
	{Name: "LSWFW", Title: "LinkSec Software/Firmware Interface", Off: 0x15014, Mode: reg.RO, Spec: "8.2.3.25"},
	{Name: "HICR", Title: "Host Interface Control", Off: 0x15F00, Mask: 0xC6, Reset: 0x1, Spec: "10.5", Wrote: (*Device).wroteHICR},
	{Name: "FWSTS", Title: "Firmware Status", Off: 0x15F0C, Mode: reg.W1C, Mask: 0x200, Spec: "10.5"},
	{Name: "FLEX_MNG", Title: "Host Interface Command Memory", Off: 0x15800, N: 448, Spec: "10.5"},
}
