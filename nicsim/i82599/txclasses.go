package i82599

import (
	"math/bits"

	"nicsim.dev/nicsim/sim"
)

// Transmission with traffic classes and rate limits (7.7.2). Without them, the
// plain loop of transmit.go does.
//
// Differs: the hardware arbitrates twice, for descriptors and for packets in
// the transmit packet buffer. Frames here go from descriptor to wire at once,
// so the descriptor plane's arbiter decides alone, and RTTPT2C, TXPBSIZE and
// TXPBTHRESH are storage. Queues of a class take turns; the weights of RTTDT1C,
// which are for pools, are storage as well.

// Bits of MTQC (8.2.3.9.15), RTTDCS (8.2.3.10.2) and RTTBCNRC (8.2.3.10.16).
const (
	mtqcDCB = 1 << 0 // RT_Ena

	rttdcsWeighted = 1 << 0 // TDPAC
	rttdcsOff      = 1 << 6 // ARBDIS

	rttbcnrcOn = 1 << 31 // RS_ENA
)

// queueSet is a set of queues.
type queueSet [numQueues / 64]uint64

func (s *queueSet) fill(from, to int) {
	for i := from; i < to; i++ {
		s[i/64] |= 1 << (i % 64)
	}
}

func (s *queueSet) setTo(i int, in bool) {
	s[i/64] &^= 1 << (i % 64)
	if in {
		s[i/64] |= 1 << (i % 64)
	}
}

// txClasses decides which queue sends next.
type txClasses struct {
	on      bool // traffic classes, or a rate limit, or a class that is paused
	dcb     bool
	off     bool // RTTDCS.ARBDIS
	arbiter arbiter
	queues  [numClasses]queueSet
	next    [numClasses]int // round robin within a class
	limited queueSet        // queues with a rate limit
	held    queueSet        // those of them whose time has not come
	paused  uint8           // classes that the peer paused
	upToTC  uint32          // RTTUP2TC
	chosen  int             // RTTDQSEL
	window  int64           // RTTBCNRM: bytes by which a queue may be behind its rate
}

// pace is a queue's rate limit.
type pace struct {
	factor  uint32 // RTTBCNRC: link rate over the queue's, in 2^-14; 0 for no limit
	due     int64  // picoseconds: when the next frame may leave
	release sim.Event
	weight  uint32 // RTTDT1C
}

func (t *transmitter) resetClasses(d *Device) {
	for i := range t.queues {
		p := &t.queues[i].pace
		d.clock.Cancel(&p.release)
		*p = pace{}
	}
	t.classes = txClasses{}
	t.classes.layOut(0)
}

// layOut gives queues to classes (7.2.1.2.1, table 7-25).
func (c *txClasses) layOut(mtqc uint32) {
	c.dcb = mtqc&mtqcDCB != 0
	c.queues = [numClasses]queueSet{}
	ends := []int{numQueues}
	if c.dcb {
		switch mtqc >> 2 & 3 {
		case 2:
			ends = []int{64, 96, 112, 128}
		case 3:
			ends = []int{32, 64, 80, 96, 104, 112, 120, 128}
		}
	}
	from := 0
	for i, end := range ends {
		c.queues[i].fill(from, end)
		from = end
	}
	c.update()
}

func (c *txClasses) update() {
	c.on = c.dcb || c.limited != queueSet{} || c.paused != 0
}

// transmitClasses is transmit when queues are not all alike.
func (d *Device) transmitClasses(budget int) int {
	c := &d.tx.classes
	done := 0
	for done < budget && d.txRoom() > 0 {
		ready := c.ready(&d.tx.work)
		if ready == 0 {
			break
		}
		class := c.arbiter.pick(ready)
		q := &d.tx.queues[c.queueOf(class, &d.tx.work)]
		b := &d.tx.batch
		b.n, b.queue, b.some = 0, q.index, 0
		n := q.fetch(b, 1)
		if b.n > 0 {
			wire := max(len(b.frames[0].Data), minFrameBytes) + fcsBytes
			c.arbiter.charge(class, wire)
			d.send(b)
			d.pay(q, class, wire)
		}
		q.report()
		done += max(n, 1)
	}
	return done
}

