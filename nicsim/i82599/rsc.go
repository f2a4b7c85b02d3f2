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
	// bits, and a further descriptor counts one more.
	maxRSCStarts = 14
)

// rsc is receive side coalescing (7.11). Frames of a flow are kept until their
// packet closes and are then written at once. Differs: the hardware writes
// payload as it comes and the header last; a driver cannot tell, because no
// descriptor is done before the packet closes (7.11.5).
type rsc struct {
	d       *Device
	engine  coalesce.Engine
	packets [coalesce.Contexts]rscPacket
	waiting int // closed packets that found no descriptors
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
	total  int             // of the packet, where the next frame starts
	header int             // bytes that go to the header buffer
	closed bool
	timer  sim.Event
}

func (r *rsc) init(d *Device) {
	r.d = d
	for i := range r.packets {
		r.packets[i].timer.Run = func() {
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
	const bad = ixgbe.RxIPE | ixgbe.RxL4E
	if p.bad || p.c.status&ixgbe.RxTS != 0 || p.sums&ixgbe.RxL4I == 0 || p.sums&bad != 0 || r.d.rscOff || p.f.Data[0]&1 != 0 {
		// 7.11.1: only intact unicast frames. What else belongs to an open flow
		// cannot overtake it, because a bad frame is not delivered to the flow.
		return q.alone(p)
	}
	for {
		dec := r.engine.Offer(p.f.Data, &p.h, uint16(q.index), q.rscDescriptors*q.packetBytes)
		switch dec.Verdict {
		case coalesce.Close:
			if r.close(dec.Context) == wait {
				return wait
			}
			continue
		case coalesce.Open:
			r.d.observeArrival(p)
			r.open(dec.Context, q, p)
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

func (r *rsc) open(i int, q *rxQueue, p *rxPacket) {
	k := &r.packets[i]
	k.write = rxWrite{frames: 1}
	q.describe(&k.write, p)
	k.q, k.first, k.head, k.last = q, p.f, p.h, p.h
	k.write.h = &k.head
	k.write.starts[0] = 1
	k.frames, k.pieces, k.bytes, k.closed = k.frames[:0], k.pieces[:0], 0, false
	k.first.Data = k.first.Data[:k.head.End] // padding is not part of the stream
	k.total = len(k.first.Data)
	plan := k.write
	q.plan(&plan, k.total)
	k.header = plan.header
	r.d.clock.After(&k.timer, r.d.rscHold(q))
}

// add appends a frame's payload. It says whether the packet has to close because
// a descriptor cannot count more frames.
func (r *rsc) add(i int, p *rxPacket) bool {
	k := &r.packets[i]
	q := k.q
	at := min((k.total-k.header)/q.packetBytes, maxRSCDescriptors-1)
	k.write.frames++
	k.write.starts[at]++
	k.last = p.h
	k.frames = append(k.frames, p.f)
	payload := p.f.Data[p.h.Payload:p.h.End]
	k.pieces = append(k.pieces, payload)
	k.bytes += len(payload)
	k.total += len(payload)
	return k.write.starts[at] == maxRSCStarts
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

// closeQueue closes all packets of a queue.
func (r *rsc) closeQueue(q *rxQueue) {
	for i := range r.packets {
		if r.packets[i].q == q {
			r.close(i)
		}
	}
}

// discard drops all packets of a queue.
func (r *rsc) discard(q *rxQueue) {
	for i := range r.packets {
		if r.packets[i].q == q {
			r.d.drops[nicsim.DropRxReset] += uint64(r.packets[i].write.frames)
			r.release(i)
		}
	}
}

// rscHold is how long a packet is kept open for more: the interval of the
// queue's interrupt, after which the driver looks (7.11.4), and at least
// GPIE.RSC_Delay, in units of 4 us.
func (d *Device) rscHold(q *rxQueue) sim.Time {
	delay := sim.Time(d.reg.Get(atGPIE)>>11&7+1) * 4 * sim.Microsecond
	if v := d.interrupts.vector[nicsim.Rx][q.index]; v != noVector {
		delay = max(delay, d.interrupts.moderators[v].interval())
	}
	return delay
}

// wroteRFCTL takes the switch that ends coalescing on all queues (8.2.3.7.6).
func (d *Device) wroteRFCTL(_ int, _, v uint32) { d.rscOff = v&(1<<5) != 0 }
