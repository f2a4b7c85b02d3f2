package i82599

import (
	"encoding/binary"

	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/parse"
)

const (
	numAddresses = 128 // RAL/RAH pairs (8.2.3.7.8)

	broadcast = 0xFFFF_FFFF_FFFF
	// noAddress stands for the address of a RAL/RAH pair that is not valid; no
	// frame has it.
	noAddress = 1 << 63
)

// Bits of FCTRL (8.2.3.7.1), VLNCTRL (8.2.3.7.2), MCSTCTRL (8.2.3.7.3) and RAH
// (8.2.3.7.9).
const (
	fctrlSBP = 1 << 1
	fctrlMPE = 1 << 8
	fctrlUPE = 1 << 9
	fctrlBAM = 1 << 10

	mcstctrlMFE = 1 << 2

	rahAV = 1 << 31

	vlnctrlCFI   = 1 << 28
	vlnctrlCFIEN = 1 << 29
	vlnctrlVFE   = 1 << 30
)

// l2Filters decides which frames the port accepts (7.1.1), as the registers
// say. Addresses are 48-bit numbers with the first byte on the wire lowest, as
// RAL and RAH hold them.
type l2Filters struct {
	unicastPromiscuous, multicastPromiscuous, broadcasts bool

	first  uint64      // the address of pair 0, most often the only one
	exact  [256]uint64 // the addresses of all valid pairs, hashed; 0 is free
	low    [numAddresses]uint32
	high   [numAddresses]uint32
	hashed bool // MTA is in use
	shift  uint8
	mta    [128]uint32

	vlanFilter bool
	cfi        uint16 // what the CFI bit must be ...
	cfiMask    uint16 // ... if it matters
	vfta       [128]uint32
}

// accept says whether the port takes the frame: DropNone, or why not.
func (f *l2Filters) accept(b []byte, h *parse.Headers) nicsim.Drop {
	if len(b) < 14 {
		return nicsim.DropRxTooShort
	}
	dst := uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32
	if dst != f.first && !f.admits(dst) {
		return nicsim.DropRxMACFilter
	}
	if f.vlanFilter && tagged(h) && !f.member(h.InnerTCI) {
		return nicsim.DropRxVLANFilter
	}
	return nicsim.DropNone
}

// tagged says whether the frame has the tag that filters look at: in double
// VLAN mode an outer tag alone is none (7.4.5).
func tagged(h *parse.Headers) bool {
	k := h.Kind & (parse.Tagged | parse.DoubleTagged | parse.ExtendedVLAN)
	return k == parse.Tagged || k&parse.DoubleTagged != 0
}

// admits applies the address filters (7.1.1.1).
func (f *l2Filters) admits(dst uint64) bool {
	if dst&1 == 0 {
		return f.unicastPromiscuous || f.isExact(dst)
	}
	if f.multicastPromiscuous {
		return true
	}
	if dst == broadcast {
		return f.broadcasts || f.isExact(dst)
	}
	if f.hashed {
		n := dst >> f.shift & 0xFFF
		if f.mta[n>>5]>>(n&31)&1 != 0 {
			return true
		}
	}
	return f.isExact(dst)
}

// exactSlot is where the search for an address begins.
func exactSlot(dst uint64) uint8 { return uint8(dst * 0x9E3779B97F4A7C15 >> 56) }

func (f *l2Filters) isExact(dst uint64) bool {
	for i := exactSlot(dst); f.exact[i] != 0; i++ {
		if f.exact[i] == dst {
			return true
		}
	}
	return false
}

// member applies the VLAN filter (7.1.1.2).
func (f *l2Filters) member(tci uint16) bool {
	id := tci & 0xFFF
	return tci&f.cfiMask == f.cfi && f.vfta[id>>5]>>(id&31)&1 != 0
}

func (f *l2Filters) setFCTRL(v uint32) {
	f.multicastPromiscuous = v&fctrlMPE != 0
	f.unicastPromiscuous = v&fctrlUPE != 0
	f.broadcasts = v&fctrlBAM != 0
}

func (f *l2Filters) setRAL(i int, v uint32) {
	f.low[i] = v
	f.compileAddresses()
}

func (f *l2Filters) setRAH(i int, v uint32) {
	f.high[i] = v
	f.compileAddresses()
}

// address returns the address of pair i, and whether it is valid.
func (f *l2Filters) address(i int) (uint64, bool) {
	return uint64(f.low[i]) | uint64(f.high[i]&0xFFFF)<<32, f.high[i]&rahAV != 0
}

// compileAddresses fills the hash of exact addresses. It is never more than
// half full. The address 00:00:00:00:00:00 cannot be in it and is never
// matched exactly.
func (f *l2Filters) compileAddresses() {
	f.exact = [256]uint64{}
	f.first = noAddress
	for i := range f.low {
		addr, ok := f.address(i)
		if !ok || addr == 0 || f.isExact(addr) {
			continue
		}
		if i == 0 {
			f.first = addr
		}
		at := exactSlot(addr)
		for f.exact[at] != 0 {
			at++
		}
		f.exact[at] = addr
	}
}

func (f *l2Filters) setMCSTCTRL(v uint32) {
	f.hashed = v&mcstctrlMFE != 0
	f.shift = [4]uint8{36, 35, 34, 32}[v&3]
}

func (f *l2Filters) setMTA(i int, v uint32) { f.mta[i] = v }

func (f *l2Filters) setVLNCTRL(v uint32) {
	f.vlanFilter = v&vlnctrlVFE != 0
	f.cfi, f.cfiMask = 0, 0
	if v&vlnctrlCFIEN != 0 {
		f.cfiMask = 1 << 12
		if v&vlnctrlCFI != 0 {
			f.cfi = 1 << 12
		}
	}
}

func (f *l2Filters) setVFTA(i int, v uint32) { f.vfta[i] = v }
