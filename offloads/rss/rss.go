// Package rss computes the receive side scaling hash: Microsoft's Toeplitz
// hash over addresses and ports (82599 datasheet 7.1.2.8).
//
// A Key is built once for its 40 bytes and then only read, so that it can be
// shared. Hash never panics and never allocates, given what parse.Frame said of
// the very frame.
package rss

import (
	"encoding/binary"

	"nicsim.dev/offloads/parse"
)

// Types is a set of hash functions, laid out as bits 31:16 of MRQC (82599
// datasheet 8.2.3.7.12).
//
// Differs: that datasheet reserves the bits of the three Ex functions, which
// drivers set all the same. They do here what its predecessor documents (82598
// datasheet 3.5.2.10): a Home Address option gives the source address, a type 2
// routing header the destination.
type Types uint16

const (
	TCPv4 Types = 1 << iota
	IPv4
	TCPv6Ex
	IPv6Ex
	IPv6
	TCPv6
	UDPv4
	UDPv6
	UDPv6Ex
)

// Type says which function gave a hash, as the RSS type of an advanced receive
// descriptor does (82599 datasheet 7.1.6.2).
type Type uint8

const (
	TypeNone Type = iota
	TypeTCPv4
	TypeIPv4
	TypeTCPv6
	TypeIPv6Ex
	TypeIPv6
	TypeTCPv6Ex
	TypeUDPv4
	TypeUDPv6
	TypeUDPv6Ex
)

const (
	keyBytes   = 40
	inputWords = 9 // two IPv6 addresses and two ports, the longest input, in words of 4 bytes
)

// Key is a hash key made ready: for each byte of each word of the input, what
// each of its values adds to the hash.
type Key struct {
	table [inputWords][4][256]uint32
}

// NewKey makes a key ready, in RSSRK's order of bytes (82599 datasheet
// 8.2.3.7.14): k[0] meets the first byte of the input.
func NewKey(k [keyBytes]byte) *Key {
	key := new(Key)
	for i := range inputWords * 4 {
		// Bit n of the input byte, from the top, adds the 32 key bits that
		// start n bits later.
		window := uint64(binary.BigEndian.Uint32(k[i:]))<<8 | uint64(k[i+4])
		row := &key.table[i/4][i%4]
		for bit := range 8 {
			row[0x80>>bit] = uint32(window >> (8 - bit))
		}
		for v := 1; v < 256; v++ {
			lowest := v & -v
			row[v] = row[lowest] ^ row[v^lowest]
		}
	}
	return key
}

// Hash returns the hash of frame b by the first enabled function that fits it,
// ports before addresses alone, and which one that was; TypeNone and 0 if none
// fits. A fragment is hashed by its addresses only, even if it holds the ports.
// h is what parse.Frame said of b.
func (k *Key) Hash(b []byte, h *parse.Headers, enabled Types) (hash uint32, t Type) {
	switch {
	case h.Kind&parse.IPv4 != 0:
		switch {
		case h.Kind&parse.TCP != 0 && enabled&TCPv4 != 0:
			t = TypeTCPv4
		case h.Kind&parse.UDP != 0 && enabled&UDPv4 != 0:
			t = TypeUDPv4
		case enabled&IPv4 != 0:
			t = TypeIPv4
		default:
			return 0, TypeNone
		}
		addresses := (*[8]byte)(b[h.L3+12:])
		if t == TypeIPv4 {
			return k.Addresses(addresses), t
		}
		hash = k.Addresses(addresses) ^ k.word(2, binary.BigEndian.Uint32(b[h.L4:]))
		return hash, t
	case h.Kind&parse.IPv6 != 0:
		return k.hash6(b, h, enabled)
	}
	return 0, TypeNone
}

// Flow hashes IPv4 addresses and ports as they stand in a frame, one after the
// other.
func (k *Key) Flow(b *[12]byte) uint32 {
	t := &k.table // three sums, so that none waits for the others
	src := t[0][0][b[0]] ^ t[0][1][b[1]] ^ t[0][2][b[2]] ^ t[0][3][b[3]]
	dst := t[1][0][b[4]] ^ t[1][1][b[5]] ^ t[1][2][b[6]] ^ t[1][3][b[7]]
	ports := t[2][0][b[8]] ^ t[2][1][b[9]] ^ t[2][2][b[10]] ^ t[2][3][b[11]]
	return src ^ dst ^ ports
}

// Addresses hashes IPv4 addresses as they stand in a frame.
func (k *Key) Addresses(b *[8]byte) uint32 {
	t := &k.table
	return t[0][0][b[0]] ^ t[0][1][b[1]] ^ t[0][2][b[2]] ^ t[0][3][b[3]] ^
		t[1][0][b[4]] ^ t[1][1][b[5]] ^ t[1][2][b[6]] ^ t[1][3][b[7]]
}

func (k *Key) hash6(b []byte, h *parse.Headers, enabled Types) (hash uint32, t Type) {
	switch {
	case h.Kind&parse.TCP != 0 && enabled&TCPv6Ex != 0:
		t = TypeTCPv6Ex
	case h.Kind&parse.TCP != 0 && enabled&TCPv6 != 0:
		t = TypeTCPv6
	case h.Kind&parse.UDP != 0 && enabled&UDPv6Ex != 0:
		t = TypeUDPv6Ex
	case h.Kind&parse.UDP != 0 && enabled&UDPv6 != 0:
		t = TypeUDPv6
	case enabled&IPv6Ex != 0:
		t = TypeIPv6Ex
	case enabled&IPv6 != 0:
		t = TypeIPv6
	default:
		return 0, TypeNone
	}
	src, dst := int(h.L3)+8, int(h.L3)+24
	const ex = 1<<TypeTCPv6Ex | 1<<TypeUDPv6Ex | 1<<TypeIPv6Ex
	if h.Kind&parse.Rerouted != 0 && 1<<t&ex != 0 {
		src, dst = rerouted(b, h)
	}
	for i := range 4 {
		hash ^= k.word(i, binary.BigEndian.Uint32(b[src+4*i:])) ^ k.word(4+i, binary.BigEndian.Uint32(b[dst+4*i:]))
	}
	if t != TypeIPv6 && t != TypeIPv6Ex {
		hash ^= k.word(8, binary.BigEndian.Uint32(b[h.L4:]))
	}
	return hash, t
}

// word hashes word i of the input.
func (k *Key) word(i int, v uint32) uint32 {
	t := &k.table[i]
	return t[0][v>>24] ^ t[1][uint8(v>>16)] ^ t[2][uint8(v>>8)] ^ t[3][uint8(v)]
}
