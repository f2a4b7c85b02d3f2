package i82599

import "nicsim.dev/nicsim/reg"

// receiveRegs are the receive filters, RSS and receive offloads (82599
// datasheet 8.2.3.7).
var receiveRegs = []reg.Row[Device]{
	{Name: "FCTRL", Title: "Filter Control", Off: 0x05080, Mask: 0x702, Spec: "8.2.3.7.1", Wrote: (*Device).wroteFCTRL},
	{Name: "VLNCTRL", Title: "VLAN Control", Off: 0x05088, Mask: 0x7000FFFF, Reset: 0x8100, Spec: "8.2.3.7.2", Wrote: (*Device).wroteVLNCTRL},
	{Name: "MCSTCTRL", Title: "Multicast Control", Off: 0x05090, Mask: 0x7, Spec: "8.2.3.7.3", Wrote: (*Device).wroteMCSTCTRL},
	{Name: "PSRTYPE", Title: "Packet Split Receive Type", Off: 0x0EA00, N: 64, Mask: 0xE0001332, Spec: "8.2.3.7.4", Wrote: (*Device).wrotePSRTYPE},
	{Name: "PSRTYPE", Title: "Packet Split Receive Type", Off: 0x05480, N: 16, Alias: "PSRTYPE", Spec: "8.2.3.7.4"},
	{Name: "RXCSUM", Title: "Receive Checksum Control", Off: 0x05000, Mask: 0x3000, Spec: "8.2.3.7.5", Wrote: (*Device).wroteRXCSUM},
	{Name: "RFCTL", Title: "Receive Filter Control", Off: 0x05008, Mask: 0x47E0, Spec: "8.2.3.7.6", Wrote: (*Device).wroteRFCTL},
	{Name: "MTA", Title: "Multicast Table Array", Off: 0x05200, N: 128, Spec: "8.2.3.7.7", Wrote: (*Device).wroteMTA},
	{Name: "RAL", Title: "Receive Address Low", Off: 0x0A200, Stride: 8, N: 128, Spec: "8.2.3.7.8", Wrote: (*Device).wroteRAL},
	{Name: "RAL", Title: "Receive Address Low", Off: 0x05400, Stride: 8, N: 16, Alias: "RAL", Spec: "8.2.3.7.8"},
	{Name: "RAH", Title: "Receive Address High", Off: 0x0A204, Stride: 8, N: 128, Mask: 0x8000FFFF, Spec: "8.2.3.7.9", Wrote: (*Device).wroteRAH},
	{Name: "RAH", Title: "Receive Address High", Off: 0x05404, Stride: 8, N: 16, Alias: "RAH", Spec: "8.2.3.7.9"},
	{Name: "MPSAR", Title: "MAC Pool Select Array", Off: 0x0A600, N: 256, Spec: "8.2.3.7.10"},
	{Name: "VFTA", Title: "VLAN Filter Table Array", Off: 0x0A000, N: 128, Spec: "8.2.3.7.11", Wrote: (*Device).wroteVFTA},
	{Name: "MRQC", Title: "Multiple Receive Queues Command", Off: 0x0EC80, Mask: 0x00F3000F, Spec: "8.2.3.7.12", Wrote: (*Device).wroteMRQC},
	{Name: "MRQC", Title: "Multiple Receive Queues Command", Off: 0x05818, Alias: "MRQC", Spec: "8.2.3.7.12"},
	{Name: "RQTC", Title: "RSS Queues Per Traffic Class", Off: 0x0EC70, Mask: 0x77777777, Reset: 0x44444444, Spec: "8.2.3.7.13", Wrote: (*Device).wroteRQTC},
	{Name: "RSSRK", Title: "RSS Random Key", Off: 0x0EB80, N: 10, Spec: "8.2.3.7.14", Wrote: (*Device).wroteRSSRK},
	{Name: "RSSRK", Title: "RSS Random Key", Off: 0x05C80, N: 10, Alias: "RSSRK", Spec: "8.2.3.7.14"},
	{Name: "RETA", Title: "Redirection Table", Off: 0x0EB00, N: 32, Mask: 0x0F0F0F0F, Spec: "8.2.3.7.15", Wrote: (*Device).wroteRETA},
	{Name: "RETA", Title: "Redirection Table", Off: 0x05C00, N: 32, Alias: "RETA", Spec: "8.2.3.7.15"},
	{Name: "SAQF", Title: "Source Address Queue Filter", Off: 0x0E000, N: 128, Spec: "8.2.3.7.16", Wrote: (*Device).wroteSAQF},
	{Name: "DAQF", Title: "Destination Address Queue Filter", Off: 0x0E200, N: 128, Spec: "8.2.3.7.17", Wrote: (*Device).wroteDAQF},
	{Name: "SDPQF", Title: "Source Destination Port Queue Filter", Off: 0x0E400, N: 128, Spec: "8.2.3.7.18", Wrote: (*Device).wroteSDPQF},
	{Name: "FTQF", Title: "Five Tuple Queue Filter", Off: 0x0E600, N: 128, Mask: 0xFE003F1F, Spec: "8.2.3.7.19", Wrote: (*Device).wroteFTQF},
	{Name: "SYNQF", Title: "SYN Packet Queue Filter", Off: 0x0EC30, Mask: 0x800000FF, Spec: "8.2.3.7.20", Wrote: (*Device).wroteSYNQF},
	{Name: "ETQF", Title: "EType Queue Filter", Off: 0x05128, N: 8, Mask: 0xCFFFFFFF, Spec: "8.2.3.7.21", Wrote: (*Device).wroteETQF},
	{Name: "ETQS", Title: "EType Queue Select", Off: 0x0EC00, N: 8, Mask: 0xA07F0000, Spec: "8.2.3.7.22", Wrote: (*Device).wroteETQS},
	{Name: "RXFECCERR0", Title: "Rx Filter ECC Error Insertion 0", Off: 0x051B8, Mask: 0x200, Spec: "8.2.3.7.23"},
}
