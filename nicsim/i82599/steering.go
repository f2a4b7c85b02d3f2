package i82599

// This file is what the registers of the receive filters do. Each method is the
// behaviour of the row of that name.

// Registers that a reset gives a value other than zero, or that the EEPROM
// fills in.
const (
	atRAH0     = atRAL0 + 4
	atVLNCTRL  = 0x5088
	atRQTC     = 0xEC70
	atFDIRHKEY = 0xEE68
	atFDIRSKEY = 0xEE6C
)

// resetFilters puts the filters at what the registers say after a reset, the
// station address loaded from the EEPROM included.
func (d *Device) resetFilters() {
	f := &d.rx.filters
	f.reset()
	f.setRAL(0, d.reg.Get(atRAL0))
	f.setRAH(0, d.reg.Get(atRAH0))
	f.setVLNCTRL(d.reg.Get(atVLNCTRL))
	f.setRQTC(d.reg.Get(atRQTC))
	f.setFDIRHKEY(d.reg.Get(atFDIRHKEY))
	f.setFDIRSKEY(d.reg.Get(atFDIRSKEY))
}

func (d *Device) wroteFCTRL(_ int, _, v uint32) {
	d.rx.filters.setFCTRL(v)
	d.mac.storeBad = v&fctrlSBP != 0
}

func (d *Device) wroteVLNCTRL(_ int, _, v uint32)  { d.rx.filters.setVLNCTRL(v) }
func (d *Device) wroteMCSTCTRL(_ int, _, v uint32) { d.rx.filters.setMCSTCTRL(v) }
func (d *Device) wroteRXCSUM(_ int, _, v uint32)   { d.rx.filters.setRXCSUM(v) }
func (d *Device) wroteMTA(i int, _, v uint32)      { d.rx.filters.setMTA(i, v) }
func (d *Device) wroteRAL(i int, _, v uint32)      { d.rx.filters.setRAL(i, v) }
func (d *Device) wroteRAH(i int, _, v uint32)      { d.rx.filters.setRAH(i, v) }
func (d *Device) wroteVFTA(i int, _, v uint32)     { d.rx.filters.setVFTA(i, v) }
func (d *Device) wroteMRQC(_ int, _, v uint32)     { d.rx.filters.setMRQC(v) }
func (d *Device) wroteRQTC(_ int, _, v uint32)     { d.rx.filters.setRQTC(v) }
func (d *Device) wroteRSSRK(i int, _, v uint32)    { d.rx.filters.setRSSRK(i, v) }
func (d *Device) wroteRETA(i int, _, v uint32)     { d.rx.filters.setRETA(i, v) }
func (d *Device) wroteRTRUP2TC(_ int, _, v uint32) { d.rx.filters.setRTRUP2TC(v) }

func (d *Device) wroteETQF(i int, _, v uint32)      { d.rx.filters.setETQF(i, v) }
func (d *Device) wroteETQS(i int, _, v uint32)      { d.rx.filters.setETQS(i, v) }
func (d *Device) wroteSYNQF(_ int, _, v uint32)     { d.rx.filters.setSYNQF(v) }
func (d *Device) wroteSAQF(i int, _, v uint32)      { d.rx.filters.setSAQF(i, v) }
func (d *Device) wroteDAQF(i int, _, v uint32)      { d.rx.filters.setDAQF(i, v) }
func (d *Device) wroteSDPQF(i int, _, v uint32)     { d.rx.filters.setSDPQF(i, v) }
func (d *Device) wroteFTQF(i int, _, v uint32)      { d.rx.filters.setFTQF(i, v) }
func (d *Device) wroteL34TIMIR(i int, _, v uint32)  { d.rx.filters.setL34TIMIR(i, v) }
func (d *Device) wroteLLITHRESH(_ int, _, v uint32) { d.rx.filters.setLLITHRESH(v) }
func (d *Device) wroteIMIRVP(_ int, _, v uint32)    { d.rx.filters.setIMIRVP(v) }

func (d *Device) wroteFDIRCTRL(_ int, _, v uint32) { d.rx.filters.setFDIRCTRL(v) }

