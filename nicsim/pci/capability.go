package pci

import (
	"encoding/binary"
	"fmt"
)

// Capability is one entry of a function's capability lists: PM, MSI, MSIX,
// Express, VPD, AER, SerialNumber, ARI. At is its offset in configuration space.
type Capability interface {
	// shape returns the identity, the offset, the length in bytes and, for an
	// extended capability, the version.
	shape() (id uint16, at, bytes int, version uint8)
	build(f *Function) error
}

// link places the capabilities and chains them in the order given.
func (f *Function) link(caps []Capability) error {
	s := &f.space
	previous, previousExtended := 0, 0
	for _, c := range caps {
		id, at, n, version := c.shape()
		low, high := headerBytes, 0x100
		if version > 0 {
			low, high = 0x100, ConfigBytes
		}
		if at%4 != 0 || at < low || at+n > high {
			return fmt.Errorf("pci: capability %#x of %d bytes does not fit at %#x", id, n, at)
		}
		for i := at; i < at+n; i++ {
			if s.used[i] {
				return fmt.Errorf("pci: capability %#x at %#x overlaps another", id, at)
			}
			s.used[i] = true
		}
		if version == 0 {
			s.now[at] = byte(id)
			if previous == 0 {
				s.now[offCapList] = byte(at)
				s.bits(offStatus, statusCapList, true)
			} else {
				s.now[previous+1] = byte(at)
			}
			previous = at
		} else {
			if previousExtended == 0 && at != 0x100 {
				return fmt.Errorf("pci: the first extended capability is at %#x, not at 0x100", at)
			}
			s.set32(at, uint32(id)|uint32(version)<<16)
			if previousExtended > 0 {
				s.set32(previousExtended, s.get32(previousExtended)&0xFFFFF|uint32(at)<<20)
			}
			previousExtended = at
		}
		if err := c.build(f); err != nil {
			return err
		}
	}
	return nil
}

// PM is power management with states D0 and D3hot (PCI PM 1.2 3.2).
type PM struct {
	At int
	// NoSoftReset says that the way from D3hot to D0 does not reset the function.
	NoSoftReset bool
	// Capabilities is the PMC register, version included.
	Capabilities uint16
	// Status holds read-only bits of PMCSR, such as the data scale.
	Status uint16
}

func (c PM) shape() (uint16, int, int, uint8) { return 0x01, c.At, 8, 0 }

func (c PM) build(f *Function) error {
	s, v := &f.space, c.Status
	if c.NoSoftReset {
		v |= pmNoSoftReset
	}
	s.set16(c.At+2, c.Capabilities)
	s.set16(c.At+4, v)
	or16(&s.writable, c.At+4, pmState|pmeEnable)
	or16(&s.clears, c.At+4, pmeStatus)
	or16(&s.sticky, c.At+4, pmeEnable|pmeStatus)
	f.pm = c.At
	return nil
}

// Bits of PMCSR (PCI PM 1.2 3.2.4).
const (
	pmState       = 0x3
	pmD3hot       = 0x3
	pmNoSoftReset = 1 << 3
	pmeEnable     = 1 << 8
	pmeStatus     = 1 << 15
)

// Express is the PCI Express capability, version 2, of an endpoint (PCIe 3.0
// 7.8). Fields are initial register values; what software may change of them is
// fixed by the specification.
type Express struct {
	At                  int
	DeviceCapabilities  uint32
	DeviceControl       uint16
	LinkCapabilities    uint32
	LinkStatus          uint16
	DeviceCapabilities2 uint32
	LinkCapabilities2   uint32
	LinkControl2        uint16
}

