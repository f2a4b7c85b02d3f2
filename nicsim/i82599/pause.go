package i82599

import (
	"encoding/binary"
	"math/bits"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// Flow control (3.7.7): PAUSE frames of 802.3 annex 31B for the whole link, or
// priority flow control of 802.1Qbb for each traffic class.

const (
	macControl = 0x8808 // EtherType of MAC control frames, 802.3 31.4.1
	opPause    = 0x0001
	opPriority = 0x0101
	// quantumTenths is a unit of pause time, 512 bit times, at 10 Gb/s in tenths
	// of a nanosecond.
	quantumTenths = 512

	tfceLink     = 1 << 3 // FCCFG.TFCE: link flow control (8.2.3.3.7)
	tfcePriority = 2 << 3
	tfceMask     = 3 << 3

	mflcnPass     = 1 << 0 // MFLCN.PMCF (8.2.3.22.34)
	mflcnDiscard  = 1 << 1 // MFLCN.DPF
	mflcnPriority = 1 << 2 // MFLCN.RPFCE
	mflcnLink     = 1 << 3 // MFLCN.RFCE

	thresholdBytes  = 0x7FFE0 // FCRTL.RTL and FCRTH.RTH, bytes in units of 32
	thresholdEnable = 1 << 31 // FCRTL.XONE and FCRTH.FCEN
)

// pauseAddress is the group that PAUSE frames are sent to.
var pauseAddress = [6]byte{0x01, 0x80, 0xC2, 0, 0, 0x01}

// flowControl is the state of flow control in both directions.
type flowControl struct {
	// Sending: what keeps the peer from filling the packet buffers.
	sends   uint32 // FCCFG.TFCE
	refresh uint16 // units ahead of the end of a pause when XOFF is repeated
	class   [numClasses]classFlow

	// Receiving: what the peer asks of us.
	obeysLink, obeysPriority bool
	passPause, passOther     bool // control frames go on to the filters
	until                    sim.Time
	resumed                  sim.Event
	priorityUntil            [8]sim.Time
	priorityOver             sim.Event

	xonTx, xoffTx, xonRx, xoffRx                                   tally
	classXonTx, classXoffTx, classXonRx, classXoffRx, classXon2Off [8]tally
}

// classFlow is what is sent for one packet buffer; the first one's stands for
// the link.
type classFlow struct {
	high, low int  // bytes in the buffer at which XOFF and XON are sent; no XOFF for 0
	xon       bool // XON is sent at all; else the pause runs out
	offSent   bool // the peer was told to stop
	timeUnits uint16
	again     sim.Event
}

func (f *flowControl) reset(d *Device) {
	d.clock.Cancel(&f.resumed)
	d.clock.Cancel(&f.priorityOver)
	for i := range f.class {
		c := &f.class[i]
		d.clock.Cancel(&c.again)
		*c = classFlow{}
		c.again.Run = func() { d.pauseAgain(i) }
	}
	f.sends, f.refresh = 0, 0
	f.obeysLink, f.obeysPriority, f.passPause, f.passOther = false, false, true, false
	f.until, f.priorityUntil = 0, [8]sim.Time{}
	f.resumed.Run = func() {}
	f.priorityOver.Run = d.pauseClasses
}

// txPaused says whether the peer asked for silence.
func (d *Device) txPaused() bool { return d.clock.Now() < d.mac.flow.until }

// control handles a MAC control frame as it arrives, and reports whether it
// goes no further (8.2.3.22.34).
func (m *mac) control(fr *nicsim.Frame) (consumed bool) {
	f, b := &m.flow, fr.Data
	if [6]byte(b) != pauseAddress && [6]byte(b) != m.address() {
		return false
	}
	pass := f.passPause
	switch binary.BigEndian.Uint16(b[14:]) {
	case opPause:
		m.linkPause(binary.BigEndian.Uint16(b[16:]))
	case opPriority:
		m.priorityPause(b)
	default:
		pass = f.passOther
	}
	if pass {
		return false
	}
	m.d.stats.rxTotalFrames.n++
	m.d.stats.rxTotalOctets.n += uint64(fr.WireBytes())
	m.d.drop(fr, nicsim.DropRxPause)
	return true
}

func (m *mac) linkPause(units uint16) {
	f := &m.flow
	if units == 0 {
		f.xonRx.n++
	} else {
		f.xoffRx.n++
	}
	if f.obeysLink {
		f.until = m.d.clock.Now() + m.quanta(units)
		if units > 0 {
			m.d.clock.Schedule(&f.resumed, f.until) // so that virtual time comes there
		}
	}
}

// quanta is the time that units of pause are.
func (m *mac) quanta(units uint16) sim.Time {
	t := sim.Time(units) * quantumTenths / 10
	if m.d.link.speed == 1 {
		t *= 10
	}
	return t
}

// priorityPause takes a time for each priority that the vector names (802.1Qbb
// 36.2; 3.7.7.1.3).
func (m *mac) priorityPause(b []byte) {
	f, now := &m.flow, m.d.clock.Now()
	for p := range f.priorityUntil {
		if b[17]>>p&1 == 0 {
			continue
		}
		units := binary.BigEndian.Uint16(b[18+2*p:])
		switch {
		case units == 0:
			f.classXonRx[p].n++
		case f.priorityUntil[p] <= now:
			f.classXon2Off[p].n++
			fallthrough
		default:
			f.classXoffRx[p].n++
		}
		if f.obeysPriority {
			f.priorityUntil[p] = now + m.quanta(units)
		}
	}
	m.d.pauseClasses()
}

// pauseClasses stops the classes that a paused priority belongs to, and comes
// back when the first of them may go on.
func (d *Device) pauseClasses() {
	f, c, now := &d.mac.flow, &d.tx.classes, d.clock.Now()
	c.paused = 0
	next := sim.Time(0)
	for p, until := range f.priorityUntil {
		if until > now {
			c.paused |= 1 << (c.upToTC >> (3 * p) & 7)
			if next == 0 || until < next {
				next = until
			}
		}
	}
	c.update()
	if next > 0 {
		d.clock.Schedule(&f.priorityOver, next)
	}
}

// levelsChanged compares packet buffers with their thresholds (3.7.7.1.4).
func (m *mac) levelsChanged(set uint8) {
	f := &m.flow
	if f.sends != tfceLink && f.sends != tfcePriority {
		return
	}
	for ; set != 0; set &= set - 1 {
		i := bits.TrailingZeros8(set)
		c, level := &f.class[i], m.buffers[i].bytes
		switch {
		case c.high == 0:
		case !c.offSent && level >= c.high:
			c.offSent = true
			m.sendPause(i, c.timeUnits)
			m.repeatPause(c)
		case c.offSent && level <= c.low:
			c.offSent = false
			m.d.clock.Cancel(&c.again)
			if c.xon {
				m.sendPause(i, 0)
			}
		}
	}
}

// repeatPause renews XOFF before the peer's timer ends (8.2.3.3.5).
func (m *mac) repeatPause(c *classFlow) {
	if c.timeUnits > m.flow.refresh {
		m.d.clock.After(&c.again, m.quanta(c.timeUnits-m.flow.refresh))
	}
}

func (d *Device) pauseAgain(i int) {
	if c := &d.mac.flow.class[i]; c.offSent {
		d.mac.sendPause(i, c.timeUnits)
		d.mac.repeatPause(c)
	}
}

// sendPause tells the peer to stop for a time, or with 0 to go on: the whole
// link, or the priorities of a class. It goes ahead of everything that waits.
func (m *mac) sendPause(class int, units uint16) {
	if m.wire == nil || !m.d.linkUp() || m.loopback {
		return
	}
	f := m.d.pool.Get(minFrameBytes)
	clear(f.Data)
	copy(f.Data, pauseAddress[:])
	own := m.address()
	copy(f.Data[6:], own[:])
	binary.BigEndian.PutUint16(f.Data[12:], macControl)
	xon, xoff := &m.flow.xonTx, &m.flow.xoffTx
	if m.flow.sends == tfcePriority {
		xon, xoff = &m.flow.classXonTx[class], &m.flow.classXoffTx[class]
		binary.BigEndian.PutUint16(f.Data[14:], opPriority)
		for p, tc := range m.d.rx.filters.tcOf {
			if int(tc) == class {
				f.Data[17] |= 1 << p
				binary.BigEndian.PutUint16(f.Data[18+2*p:], units)
			}
		}
	} else {
		binary.BigEndian.PutUint16(f.Data[14:], opPause)
		binary.BigEndian.PutUint16(f.Data[16:], units)
	}
	if units == 0 {
		xon.n++
	} else {
		xoff.n++
	}
	m.d.stats.txTotalFrames.n++
	f.At = m.d.clock.Now()
	if m.d.probe != nil {
		m.d.observe(&nicsim.Event{Kind: nicsim.PacketWire, Side: nicsim.Tx, Queue: -1, Data: f.Data})
	}
	m.wire.Send([]*nicsim.Frame{f})
}

// wroteFCTTV takes the pause times of two classes (8.2.3.3.2).
func (d *Device) wroteFCTTV(i int, _, v uint32) {
	d.mac.flow.class[2*i].timeUnits, d.mac.flow.class[2*i+1].timeUnits = uint16(v), uint16(v>>16)
}

// wroteFCRTL and wroteFCRTH take the thresholds; without their enable bit no XON
// or no XOFF is sent (8.2.3.3.3, 8.2.3.3.4).
func (d *Device) wroteFCRTL(i int, _, v uint32) {
	c := &d.mac.flow.class[i]
	c.low, c.xon = int(v&thresholdBytes), v&thresholdEnable != 0
}

func (d *Device) wroteFCRTH(i int, _, v uint32) {
	c := &d.mac.flow.class[i]
	c.high = 0
	if v&thresholdEnable != 0 {
		c.high = int(v & thresholdBytes)
	}
}

func (d *Device) wroteFCRTV(_ int, _, v uint32) { d.mac.flow.refresh = uint16(v) }
func (d *Device) wroteFCCFG(_ int, _, v uint32) { d.mac.flow.sends = v & tfceMask }

func (d *Device) wroteMFLCN(_ int, _, v uint32) {
	f := &d.mac.flow
	f.obeysLink, f.obeysPriority = v&mflcnLink != 0, v&mflcnPriority != 0
	f.passPause = v&mflcnDiscard == 0 || !f.obeysLink && !f.obeysPriority
	f.passOther = v&mflcnPass != 0
}

// readTFCS shows which classes the peer lets send.
func (d *Device) readTFCS(int) uint32 {
	if d.txPaused() {
		return 0
	}
	return uint32(^d.tx.classes.paused)
}
