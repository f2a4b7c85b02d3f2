// Package i82599 models the Intel 82599 10 GbE Controller after its datasheet
// (331520): a physical function's registers, descriptor rings, stateless
// offloads and MAC. pipeline.go tells what happens to a frame.
//
// Sections cited in this package are the datasheet's unless they say otherwise.
package i82599

import (
	"fmt"
	"slices"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/reg"
	"nicsim.dev/nicsim/sim"
)

const (
	numQueues = 128       // transmit and receive queues each (1.3)
	regSpace  = 512 << 10 // bytes of BAR0 (9.3.6.1)
)

// Device is one port of an 82599. Its owner's goroutine alone may touch it.
type Device struct {
	cfg   nicsim.Config
	clock *sim.Clock
	pool  *nicsim.Pool
	fn    *pci.Function
	reg   *reg.File[Device]
	probe nicsim.Probe
	drops [nicsim.NumDrops]uint64

	interrupts interrupts
	tcpTimer   tcpTimer

	eeprom eeprom
	flash  flash
	module module
	i2c    i2cSlave
	link   link
	leds   [numLEDs]ledState
	analog [2]analogCore

	mac   mac
	stats statistics
	tx    transmitter
	rx    receiver
	time  timeSync
	ipsec ipsecEngine

	linkSec linkSec

	rscOff bool // RFCTL.RSC_DIS
}

// New returns an adapter as it is after power-on.
func New(cfg nicsim.Config) (nicsim.Device, error) { return newDevice(cfg) }

func newDevice(cfg nicsim.Config) (*Device, error) {
	if cfg.Clock == nil || cfg.Pool == nil {
		return nil, fmt.Errorf("i82599: %s: a clock and a frame pool are required", cfg.Name)
	}
	if cfg.MAC[0]&1 != 0 {
		return nil, fmt.Errorf("i82599: %s: %x is a multicast address; a port needs a unicast one", cfg.Name, cfg.MAC)
	}
	if cfg.Variant == 0 {
		cfg.Variant = variants[0]
	}
	if !slices.Contains(variants, cfg.Variant) {
		return nil, fmt.Errorf("i82599: %s: %#04x is none of the device numbers %#04x", cfg.Name, cfg.Variant, variants)
	}
	d := &Device{cfg: cfg, clock: cfg.Clock, pool: cfg.Pool}
	d.tcpTimer.expired.Run = d.tcpTimerExpired
	d.eeprom.fill(cfg.MAC)
	d.flash.d = d
	d.module.init(d)
	var err error
	if d.fn, err = newFunction(d); err != nil {
		return nil, err
	}
	d.fn.Memory = new(dma.Space)
	d.fn.OnReset(func(pci.Cause) { d.powerOn() })
	d.reg = reg.NewFile(table, d)
	d.interrupts.init(d)
	d.mac.init(d)
	d.tx.init(d)
	d.rx.init(d)
	d.powerOn()
	return d, nil
}

// Functions returns the physical function.
func (d *Device) Functions() []*pci.Function { return []*pci.Function{d.fn} }

// Port returns the network port.
func (d *Device) Port() nicsim.Port { return &d.mac }

// SetProbe lets p see what happens from now on.
func (d *Device) SetProbe(p nicsim.Probe) { d.probe = p }

// Step does about budget frames and descriptors of work.
func (d *Device) Step(budget int) int {
	return d.transmit(budget) + d.receive(budget)
}

// registerRegion is BAR0: the registers, 32 bits wide (8.1.1).
type registerRegion struct{ d *Device }

// Read32 answers a read.
func (r registerRegion) Read32(off uint32) uint32 { return r.d.readReg(off) }

// Write32 takes a write. Narrower ones are not defined (8.1.1) and ignored.
func (r registerRegion) Write32(off, v uint32, lanes pci.Lanes) {
	if lanes == pci.AllLanes {
		r.d.writeReg(off, v)
	}
}

func (d *Device) readReg(off uint32) uint32 {
	v := d.reg.Read(off)
	if d.probe != nil {
		d.observe(&nicsim.Event{Kind: nicsim.RegisterRead, Name: table.Name(off), Offset: off, Value: d.shown(off, v)})
	}
	return v
}

func (d *Device) writeReg(off, v uint32) {
	if d.probe != nil {
		d.observe(&nicsim.Event{Kind: nicsim.RegisterWrite, Name: table.Name(off), Offset: off, Value: d.shown(off, v)})
	}
	d.reg.Write(off, v)
}

// shown is what a probe sees of a value: zero for part of a key, unless it was asked for.
func (d *Device) shown(off, v uint32) uint64 {
	if table.Secret(off) && !d.cfg.ShowKeys {
		return 0
	}
	return uint64(v)
}

// drop counts a frame that goes no further, tells the probe why, and takes the
// frame back.
func (d *Device) drop(f *nicsim.Frame, why nicsim.Drop) {
	d.drops[why]++
	if d.probe != nil {
		d.observe(&nicsim.Event{Kind: nicsim.PacketWire, Side: nicsim.Rx, Data: f.Data, ID: f.ID, Flags: f.Flags, Drop: why})
	}
	d.pool.Put(f)
}