// Offsets inside the PCI Express capability, and bits.
const (
	expDeviceCap     = 0x04
	expDeviceControl = 0x08
	expDeviceStatus  = 0x0A
	expLinkCap       = 0x0C
	expLinkControl   = 0x10
	expLinkStatus    = 0x12
	expDeviceCap2    = 0x24
	expDeviceCtl2    = 0x28
	expLinkCap2      = 0x2C
	expLinkControl2  = 0x30

	capFLR         = 1 << 28
	controlFLR     = 1 << 15
	controlPayload = 7 << 5
	statusPending  = 1 << 5
)

func (c Express) shape() (uint16, int, int, uint8) { return 0x10, c.At, 0x3C, 0 }

func (c Express) build(f *Function) error {
	s := &f.space
	s.set16(c.At+2, 0x0002) // version 2, endpoint
	s.set32(c.At+expDeviceCap, c.DeviceCapabilities)
	s.set16(c.At+expDeviceControl, c.DeviceControl)
	s.set32(c.At+expLinkCap, c.LinkCapabilities)
	s.set16(c.At+expLinkStatus, c.LinkStatus)
	s.set32(c.At+expDeviceCap2, c.DeviceCapabilities2)
	s.set32(c.At+expLinkCap2, c.LinkCapabilities2)
	s.set16(c.At+expLinkControl2, c.LinkControl2)

	control := uint16(0x78FF) // all but extended tags, phantom functions, auxiliary power
	if c.DeviceCapabilities&capFLR != 0 {
		control |= controlFLR
	}
	or16(&s.writable, c.At+expDeviceControl, control)
	or16(&s.keptByFLR, c.At+expDeviceControl, controlPayload)
	or16(&s.clears, c.At+expDeviceStatus, 0xF)
	or16(&s.writable, c.At+expLinkControl, 0x00CB) // ASPM, RCB, common clock, extended synch
	or16(&s.keptByFLR, c.At+expLinkControl, 0x00CB)
	or16(&s.writable, c.At+expDeviceCtl2, 0x001F) // completion timeout
	or16(&s.writable, c.At+expLinkControl2, 0x003F)
	or16(&s.sticky, c.At+expLinkControl2, 0x003F)
	f.express = c.At
	return nil
}

// VPD lets software read the vital product data (PCI 3.0 appendix I). Data is
// shared with the caller; writes are ignored.
type VPD struct {
	At   int
	Data []byte
}

const vpdFlag = 0x8000

func (c VPD) shape() (uint16, int, int, uint8) { return 0x03, c.At, 8, 0 }

func (c VPD) build(f *Function) error {
	or16(&f.space.writable, c.At+2, 0xFFFF)
	f.vpd, f.vpdData = c.At, c.Data
	return nil
}

// readVPD answers a request for the four bytes at the address that was written:
// the flag turns one when they are there.
func (f *Function) readVPD() {
	s := &f.space
	at := s.get16(f.vpd + 2)
	if at&vpdFlag != 0 {
		s.bits(f.vpd+2, vpdFlag, false) // a write has ended
		return
	}
	var b [4]byte
	if int(at) < len(f.vpdData) {
		copy(b[:], f.vpdData[at:])
	}
	s.set32(f.vpd+4, binary.LittleEndian.Uint32(b[:]))
	s.bits(f.vpd+2, vpdFlag, true)
}

// SerialNumber is the device serial number (PCIe 3.0 7.12).
type SerialNumber struct {
	At     int
	Serial uint64
}

func (c SerialNumber) shape() (uint16, int, int, uint8) { return 0x0003, c.At, 12, 1 }

func (c SerialNumber) build(f *Function) error {
	f.space.set32(c.At+4, uint32(c.Serial))
	f.space.set32(c.At+8, uint32(c.Serial>>32))
	return nil
}

// ARI is the alternative routing-ID interpretation (PCIe 3.0 7.23).
type ARI struct {
	At           int
	NextFunction uint8
}

func (c ARI) shape() (uint16, int, int, uint8) { return 0x000E, c.At, 8, 1 }

func (c ARI) build(f *Function) error {
	f.space.set16(c.At+4, uint16(c.NextFunction)<<8)
	return nil
}
