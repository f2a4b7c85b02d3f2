package i82599

import (
	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/hdrsplit"
)

// This file is what the queues' registers do when software writes them. Each
// method is the behaviour of the row of that name.

const (
	queueEnable = 1 << 25 // RXDCTL.ENABLE and TXDCTL.ENABLE (8.2.3.8.6, 8.2.3.9.10)
	rxVLANStrip = 1 << 30 // RXDCTL.VME
	txFlush     = 1 << 26 // TXDCTL.SWFLSH

	descriptorsAlign = 128 // bytes: ring base and length (8.2.3.8.1, 8.2.3.8.3)
	// maxRingBytes is what the LEN fields hold: 20 bits (8.2.3.8.3).
	maxRingBytes = 1<<20 - descriptorsAlign
)

func (r *ring) setBase(low, high uint32) {
	r.base = dma.Addr(low&^(descriptorsAlign-1)) | dma.Addr(high)<<32
	r.usable = false
}

func (r *ring) setBytes(n uint32) {
	r.count = n & maxRingBytes / ixgbe.Size
	r.usable = false
}

// restart is what enabling a queue does to its ring.
func (r *ring) restart() { r.stopped, r.usable = false, false }

// setTail takes a doorbell. A tail beyond the ring is found out when the ring is
// used.
func (r *ring) setTail(v uint32) {
	r.tail = v & 0xFFFF
	r.usable = r.usable && r.tail < r.count
}

func (r *ring) setHead(v uint32) {
	r.head = v & 0xFFFF
	r.usable = false
}

func (d *Device) wroteTDBA(i int, _, _ uint32) {
	q := &d.tx.queues[i]
	q.setBase(d.reg.Get(atTDBAL(i)), d.reg.Get(atTDBAH(i)))
	q.waiting = 0 // they were of another ring
}

func (d *Device) wroteTDLEN(i int, _, v uint32) {
	q := &d.tx.queues[i]
	q.setBytes(v)
	q.waiting = 0
}

// readTDH shows the first descriptor whose data is still to be read.
func (d *Device) readTDH(i int) uint32 {
	q := &d.tx.queues[i]
	if q.cutting || q.parts > 0 && q.fault == nicsim.DropNone {
		return q.firstAt
	}
	return q.head
}

// wroteTDH takes the head; the hardware defines it for disabled queues only
// (8.2.3.9.8).
func (d *Device) wroteTDH(i int, _, v uint32) {
	if q := &d.tx.queues[i]; !q.enabled {
		q.setHead(v)
	}
}

// wroteTDT is the transmit doorbell: it schedules, Step works.
func (d *Device) wroteTDT(i int, _, v uint32) {
	q := &d.tx.queues[i]
	q.setTail(v)
	if d.probe != nil {
		d.observeDoorbell("TDT", i, v)
	}
	d.tx.kick(i)
}

func (d *Device) wroteTXDCTL(i int, old, v uint32) {
	q := &d.tx.queues[i]
	q.threshold = int(v >> 16 & 0x7F)
	if v&txFlush != 0 {
		q.flush()
	}
	switch on := v&queueEnable != 0; {
	case on && !q.enabled:
		q.enabled = true
		q.restart()
		d.tx.kick(i)
	case !on && q.enabled:
		q.disable()
	}
}

func (d *Device) wroteTDWBA(i int, _, _ uint32) {
	low := d.reg.Get(atTDWBAL(i))
	q := &d.tx.queues[i]
	q.headWBOn = low&1 != 0
	q.headWB = dma.Addr(low&^3) | dma.Addr(d.reg.Get(atTDWBAH(i)))<<32
}

// disable ends transmission of a queue: what was fetched is completed, what
// was not stays in the ring (4.6.8).
func (q *txQueue) disable() {
	q.flush()
	q.enabled = false
	q.reset()
	q.idle()
}

// reset drops the packet in assembly or in segmentation.
func (q *txQueue) reset() {
	if q.parts > 0 || q.cutting {
		q.fault = nicsim.DropTxReset
		q.lose()
	}
	q.parts, q.bytes, q.fault, q.cutting, q.waiting, q.raise = 0, 0, 0, false, 0, false
	q.pieces = q.pieces[:0]
}

// flush writes completed descriptors back, whatever the threshold.
func (q *txQueue) flush() {
	if q.enabled && q.d.masterEnabled() && q.ready(q.d.fn.Memory) {
		q.writeBack()
	}
	q.waiting = 0
	q.report()
}

// flushLater bounds how long completed descriptors wait for WTHRESH of them.
// Differs: the hardware's bound is the interrupt timer of the queue's vector
// (7.2.3.5.1); here it is a fixed time, so that a driver that polls sees it too.
func (d *Device) flushLater(q *txQueue) {
	if q.flushing.Run == nil {
		q.flushing.Run = q.flush
	}
	if !q.flushing.Pending() {
		d.clock.After(&q.flushing, writeBackDelay)
	}
}

