package i82599

import (
	"math"
	"math/bits"

	"nicsim.dev/nicsim"
)

// tally counts for ever; registers show what came since they were last read.
type tally struct{ n, shown uint64 }

// statistics are the MAC's counters (8.2.3.23), which registers show and clear.
type statistics struct {
	txFrames, txOctets, txMulticast, txBroadcast tally
	rxFrames, rxOctets, rxMulticast, rxBroadcast tally
	rxTotalFrames, rxTotalOctets                 tally // good and bad, of any address
	txTotalFrames                                tally // pause frames included
	unfilteredFrames, unfilteredOctets           tally // good, of any address
	txSizes, rxSizes                             [sizeClasses]tally

	crcErrors, undersize, fragments, oversize, jabber, lengthErrors, checksumErrors tally
	missed                                                                          [8]tally // by packet buffer

	// Of the 16 counters that queues are mapped to (RQSMR, TQSM).
	rxQueuePackets, rxQueueOctets, rxQueueDrops [16]tally
	txQueuePackets, txQueueOctets               [16]tally
	dmaRxFrames, dmaRxOctets                    tally
	dmaTxFrames, dmaTxOctets                    tally

	txMisplaced uint64 // checksums asked for where the packet has no room for one
}

// counted is what a queue has already added to the counter it is mapped to.
type counted struct{ packets, octets, drops uint64 }

// sizeClasses are the frame lengths that have a counter each: 64, 65 to 127,
// 128 to 255, 256 to 511, 512 to 1023 and longer.
const sizeClasses = 6

// sizeClass tells which counter a frame of n bytes, FCS included, belongs to.
func sizeClass(n int) int {
	if n <= 64 {
		return 0
	}
	return min(bits.Len(uint(n))-6, sizeClasses-1)
}

// countArrival counts a frame that came from the wire, whatever becomes of it.
func (s *statistics) countArrival(p *rxPacket) {
	n := uint64(p.f.WireBytes())
	s.rxTotalFrames.n++
	s.rxTotalOctets.n += n
	if !p.bad && p.drop == nicsim.DropNone {
		s.unfilteredFrames.n++
		s.unfilteredOctets.n += n
	}
}

// countAccepted counts a good frame that passed the address filters.
func (s *statistics) countAccepted(p *rxPacket) {
	n := p.f.WireBytes()
	s.rxFrames.n++
	s.rxOctets.n += uint64(n)
	s.rxSizes[sizeClass(n)].n++
	if p.f.Data[0]&1 != 0 {
		group(p.f.Data, &s.rxMulticast, &s.rxBroadcast)
	}
}

// countPlain counts frames as countArrival and countAccepted do those that are
// good, for one station, and accepted. It returns their bytes on the wire.
func (s *statistics) countPlain(frames []*nicsim.Frame) (wire int) {
	class, run := 0, 0
	for _, f := range frames {
		n := f.WireBytes()
		wire += n
		if c := sizeClass(n); c != class {
			s.rxSizes[class].n += uint64(run)
			class, run = c, 0
		}
		run++
	}
	s.rxSizes[class].n += uint64(run)
	for _, t := range [...]*tally{&s.rxTotalFrames, &s.unfilteredFrames, &s.rxFrames} {
		t.n += uint64(len(frames))
	}
	for _, t := range [...]*tally{&s.rxTotalOctets, &s.unfilteredOctets, &s.rxOctets} {
		t.n += uint64(wire)
	}
	return wire
}

func group(b []byte, multicast, broadcast *tally) {
	if b[0]&b[1]&b[2]&b[3]&b[4]&b[5] == 0xFF {
		broadcast.n++
	} else {
		multicast.n++
	}
}

// countBad counts a frame that the MAC refuses.
func (s *statistics) countBad(f *nicsim.Frame, why nicsim.Drop) {
	fcs := f.Flags&nicsim.BadFCS != 0
	switch {
	case len(f.Data) < minFrameBytes && fcs:
		s.fragments.n++
	case len(f.Data) < minFrameBytes:
		s.undersize.n++
	case why == nicsim.DropRxTooLong:
		s.oversize.n++
	}
	if fcs {
		s.crcErrors.n++
	}
}

// countTx counts the frames of a batch as sent.
func (d *Device) countTx(b *txBatch) {
	s, octets := &d.stats, 0
	class, run := 0, 0
	for _, f := range b.frames[:b.n] {
		n := f.WireBytes()
		octets += n
		if c := sizeClass(n); c != class {
			s.txSizes[class].n += uint64(run)
			class, run = c, 0
		}
		run++
		if f.Data[0]&1 != 0 {
			group(f.Data, &s.txMulticast, &s.txBroadcast)
		}
	}
	s.txSizes[class].n += uint64(run)
	s.txOctets.n += uint64(octets)
	s.txFrames.n += uint64(b.n)
	s.txTotalFrames.n += uint64(b.n)
}

