// Package pci is the bus side of an adapter: configuration space, base address
// registers and interrupts. Transports and drivers use it from one side, models
// build on it from the other; it knows no model.
package pci

import (
	"encoding/binary"
	"fmt"

	"nicsim.dev/nicsim/dma"
)

// Region answers accesses to a base address register, a dword at a time as they
// come over PCIe. Offsets are byte offsets inside it, multiples of four.
type Region interface {
	Read32(off uint32) uint32
	// Write32 takes a write; lanes says which of v's bytes were written.
	Write32(off, v uint32, lanes Lanes)
}

// Lanes has a bit for each byte of a dword that an access touches, the lowest
// for the lowest byte (PCIe 3.0 2.2.5, byte enables).
type Lanes uint8

// AllLanes is an access to a whole dword.
const AllLanes Lanes = 0xF

// Cause is why a function is reset.
type Cause uint8

const (
	// FLR is a function-level reset by the device control register.
	FLR Cause = iota
	// PowerUp is the way from D3hot to D0 of a function without NoSoftReset.
	PowerUp
	// BusReset is a hot reset of the link.
	BusReset
	// TransportReset is that of a client: everything is as after power-on.
	TransportReset
)

var causeNames = [...]string{"function-level reset", "power-up from D3", "bus reset", "reset by the transport"}

func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}

type window struct {
	bytes  uint32
	io     bool
	upper  bool // the high half of a 64-bit base address register
	region Region
}

// Function is one PCI function. It belongs to the goroutine that owns its
// adapter.
type Function struct {
	// Memory is what the function reaches by DMA, when it masters the bus. The
	// transport or the driver sets it.
	Memory *dma.Space

	space   space
	bars    [6]window
	irq     Interrupter
	onReset func(Cause)

	// Offsets of capabilities, 0 for none.
	pm, msi, express, aer, vpd int
	msix                       messageTable
	vpdData                    []byte

	// What configuration space says, kept for the fast paths.
	present  bool
	awake    bool // present and in D0
	memory   bool // awake and memory accesses are decoded
	ports    bool // awake and port accesses are decoded
	master   bool // awake and may master the bus
	power    uint16
	mode     Mode
	line     bool // the model asks for the legacy interrupt
	driven   bool // the interrupter was told so
	resetNow bool // inside Reset
}

// New returns a function with the given base address registers and capabilities,
// which are chained in the order given.
func New(id ID, bars []BAR, caps ...Capability) (*Function, error) {
	f := &Function{present: true}
	if err := f.buildHeader(id, bars); err != nil {
		return nil, err
	}
	if err := f.link(caps); err != nil {
		return nil, err
	}
	f.space.initial = f.space.now
	f.settle()
	return f, nil
}

// OnReset sets what is called when the function has been reset, with
// configuration space at its defaults.
func (f *Function) OnReset(hook func(Cause)) { f.onReset = hook }

// Reset resets the function and everything behind it.
func (f *Function) Reset(c Cause) {
	if f.resetNow {
		return
	}
	f.resetNow = true
	// A model that panics amid its reset leaves a function that can be reset again.
	defer func() { f.resetNow = false }()
	f.space.reset(c)
	f.msix.reset()
	f.line, f.power = false, 0
	f.settle()
	if f.onReset != nil {
		f.onReset(c)
	}
}

// Present says whether the function is on the bus.
func (f *Function) Present() bool { return f.present }

// SetPresent takes the function off the bus (surprise removal, a virtual
// function that is not enabled) or puts it back. While it is off, reads return
// all ones and it neither masters the bus nor interrupts.
func (f *Function) SetPresent(on bool) {
	f.present = on
	f.settle()
}

// BusMaster says whether the function may read and write memory now.
func (f *Function) BusMaster() bool { return f.master }

// SetPending sets the transactions-pending bit of the device status register.
func (f *Function) SetPending(on bool) {
	if f.express > 0 {
		f.space.bits(f.express+expDeviceStatus, statusPending, on)
	}
}

// ConfigRead reads configuration space. Beyond its end all bits are one.
func (f *Function) ConfigRead(p []byte, off int) {
	if !f.present {
		fill(p)
		return
	}
	f.space.read(p, off)
}

