package i82599

import "nicsim.dev/nicsim/reg"

// timeSyncRegs are the IEEE 1588 clock and time stamps (82599 datasheet
// 8.2.3.26).
var timeSyncRegs = []reg.Row[Device]{
	{Name: "TSYNCRXCTL", Title: "Rx Time Sync Control", Off: 0x05188, Mask: 0x1E, Spec: "8.2.3.26", Read: (*Device).readTSYNCRXCTL, Wrote: (*Device).wroteTSYNCRXCTL},
	{Name: "RXSTMPL", Title: "Rx Time Stamp Low", Off: 0x051E8, Mode: reg.RO, Spec: "8.2.3.26", Read: (*Device).readRXSTMPL},
	{Name: "RXSTMPH", Title: "Rx Time Stamp High", Off: 0x051A4, Mode: reg.RO, Spec: "8.2.3.26", Read: (*Device).readRXSTMPH},
	{Name: "RXSATRL", Title: "Rx Time Stamp Attributes Low", Off: 0x051A0, Mode: reg.RO, Spec: "8.2.3.26", Read: (*Device).readRXSATRL},
	{Name: "RXSATRH", Title: "Rx Time Stamp Attributes High", Off: 0x051A8, Mode: reg.RO, Spec: "8.2.3.26", Read: (*Device).readRXSATRH},
	// RXMTRL resets to the UDP port of PTP events, 319.
	{Name: "RXMTRL", Title: "Rx Message Type", Off: 0x05120, Reset: 0x013F0000, Spec: "8.2.3.26", Wrote: (*Device).wroteRXMTRL},
	{Name: "TSYNCTXCTL", Title: "Tx Time Sync Control", Off: 0x08C00, Mask: 0x10, Spec: "8.2.3.26", Read: (*Device).readTSYNCTXCTL, Wrote: (*Device).wroteTSYNCTXCTL},
	{Name: "TXSTMPL", Title: "Tx Time Stamp Value Low", Off: 0x08C04, Mode: reg.RO, Spec: "8.2.3.26", Read: (*Device).readTXSTMPL},
	{Name: "TXSTMPH", Title: "Tx Time Stamp Value High", Off: 0x08C08, Mode: reg.RO, Spec: "8.2.3.26", Read: (*Device).readTXSTMPH},
	{Name: "SYSTIML", Title: "System Time Low", Off: 0x08C0C, Spec: "8.2.3.26", Read: (*Device).readSYSTIML, Wrote: (*Device).wroteSYSTIML},
	{Name: "SYSTIMH", Title: "System Time High", Off: 0x08C10, Spec: "8.2.3.26", Read: (*Device).readSYSTIMH, Wrote: (*Device).wroteSYSTIMH},
	{Name: "TIMINCA", Title: "Increment Attributes", Off: 0x08C14, Spec: "8.2.3.26", Wrote: (*Device).wroteTIMINCA},
	{Name: "TIMADJL", Title: "Time Adjustment Offset Low", Off: 0x08C18, Spec: "8.2.3.26", Wrote: (*Device).wroteTIMADJL},
	{Name: "TIMADJH", Title: "Time Adjustment Offset High", Off: 0x08C1C, Spec: "8.2.3.26", Wrote: (*Device).wroteTIMADJH},
	{Name: "TSAUXC", Title: "TimeSync Auxiliary Control", Off: 0x08C20, Spec: "8.2.3.26"},
	{Name: "TRGTTIML0", Title: "Target Time 0 Low", Off: 0x08C24, Spec: "8.2.3.26"},
	{Name: "TRGTTIMH0", Title: "Target Time 0 High", Off: 0x08C28, Spec: "8.2.3.26"},
	{Name: "TRGTTIML1", Title: "Target Time 1 Low", Off: 0x08C2C, Spec: "8.2.3.26"},
	{Name: "TRGTTIMH1", Title: "Target Time 1 High", Off: 0x08C30, Spec: "8.2.3.26"},
	{Name: "AUXSTMPL0", Title: "Auxiliary Time Stamp 0 Low", Off: 0x08C3C, Mode: reg.RO, Spec: "8.2.3.26"},
	{Name: "AUXSTMPH0", Title: "Auxiliary Time Stamp 0 High", Off: 0x08C40, Mode: reg.RO, Spec: "8.2.3.26"},
	{Name: "AUXSTMPL1", Title: "Auxiliary Time Stamp 1 Low", Off: 0x08C44, Mode: reg.RO, Spec: "8.2.3.26"},
	{Name: "AUXSTMPH1", Title: "Auxiliary Time Stamp 1 High", Off: 0x08C48, Mode: reg.RO, Spec: "8.2.3.26"},
}
