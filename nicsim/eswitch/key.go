// Package eswitch steers frames in terms that hold for any adapter: a frame
// becomes a Key, tables of masked matches with priorities find the Rule for it,
// and the rule's actions say in order what happens. What an adapter offers its
// driver (registers, flow tables) is compiled into rules when it changes, so
// that nothing is interpreted frame by frame.
package eswitch

import (
	"encoding/binary"

	"nicsim.dev/offloads/parse"
)

// keyWords is the size of a Key in 64-bit words: one cache line.
const keyWords = 8

// Key is the header vector of a frame, and also a mask over one. Bits that no
// field covers are zero.
type Key [keyWords]uint64

// Field is a part of a Key. A field that a frame does not have is zero in its
// Key; Kind tells absent from zero.
type Field uint8

const (
	DstMAC    Field = iota // 48 bits
	SrcMAC                 // 48 bits
	EtherType              // 16 bits, after all tags
	Kind                   // 32 bits, parse.Kind
	OuterTCI               // 16 bits, of a double-tagged frame
	InnerTCI               // 16 bits, of the tag next to the EtherType
	Proto                  // 8 bits, upper-layer protocol
	TCPFlags               // 8 bits, CWR to FIN
	SrcIPHigh              // 64 bits of an IPv6 address
	SrcIP                  // the other 64 bits of it, or an IPv4 address
	DstIPHigh
	DstIP
	SrcPort // 16 bits, TCP, UDP and SCTP
	DstPort // 16 bits

	numFields
)

// place is where a field lives in a Key.
type place struct {
	word, shift, bits uint8
}

var places = [numFields]place{
	DstMAC:    {0, 16, 48},
	EtherType: {0, 0, 16},
	SrcMAC:    {1, 16, 48},
	Proto:     {1, 8, 8},
	TCPFlags:  {1, 0, 8},
	Kind:      {2, 32, 32},
	OuterTCI:  {2, 16, 16},
	InnerTCI:  {2, 0, 16},
	SrcIPHigh: {3, 0, 64},
	SrcIP:     {4, 0, 64},
	DstIPHigh: {5, 0, 64},
	DstIP:     {6, 0, 64},
	SrcPort:   {7, 16, 16},
	DstPort:   {7, 0, 16},
}

// Set stores the low bits of v, as many as the field has.
func (k *Key) Set(f Field, v uint64) {
	p := places[f]
	mask := ^uint64(0) >> (64 - p.bits)
	k[p.word] = k[p.word]&^(mask<<p.shift) | v&mask<<p.shift
}

// Get returns a field.
func (k *Key) Get(f Field) uint64 {
	p := places[f]
	return k[p.word] >> p.shift & (^uint64(0) >> (64 - p.bits))
}

// Frame makes k the Key of a frame, h being what parse.Frame found in b.
func (k *Key) Frame(b []byte, h *parse.Headers) {
	*k = Key{2: uint64(h.Kind)<<32 | uint64(h.OuterTCI)<<16 | uint64(h.InnerTCI)}
	if len(b) < 14 {
		return
	}
	k[0] = binary.BigEndian.Uint64(b)&^0xFFFF | uint64(h.EtherType)
	k[1] = uint64(binary.BigEndian.Uint32(b[6:]))<<32 | uint64(binary.BigEndian.Uint16(b[10:]))<<16 | uint64(h.Proto)<<8
	switch {
	case h.Kind&parse.IPv4 != 0:
		ip := b[h.L3:][:20]
		k[4] = uint64(binary.BigEndian.Uint32(ip[12:]))
		k[6] = uint64(binary.BigEndian.Uint32(ip[16:]))
	case h.Kind&parse.IPv6 != 0:
		ip := b[h.L3:][:40]
		k[3] = binary.BigEndian.Uint64(ip[8:])
		k[4] = binary.BigEndian.Uint64(ip[16:])
		k[5] = binary.BigEndian.Uint64(ip[24:])
		k[6] = binary.BigEndian.Uint64(ip[32:])
	}
	if h.Kind&(parse.TCP|parse.UDP|parse.SCTP) != 0 {
		k[7] = uint64(binary.BigEndian.Uint32(b[h.L4:]))
		if h.Kind&parse.TCP != 0 {
			k[1] |= uint64(b[h.L4+13])
		}
	}
}