// ready returns the classes that have something to send, and may.
func (c *txClasses) ready(work *[numQueues / 64]uint64) (set uint8) {
	for i := range c.queues {
		if c.paused>>i&1 != 0 {
			continue
		}
		for w := range work {
			if work[w]&c.queues[i][w]&^c.held[w] != 0 {
				set |= 1 << i
			}
		}
	}
	return set
}

// queueOf returns the queue of a ready class whose turn it is.
func (c *txClasses) queueOf(class int, work *[numQueues / 64]uint64) int {
	from := c.next[class]
	for range 2 {
		for w := from / 64; w < len(work); w++ {
			m := work[w] & c.queues[class][w] &^ c.held[w]
			if w == from/64 {
				m &= ^uint64(0) << (from % 64)
			}
			if m != 0 {
				c.next[class] = w*64 + bits.TrailingZeros64(m)
				return c.next[class]
			}
		}
		from = 0
	}
	return c.next[class]
}

// pay ends a queue's turn within its class, and holds it back if it has a rate
// limit: a frame takes as much longer than on the wire as the factor says.
func (d *Device) pay(q *txQueue, class, wire int) {
	c, p := &d.tx.classes, &q.pace
	c.next[class] = (q.index + 1) % numQueues
	if p.factor == 0 {
		return
	}
	bytePS := int64(800) // at 10 Gb/s
	if d.link.speed == 1 {
		bytePS = 8000
	}
	cost := func(bytes int64) int64 { return bytes * bytePS * int64(p.factor) >> 14 }
	now := int64(d.clock.Now()) * 1000
	p.due = max(p.due, now-cost(c.window)) + cost(int64(wire))
	if p.due > now {
		c.held.setTo(q.index, true)
		d.clock.Schedule(&p.release, sim.Time((p.due+999)/1000))
	}
}

// setLimit gives a queue a rate limit, or none.
func (d *Device) setLimit(i int, v uint32) {
	p, c := &d.tx.queues[i].pace, &d.tx.classes
	p.factor = 0
	if v&rttbcnrcOn != 0 {
		p.factor = v & 0xFFFFFF
	}
	if p.release.Run == nil {
		p.release.Run = func() { c.held.setTo(i, false) }
	}
	if p.factor == 0 {
		d.clock.Cancel(&p.release)
		c.held.setTo(i, false)
	}
	c.limited.setTo(i, p.factor != 0)
	c.update()
}

func (d *Device) wroteMTQC(_ int, _, v uint32) { d.tx.classes.layOut(v) }

func (d *Device) wroteRTTDCS(_ int, _, v uint32) {
	c := &d.tx.classes
	c.arbiter.weighted, c.off = v&rttdcsWeighted != 0, v&rttdcsOff != 0
}

func (d *Device) wroteRTTDT2C(i int, _, v uint32)  { d.tx.classes.arbiter.set(i, v) }
func (d *Device) wroteRTTUP2TC(_ int, _, v uint32) { d.tx.classes.upToTC = v }
func (d *Device) wroteRTTDQSEL(_ int, _, v uint32) { d.tx.classes.chosen = int(v & (numQueues - 1)) }

func (d *Device) wroteRTTDT1C(_ int, _, v uint32) {
	d.tx.queues[d.tx.classes.chosen].pace.weight = v & 0x3FFF
}

func (d *Device) readRTTDT1C(int) uint32 { return d.tx.queues[d.tx.classes.chosen].pace.weight }

func (d *Device) wroteRTTBCNRC(_ int, _, v uint32) { d.setLimit(d.tx.classes.chosen, v) }

func (d *Device) readRTTBCNRC(int) uint32 {
	if f := d.tx.queues[d.tx.classes.chosen].pace.factor; f != 0 {
		return f | rttbcnrcOn
	}
	return 0
}

// wroteRTTBCNRM takes how many KiB a queue that had nothing to send may catch up.
func (d *Device) wroteRTTBCNRM(_ int, _, v uint32) { d.tx.classes.window = int64(v&0x7FF) << 10 }
