package i82599

import (
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/parse"
)

// IEEE 1588 time stamps (7.9): a clock that software steers, and a latch for
// the time of one frame in each direction.

// Bits of TSYNCRXCTL and TSYNCTXCTL (8.2.3.26).
const (
	tsyncValid  = 1 << 0 // RXTT, TXTT: a stamp waits to be read
	tsyncEnable = 1 << 4
)

// What TSYNCRXCTL.Type stamps.
const (
	stampL2V2    = 0 // over Ethernet, of one message type
	stampL4V1    = 1 // version 1 over UDP, of one control value
	stampV2      = 2 // over either, of one message type
	stampEventV2 = 5 // over either, all event messages
)

// atRXMTRL holds what TSYNCRXCTL.Type refers to.
const atRXMTRL = 0x5120

// tickTenths is the period of the DMA clock in tenths of a nanosecond at 10
// Gb/s, 6.4 ns; at 1 Gb/s it is ten times as long (7.9.3.1).
const tickTenths = 64

// timeSync is the time synchronization unit.
type timeSync struct {
	// SYSTIM was base when the clock had run originTenths, and grows by
	// increment every period ticks.
	base         uint64
	originTenths int64
	increment    uint64
	period       int64
	tick         int64 // tenths of a nanosecond

	readHigh   uint32 // SYSTIMH as of the last read of SYSTIML
	adjustment uint32 // TIMADJL, which the write of TIMADJH applies

	rx, tx stampLatch
	kind   uint8 // TSYNCRXCTL.Type

	control uint8  // RXMTRL: version 1 control field
	message uint8  // version 2 message type
	port    uint16 // UDP port

	source   uint64 // of the stamped frame: 48 bits of the source's identity
	sequence uint16
}

// stampLatch holds the time of a frame until software has read it.
type stampLatch struct {
	on, valid bool
	time      uint64
}

func (l *stampLatch) control() (v uint32) {
	if l.on {
		v = tsyncEnable
	}
	if l.valid {
		v |= tsyncValid
	}
	return v
}

// take latches a time unless one waits to be read.
func (l *stampLatch) take(time uint64) bool {
	if l.valid {
		return false
	}
	l.time, l.valid = time, true
	return true
}

// reset stops the clock at zero.
func (s *timeSync) reset(mtrl uint32) {
	*s = timeSync{tick: s.tick}
	s.setMTRL(mtrl)
}

// setSpeed gives the DMA clock the period that goes with the link. Without a
// link it keeps the last one.
func (s *timeSync) setSpeed(now sim.Time, speed linkSpeed) {
	if speed != 0 {
		s.settle(now)
		s.tick = tickTenths * 10 / int64(speed)
	}
}

func (s *timeSync) setMTRL(v uint32) {
	s.control, s.message, s.port = uint8(v), uint8(v>>8), uint16(v>>16)
}

// at returns SYSTIM at time t.
func (s *timeSync) at(t sim.Time) uint64 {
	if s.period == 0 || s.tick == 0 {
		return s.base
	}
	return s.base + s.increment*uint64(s.steps(t))
}

// steps is how often SYSTIM has grown since its origin.
func (s *timeSync) steps(t sim.Time) int64 {
	return (int64(t)*10 - s.originTenths) / (s.tick * s.period)
}

// settle moves the origin to the last step before now, so that what follows
// can be changed.
func (s *timeSync) settle(now sim.Time) {
	if s.period == 0 || s.tick == 0 {
		s.originTenths = int64(now) * 10
		return
	}
	n := s.steps(now)
	s.base += s.increment * uint64(n)
	s.originTenths += n * s.tick * s.period
}

// wants says whether a frame is of those that software wants stamped, and where
// its PTP header is (7.9.4; IEEE 1588-2008 13.3, annex D and F).
func (s *timeSync) wants(p *rxPacket) (header []byte, ok bool) {
	b := p.f.Data
	switch {
	case p.c.ptp && s.kind != stampL4V1:
		header = b[p.h.L2Bytes:]
	case p.h.Kind&parse.UDP != 0 && s.kind != stampL2V2 && be16(b[p.h.L4+2:]) == s.port:
		header = b[p.h.Payload:p.h.End]
	default:
		return nil, false
	}
	const v1, v2 = 1, 2 // versionPTP
	if len(header) < 34 {
		return nil, false
	}
	message := header[0] & 15
	switch s.kind {
	case stampL4V1:
		ok = be16(header) == v1 && header[32] == s.control
	case stampL2V2, stampV2:
		ok = header[1]&15 == v2 && message == s.message&15
	case stampEventV2:
		ok = header[1]&15 == v2 && message < 8
	}
	return header, ok
}

