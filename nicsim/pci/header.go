package pci

import "fmt"

// ID says what a function is (PCI 3.0 6.2.1, 6.2.4).
type ID struct {
	Vendor, Device                   uint16
	SubsystemVendor, SubsystemDevice uint16
	Class                            uint32 // base class, sub-class, interface: 0x020000 is Ethernet
	Revision                         uint8
	Multifunction                    bool
	Pin                              uint8 // 1 to 4 for INTA to INTD, 0 for none
}

// BAR is a base address register and what lies behind it.
type BAR struct {
	Index        int // 0 to 5; a 64-bit one takes the next index too
	Bytes        uint32
	Wide         bool // 64-bit
	Prefetchable bool
	IO           bool
	// Region answers accesses. The MSI-X table and pending bits are the
	// function's own: a region sees only what lies outside them, and may be nil.
	Region Region
}

// Offsets in the type 0 header (PCI 3.0 6.1).
const (
	offCommand  = 0x04
	offStatus   = 0x06
	offBARs     = 0x10
	offCapList  = 0x34
	offLine     = 0x3C
	offPin      = 0x3D
	headerBytes = 0x40
)

// Bits of the command register (PCI 3.0 6.2.2).
const (
	CommandIO          = 1 << 0
	CommandMemory      = 1 << 1
	CommandMaster      = 1 << 2
	commandParity      = 1 << 6
	commandSERR        = 1 << 8
	CommandINTxDisable = 1 << 10
)

// Bits of the status register (PCI 3.0 6.2.3).
const (
	statusINTx     = 1 << 3
	statusCapList  = 1 << 4
	statusSERR     = 1 << 14
	statusErrors   = 0xF900 // parity, aborts, signalled and detected errors
	maxRegionBytes = 1 << 31
)

func (f *Function) buildHeader(id ID, bars []BAR) error {
	s := &f.space
	s.set16(0x00, id.Vendor)
	s.set16(0x02, id.Device)
	s.set32(0x08, id.Class<<8|uint32(id.Revision))
	if id.Multifunction {
		s.now[0x0E] = 0x80
	}
	s.set16(0x2C, id.SubsystemVendor)
	s.set16(0x2E, id.SubsystemDevice)
	s.now[offPin] = id.Pin
	s.writable[0x0C] = 0xFF // cache line size, of no effect in PCIe
	s.writable[offLine] = 0xFF
	or16(&s.writable, offCommand, CommandMemory|CommandMaster|commandParity|commandSERR|CommandINTxDisable)
	or16(&s.clears, offStatus, statusErrors)
	for i := range headerBytes {
		s.used[i] = true
	}
	for _, b := range bars {
		if err := f.buildBAR(b); err != nil {
			return err
		}
	}
	return nil
}

func (f *Function) buildBAR(b BAR) error {
	last := b.Index
	if b.Wide {
		last++
	}
	if b.Index < 0 || last >= len(f.bars) || f.bars[b.Index].bytes > 0 || f.bars[last].upper || f.bars[b.Index].upper || f.bars[last].bytes > 0 {
		return fmt.Errorf("pci: base address register %d is taken or does not exist", b.Index)
	}
	least := uint32(16)
	if b.IO {
		least = 4
	}
	if b.Bytes < least || b.Bytes > maxRegionBytes || b.Bytes&(b.Bytes-1) != 0 || b.IO && b.Wide {
		return fmt.Errorf("pci: base address register %d cannot decode %d bytes", b.Index, b.Bytes)
	}
	f.bars[b.Index] = window{bytes: b.Bytes, io: b.IO, region: b.Region}
	s, off := &f.space, offBARs+4*b.Index
	or32(&s.writable, off, ^(b.Bytes - 1))
	var flags uint32
	if b.IO {
		flags = 1
		or16(&s.writable, offCommand, CommandIO)
	}
	if b.Wide {
		flags |= 4
		f.bars[last].upper = true
		or32(&s.writable, off+4, ^uint32(0))
	}
	if b.Prefetchable {
		flags |= 8
	}
	s.set32(off, flags)
	return nil
}
