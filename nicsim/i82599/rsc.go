package i82599

import (
	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/coalesce"
	"nicsim.dev/offloads/parse"
)

const (
	maxRSCDescriptors = 16 // RSCCTL.MAXDESC (8.2.3.8.13)
	// maxRSCStarts is how many frames may start in one descriptor: RSCCNT has 4
	// bits, and says one more (7.1.6.2).
	maxRSCStarts = 14
)

// rsc is receive side coalescing (7.11). Frames of a flow are kept until their
// packet closes and are then written at once. Differs: the hardware writes
// payload as it comes and the header last, and takes descriptors as it needs
// them; a driver sees only that here a packet's descriptors follow one another,
// as none of them is its own before the packet closes (7.11.5).
type rsc struct {
	d       *Device
	engine  coalesce.Engine
	packets [coalesce.Contexts]rscPacket
	waiting int                  // closed packets that found no descriptors
	due     [numVectors]sim.Time // when packets of queues of a vector are to close
}

// rscPacket is a packet in the making.
type rscPacket struct {
	q      *rxQueue
	write  rxWrite
	first  *nicsim.Frame
	head   parse.Headers
	last   parse.Headers
	frames []*nicsim.Frame // after the first
	pieces [][]byte        // their payloads
	bytes  int             // of these
	header int             // bytes that go to the header buffer
	at     int             // descriptor in which the last frame starts
	starts int             // frames that start in it
	closed bool
	timer  sim.Event
}

func (r *rsc) init(d *Device) {
	r.d = d
	for i := range r.packets {
		r.packets[i].timer.Run = func() {
			r.hold(r.packets[i].q)
			r.close(i)
			d.raiseRx()
		}
	}
}

// accept takes a frame of a queue that coalesces.
func (r *rsc) accept(q *rxQueue, p *rxPacket) fate {
	if r.waiting > 0 && r.blocks(q) {
		return wait
	}
	if r.offer(q, p) == wait {
		return wait
	}
	if p.c.status&ixgbe.RxDYNINT != 0 {
		r.closeQueue(q) // a low latency interrupt shows the driver all that there is (7.3.2.1.1)
	}
	return taken
}

func (r *rsc) offer(q *rxQueue, p *rxPacket) fate {
	if !r.candidate(q, p) {
		return q.alone(p)
	}
	for {
		dec := r.engine.Offer(p.f.Data, &p.h, uint16(q.index))
		switch dec.Verdict {
		case coalesce.Close:
			other := r.packets[dec.Context].q != q
			if r.close(dec.Context) == taken {
				continue
			}
			if !other {
				return wait
			}
			return q.alone(p) // the packet that was to make room is stuck in another queue
		case coalesce.Open:
			hold := r.hold(q)
			if hold == 0 {
				r.engine.Close(dec.Context)
				return q.alone(p)
			}
			r.d.observeArrival(p)
			r.open(dec.Context, q, p, hold)
		case coalesce.Append, coalesce.Last:
			p.f.ID = r.packets[dec.Context].first.ID
			r.d.observeArrival(p)
			if r.add(dec.Context, p) || dec.Verdict == coalesce.Last {
				r.close(dec.Context)
			}
		default:
			return q.alone(p)
		}
		return taken
	}
}

// candidate is the part of 7.11.1 that concerns more than headers: intact unicast
// frames, of queues with advanced descriptors. What is not one does not end its
// flow's packet: a damaged frame is none of the flow's.
func (r *rsc) candidate(q *rxQueue, p *rxPacket) bool {
	// What was opened stays alone: a packet of several has one verdict on its authenticity.
	const bad = ixgbe.RxIPE | ixgbe.RxL4E | ixgbe.RxSECP
	return !p.bad && p.sums&(ixgbe.RxL4I|bad) == ixgbe.RxL4I && p.c.status&ixgbe.RxTS == 0 && p.f.Data[0]&1 == 0 &&
		!r.d.rscOff && q.descType != descLegacy
}

func (r *rsc) open(i int, q *rxQueue, p *rxPacket, hold sim.Time) {
	k := &r.packets[i]
	k.write = rxWrite{frames: 1}
	q.describe(&k.write, p)
	k.q, k.first, k.head, k.last = q, p.f, p.h, p.h
	k.write.h = &k.head
	k.frames, k.pieces, k.bytes, k.closed = k.frames[:0], k.pieces[:0], 0, false
	k.at, k.starts = 0, 1
	plan := k.write
	q.plan(&plan, len(k.first.Data))
	k.header = plan.header
	r.engine.Limit(i, q.rscDescriptors*q.packetBytes+k.header-len(k.first.Data))
	r.d.clock.After(&k.timer, hold)
}

