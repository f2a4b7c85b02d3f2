package checksum

import (
	"encoding/binary"
	"math/bits"
)

// shortBytes is up to where adding 8 bytes a step beats gVisor's sum, which has
// more to prepare. The functions here add little-endian words, which gives the
// sum with its bytes swapped (RFC 1071 2.B).
const shortBytes = 128

// short adds at most shortBytes of b to acc. Words of 32 bits do not carry out
// of 64, so no addition waits for another's carry.
func short(b []byte, acc uint64) uint64 {
	if len(b) < 8 {
		for i, v := range b {
			acc += uint64(v) << (8 * (i & 1))
		}
		return acc
	}
	// The last one to eight bytes: the last eight, less those of the loop.
	tail := uint(len(b)-1)&7 + 1
	v := binary.LittleEndian.Uint64(b[len(b)-8:]) >> ((64 - 8*tail) & 63)
	low, high := acc+v&0xFFFFFFFF, v>>32
	for len(b) > 8 {
		v := binary.LittleEndian.Uint64(b)
		low += v & 0xFFFFFFFF
		high += v >> 32
		b = b[8:]
	}
	return low + high
}

// sum20 adds the bytes of an IPv4 header without options.
func sum20(b []byte) uint64 {
	b = b[:20]
	acc, carry := bits.Add64(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), 0)
	acc, carry = bits.Add64(acc, uint64(binary.LittleEndian.Uint32(b[16:])), carry)
	return acc + carry
}

// fold brings a sum to 16 bits.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xFFFFFFFF
	acc = acc>>16 + acc&0xFFFF // at most 17 bits and a carry more
	acc = acc>>16 + acc&0xFFFF
	return uint16(acc>>16 + acc)
}