// stampRx latches the time of the first frame that software wants stamped, and
// whose it is, and says so in the descriptor.
func (d *Device) stampRx(b *rxBatch) {
	s := &d.time
	if !s.rx.on {
		return
	}
	for i := range b.n {
		p := &b.p[i]
		if p.drop != nicsim.DropNone {
			continue
		}
		if header, ok := s.wants(p); ok && s.rx.take(s.at(p.f.At)) {
			s.source = binary.BigEndian.Uint64(header[20:]) & (1<<48 - 1)
			s.sequence = be16(header[30:])
			p.c.status |= ixgbe.RxTS
		}
	}
}

// stampTx latches the time of the first frame whose descriptor asks for it.
func (d *Device) stampTx(b *txBatch) {
	if !d.time.tx.on || b.some&doStamp == 0 {
		return
	}
	for i := range b.n {
		if b.asks[i].do&doStamp != 0 {
			d.time.tx.take(d.time.at(d.clock.Now()))
		}
	}
}

func (d *Device) readTSYNCRXCTL(int) uint32 {
	return d.time.rx.control() | uint32(d.time.kind)<<1
}

func (d *Device) wroteTSYNCRXCTL(_ int, _, v uint32) {
	d.time.rx.on, d.time.kind = v&tsyncEnable != 0, uint8(v>>1)&7
}

func (d *Device) readTSYNCTXCTL(int) uint32          { return d.time.tx.control() }
func (d *Device) wroteTSYNCTXCTL(_ int, _, v uint32) { d.time.tx.on = v&tsyncEnable != 0 }
func (d *Device) wroteRXMTRL(_ int, _, v uint32)     { d.time.setMTRL(v) }
func (d *Device) readRXSATRL(int) uint32             { return uint32(d.time.source) }
func (d *Device) readRXSATRH(int) uint32 {
	return uint32(d.time.source>>32) | uint32(d.time.sequence)<<16
}
func (d *Device) readRXSTMPL(int) uint32 { return uint32(d.time.rx.time) }
func (d *Device) readTXSTMPL(int) uint32 { return uint32(d.time.tx.time) }

// readRXSTMPH makes room for the next stamp.
func (d *Device) readRXSTMPH(int) uint32 {
	d.time.rx.valid = false
	return uint32(d.time.rx.time >> 32)
}

func (d *Device) readTXSTMPH(int) uint32 {
	d.time.tx.valid = false
	return uint32(d.time.tx.time >> 32)
}

// readSYSTIML keeps the upper half for the read of SYSTIMH that follows, so
// that both are of one moment.
func (d *Device) readSYSTIML(int) uint32 {
	v := d.time.at(d.clock.Now())
	d.time.readHigh = uint32(v >> 32)
	return uint32(v)
}

func (d *Device) readSYSTIMH(int) uint32 { return d.time.readHigh }

func (d *Device) wroteSYSTIML(_ int, _, v uint32) {
	d.time.settle(d.clock.Now())
	d.time.base = d.time.base&^0xFFFFFFFF | uint64(v)
}

func (d *Device) wroteSYSTIMH(_ int, _, v uint32) {
	d.time.settle(d.clock.Now())
	d.time.base = d.time.base&0xFFFFFFFF | uint64(v)<<32
}

// wroteTIMINCA sets the pace: Incvalue, and Incperiod above it. The clock
// stands still while either is zero.
func (d *Device) wroteTIMINCA(_ int, _, v uint32) {
	d.time.settle(d.clock.Now())
	d.time.increment, d.time.period = uint64(v&0xFFFFFF), int64(v>>24)
}

func (d *Device) wroteTIMADJL(_ int, _, v uint32) { d.time.adjustment = v }

// wroteTIMADJH adds TIMADJ to SYSTIM, or subtracts it when the sign bit is set.
func (d *Device) wroteTIMADJH(_ int, _, v uint32) {
	by := uint64(v&0x7FFFFFFF)<<32 | uint64(d.time.adjustment)
	if v>>31 != 0 {
		by = -by
	}
	d.time.base += by
}
