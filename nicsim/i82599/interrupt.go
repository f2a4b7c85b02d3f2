package i82599

import (
	"math/bits"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
)

// Causes of interrupts besides queues, bits of EICR (8.2.3.5.1).
const (
	causeFlowDirector = 1 << 16
	causeRxMiss       = 1 << 17
	causePCI          = 1 << 18
	causeMailbox      = 1 << 19
	causeLink         = 1 << 20
	causeLinkSec      = 1 << 21
	causeManagement   = 1 << 22
	causeSDP0         = 1 << 24 // the first of four pins
	causeECC          = 1 << 28
	causeTCPTimer     = 1 << 30

	queueCauses = 0xFFFF     // EICR.RTxQ
	otherCauses = 0x5F7F0000 // everything else that this model has
	miscCauses  = otherCauses &^ causeTCPTimer
)

// Bits of GPIE (8.2.3.5.18).
const (
	gpieSDP          = 0xF // SDP0 to SDP3 interrupt
	gpieMultiple     = 1 << 4
	gpieOtherClear   = 1 << 5 // OCD: reading EICR clears other causes only
	gpieImmediate    = 1 << 6 // EIMEN: EICS is not moderated
	gpieLLIShift     = 7
	gpieLLIMask      = 0xF
	gpieAutoMask     = 1 << 30 // EIAME
	gpieClearPending = 1 << 31 // PBA_support
)

const (
	numVectors    = 64
	numModerators = 129 // EITR(0) to EITR(128); 64 on are those of virtual functions

	ivarValid  = 0x80
	noVector   = -1
	lliUnit    = 4 * sim.Microsecond
	maxCredits = 31 // EITR.LLI_Credit has five bits
)

// interrupts is the path from causes to the bus (7.3). With GPIE.Multiple_MSIX
// a queue cause is a vector, and EICR(1) and EICR(2) hold 64 of them; without,
// it is one of the 16 low bits of EICR, and all causes share one interrupt.
type interrupts struct {
	d *Device

	queues, queueMask, queueAutoMask uint64 // causes, EIMS and EIAM of vectors
	others, otherMask, otherAutoMask uint32 // the same for bits 30:16 of EICR
	autoClear                        uint32 // EIAC
	gpie                             uint32
	asserted                         bool // the line, outside multiple MSI-X mode

	vector     [2][numQueues]int8 // of each side's queues, from IVAR
	timer      int8               // vector of the TCP timer, from IVAR_MISC
	misc       int8               // vector of the other causes
	moderators [numModerators]moderator
}

// moderator holds interrupts back for EITR's interval (7.3.2.1).
type moderator struct {
	eitr    uint32   // interval and LLI moderation as they were written
	open    sim.Time // when the interval ends
	wanted  bool     // an interrupt waits for that
	opening sim.Event

	credits  uint32 // of low latency interrupts, at time accrued
	accruedT sim.Time
}

func (x *interrupts) init(d *Device) {
	x.d = d
	for v := range numVectors {
		x.moderators[v].opening.Run = func() { x.opened(v) }
	}
	x.reset()
}

// reset forgets causes, masks and timers.
func (x *interrupts) reset() {
	x.queues, x.queueMask, x.queueAutoMask = 0, 0, 0
	x.others, x.otherMask, x.otherAutoMask = 0, 0, 0
	x.autoClear, x.gpie = 0, 0
	for i := range x.moderators {
		m := &x.moderators[i]
		x.d.clock.Cancel(&m.opening)
		m.eitr, m.open, m.wanted, m.credits, m.accruedT = 0, 0, false, 0, 0
	}
	x.allocate()
	x.setLine(false)
}

// allocate reads IVAR and IVAR_MISC (8.2.3.5.16): four causes a register,
// receive and transmit of an even and of an odd queue.
func (x *interrupts) allocate() {
	for i := range numQueues / 2 {
		v := x.d.reg.Get(atIVAR + 4*uint32(i))
		x.vector[nicsim.Rx][2*i] = x.alloc(v)
		x.vector[nicsim.Tx][2*i] = x.alloc(v >> 8)
		x.vector[nicsim.Rx][2*i+1] = x.alloc(v >> 16)
		x.vector[nicsim.Tx][2*i+1] = x.alloc(v >> 24)
	}
	v := x.d.reg.Get(atIVARMisc)
	x.timer, x.misc = x.alloc(v), x.alloc(v>>8)
}

// alloc is an INT_Alloc field with its valid bit. Outside multiple MSI-X mode
// there are 16 causes.
func (x *interrupts) alloc(field uint32) int8 {
	switch {
	case field&ivarValid == 0:
		return noVector
	case x.multiple():
		return int8(field & (numVectors - 1))
	}
	return int8(field & 0xF)
}

func (x *interrupts) multiple() bool { return x.gpie&gpieMultiple != 0 }

// queue posts that a queue has written back. It costs little, and less for a
// queue that has no vector.
func (x *interrupts) queue(side nicsim.Side, q int) {
	if v := x.vector[side][q]; v >= 0 {
		x.post(1<<v, 0, false)
	}
}

// lowLatency posts that a receive queue has something that may not wait, as far
// as EITR has credits for that (7.3.2.1.1).
func (x *interrupts) lowLatency(q int) {
	if v := x.vector[nicsim.Rx][q]; v >= 0 {
		x.post(1<<v, 0, x.credit(int(v)))
	}
}