// add appends a frame's payload. It says whether the packet has to close because
// a descriptor cannot count more frames.
func (r *rsc) add(i int, p *rxPacket) bool {
	k := &r.packets[i]
	if at := (len(k.first.Data) + k.bytes - k.header) / k.q.packetBytes; at != k.at {
		k.at, k.starts = at, 0
	}
	k.starts++
	k.write.frames++
	k.last = p.h
	k.frames = append(k.frames, p.f)
	payload := p.f.Data[p.h.Payload:p.h.End]
	k.pieces = append(k.pieces, payload)
	k.bytes += len(payload)
	return k.starts == maxRSCStarts
}

// close writes a packet to its queue. Without descriptors it waits, and with it
// what follows in the queue.
func (r *rsc) close(i int) fate {
	k := &r.packets[i]
	r.d.clock.Cancel(&k.timer)
	if !k.closed {
		k.closed = true
		if n := len(k.frames); n > 0 {
			coalesce.Finish(k.first.Data, &k.head, k.frames[n-1].Data, &k.last, int(k.head.End-k.head.Payload)+k.bytes)
		}
		r.waiting++
	}
	if !r.d.masterEnabled() {
		return wait
	}
	w := k.write
	if k.q.write(&w, k.first.Data, k.pieces) == wait {
		return wait
	}
	r.release(i)
	return taken
}

// release ends context i and takes its frames back.
func (r *rsc) release(i int) {
	k := &r.packets[i]
	r.d.clock.Cancel(&k.timer)
	r.d.pool.Put(k.first)
	for _, f := range k.frames {
		r.d.pool.Put(f)
	}
	if k.closed {
		r.waiting--
	}
	k.q, k.first, k.closed = nil, nil, false
	r.engine.Close(i)
}

// retry writes what found no descriptors before, and returns how many it wrote.
func (r *rsc) retry() (n int) {
	for i := range r.packets {
		if r.waiting == 0 {
			break
		}
		if r.packets[i].closed && r.close(i) == taken {
			n++
		}
	}
	return n
}

// blocks says whether a closed packet of the queue waits for descriptors.
func (r *rsc) blocks(q *rxQueue) bool {
	for i := range r.packets {
		if k := &r.packets[i]; k.q == q && k.closed && r.close(i) == wait {
			return true
		}
	}
	return false
}

// closeQueue closes all packets of a queue, or with nil of all queues.
func (r *rsc) closeQueue(q *rxQueue) {
	for i := range r.packets {
		if k := &r.packets[i]; k.q != nil && (q == nil || k.q == q) {
			r.close(i)
		}
	}
}

// discard drops all packets of a queue.
func (r *rsc) discard(q *rxQueue) {
	for i := range r.packets {
		if k := &r.packets[i]; k.q == q {
			q.lose(&k.write, k.first.Data, k.pieces, nicsim.DropRxReset)
			r.release(i)
		}
	}
}

// hold returns how long a packet of queue q that opens now may wait for more, 0
// for not at all, and notes that packets of its vector close then (7.3.2.1.1):
// when all but RSC_Delay of the interval since the vector's last interrupt has
// passed. A packet that comes later does not wait, and those after it wait for
// one interval at most. Differs: a queue without a vector, which drivers may not
// have (4.6.7.2), closes its packets after RSC_Delay.
func (r *rsc) hold(q *rxQueue) sim.Time {
	d := r.d
	delay := sim.Time(d.reg.Get(atGPIE)>>11&7+1) * 4 * sim.Microsecond
	v := d.interrupts.vector[nicsim.Rx][q.index]
	switch {
	case v == noVector:
		return delay
	case !d.interrupts.multiple():
		v = 0
	}
	m, now := &d.interrupts.moderators[v], d.clock.Now()
	if due := max(m.open-delay, r.due[v]); due > now {
		return due - now
	}
	r.due[v] = now + m.interval()
	return 0
}

// wroteRFCTL takes the switch that ends coalescing on all queues (8.2.3.7.6).
func (d *Device) wroteRFCTL(_ int, _, v uint32) {
	d.rscOff = v&(1<<5) != 0
	if d.rscOff {
		d.rx.rsc.closeQueue(nil)
		d.raiseRx()
	}
}