// ConfigWrite writes configuration space, as far as software may, and takes the
// consequences.
func (f *Function) ConfigWrite(p []byte, off int) {
	if !f.present {
		return
	}
	f.space.write(p, off)
	if at := f.vpd + 3; f.vpd > 0 && off <= at && at < off+len(p) {
		f.readVPD()
	}
	f.settle()
}

// settle brings the function in line with its configuration space.
func (f *Function) settle() {
	s := &f.space
	if f.express > 0 && s.get16(f.express+expDeviceControl)&controlFLR != 0 {
		s.bits(f.express+expDeviceControl, controlFLR, false)
		f.Reset(FLR)
		return
	}
	if f.pm > 0 {
		v := s.get16(f.pm + 4)
		switch to := v & pmState; {
		case to != 0 && to != pmD3hot: // a state that is not there: the write is void
			s.set16(f.pm+4, v&^pmState|f.power)
		case to == 0 && f.power == pmD3hot && v&pmNoSoftReset == 0:
			f.power = 0
			f.Reset(PowerUp)
			return
		default:
			f.power = to
		}
	}
	command := s.get16(offCommand)
	f.awake = f.present && f.power == 0
	f.memory = f.awake && command&CommandMemory != 0
	f.ports = f.awake && command&CommandIO != 0
	f.master = f.awake && command&CommandMaster != 0
	f.mode = f.interruptMode()
	f.driveLine()
	f.Retry()
}

// BARBytes returns the size of base address register bar, 0 where there is none
// or the high half of one.
func (f *Function) BARBytes(bar int) uint32 {
	if uint(bar) >= uint(len(f.bars)) {
		return 0
	}
	return f.bars[bar].bytes
}

// Read reads len(p) bytes at off of base address register bar. What nobody
// decodes reads as all ones.
func (f *Function) Read(bar int, p []byte, off uint64) {
	for len(p) > 0 {
		n := min(len(p), int(4-off%4))
		var b [4]byte
		v := ^uint32(0)
		if f.decodes(bar, off&^3) {
			v = f.readWord(bar, uint32(off)&^3)
		}
		binary.LittleEndian.PutUint32(b[:], v)
		copy(p[:n], b[off%4:])
		p, off = p[n:], off+uint64(n)
	}
}

// Write writes p at off of base address register bar. What nobody decodes is
// lost.
func (f *Function) Write(bar int, p []byte, off uint64) {
	for len(p) > 0 {
		n, lane := min(len(p), int(4-off%4)), off%4
		if f.decodes(bar, off&^3) {
			var b [4]byte
			copy(b[lane:], p[:n])
			lanes := Lanes(1<<n-1) << lane
			f.writeWord(bar, uint32(off)&^3, binary.LittleEndian.Uint32(b[:]), lanes)
		}
		p, off = p[n:], off+uint64(n)
	}
}

// Read32 reads the dword at off, a multiple of four, of base address register
// bar: what a driver in this process calls.
func (f *Function) Read32(bar int, off uint32) uint32 {
	if off%4 != 0 || !f.decodes(bar, uint64(off)) {
		return ^uint32(0)
	}
	return f.readWord(bar, off)
}

// Write32 writes the dword at off, a multiple of four, of base address register
// bar.
func (f *Function) Write32(bar int, off, v uint32) {
	if off%4 == 0 && f.decodes(bar, uint64(off)) {
		f.writeWord(bar, off, v, AllLanes)
	}
}

func (f *Function) decodes(bar int, off uint64) bool {
	if uint(bar) >= uint(len(f.bars)) || off >= uint64(f.bars[bar].bytes) {
		return false
	}
	if f.bars[bar].io {
		return f.ports
	}
	return f.memory
}

func (f *Function) readWord(bar int, off uint32) uint32 {
	if f.msix.covers(bar, off) {
		return f.msix.read32(bar, off)
	}
	if r := f.bars[bar].region; r != nil {
		return r.Read32(off)
	}
	return 0
}

func (f *Function) writeWord(bar int, off, v uint32, lanes Lanes) {
	if f.msix.covers(bar, off) {
		if lanes == AllLanes { // other accesses are undefined: PCI 3.0 6.8.2
			f.msix.write32(bar, off, v)
			f.Retry()
		}
		return
	}
	if r := f.bars[bar].region; r != nil {
		r.Write32(off, v, lanes)
	}
}

func fill(p []byte) {
	for i := range p {
		p[i] = 0xFF
	}
}