// The registers of a tally. Counters stick at their greatest value and clear
// when read. Those of 36 bits are two registers, of which the high one, to be
// read last, clears both (8.2.3.23.27, 8.2.3.23.28).

const max36 = 1<<36 - 1

func show(of func(*Device, int) *tally) func(*Device, int) uint32 {
	return func(d *Device, i int) uint32 {
		t := of(d, i)
		v := t.n - t.shown
		t.shown = t.n
		return uint32(min(v, math.MaxUint32))
	}
}

func showLow(of func(*Device, int) *tally) func(*Device, int) uint32 {
	return func(d *Device, i int) uint32 {
		t := of(d, i)
		return uint32(min(t.n-t.shown, max36))
	}
}

func showHigh(of func(*Device, int) *tally) func(*Device, int) uint32 {
	return func(d *Device, i int) uint32 {
		t := of(d, i)
		v := t.n - t.shown
		t.shown = t.n
		return uint32(min(v, max36) >> 32)
	}
}

// rxSize and txSize are the tallies of size class k.
func rxSize(k int) func(*Device, int) *tally {
	return func(d *Device, _ int) *tally { return &d.stats.rxSizes[k] }
}

func txSize(k int) func(*Device, int) *tally {
	return func(d *Device, _ int) *tally { return &d.stats.txSizes[k] }
}

// gatherRx adds what the receive queues did to the counters that they are
// mapped to, so that a queue costs nothing but its own counts.
func (d *Device) gatherRx() {
	s := &d.stats
	only := d.reg.Get(atRXDSTATCTRL) & rxdstatSelect
	for i := range d.rx.queues {
		q := &d.rx.queues[i]
		k := d.reg.Get(atRQSMR+uint32(i)&^3) >> (8 * (i & 3)) & 0xF
		s.rxQueuePackets[k].n += q.packets - q.counted.packets
		s.rxQueueOctets[k].n += q.octets - q.counted.octets
		s.rxQueueDrops[k].n += q.dropped - q.counted.drops
		if only >= allQueues || k == only {
			s.dmaRxFrames.n += q.packets - q.counted.packets
			s.dmaRxOctets.n += q.octets - q.counted.octets
		}
		q.counted = counted{q.packets, q.octets, q.dropped}
	}
}

func (d *Device) gatherTx() {
	s := &d.stats
	for i := range d.tx.queues {
		q := &d.tx.queues[i]
		k := d.reg.Get(atTQSM+uint32(i)&^3) >> (8 * (i & 3)) & 0xF
		s.txQueuePackets[k].n += q.packets - q.counted.packets
		s.txQueueOctets[k].n += q.octets - q.counted.octets
		s.dmaTxFrames.n += q.packets - q.counted.packets
		s.dmaTxOctets.n += q.octets - q.counted.octets
		q.counted = counted{q.packets, q.octets, 0}
	}
}

// A new mapping counts from now on: what came before goes where it was mapped.

func (d *Device) wroteRQSMR(i int, old, _ uint32) { d.remap(atRQSMR+4*uint32(i), old, d.gatherRx) }
func (d *Device) wroteTQSM(i int, old, _ uint32)  { d.remap(atTQSM+4*uint32(i), old, d.gatherTx) }

// RXDSTATCTRL.QSEL: the queue counter whose queues the DMA counters count, or
// all queues (8.2.3.23.72).
const (
	rxdstatSelect = 0x1F
	allQueues     = 16
)

func (d *Device) wroteRXDSTATCTRL(_ int, old, _ uint32) { d.remap(atRXDSTATCTRL, old, d.gatherRx) }

func (d *Device) remap(at, old uint32, gather func()) {
	now := d.reg.Get(at)
	d.reg.Set(at, old)
	gather()
	d.reg.Set(at, now)
}

// gatheredRx and gatheredTx are a tally of queues, of one of the 16 queue counters brought up to date.
func gatheredRx(of func(*statistics, int) *tally) func(*Device, int) *tally {
	return func(d *Device, i int) *tally {
		d.gatherRx()
		return of(&d.stats, i)
	}
}

func gatheredTx(of func(*statistics, int) *tally) func(*Device, int) *tally {
	return func(d *Device, i int) *tally {
		d.gatherTx()
		return of(&d.stats, i)
	}
}
