package i82599

import "nicsim.dev/nicsim/reg"

// pcieRegs are PCIe control and statistics, and the semaphores between
// software and firmware (82599 datasheet 8.2.3.4).
var pcieRegs = []reg.Row[Device]{
	{Name: "GCR", Title: "PCIe Control", Off: 0x11000, Reset: 0x00040000, Spec: "8.2.3.4.1"},
	{Name: "GSCL_1", Title: "PCIe Statistic Control 1", Off: 0x11010, Mask: 0xF80000FF, Spec: "8.2.3.4.2"},
	{Name: "GSCL_2", Title: "PCIe Statistic Control 2", Off: 0x11014, Spec: "8.2.3.4.3"},
	{Name: "GSCL_5_8", Title: "PCIe Statistic Control 5 to 8", Off: 0x11030, N: 4, Spec: "8.2.3.4.4"},
	{Name: "GSCN", Title: "PCIe Statistic Counter", Off: 0x11020, N: 4, Mode: reg.RO, Spec: "8.2.3.4.5"},
	// FACTPS resets to: LAN 0 valid and in D0a.
	{Name: "FACTPS", Title: "Function Active and Power State to Manageability", Off: 0x10150, Mode: reg.RO, Reset: 0x6, Spec: "8.2.3.4.6"},
	{Name: "PCIEPHYADR", Title: "PCIe PHY Address", Off: 0x11040, Spec: "8.2.3.4.7"},
	{Name: "PCIEPHYDAT", Title: "PCIe PHY Data", Off: 0x11044, Spec: "8.2.3.4.8"},
	{Name: "SWSM", Title: "Software Semaphore", Off: 0x10140, Mask: 0x3, Spec: "8.2.3.4.9", Read: (*Device).readSWSM},
	{Name: "FWSM", Title: "Firmware Semaphore", Off: 0x10148, Mode: reg.RO, Reset: 0x8008, Spec: "8.2.3.4.10"},
	{Name: "SW_FW_SYNC", Title: "Software-Firmware Synchronization", Off: 0x10160, Mask: 0x1F, Spec: "8.2.3.4.11"},
	{Name: "GCR_EXT", Title: "PCIe Control Extended", Off: 0x11050, Mask: 0xC0000013, Spec: "8.2.3.4.12"},
	{Name: "MREVID", Title: "Mirrored Revision ID", Off: 0x11064, Mode: reg.RO, Reset: 0x1, Spec: "8.2.3.4.13"},
	{Name: "PICAUSE", Title: "PCIe Interrupt Cause", Off: 0x110B0, Mode: reg.W1C, Mask: 0x1F, Spec: "8.2.3.4.14"},
	{Name: "PIENA", Title: "PCIe Interrupt Enable", Off: 0x110B8, Mask: 0x1F, Spec: "8.2.3.4.15"},
}
