package i82599

import "math/bits"

// flowTuple is what Flow Director compares and hashes (7.1.2.7.16, table 7-9):
// source address in words 0 and 1, destination address in words 2 and 3 (IPv4
// in the low half of the second word), ports, VLAN tag and flexible bytes in
// word 4, pool and flow type in word 5. As a mask it has ones where bits count.
type flowTuple [6]uint64

func (t *flowTuple) setLast(ports uint32, vlan, flex uint16, pool, flow uint8) {
	t[4] = uint64(ports)<<32 | uint64(vlan)<<16 | uint64(flex)
	t[5] = uint64(pool)<<8 | uint64(flow)
}

func (t *flowTuple) masked(keep *flowTuple) flowTuple {
	return flowTuple{t[0] & keep[0], t[1] & keep[1], t[2] & keep[2], t[3] & keep[3], t[4] & keep[4], t[5] & keep[5]}
}

// flowHash computes the two hashes of a tuple, for the keys FDIRHKEY and
// FDIRSKEY: the bucket in the low half of a word and the signature in the high
// half. The hash adds (in GF(2)) shifted pieces of a 336-bit circular string,
// chosen by a 32-bit key, so it depends only on the exclusive or of the
// string's 32-bit words and, with other shifts, on the word at its seam. Both
// are looked up by byte.
type flowHash struct {
	common, seam [4][256]uint32
}

func (f *flowHash) setKeys(bucket, signature uint32) {
	for i := range f.common {
		for v := 1; v < 256; v++ {
			lowest := v & -v
			if v == lowest {
				bit := 8*i + bits.TrailingZeros(uint(v))
				f.common[i][v] = spread(bucket, bit, false) | spread(signature, bit, false)<<16
				f.seam[i][v] = spread(bucket, bit, true) | spread(signature, bit, true)<<16
				continue
			}
			f.common[i][v] = f.common[i][lowest] ^ f.common[i][v^lowest]
			f.seam[i][v] = f.seam[i][lowest] ^ f.seam[i][v^lowest]
		}
	}
}

// spread returns the 16-bit hash of one bit of a word: hash bit j takes it if
// the key bit is set that the string's shift by j brings to it. The word at the
// seam occurs at both ends of the string, where 15 bits of it are cut off.
func spread(key uint32, bit int, seam bool) uint32 {
	var hash uint32
	for j := range 16 {
		d := bit - j
		if !seam {
			hash ^= key >> ((d + 16) & 31) & 1 << j
			continue
		}
		if d <= 15 {
			hash ^= key >> (d + 16) & 1 << j
		}
		if d >= 1 {
			hash ^= key >> d & 1 << j
		}
	}
	return hash
}

// of hashes a masked tuple.
func (f *flowHash) of(t *flowTuple) (bucket, signature uint16) {
	addresses := t[0] ^ t[1] ^ t[2] ^ t[3]
	c := uint32(addresses>>32) ^ uint32(addresses) ^ uint32(t[4]>>32) ^ uint32(t[4])<<16
	s := uint32(t[5])<<16 | uint32(t[4])>>16
	h := f.common[0][uint8(c)] ^ f.common[1][uint8(c>>8)] ^ f.common[2][uint8(c>>16)] ^ f.common[3][uint8(c>>24)] ^
		f.seam[0][uint8(s)] ^ f.seam[1][uint8(s>>8)] ^ f.seam[2][uint8(s>>16)] ^ f.seam[3][uint8(s>>24)]
	return uint16(h), uint16(h >> 16)
}
