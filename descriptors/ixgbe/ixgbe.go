// Package ixgbe holds the descriptor formats of the Intel 82599, bit for bit
// (82599 datasheet 7.1.5, 7.1.6 and 7.2.3.2). All are 16 bytes, little-endian.
//
// Each format is a value type with a ParseX function and a Put method. Names
// are the datasheet's. Flags and codes of one descriptor word are one type,
// whose constants stand at their place in the word and are or-ed together;
// lengths and addresses are fields. Put masks every field to its width, so
// that none spills into its neighbour, and writes zero to reserved bits;
// Parse ignores reserved bits. A receive format has no illegal bytes; a
// transmit format returns ErrKind when DEXT and DTYP name another one.
//
// No struct here has more than four fields, so that the compiler keeps a
// parsed descriptor in registers.
//
// Ownership passes with the DD bit. Put stores plainly; Publish stores the
// word that holds DD last and atomically. A batch needs only one atomic
// store: Put every descriptor but the first, then Publish the first, because
// a driver looks at them in ring order.
package ixgbe

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"unsafe"
)

// Size is the size in bytes of every descriptor.
const Size = 16

// ErrKind reports bytes that hold a transmit descriptor of another kind.
var ErrKind = errors.New("ixgbe: transmit descriptor of another kind")

// Kind tells transmit descriptors apart by DEXT and DTYP (82599 datasheet
// 7.2.3.2).
type Kind uint8

const (
	KindUnknown Kind = iota // DEXT set, DTYP neither context nor data
	KindLegacy              // DEXT clear
	KindContext             // DTYP 0010b
	KindData                // DTYP 0011b
)

const (
	dext        = 1 << 29 // of the second word
	dtypContext = 2 << 20
	dtypData    = 3 << 20
	kindMask    = dext | 0xF<<20
)

// TxKind tells which transmit format b holds.
func TxKind(b *[16]byte) Kind {
	switch w := binary.LittleEndian.Uint32(b[8:]) & kindMask; {
	case w == dext|dtypData:
		return KindData
	case w == dext|dtypContext:
		return KindContext
	case w&dext == 0:
		return KindLegacy
	}
	return KindUnknown
}

func (k Kind) String() string {
	switch k {
	case KindLegacy:
		return "legacy"
	case KindContext:
		return "context"
	case KindData:
		return "data"
	}
	return "unknown"
}

// publish64 stores the second word of b atomically. Rings are aligned to 128
// bytes in guest memory; bytes that are not aligned in the host (a test's
// array) have no concurrent reader and are stored plainly.
func publish64(b *[16]byte, w uint64) {
	p := unsafe.Pointer(&b[8])
	if uintptr(p)&7 != 0 {
		binary.LittleEndian.PutUint64(b[8:], w)
		return
	}
	var le [8]byte
	binary.LittleEndian.PutUint64(le[:], w)
	atomic.StoreUint64((*uint64)(p), binary.NativeEndian.Uint64(le[:]))
}

// load32 loads the little-endian word at b[off], atomically where aligned.
func load32(b *[16]byte, off int) uint32 {
	p := unsafe.Pointer(&b[off&12])
	if uintptr(p)&3 != 0 {
		return binary.LittleEndian.Uint32(b[off&12:])
	}
	var native [4]byte
	binary.NativeEndian.PutUint32(native[:], atomic.LoadUint32((*uint32)(p)))
	return binary.LittleEndian.Uint32(native[:])
}

// TxDone reports whether the transmit descriptor b has been written back:
// STA.DD is at the same place in the legacy and the advanced format (82599
// datasheet 7.2.3.2.2 and 7.2.3.2.4).
func TxDone(b *[16]byte) bool { return load32(b, 12)&uint32(TxDD>>32) != 0 }

// PublishTx writes a transmit descriptor back: it sets STA.DD atomically and
// leaves every other bit. Differs: the advanced write-back calls the other
// bits reserved; keeping what the driver wrote is one legal content of them.
func PublishTx(b *[16]byte) {
	p := unsafe.Pointer(&b[12])
	w := binary.LittleEndian.Uint32(b[12:]) | uint32(TxDD>>32)
	if uintptr(p)&3 != 0 {
		binary.LittleEndian.PutUint32(b[12:], w)
		return
	}
	var le [4]byte
	binary.LittleEndian.PutUint32(le[:], w)
	atomic.StoreUint32((*uint32)(p), binary.NativeEndian.Uint32(le[:]))
}

// PublishRx stores the second word of a receive write-back, which holds DD, last
// and atomically.
func PublishRx(b *[16]byte, word uint64) { publish64(b, word) }

// LegacyRxDone reports whether the legacy receive descriptor b has been
// written back.
func LegacyRxDone(b *[16]byte) bool { return load32(b, 12)&uint32(LegacyDD) != 0 }

// AdvRxDone reports whether the advanced receive descriptor b has been
// written back.
func AdvRxDone(b *[16]byte) bool { return load32(b, 8)&uint32(RxDD) != 0 }
