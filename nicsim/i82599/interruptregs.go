package i82599

import "nicsim.dev/nicsim/sim"

// The interrupt registers (8.2.3.5). EICS, EIMS, EIMC and EIAM exist three
// times: index 0 has 16 queue causes and the others, 1 and 2 have 32 vectors
// each, the low half of 1 being the same bits as those of 0.

const (
	atIVAR     = 0x00900
	atIVARMisc = 0x00A00

	eitrLLI       = 1 << 15 // LLI_EN: low latency interrupts need credits
	eitrKeepCount = 1 << 31 // CNT_WDIS: the write leaves the counters alone
	eitrFields    = 0x8FF8
	eitrUnit      = 2048 * sim.Nanosecond
)

// extended splits the bits of an interrupt register into vectors and others.
func extended(i int, v uint32) (queues uint64, others uint32) {
	if i == 0 {
		return uint64(v & queueCauses), v & otherCauses
	}
	return uint64(v) << (32 * (i - 1)), 0
}

// shown is the inverse of extended.
func shown(i int, queues uint64, others uint32) uint32 {
	if i == 0 {
		return uint32(queues)&queueCauses | others
	}
	return uint32(queues >> (32 * (i - 1)))
}

// readEICR returns the causes and clears them, all or the others (7.3.1.2).
func (d *Device) readEICR(int) uint32 {
	x := &d.interrupts
	v := shown(0, x.queues, x.others)
	if x.gpie&gpieOtherClear != 0 {
		x.others &= causeTCPTimer
	} else {
		x.queues &^= queueCauses
		x.others = 0
	}
	x.maskAfter(v | queueCauses | otherCauses)
	x.changed()
	return v
}

func (d *Device) wroteEICR(_ int, _, v uint32) {
	x := &d.interrupts
	queues, others := extended(0, v)
	x.queues &^= queues
	x.others &^= others
	x.maskAfter(v)
	x.changed()
}

// maskAfter masks the interrupts that EIAM names when EICR is read or written,
// unless that happens with the message (8.2.3.5.6).
func (x *interrupts) maskAfter(v uint32) {
	if x.multiple() && x.gpie&gpieAutoMask != 0 {
		return
	}
	queues, others := extended(0, v)
	x.queueMask &^= queues & x.queueAutoMask
	x.otherMask &^= others & x.otherAutoMask
}

// readEICS returns the causes and leaves them.
func (d *Device) readEICS(i int) uint32 {
	return shown(i, d.interrupts.queues, d.interrupts.others)
}

// wroteEICS sets causes, and enables those that EIAM names, the reverse of what
// reading EICR does to them.
func (d *Device) wroteEICS(i int, _, v uint32) {
	x := &d.interrupts
	queues, others := extended(i, v)
	if !x.multiple() || x.gpie&gpieAutoMask == 0 {
		x.queueMask |= queues & x.queueAutoMask
		x.otherMask |= others & x.otherAutoMask
	}
	x.post(queues, others, x.gpie&gpieImmediate != 0)
}

func (d *Device) readEIMS(i int) uint32 {
	return shown(i, d.interrupts.queueMask, d.interrupts.otherMask)
}

// wroteEIMS enables causes; those that were set meanwhile interrupt now.
func (d *Device) wroteEIMS(i int, _, v uint32) {
	x := &d.interrupts
	queues, others := extended(i, v)
	x.queueMask |= queues
	x.otherMask |= others
	if x.gpie&gpieClearPending != 0 {
		for v := range numVectors {
			if queues>>v&1 != 0 {
				d.fn.ClearPending(v)
			}
		}
	}
	x.request(x.vectors(queues&x.queues, others&x.others), false)
}

func (d *Device) wroteEIMC(i int, _, v uint32) {
	x := &d.interrupts
	queues, others := extended(i, v)
	x.queueMask &^= queues
	x.otherMask &^= others
	x.changed()
}

func (d *Device) wroteEIAC(_ int, _, v uint32) { d.interrupts.autoClear = v }

func (d *Device) readEIAM(i int) uint32 {
	return shown(i, d.interrupts.queueAutoMask, d.interrupts.otherAutoMask)
}

func (d *Device) wroteEIAM(i int, _, v uint32) {
	x := &d.interrupts
	queues, others := extended(i, v)
	if i == 0 {
		x.queueAutoMask = x.queueAutoMask&^queueCauses | queues
		x.otherAutoMask = others
		return
	}
	x.queueAutoMask = x.queueAutoMask&^(0xFFFFFFFF<<(32*(i-1))) | queues
}

// wroteGPIE may change the mode: then the line or messages follow the causes
// that there are.
func (d *Device) wroteGPIE(_ int, old, v uint32) {
	x := &d.interrupts
	x.gpie = v
	if (old^v)&gpieMultiple == 0 {
		return
	}
	if !x.multiple() {
		x.queues &= queueCauses
	}
	x.allocate()
	x.changed()
	x.request(x.active(), false)
}

func (d *Device) wroteIVAR(int, uint32, uint32) { d.interrupts.allocate() }

// readEITR shows the interval, the seven high bits of the counter that runs down
// from it, and the low latency credits (8.2.3.5.12).
func (d *Device) readEITR(i int) uint32 {
	x := &d.interrupts
	m := &x.moderators[i]
	x.accrue(m)
	left := uint32(max(0, m.open-d.clock.Now()) / eitrUnit)
	return m.eitr | m.credits<<16 | left>>2<<21
}

func (d *Device) wroteEITR(i int, _, v uint32) {
	x := &d.interrupts
	m := &x.moderators[i]
	x.accrue(m)
	m.eitr = v & eitrFields
	if v&eitrKeepCount != 0 {
		return
	}
	m.credits, m.accruedT = v>>16&maxCredits, d.clock.Now()
	m.open = d.clock.Now() + sim.Time(v>>21&0x7F<<2)*eitrUnit
	if m.wanted {
		d.clock.Schedule(&m.opening, m.open)
	}
}

// wrotePBACL clears pending bits of the MSI-X table (8.2.3.6.1).
func (d *Device) wrotePBACL(i int, _, v uint32) {
	for k := range 32 {
		if v>>k&1 != 0 {
			d.fn.ClearPending(32*i + k)
		}
	}
}
