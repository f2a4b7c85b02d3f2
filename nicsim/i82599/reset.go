package i82599

import (
	"encoding/binary"

	"nicsim.dev/nicsim"
)

const (
	ctrlReset     = 1 << 26 // CTRL.RST (8.2.3.1.1)
	ctrlLinkReset = 1 << 3  // CTRL.LRST
	ctrlNoMaster  = 1 << 2  // CTRL.PCIe Master Disable
	addressValid  = 1 << 31 // RAH.AV
	statusMaster  = 1 << 19 // STATUS.PCIe Master Enable Status (8.2.3.1.2)
)

// powerOn puts everything at its state after power-on, as a function-level reset
// does (4.2.1).
func (d *Device) powerOn() {
	d.reg.Reset(nil)
	d.loadMAC()
	d.resetQueues()
	d.tcpTimer.reset(d)
	d.interrupts.reset()
	d.resetFilters()
	d.time.reset(d.reg.Get(atRXMTRL))
}

// loadMAC puts the station address where the EEPROM's auto-load leaves it
// (6.3.5.2, 8.2.3.7.9).
func (d *Device) loadMAC() {
	a := &d.cfg.MAC
	d.reg.Set(atRAL0, binary.LittleEndian.Uint32(a[:]))
	d.reg.Set(atRAL0+4, uint32(binary.LittleEndian.Uint16(a[4:]))|addressValid)
}

// wroteCTRL resets the port: a software reset and a link reset do the same to
// what is modelled here, except that LRST also takes the link down for a moment
// (4.2.1.6, 4.2.1.7).
func (d *Device) wroteCTRL(_ int, _, v uint32) {
	if v&(ctrlReset|ctrlLinkReset) != 0 {
		d.powerOn()
	}
}

// masterEnabled says whether the adapter may start transactions: the bus lets
// it, and software has not asked it to be quiet (5.2.5.3.2).
func (d *Device) masterEnabled() bool {
	return d.fn.BusMaster() && d.reg.Get(atCTRL)&ctrlNoMaster == 0
}

// readSTATUS shows that no transaction is pending once software asked for
// quiet: between steps none ever is.
func (d *Device) readSTATUS(_ int) uint32 {
	v := d.reg.Get(atSTATUS) &^ statusMaster
	if d.reg.Get(atCTRL)&ctrlNoMaster == 0 {
		v |= statusMaster
	}
	return v
}

func (d *Device) resetQueues() {
	for i := range d.tx.queues {
		q := &d.tx.queues[i]
		d.clock.Cancel(&q.flushing)
		q.reset()
		q.ring, q.enabled, q.threshold, q.headWBOn = ring{}, false, 0, false
	}
	d.tx.work, d.tx.next = [2]uint64{}, 0
	d.wroteDTXTCPFLGL(0, 0, d.reg.Get(atDTXTCPFLGL))
	d.wroteDTXTCPFLGH(0, 0, d.reg.Get(atDTXTCPFLGH))
	for i := range d.rx.queues {
		q := &d.rx.queues[i]
		q.disable()
		q.ring = ring{}
		q.rscDescriptors, q.split = 0, 0
		q.packetBytes, q.headerBytes, q.descType, q.dropOn, q.strip = 2048, 256, 0, false, false
	}
	b := &d.rx.batch
	for ; b.next < b.n; b.next++ {
		d.drop(b.p[b.next].f, nicsim.DropRxReset)
	}
	d.rscOff = false
	d.mac.reset()
}
