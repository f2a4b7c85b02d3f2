package ktls

import (
	"encoding/binary"
	"math/bits"
)

const polyBlockBytes = 16

// poly1305 is the code of that name (RFC 8439 2.5), fed in pieces. x/crypto's allocates for
// each text.
type poly1305 struct {
	r    [2]uint64 // the factor
	s    [2]uint64 // is added in the end
	h    [3]uint64 // the sum, below 2^131
	part [polyBlockBytes]byte
	at   int // bytes of the block at hand
}

// reset starts a text with a key of its own.
func (p *poly1305) reset(key *[32]byte) {
	*p = poly1305{
		r: [2]uint64{binary.LittleEndian.Uint64(key[:]) & 0x0ffffffc0fffffff, binary.LittleEndian.Uint64(key[8:]) & 0x0ffffffc0ffffffc},
		s: [2]uint64{binary.LittleEndian.Uint64(key[16:]), binary.LittleEndian.Uint64(key[24:])},
	}
}

// block takes one whole block: h = (h + block + 2^128) * r, modulo 2^130 - 5.
func (p *poly1305) block(lo, hi uint64) {
	h0, c := bits.Add64(p.h[0], lo, 0)
	h1, c := bits.Add64(p.h[1], hi, c)
	h2 := p.h[2] + 1 + c // a few bits

	// The product, column by column. A factor is below 2^60, so no column overflows.
	var t [4]uint64
	t[1], t[0] = bits.Mul64(h0, p.r[0])
	m2, m1 := bits.Mul64(h0, p.r[1])
	t[1], c = bits.Add64(t[1], m1, 0)
	t[2] = m2 + c
	m2, m1 = bits.Mul64(h1, p.r[0])
	t[1], c = bits.Add64(t[1], m1, 0)
	t[2], t[3] = bits.Add64(t[2], m2, c)
	m2, m1 = bits.Mul64(h1, p.r[1])
	t[2], c = bits.Add64(t[2], m1, 0)
	t[3] += m2 + c
	t[2], c = bits.Add64(t[2], h2*p.r[0], 0)
	t[3] += h2*p.r[1] + c

	// What is at 2^130 and above counts five times: four times as it lies from bit 2 on,
	// and once more.
	high, top := t[2]&^3, t[3]
	h0, c = bits.Add64(t[0], high, 0)
	h1, c = bits.Add64(t[1], top, c)
	h2 = t[2]&3 + c
	h0, c = bits.Add64(h0, high>>2|top<<62, 0)
	h1, c = bits.Add64(h1, top>>2, c)
	p.h = [3]uint64{h0, h1, h2 + c}
}

// write takes bytes.
func (p *poly1305) write(b []byte) {
	if p.at > 0 {
		n := copy(p.part[p.at:], b)
		p.at += n
		b = b[n:]
		if p.at < polyBlockBytes {
			return
		}
		p.pad()
	}
	for len(b) >= polyBlockBytes {
		p.block(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
		b = b[polyBlockBytes:]
	}
	p.at = copy(p.part[:], b)
}

// pad completes a block that is begun with zeros (RFC 8439 2.8): all blocks are whole.
func (p *poly1305) pad() {
	if p.at > 0 {
		clear(p.part[p.at:])
		p.block(binary.LittleEndian.Uint64(p.part[:]), binary.LittleEndian.Uint64(p.part[8:]))
		p.at = 0
	}
}

// sum returns the code of what was written.
func (p *poly1305) sum() (lo, hi uint64) {
	// h or h - (2^130 - 5), whichever is in range: the latter if h + 5 reaches 2^130.
	h0, h1 := p.h[0], p.h[1]
	g0, c := bits.Add64(h0, 5, 0)
	g1, c := bits.Add64(h1, 0, c)
	if p.h[2]+c >= 4 {
		h0, h1 = g0, g1
	}
	lo, c = bits.Add64(h0, p.s[0], 0)
	hi, _ = bits.Add64(h1, p.s[1], c)
	return lo, hi
}
