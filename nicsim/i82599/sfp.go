package i82599

import (
	"encoding/binary"
	"math"
)

// module is an SFP+ transceiver in the port's cage: 10GBASE-SR with digital
// diagnostics, internally calibrated (SFF-8472). Its two memories answer at I2C
// addresses 0x50 (0xA0 with the read bit) and 0x51.
type module struct {
	d    *Device
	in   bool // plugged
	id   [256]byte
	diag [256]byte
}

const (
	i2cIdentity    = 0x50
	i2cDiagnostics = 0x51
)

// Bytes of the diagnostics memory (SFF-8472 9).
const (
	diagThresholds = 0  // four words a quantity: high alarm, low alarm, high warning, low warning
	diagSlopes     = 56 // calibration constants
	diagChecksum   = 95
	diagValues     = 96 // temperature, supply, bias, transmitted and received power
	diagRxPower    = 104
	diagTxPower    = 102
	diagBias       = 100
	diagControl    = 110
	diagUser       = 128 // what follows is the user's

	controlTxDisabled  = 1 << 7 // state of the pin
	controlSoftDisable = 1 << 6
	controlRxLoss      = 1 << 1
)

// quantity is one that a module measures: its value and limits, as numbers of
// the unit that its words count.
type quantity struct {
	value                                  uint16
	highAlarm, lowAlarm, highWarn, lowWarn uint16
}

func celsius(t int) uint16 { return uint16(int16(t * 256)) }

// quantities are those of a module at rest: temperature in 1/256 degree, supply
// in 100 uV, bias in 2 uA, power in 0.1 uW.
var quantities = [...]quantity{
	{celsius(35), celsius(78), celsius(-13), celsius(73), celsius(-8)},
	{33000, 37000, 29000, 36000, 30000},
	{3500, 5900, 1000, 5500, 1500},
	{5800, 11000, 1000, 8900, 1300},
	{5100, 13000, 100, 11000, 250},
}

func (m *module) init(d *Device) {
	m.d, m.in = d, d.cfg.Variant == deviceSFP
	m.fillIdentity()
	m.fillDiagnostics()
}

// fillIdentity writes the serial identifier memory (SFF-8472 table 4-1).
func (m *module) fillIdentity() {
	b := &m.id
	b[0] = 0x03 // SFP or SFP+
	b[1] = 0x04 // identified by this memory alone
	b[2] = 0x07 // LC
	b[3] = 0x10 // 10GBASE-SR
	b[11] = 0x06
	b[12] = 103 // 10.3 GBd in units of 100 MBd
	b[16] = 8   // metres of OM2, OM1 and OM3 fibre, in tens
	b[17] = 3
	b[19] = 30
	copy(b[20:36], "nicsim.dev      ")
	copy(b[37:40], []byte{0x02, 0x6E, 0x73}) // a locally administered company
	copy(b[40:56], "SFP-10GSR       ")
	copy(b[56:60], "1   ")
	binary.BigEndian.PutUint16(b[60:], 850) // nm
	b[65] = 0x1A                            // pins for loss, fault and disable
	copy(b[68:84], "N000000000000001")
	copy(b[84:92], "260101  ")
	b[92] = 0x68 // diagnostics, internally calibrated, average power
	b[93] = 0xC0 // alarm flags, disable by software
	b[94] = 0x08 // SFF-8472 12.3
	b[63] = sumOf(b[:63])
	b[95] = sumOf(b[64:95])
}

func (m *module) fillDiagnostics() {
	b := &m.diag
	for i, q := range quantities {
		for k, v := range [...]uint16{q.highAlarm, q.lowAlarm, q.highWarn, q.lowWarn} {
			binary.BigEndian.PutUint16(b[diagThresholds+8*i+2*k:], v)
		}
		binary.BigEndian.PutUint16(b[diagValues+2*i:], q.value)
	}
	// Received power is linear in its count: slope 1 as a float, others as 8.8.
	binary.BigEndian.PutUint32(b[diagSlopes+12:], math.Float32bits(1))
	for off := 76; off < 92; off += 4 {
		b[off] = 1
	}
	b[diagChecksum] = sumOf(b[:diagChecksum])
}

// sumOf returns the low byte of a sum, SFF-8472's check codes.
func sumOf(b []byte) (sum byte) {
	for _, c := range b {
		sum += c
	}
	return sum
}

func (m *module) present(addr byte) bool {
	return m.in && (addr == i2cIdentity || addr == i2cDiagnostics)
}

func (m *module) read(addr, off byte) byte {
	if addr == i2cIdentity {
		return m.id[off]
	}
	var word [2]byte
	switch at := off &^ 1; {
	case at == diagRxPower && !m.d.mac.carrier, (at == diagTxPower || at == diagBias) && !m.lit():
		return word[off&1]
	case off == diagControl:
		return m.control()
	}
	return m.diag[off]
}

// control returns the status and control byte.
func (m *module) control() byte {
	v := m.diag[diagControl] & controlSoftDisable
	if m.d.txDisablePin() {
		v |= controlTxDisabled
	}
	if !m.d.mac.carrier {
		v |= controlRxLoss
	}
	return v
}

// write stores what software may change: the disable bit and the user's bytes.
func (m *module) write(addr, off, v byte) {
	switch {
	case addr != i2cDiagnostics:
	case off == diagControl:
		m.diag[off] = v & controlSoftDisable
		m.d.linkChanged()
	case off >= diagUser:
		m.diag[off] = v
	}
}

// lit says whether the module's laser is on.
func (m *module) lit() bool {
	return m.in && !m.d.txDisablePin() && m.diag[diagControl]&controlSoftDisable == 0
}

// SDP pins of an SFP+ port (8.2.3.1.4): the cage tells by SDP2 that a module is
// in it, SDP3 turns its laser off.
const (
	sdpModule    = 2
	sdpTxDisable = 3
	sdpDirection = 8 // ESDP bit of SDP0's direction, one for output
	sdpPins      = 0xFF
)

// pins returns the levels that the board drives.
func (d *Device) pins() uint32 {
	if d.module.in {
		return 1 << sdpModule
	}
	return 0
}

// readESDP shows the level of pins that are inputs, and what was written to
// outputs.
func (d *Device) readESDP(int) uint32 {
	v := d.reg.Get(atESDP)
	outputs := v >> sdpDirection & sdpPins
	return v&^(sdpPins&^outputs) | d.pins()&^outputs
}

func (d *Device) wroteESDP(_ int, old, _ uint32) {
	if (old^d.reg.Get(atESDP))&(1<<sdpTxDisable|1<<(sdpDirection+sdpTxDisable)) != 0 {
		d.linkChanged()
	}
}

// txDisablePin says whether software drives SDP3 high.
func (d *Device) txDisablePin() bool {
	const driven = 1<<sdpTxDisable | 1<<(sdpDirection+sdpTxDisable)
	return d.reg.Get(atESDP)&driven == driven
}

// Plug puts the SFP+ module into the cage, or takes it out. The pin that tells
// so interrupts if GPIE lets it (8.2.3.5.18). A backplane has no cage.
func (d *Device) Plug(in bool) {
	if d.cfg.Variant != deviceSFP || d.module.in == in {
		return
	}
	d.module.in = in
	if d.interrupts.gpie>>sdpModule&1 != 0 {
		d.interrupts.other(causeSDP0 << sdpModule)
	}
	d.linkChanged()
}
