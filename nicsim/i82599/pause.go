package i82599

import (
	"encoding/binary"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// Link flow control: PAUSE frames of 802.3 annex 31B (3.7.7.1).

const (
	macControl = 0x8808 // EtherType of MAC control frames, 802.3 31.4.1
	opPause    = 0x0001
	// quantumTenths is a unit of pause time, 512 bit times, at 10 Gb/s in tenths
	// of a nanosecond.
	quantumTenths = 512

	tfceLink = 1 << 3 // FCCFG.TFCE: link flow control (8.2.3.3.7)

	mflcnPass     = 1 << 0 // MFLCN.PMCF (8.2.3.22.34)
	mflcnDiscard  = 1 << 1 // MFLCN.DPF
	mflcnPriority = 1 << 2 // MFLCN.RPFCE
	mflcnLink     = 1 << 3 // MFLCN.RFCE

	thresholdBytes  = 0x7FFE0 // FCRTL.RTL and FCRTH.RTH, bytes in units of 32
	thresholdEnable = 1 << 31 // FCRTL.XONE and FCRTH.FCEN
)

// pauseAddress is the group that PAUSE frames are sent to.
var pauseAddress = [6]byte{0x01, 0x80, 0xC2, 0, 0, 0x01}

// flowControl is the state of link flow control in both directions.
type flowControl struct {
	// Sending: what keeps the peer from filling the packet buffer.
	sends     bool
	high, low int  // bytes in the buffer at which XOFF and XON are sent; 0 for never
	offSent   bool // the peer was told to stop
	timeUnits uint16
	refresh   uint16 // units after which XOFF is repeated
	again     sim.Event

	// Receiving: what the peer asks of us.
	obeys   bool
	pass    bool // control frames go on to the filters
	until   sim.Time
	resumed sim.Event

	xonTx, xoffTx, xonRx, xoffRx tally
}

func (f *flowControl) reset(d *Device) {
	d.clock.Cancel(&f.again)
	d.clock.Cancel(&f.resumed)
	xonTx, xoffTx, xonRx, xoffRx := f.xonTx, f.xoffTx, f.xonRx, f.xoffRx
	*f = flowControl{xonTx: xonTx, xoffTx: xoffTx, xonRx: xonRx, xoffRx: xoffRx}
	f.again.Run = func() { d.pauseAgain() }
	f.resumed.Run = func() {}
}

// txPaused says whether the peer asked for silence.
func (d *Device) txPaused() bool { return d.clock.Now() < d.mac.flow.until }

// macControl takes a MAC control frame out of the stream (8.2.3.22.34).
func (d *Device) macControl(p *rxPacket) {
	f, b := &d.mac.flow, p.f.Data
	if binary.BigEndian.Uint16(b[14:]) != opPause || ([6]byte(b) != pauseAddress && [6]byte(b) != d.mac.address()) {
		return
	}
	units := binary.BigEndian.Uint16(b[16:])
	if units == 0 {
		f.xonRx.n++
	} else {
		f.xoffRx.n++
	}
	if f.obeys {
		f.until = d.clock.Now() + sim.Time(units)*quantumTenths/10
		if units > 0 {
			d.clock.Schedule(&f.resumed, f.until) // so that virtual time comes there
		}
	}
	if !f.pass {
		p.drop = nicsim.DropRxPause
	}
}

// levelChanged compares the packet buffer with the thresholds (3.7.7.1.4).
func (m *mac) levelChanged() {
	f := &m.flow
	switch {
	case !f.sends || f.high == 0:
	case !f.offSent && m.bytes >= f.high:
		f.offSent = true
		m.sendPause(f.timeUnits)
		f.xoffTx.n++
		m.d.repeatPause()
	case f.offSent && m.bytes <= f.low:
		f.offSent = false
		m.d.clock.Cancel(&f.again)
		m.sendPause(0)
		f.xonTx.n++
	}
}

// repeatPause renews XOFF before the peer's timer ends.
func (d *Device) repeatPause() {
	if f := &d.mac.flow; f.refresh > 0 {
		d.clock.After(&f.again, sim.Time(f.refresh)*quantumTenths/10)
	}
}

func (d *Device) pauseAgain() {
	if f := &d.mac.flow; f.offSent {
		d.mac.sendPause(f.timeUnits)
		f.xoffTx.n++
		d.repeatPause()
	}
}

// sendPause sends a PAUSE frame ahead of everything that waits.
func (m *mac) sendPause(units uint16) {
	if m.wire == nil || m.wire.Room() == 0 || !m.d.linkUp() || m.loopback {
		return
	}
	f := m.d.pool.Get(minFrameBytes)
	clear(f.Data)
	copy(f.Data, pauseAddress[:])
	own := m.address()
	copy(f.Data[6:], own[:])
	binary.BigEndian.PutUint16(f.Data[12:], macControl)
	binary.BigEndian.PutUint16(f.Data[14:], opPause)
	binary.BigEndian.PutUint16(f.Data[16:], units)
	f.At = m.d.clock.Now()
	if m.d.probe != nil {
		m.d.observe(&nicsim.Event{Kind: nicsim.PacketWire, Side: nicsim.Tx, Queue: -1, Data: f.Data})
	}
	m.wire.Send([]*nicsim.Frame{f})
}

func (d *Device) wroteFCTTV(i int, _, v uint32) {
	if i == 0 {
		d.mac.flow.timeUnits = uint16(v)
	}
}

func (d *Device) wroteFCRTL(i int, _, v uint32) {
	if i == 0 {
		d.mac.flow.low = threshold(v)
	}
}

func (d *Device) wroteFCRTH(i int, _, v uint32) {
	if i == 0 {
		d.mac.flow.high = threshold(v)
	}
}

// threshold reads FCRTL and FCRTH; without their enable bit nothing is sent.
func threshold(v uint32) int {
	if v&thresholdEnable == 0 {
		return 0
	}
	return int(v & thresholdBytes)
}

func (d *Device) wroteFCRTV(_ int, _, v uint32) { d.mac.flow.refresh = uint16(v) }
func (d *Device) wroteFCCFG(_ int, _, v uint32) { d.mac.flow.sends = v&tfceLink != 0 }

func (d *Device) wroteMFLCN(_ int, _, v uint32) {
	d.mac.flow.obeys = v&mflcnLink != 0
	d.mac.flow.pass = v&mflcnPass != 0 && v&mflcnDiscard == 0
}
