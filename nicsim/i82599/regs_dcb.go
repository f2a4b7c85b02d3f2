package i82599

import "nicsim.dev/nicsim/reg"

// dcbRegs are the arbiters and rate limits of data center bridging (82599
// datasheet 8.2.3.10).
var dcbRegs = []reg.Row[Device]{
	{Name: "RTRPCS", Title: "DCB Receive Packet Plane Control and Status", Off: 0x02430, Mask: 0x46, Spec: "8.2.3.10.1", Wrote: (*Device).wroteRTRPCS},
	{Name: "RTTDCS", Title: "DCB Transmit Descriptor Plane Control and Status", Off: 0x04900, Mask: 0x80C00053, Reset: 0x00C00000, Spec: "8.2.3.10.2", Wrote: (*Device).wroteRTTDCS},
	{Name: "RTTPCS", Title: "DCB Transmit Packet Plane Control and Status", Off: 0x0CD00, Mask: 0xFFC00160, Reset: 0x89000000, Spec: "8.2.3.10.3"},
	{Name: "RTRUP2TC", Title: "DCB Receive User Priority to Traffic Class", Off: 0x03020, Mask: 0x00FFFFFF, Spec: "8.2.3.10.4", Wrote: (*Device).wroteRTRUP2TC},
	{Name: "RTTUP2TC", Title: "DCB Transmit User Priority to Traffic Class", Off: 0x0C800, Mask: 0x00FFFFFF, Spec: "8.2.3.10.5", Wrote: (*Device).wroteRTTUP2TC},
	{Name: "RTRPT4C", Title: "DCB Receive Packet Plane T4 Config", Off: 0x02140, N: 8, Mask: 0xC0FFFFFF, Spec: "8.2.3.10.6", Wrote: (*Device).wroteRTRPT4C},
	{Name: "TXLLQ", Title: "Strict Low Latency Tx Queues", Off: 0x082E0, N: 4, Spec: "8.2.3.10"},
	{Name: "RTRPT4S", Title: "DCB Receive Packet Plane T4 Status", Off: 0x02160, N: 8, Mode: reg.RO, Spec: "8.2.3.10"},
	{Name: "RTTDT2C", Title: "DCB Transmit Descriptor Plane T2 Config", Off: 0x04910, N: 8, Mask: 0xC0FFFFFF, Spec: "8.2.3.10.9", Wrote: (*Device).wroteRTTDT2C},
	{Name: "RTTPT2C", Title: "DCB Transmit Packet Plane T2 Config", Off: 0x0CD20, N: 8, Mask: 0xC0FFFFFF, Spec: "8.2.3.10.10"},
	{Name: "RTTDT2S", Title: "DCB Transmit Descriptor Plane T2 Status", Off: 0x04930, N: 8, Mode: reg.RO, Spec: "8.2.3.10"},
	{Name: "RTTPT2S", Title: "DCB Transmit Packet Plane T2 Status", Off: 0x0CD40, N: 8, Mode: reg.RO, Spec: "8.2.3.10"},
	// RTTDQSEL chooses the queue whose T1 and rate registers the others show.
	{Name: "RTTDQSEL", Title: "DCB Transmit Descriptor Plane Queue Select", Off: 0x04904, Mask: 0x7F, Spec: "8.2.3.10.13", Wrote: (*Device).wroteRTTDQSEL},
	{Name: "RTTDT1C", Title: "DCB Transmit Descriptor Plane T1 Config", Off: 0x04908, Mask: 0x3FFF, Spec: "8.2.3.10.14", Read: (*Device).readRTTDT1C, Wrote: (*Device).wroteRTTDT1C},
	{Name: "RTTDT1S", Title: "DCB Transmit Descriptor Plane T1 Status", Off: 0x0490C, Mode: reg.RO, Spec: "8.2.3.10.15"},
	{Name: "RTTBCNRC", Title: "DCB Transmit Rate-Scheduler Config", Off: 0x04984, Mask: 0x80FFFFFF, Spec: "8.2.3.10.16", Read: (*Device).readRTTBCNRC, Wrote: (*Device).wroteRTTBCNRC},
	{Name: "RTTBCNRM", Title: "DCB Transmit Rate-Scheduler MMW", Off: 0x04980, Spec: "8.2.3.10", Wrote: (*Device).wroteRTTBCNRM},
}