// other posts causes that are not queues'.
func (x *interrupts) other(causes uint32) { x.post(0, causes, false) }

func (x *interrupts) post(queues uint64, others uint32, immediate bool) {
	if !x.multiple() {
		queues &= queueCauses
	}
	x.queues |= queues
	x.others |= others
	x.request(x.vectors(queues&x.queueMask, others&x.otherMask), immediate)
}

// vectors returns the set of vectors that causes belong to.
func (x *interrupts) vectors(queues uint64, others uint32) uint64 {
	if !x.multiple() {
		if queues != 0 || others != 0 {
			return 1
		}
		return 0
	}
	if others&causeTCPTimer != 0 && x.timer >= 0 {
		queues |= 1 << x.timer
	}
	if others&miscCauses != 0 && x.misc >= 0 {
		queues |= 1 << x.misc
	}
	return queues
}

// active returns the vectors that have an enabled cause.
func (x *interrupts) active() uint64 {
	return x.vectors(x.queues&x.queueMask, x.others&x.otherMask)
}

// request interrupts by each of the vectors, now or when its interval ends.
func (x *interrupts) request(vectors uint64, immediate bool) {
	for ; vectors != 0; vectors &= vectors - 1 {
		v := bits.TrailingZeros64(vectors)
		m := &x.moderators[v]
		if immediate || x.d.clock.Now() >= m.open {
			x.fire(v)
		} else if !m.wanted {
			m.wanted = true
			x.d.clock.Schedule(&m.opening, m.open)
		}
	}
}

// opened is called when a vector's interval has ended with an interrupt waiting.
func (x *interrupts) opened(v int) {
	m := &x.moderators[v]
	if m.wanted && x.active()&(1<<v) != 0 {
		x.fire(v)
	}
	m.wanted = false
}

// fire interrupts. The interval begins anew at once, whenever software reacts.
func (x *interrupts) fire(v int) {
	m := &x.moderators[v]
	m.wanted = false
	m.open = x.d.clock.Now() + m.interval()
	if x.d.probe != nil && x.signals() {
		x.d.observe(&nicsim.Event{Kind: nicsim.Interrupt, Name: x.d.fn.Mode().String(), Queue: v, Value: x.vectorCauses(v)})
	}
	if x.multiple() {
		x.clearAfter(v)
	} else {
		x.setLine(true)
	}
	x.d.fn.Raise(v)
}

// signals says whether the bus will see an interrupt that fires now.
func (x *interrupts) signals() bool {
	switch x.d.fn.Mode() {
	case pci.INTx:
		return !x.multiple() && !x.asserted
	case pci.NoInterrupts:
		return false
	}
	return true
}

func (x *interrupts) setLine(on bool) {
	x.asserted = on
	x.d.fn.SetLine(on)
}

// vectorCauses returns the EICR bits that make vector v interrupt.
func (x *interrupts) vectorCauses(v int) uint64 {
	if !x.multiple() {
		return uint64(x.others&x.otherMask) | x.queues&x.queueMask
	}
	causes := x.queues & x.queueMask & (1 << v) & queueCauses
	if v == int(x.timer) {
		causes |= uint64(x.others & x.otherMask & causeTCPTimer)
	}
	if v == int(x.misc) {
		causes |= uint64(x.others & x.otherMask & miscCauses)
	}
	return causes
}

// clearAfter clears and masks the causes of a message that was sent, as EIAC and
// EIAM ask (7.3.1.3, 7.3.1.4). Vectors that EICR does not show always clear.
func (x *interrupts) clearAfter(v int) {
	bit := uint64(1) << v
	sent := uint32(0)
	if v == int(x.timer) {
		sent |= causeTCPTimer
	}
	if v == int(x.misc) {
		sent |= miscCauses
	}
	sent &= x.others & x.otherMask
	queueSent := x.queues & x.queueMask & bit
	x.queues &^= queueSent & (uint64(x.autoClear) | ^uint64(queueCauses))
	x.others &^= sent & x.autoClear
	if x.gpie&gpieAutoMask != 0 {
		x.queueMask &^= queueSent & x.queueAutoMask
		x.otherMask &^= sent & x.otherAutoMask
	}
}

// changed brings the interrupt line in step with causes and masks. The line
// falls at once, and rises when the moderator lets it.
func (x *interrupts) changed() {
	if x.multiple() || x.active() == 0 {
		x.setLine(false)
	}
}

// interval is EITR's, in units of 2.048 microseconds (8.2.3.5.12).
func (m *moderator) interval() sim.Time { return sim.Time(m.eitr>>3&0x1FF) * 2048 }

// credit takes a low latency credit of vector v. Without moderation of such
// interrupts there is no end of them.
func (x *interrupts) credit(v int) bool {
	m := &x.moderators[v]
	if m.eitr&eitrLLI == 0 {
		return true
	}
	x.accrue(m)
	if m.credits == 0 {
		return false
	}
	m.credits--
	return true
}

// accrue adds a credit for each of GPIE's LL intervals that passed.
func (x *interrupts) accrue(m *moderator) {
	period := sim.Time(x.gpie>>gpieLLIShift&gpieLLIMask) * lliUnit
	if period == 0 {
		return
	}
	n := (x.d.clock.Now() - m.accruedT) / period
	m.accruedT += n * period
	m.credits = uint32(min(sim.Time(m.credits)+n, maxCredits))
}