func (d *Device) readFDIRCTRL(int) uint32 { return d.rx.filters.control }

func (d *Device) wroteFDIRHKEY(_ int, _, v uint32)  { d.rx.filters.setFDIRHKEY(v) }
func (d *Device) wroteFDIRSKEY(_ int, _, v uint32)  { d.rx.filters.setFDIRSKEY(v) }
func (d *Device) wroteFDIRDIP4M(_ int, _, v uint32) { d.rx.filters.setFDIRDIP4M(v) }
func (d *Device) wroteFDIRSIP4M(_ int, _, v uint32) { d.rx.filters.setFDIRSIP4M(v) }
func (d *Device) wroteFDIRTCPM(_ int, _, v uint32)  { d.rx.filters.setFDIRTCPM(v) }
func (d *Device) wroteFDIRUDPM(_ int, _, v uint32)  { d.rx.filters.setFDIRUDPM(v) }
func (d *Device) wroteFDIRIP6M(_ int, _, v uint32)  { d.rx.filters.setFDIRIP6M(v) }
func (d *Device) wroteFDIRM(_ int, _, v uint32)     { d.rx.filters.setFDIRM(v) }
func (d *Device) wroteFDIRFREE(_ int, _, v uint32)  { d.rx.filters.setFDIRFREE(v) }

func (d *Device) wroteIP6AT(i int, _, v uint32) { d.rx.filters.setIP6AT(i, v) }
func (d *Device) wroteIPAV(_ int, _, v uint32)  { d.rx.filters.setIPAV(v) }

func (d *Device) readFDIRFREE(int) uint32  { return d.rx.filters.fdirFREE() }
func (d *Device) readFDIRLEN(int) uint32   { return d.rx.filters.readFDIRLEN() }
func (d *Device) readFDIRUSTAT(int) uint32 { return d.rx.filters.readFDIRUSTAT() }
func (d *Device) readFDIRFSTAT(int) uint32 { return d.rx.filters.readFDIRFSTAT() }
func (d *Device) readFDIRMATCH(int) uint32 { return d.rx.filters.readFDIRMATCH() }
func (d *Device) readFDIRMISS(int) uint32  { return d.rx.filters.readFDIRMISS() }

func (d *Device) wroteFDIRSIPV6(i int, _, v uint32) { d.rx.filters.stage[stageSIPv6+i] = v }
func (d *Device) wroteFDIRIPSA(_ int, _, v uint32)  { d.rx.filters.stage[stageIPSA] = v }
func (d *Device) wroteFDIRIPDA(_ int, _, v uint32)  { d.rx.filters.stage[stageIPDA] = v }
func (d *Device) wroteFDIRPORT(_ int, _, v uint32)  { d.rx.filters.stage[stagePORT] = v }
func (d *Device) wroteFDIRVLAN(_ int, _, v uint32)  { d.rx.filters.stage[stageVLAN] = v }
func (d *Device) wroteFDIRHASH(_ int, _, v uint32)  { d.rx.filters.stage[stageHASH] = v &^ (1 << 31) }

func (d *Device) readFDIRSIPV6(i int) uint32 { return d.rx.filters.stage[stageSIPv6+i] }
func (d *Device) readFDIRIPSA(int) uint32    { return d.rx.filters.stage[stageIPSA] }
func (d *Device) readFDIRIPDA(int) uint32    { return d.rx.filters.stage[stageIPDA] }
func (d *Device) readFDIRPORT(int) uint32    { return d.rx.filters.stage[stagePORT] }
func (d *Device) readFDIRVLAN(int) uint32    { return d.rx.filters.stage[stageVLAN] }
func (d *Device) readFDIRHASH(int) uint32    { return d.rx.filters.stage[stageHASH] }
func (d *Device) readFDIRCMD(int) uint32     { return d.rx.filters.cmd }

// wroteFDIRCMD executes a command, and interrupts when the table gets full.
func (d *Device) wroteFDIRCMD(_ int, _, v uint32) {
	if d.rx.filters.setFDIRCMD(v) {
		d.interrupts.other(causeFlowDirector)
	}
}
