package ktls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// element is one of GF(2^128). Its bits are those of a block in their order: the first is the
// highest of hi and the coefficient of x^0 (NIST SP 800-38D 6.3).
type element struct{ hi, lo uint64 }

func elementOf(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (e element) put(b []byte) {
	binary.BigEndian.PutUint64(b, e.hi)
	binary.BigEndian.PutUint64(b[8:], e.lo)
}

// times is the product of two elements, bit by bit (NIST SP 800-38D 6.3). How long it takes
// does not depend on them.
func (e element) times(v element) (p element) {
	for _, word := range [2]uint64{e.hi, e.lo} {
		for range 64 {
			mask := -(word >> 63)
			word <<= 1
			p.hi ^= v.hi & mask
			p.lo ^= v.lo & mask
			// Times x; what leaves at the end comes back as x^128 = x^7 + x^2 + x + 1.
			carry := -(v.lo & 1)
			v.lo = v.lo>>1 | v.hi<<63
			v.hi = v.hi>>1 ^ carry&(0xe1<<56)
		}
	}
	return p
}

// inverse is what gives 1 when it is multiplied by the element: its power 2^128 - 2.
func (e element) inverse() element {
	p := element{hi: 1 << 63} // 1
	for range 127 {
		e = e.times(e)
		p = p.times(e)
	}
	return p
}

// ghash is GHASH (NIST SP 800-38D 6.4), fed in pieces. Go has it only within AES-GCM, where the
// tag of a text without anything encrypted, X, is (GHASH(X) + len(X)) * H + mask. Of that it
// is the way back to GHASH(X), and sums add up: what was hashed so far is added to the first
// block of what comes next.
type ghash struct {
	gmac    cipher.AEAD
	inverse element // of the hash key
	y       element
	nonce   [nonceBytes]byte
	mask    [TagBytes]byte // of the nonce
	tag     [TagBytes]byte
	part    [aes.BlockSize]byte // the block at hand
	at      int                 // its bytes so far
}

// begin starts a text.
func (g *ghash) begin(nonce *[nonceBytes]byte) {
	g.nonce, g.y, g.at = *nonce, element{}, 0
	// The hash of nothing is 0, so its tag is the mask (NIST SP 800-38D 7.1).
	g.gmac.Seal(g.mask[:0], g.nonce[:], nil, nil)
}

// blocks takes whole blocks, which it changes for the moment.
func (g *ghash) blocks(b []byte) {
	first := elementOf(b)
	element{first.hi ^ g.y.hi, first.lo ^ g.y.lo}.put(b)
	g.gmac.Seal(g.tag[:0], g.nonce[:], nil, b)
	first.put(b)
	subtle.XORBytes(g.tag[:], g.tag[:], g.mask[:])
	g.y = elementOf(g.tag[:]).times(g.inverse)
	g.y.hi ^= 8 * uint64(len(b))
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
	if whole := len(b) - len(b)%aes.BlockSize; whole > 0 {
		g.blocks(b[:whole])
		b = b[whole:]
	}
	g.at = copy(g.part[:], b)
}

// pad completes a block that is begun with zeros.
func (g *ghash) pad() {
	if g.at > 0 {
		clear(g.part[g.at:])
		g.blocks(g.part[:])
		g.at = 0
	}
}

// sum returns the tag of a text: the hash of it and of the sizes of both its parts, masked.
func (g *ghash) sum(aad, text uint64) (t [TagBytes]byte) {
	g.pad()
	element{8 * aad, 8 * text}.put(g.part[:])
	g.blocks(g.part[:])
	g.y.put(t[:])
	subtle.XORBytes(t[:], t[:], g.mask[:])
	return t
}
