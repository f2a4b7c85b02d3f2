package i82599

import "nicsim.dev/nicsim"

// powerOn puts everything at its state after power-on.
func (d *Device) powerOn() {
	d.reg.Reset(nil)
	d.resetQueues()
}

func (d *Device) resetQueues() {
	for i := range d.tx.queues {
		q := &d.tx.queues[i]
		d.clock.Cancel(&q.flushing)
		q.reset()
		q.ring, q.enabled, q.threshold, q.headWBOn = ring{}, false, 0, false
	}
	d.tx.work, d.tx.next = [2]uint64{}, 0
	for i := range d.rx.queues {
		q := &d.rx.queues[i]
		q.disable()
		q.ring = ring{}
		q.packetBytes, q.headerBytes, q.descType, q.dropOn, q.strip, q.maxBytes = 2048, 256, 0, false, false, 0
	}
	b := &d.rx.batch
	for ; b.next < b.n; b.next++ {
		d.drop(b.p[b.next].f, nicsim.DropRxReset)
	}
	d.mac.reset()
}

func (d *Device) wroteCTRL(_ int, _, v uint32) {
	if v&(1<<26) != 0 {
		d.powerOn()
	}
}
