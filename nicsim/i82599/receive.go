package i82599

import (
	"math/bits"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/vlan"
)

// rxBatchFrames is how many received frames go through the pipeline together.
const rxBatchFrames = 32

// rxIPsecFrames is how many with IPsec: so many full ones stay in the first-level
// cache, where the cipher has brought them, until they are copied to the driver's buffers.
const rxIPsecFrames = 8

// receiver is the receive side of the adapter.
type receiver struct {
	queues  [numQueues]rxQueue
	enabled bool // RXCTRL.RXEN
	filters filters
	rsc     rsc
	batches [numClasses]rxBatch
	waiting uint8 // batches that are not done
	short   shortBatch
	arbiter arbiter
	raise   [numQueues / 64]uint64 // queues that wrote back in this turn
	urgent  [numQueues / 64]uint64 // queues with a frame that may not wait (7.3.2.1.1)
}

// rxBatch is received frames between a packet buffer and the queues. It
// outlives a turn when a queue has no descriptors and no drop enable: the
// frames behind wait, as they do in the hardware (7.1.9).
type rxBatch struct {
	next, n int
	freed   int // frames whose room in the packet buffer is free again
	p       [rxBatchFrames]rxPacket
}

// rxPacket is what the stages find out about a frame.
type rxPacket struct {
	f     *nicsim.Frame
	h     parse.Headers
	c     rxClass
	bytes int            // as it arrived
	sums  ixgbe.RxStatus // what was verified, checksums and security, and how
	drop  nicsim.Drop    // why it goes no further
	odd   bool           // takePlain is not to try it
	bad   bool           // damaged, but FCTRL.SBP asks for it

	seen     bool // by the probe
	fcs      bool // the frame check sequence was put behind it
	stripped bool // the inner tag was taken out
	tag      uint16
}

func (r *receiver) init(d *Device) {
	for i := range r.queues {
		r.queues[i].d, r.queues[i].index = d, i
	}
	r.rsc.init(d)
}

// receive moves frames from the packet buffers to the rings until the buffers
// are empty, their queues block, or the budget is spent. A class whose queue
// blocks does not hold up the others.
func (d *Device) receive(budget int) int {
	r := &d.rx
	if d.mac.filled|r.waiting == 0 && r.rsc.waiting == 0 || !d.masterEnabled() {
		return 0
	}
	done, blocked := r.rsc.retry(), uint8(0)
	for done < budget {
		ready := (d.mac.filled | r.waiting) &^ blocked
		if ready == 0 {
			break
		}
		class := 0
		if ready != 1 {
			class = r.arbiter.pick(ready)
		}
		b := &r.batches[class]
		if b.next == b.n {
			short, wire, rest := 0, 0, 0
			if ready == 1 {
				short, wire = d.receiveShort()
				done += short
			}
			b.next, b.freed = 0, 0
			most := len(b.p) - short
			if d.ipsec.rxOn {
				most = min(most, rxIPsecFrames)
			}
			b.n, rest = d.mac.take(b.p[:most], class)
			r.arbiter.charge(class, wire+rest)
			d.receiveBatch(b)
		}
		done += d.deliver(b)
		d.mac.release(b, class)
		if b.next < b.n {
			r.waiting |= 1 << class
			blocked |= 1 << class
			continue
		}
		r.waiting &^= 1 << class
		done++ // a batch of drops is work too
	}
	d.raiseRx()
	return done
}

// checkMAC is the MAC's share of reception (7.1.1.1): the frame check sequence
// and the length. What it refuses is counted, and dropped unless FCTRL.SBP asks
// for bad frames.
func (d *Device) checkMAC(b *rxBatch) {
	for i := range b.n {
		p := &b.p[i]
		p.drop, p.sums, p.bad, p.fcs, p.stripped, p.seen = nicsim.DropNone, 0, false, false, false, false
		n := len(p.f.Data)
		limit := d.mac.maxBytes - fcsBytes
		if n > limit && n <= limit+vlan.TagBytes*d.mac.tagsIn(p.f.Data) {
			limit = n
		}
		switch {
		case n >= minFrameBytes && n <= limit && p.f.Flags == 0:
			if t := be16(p.f.Data[12:]); t <= maxLengthField {
				d.checkLength(p, int(t))
			}
		case p.f.Flags&nicsim.BadFCS != 0:
			d.refuse(p, nicsim.DropRxCRC)
			if n > limit {
				d.stats.jabber.n++
			}
		case n < minFrameBytes:
			d.refuse(p, nicsim.DropRxTooShort)
		default:
			d.refuse(p, nicsim.DropRxTooLong)
		}
		d.stats.countArrival(p)
	}
}

// maxLengthField is up to where the field behind the addresses is a length
// (802.3 3.2.6).
const maxLengthField = 1500

// checkLength refuses a frame whose 802.3 length is not its own (7.1.5,
// HLREG0.RXLNGTHERREN).
func (d *Device) checkLength(p *rxPacket, field int) {
	n := len(p.f.Data) - macHeaderBytes
	if d.mac.checkLength && (field > n || n > minFrameBytes-macHeaderBytes && field != n) {
		d.stats.lengthErrors.n++
		d.refuse(p, nicsim.DropRxLength)
	}
}

