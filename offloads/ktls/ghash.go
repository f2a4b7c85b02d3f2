package ktls

import (
	"crypto/aes"
	"encoding/binary"
)

// element is one of GF(2^128). Its bits are those of a block in their order: the first is the
// highest of hi and the coefficient of x^0 (NIST SP 800-38D 6.3).
type element struct{ hi, lo uint64 }

// ghash is GHASH (NIST SP 800-38D 6.4), fed in pieces. The products of the hash key with each
// nibble at each place of a block are in a table of 8 KiB: a block costs 32 look-ups. They
// depend on the data: a neighbour on the host's processor could learn of it through the
// cache, as he could from all else that an emulator does.
type ghash struct {
	products [32][16]element
	y        element
	part     [aes.BlockSize]byte // of the block at hand
	at       int                 // its bytes so far
}

// init makes the table of a hash key.
func (g *ghash) init(h *[aes.BlockSize]byte) {
	v := element{binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])}
	for i := range 128 {
		g.products[i/4][8>>(i%4)] = v
		// Times x; what leaves at the end comes back as x^128 = x^7 + x^2 + x + 1.
		carry := v.lo & 1
		v = element{v.hi >> 1, v.lo>>1 | v.hi<<63}
		v.hi ^= carry * (0xe1 << 56)
	}
	for p := range g.products {
		row := &g.products[p]
		for n := range row {
			low := n & -n
			if n != low {
				row[n] = element{row[n-low].hi ^ row[low].hi, row[n-low].lo ^ row[low].lo}
			}
		}
	}
}

func (g *ghash) reset() { g.y, g.at = element{}, 0 }

// block takes one block.
func (g *ghash) block(hi, lo uint64) {
	hi ^= g.y.hi
	lo ^= g.y.lo
	var y element
	for p := range 16 {
		a, b := &g.products[p][hi>>60], &g.products[16+p][lo>>60]
		y.hi ^= a.hi ^ b.hi
		y.lo ^= a.lo ^ b.lo
		hi <<= 4
		lo <<= 4
	}
	g.y = y
}

// write takes bytes.
func (g *ghash) write(b []byte) {
	if g.at > 0 {
		n := copy(g.part[g.at:], b)
		g.at += n
		b = b[n:]
		if g.at < aes.BlockSize {
			return
		}
		g.pad()
	}
	for len(b) >= aes.BlockSize {
		g.block(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]))
		b = b[aes.BlockSize:]
	}
	g.at = copy(g.part[:], b)
}

// pad completes a block that is begun with zeros.
func (g *ghash) pad() {
	if g.at > 0 {
		clear(g.part[g.at:])
		g.block(binary.BigEndian.Uint64(g.part[:]), binary.BigEndian.Uint64(g.part[8:]))
		g.at = 0
	}
}
