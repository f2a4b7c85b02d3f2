package i82599

import (
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/reg"
)

const (
	ctrlReset     = 1 << 26 // CTRL.RST (8.2.3.1.1)
	ctrlLinkReset = 1 << 3  // CTRL.LRST
	ctrlNoMaster  = 1 << 2  // CTRL.PCIe Master Disable
	statusMaster  = 1 << 19 // STATUS.PCIe Master Enable Status (8.2.3.1.2)
)

// powerOn puts everything at its state after power-on. Resets from the bus do
// the same to what is modelled here, and so does CTRL.LRST (4.2.1).
func (d *Device) powerOn() {
	d.reg.Reset(nil)
	d.i2c.reset(&d.module)
	d.resetLink()
	d.resetIPsec()
	d.restart()
}

// softwareReset leaves alone the link and its pins, and what software shares
// with the firmware (4.2.1.6).
func (d *Device) softwareReset() {
	d.reg.Reset(func(r *reg.Row[Device]) bool { return outliveSoftware[r.Name] })
	d.restart()
}

// outliveSoftware are the registers that CTRL.RST does not reset.
var outliveSoftware = map[string]bool{
	"AUTOC": true, "AUTOC2": true, "CoreCTL": true, "SMADARCTL": true,
	"ESDP": true, "I2CCTL": true, "LEDCTL": true,
	"EEC": true, "FLA": true, "FLOP": true, "SWSM": true, "SW_FW_SYNC": true, "FWSTS": true, "HICR": true,
}

// restart brings every unit in line with registers that were reset.
func (d *Device) restart() {
	d.loadMAC()
	d.resetQueues()
	d.tcpTimer.reset(d)
	d.interrupts.reset()
	d.linkChanged()
	d.resetFilters()
	d.time.reset(d.reg.Get(atRXMTRL))
	d.refreshIPsec()
	d.linkSec = linkSec{stale: true}
}

// loadMAC puts the station address where the EEPROM's auto-load leaves it
// (6.3.5.2, 8.2.3.7.9).
func (d *Device) loadMAC() {
	a := d.eeprom.mac()
	d.reg.Set(atRAL0, binary.LittleEndian.Uint32(a[:]))
	d.reg.Set(atRAL0+4, uint32(binary.LittleEndian.Uint16(a[4:]))|rahAV)
}

// wroteCTRL resets the port, with LRST the link too.
func (d *Device) wroteCTRL(_ int, _, v uint32) {
	switch {
	case v&ctrlLinkReset != 0:
		d.powerOn()
	case v&ctrlReset != 0:
		d.softwareReset()
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
		q.ring, q.enabled, q.hung, q.threshold, q.headWBOn = ring{}, false, false, 0, false
		q.contexts = [2]ixgbe.AdvContext{}
	}
	d.tx.work, d.tx.next = [2]uint64{}, 0
	d.tx.resetClasses(d)
	d.wroteDTXTCPFLGL(0, 0, d.reg.Get(atDTXTCPFLGL))
	d.wroteDTXTCPFLGH(0, 0, d.reg.Get(atDTXTCPFLGH))
	for i := range d.rx.queues {
		q := &d.rx.queues[i]
		q.disable()
		q.ring = ring{}
		q.rscDescriptors, q.split = 0, 0
		q.packetBytes, q.headerBytes, q.descType, q.dropOn, q.dropByPF, q.strip = 2048, 256, 0, false, false, false
		q.lowWater, q.low = 0, false
	}
	for i := range d.rx.batches {
		b := &d.rx.batches[i]
		for ; b.next < b.n; b.next++ {
			d.drop(b.p[b.next].f, nicsim.DropRxReset)
		}
	}
	d.rx.waiting, d.rx.arbiter = 0, arbiter{}
	d.rscOff = false
	d.mac.reset()
}