// refuse marks a frame that the MAC finds bad.
func (d *Device) refuse(p *rxPacket, why nicsim.Drop) {
	d.stats.countBad(p.f, why)
	p.bad = true
	if !d.mac.storeBad || len(p.f.Data) < macHeaderBytes {
		p.drop = why
	}
}

// parse reads the headers of each frame once.
func (d *Device) parse(b *rxBatch) {
	for i := range b.n {
		if p := &b.p[i]; p.drop == nicsim.DropNone {
			parse.Frame(&p.h, p.f.Data, d.mac.parseTPID)
			if d.mac.doubleVLAN && p.h.Kind&(parse.Tagged|parse.ExtendedVLAN) == parse.Tagged {
				// An inner tag alone makes an unknown frame (7.4.5.3).
				p.h = parse.Headers{EtherType: etherVLAN, L2Bytes: macHeaderBytes, End: p.h.End}
			}
			p.odd = p.bad || d.mac.keepFCS || d.probe != nil || p.h.Kind&parse.Tagged != 0
		}
	}
}

// filter applies the MAC address and VLAN filters (7.1.1).
func (d *Device) filter(b *rxBatch) {
	for i := range b.n {
		if p := &b.p[i]; p.drop == nicsim.DropNone {
			p.drop = d.rx.filters.accept(p.f.Data, &p.h)
			if p.drop == nicsim.DropNone && !p.bad {
				d.stats.countAccepted(p)
			}
		}
	}
}

// verifyChecksums checks what the descriptor can report, of Ethernet II frames
// only (7.1.11).
func (d *Device) verifyChecksums(b *rxBatch) {
	for i := range b.n {
		p := &b.p[i]
		if p.drop != nicsim.DropNone || p.h.Kind&(parse.IPv4|parse.IPv6) == 0 || p.h.Kind&parse.SNAP != 0 {
			continue
		}
		if p.h.Kind&parse.IPv4 != 0 {
			p.sums |= ipSums[checksum.IPv4Header(p.f.Data, &p.h)]
		}
		if p.h.Kind&(parse.TCP|parse.UDP|parse.SCTP) != 0 {
			l4 := checksum.L4(p.f.Data, &p.h)
			p.sums |= l4Sums[l4]
			if p.h.Kind&parse.UDP != 0 && (l4 == checksum.Good || l4 == checksum.Bad) {
				p.sums |= ixgbe.RxUDPCS
			}
		}
		if p.sums&(ixgbe.RxIPE|ixgbe.RxL4E) != 0 {
			d.stats.checksumErrors.n++
		}
	}
}

// What a descriptor says of each verdict.
var (
	ipSums = [...]ixgbe.RxStatus{checksum.Good: ixgbe.RxIPCS, checksum.Bad: ixgbe.RxIPCS | ixgbe.RxIPE, checksum.Absent: 0}
	l4Sums = [...]ixgbe.RxStatus{checksum.Good: ixgbe.RxL4I, checksum.Bad: ixgbe.RxL4I | ixgbe.RxL4E, checksum.Absent: 0}
)

// classify chooses the queue (7.1.2).
func (d *Device) classify(b *rxBatch) {
	for i := range b.n {
		if p := &b.p[i]; p.drop == nicsim.DropNone {
			d.rx.filters.classify(&p.c, p.f.Data, &p.h)
			if p.c.toDropQueue && !d.rx.queues[p.c.queue].enabled {
				p.drop = nicsim.DropRxSteered
			}
			if p.c.status&ixgbe.RxDYNINT != 0 {
				d.rx.urgent[p.c.queue/64] |= 1 << (p.c.queue % 64)
			}
			if p.f.Data[0]&1 != 0 {
				p.c.status |= ixgbe.RxPIF
			}
		}
	}
}

// deliver hands the batch to the queues and returns the number of frames done;
// fewer than the batch holds when a queue makes the others wait.
func (d *Device) deliver(b *rxBatch) int {
	from := b.next
	for ; b.next < b.n; b.next++ {
		p := &b.p[b.next]
		if p.drop == nicsim.DropNone {
			q := &d.rx.queues[p.c.queue&(numQueues-1)]
			if !q.takePlain(p) && q.accept(p) == wait {
				break
			}
		} else {
			d.drop(p.f, p.drop)
		}
		p.f = nil
	}
	return b.next - from
}

// raiseRx raises the interrupt cause of each queue that wrote descriptors back.
func (d *Device) raiseRx() {
	for w, m := range d.rx.raise {
		for ; m != 0; m &= m - 1 {
			q := w*64 + bits.TrailingZeros64(m)
			d.rx.queues[q].publish()
			if d.rx.queues[q].runsLow() {
				d.rx.urgent[w] |= 1 << (q % 64)
			}
			if d.rx.urgent[w]>>(q%64)&1 != 0 {
				d.rx.urgent[w] &^= 1 << (q % 64)
				d.interrupts.lowLatency(q)
			} else {
				d.interrupts.queue(nicsim.Rx, q)
			}
		}
		d.rx.raise[w] = 0
	}
}