const writeBackDelay = 8 * sim.Microsecond

func (d *Device) wroteRDBA(i int, _, _ uint32) {
	d.rx.queues[i].setBase(d.reg.Get(atRDBAL(i)), d.reg.Get(atRDBAH(i)))
}

func (d *Device) wroteRDLEN(i int, _, v uint32) { d.rx.queues[i].setBytes(v) }

func (d *Device) readRDH(i int) uint32 { return d.rx.queues[i].head }

func (d *Device) wroteRDH(i int, _, v uint32) {
	if q := &d.rx.queues[i]; !q.enabled {
		q.setHead(v)
	}
}

// wroteRDT is the receive doorbell: descriptors up to the tail are the
// adapter's.
func (d *Device) wroteRDT(i int, _, v uint32) {
	q := &d.rx.queues[i]
	q.setTail(v)
	q.low = q.low && q.room() <= q.lowWater
	if d.probe != nil {
		d.observeDoorbell("RDT", i, v)
	}
}

func (d *Device) wroteRXDCTL(i int, old, v uint32) {
	q := &d.rx.queues[i]
	q.strip = v&rxVLANStrip != 0
	switch on := v&queueEnable != 0; {
	case on && !q.enabled:
		q.enabled = true
		q.restart()
	case !on && q.enabled:
		q.disable()
	}
	q.tune()
}

func (q *rxQueue) disable() {
	q.d.rx.rsc.discard(q)
	q.publish()
	q.enabled = false
}

// wroteSRRCTL takes buffer sizes, descriptor type and drop enable (8.2.3.8.7).
func (d *Device) wroteSRRCTL(i int, _, v uint32) {
	q := &d.rx.queues[i]
	d.rx.rsc.closeQueue(q)
	d.raiseRx()
	q.packetBytes = max(int(v&0x1F), 1) << 10
	q.headerBytes = int(v>>8&0x3F) * 64
	q.descType = uint8(v >> 25 & 7)
	q.dropOn = v&(1<<28) != 0
	q.lowWater = v >> 22 & 7 * 64
	q.tune()
}

// tune says whether takePlain may be tried for the queue.
func (q *rxQueue) tune() {
	q.simple = q.enabled && q.descType == descOneBuffer && q.rscDescriptors == 0
}

// wroteRXCTRL turns reception on and off (8.2.3.8.10).
func (d *Device) wroteRXCTRL(_ int, _, v uint32) { d.rx.enabled = v&1 != 0 }

// wroteDMATXCTL turns transmission on and off and sets the type of inserted
// tags (8.2.3.9.2).
func (d *Device) wroteDMATXCTL(_ int, _, v uint32) {
	d.tx.enabled = v&1 != 0
	d.mac.txTPID = uint16(v >> 16)
}

// wroteDTXTCPFLG takes the masks for TCP flags of segments (8.2.3.9.3, 8.2.3.9.4).
func (d *Device) wroteDTXTCPFLGL(_ int, _, v uint32) {
	d.tx.flags[0], d.tx.flags[1] = uint16(v&0xFFF), uint16(v>>16&0xFFF)
}

func (d *Device) wroteDTXTCPFLGH(_ int, _, v uint32) { d.tx.flags[2] = uint16(v & 0xFFF) }

// wroteRSCCTL takes whether and how far the queue's packets are coalesced
// (8.2.3.8.13).
func (d *Device) wroteRSCCTL(i int, _, v uint32) {
	q := &d.rx.queues[i]
	d.rx.rsc.closeQueue(q)
	d.raiseRx()
	q.rscDescriptors = 0
	if v&1 != 0 {
		q.rscDescriptors = [...]int{1, 4, 8, maxRSCDescriptors}[v>>2&3]
	}
	q.tune()
}

// wrotePSRTYPE takes the headers at which packets are split (8.2.3.7.4). A row
// serves a pool; without virtualization the first serves all queues (7.1.10).
func (d *Device) wrotePSRTYPE(i int, _, v uint32) {
	if i > 0 {
		return
	}
	for k := range d.rx.queues {
		d.rx.queues[k].split = hdrsplit.Types(v)
	}
}

// wrotePFQDE sets or reads back the drop enable of a queue (8.2.3.27.9).
func (d *Device) wrotePFQDE(_ int, _, v uint32) {
	q := &d.rx.queues[v>>8&(numQueues-1)]
	if v&(1<<16) != 0 {
		q.dropByPF = v&1 != 0
	}
	if v &^= 1; q.dropByPF {
		v |= 1
	}
	d.reg.Set(atPFQDE, v)
}
