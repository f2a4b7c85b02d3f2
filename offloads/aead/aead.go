// Package aead seals and opens texts where they lie, with the ciphers that IPsec, MACsec and
// TLS use and the short tags that IPsec allows.
package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Algorithm is a cipher that authenticates.
type Algorithm uint8

// The algorithms. AES-GMAC is AESGCM over a text of no bytes.
const (
	AESGCM           Algorithm = iota // NIST SP 800-38D; keys of 16, 24 or 32 bytes, tags of 8, 12 or 16
	ChaCha20Poly1305                  // RFC 8439; keys of 32 bytes, tags of 16
)

func (a Algorithm) String() string {
	switch a {
	case AESGCM:
		return "AES-GCM"
	case ChaCha20Poly1305:
		return "ChaCha20-Poly1305"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

const (
	// NonceBytes is the size of every nonce.
	NonceBytes = 12
	// MaxTagBytes is the size of a whole tag.
	MaxTagBytes = 16
)

// AEAD is an algorithm with a key. It holds no state of one text, but scratch memory: one
// goroutine uses it at a time.
type AEAD struct {
	whole    cipher.AEAD // with whole tags
	tagBytes int
	nonce    [NonceBytes]byte // of the text at hand; what is passed to an interface is on the heap
	scratch  []byte           // of a text whose tag is checked by sealing it again
}

// New returns an algorithm with a key, and tags of so many bytes.
func New(a Algorithm, key []byte, tagBytes int) (*AEAD, error) {
	c := &AEAD{tagBytes: tagBytes}
	var err error
	switch a {
	case AESGCM:
		if tagBytes != 8 && tagBytes != 12 && tagBytes != 16 {
			return nil, fmt.Errorf("aead: a tag of %d bytes: 8, 12 or 16 were expected (RFC 4106 6)", tagBytes)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("aead: a key of %d bytes: 16, 24 or 32 were expected", len(key))
		}
		if c.whole, err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	case ChaCha20Poly1305:
		if tagBytes != chacha20poly1305.Overhead {
			return nil, fmt.Errorf("aead: a tag of %d bytes: 16 were expected (RFC 7634 2)", tagBytes)
		}
		if c.whole, err = chacha20poly1305.New(key); err != nil {
			return nil, fmt.Errorf("aead: a key of %d bytes: 32 were expected", len(key))
		}
	default:
		return nil, fmt.Errorf("aead: there is no %v", a)
	}
	return c, nil
}

// TagBytes is the size of its tags.
func (c *AEAD) TagBytes() int { return c.tagBytes }

// Seal encrypts the text at the begin of frame and writes its tag behind it. What else is
// in frame keeps its bytes.
func (c *AEAD) Seal(nonce *[NonceBytes]byte, frame []byte, textBytes int, aad []byte) {
	end := textBytes + c.tagBytes
	if end > len(frame) {
		panic("aead: no room for the tag")
	}
	c.nonce = *nonce
	if c.tagBytes == MaxTagBytes {
		c.whole.Seal(frame[:0:end], c.nonce[:], frame[:textBytes], aad)
		return
	}
	sealed := c.whole.Seal(c.scratch[:0], c.nonce[:], frame[:textBytes], aad)
	c.scratch = sealed
	copy(frame, sealed[:end])
}

// Open decrypts the text at the begin of frame, whose tag follows it, and says whether the
// tag is that of the text and the additional data. If it is not, the text is cleared.
func (c *AEAD) Open(nonce *[NonceBytes]byte, frame []byte, textBytes int, aad []byte) bool {
	end := textBytes + c.tagBytes
	if end > len(frame) {
		panic("aead: no room for the tag")
	}
	c.nonce = *nonce
	if c.tagBytes == MaxTagBytes {
		_, err := c.whole.Open(frame[:0:textBytes], c.nonce[:], frame[:end], aad)
		if err != nil {
			clear(frame[:textBytes])
		}
		return err == nil
	}
	// Go has no tags of 8 bytes, and with those of 12 it writes beyond them when the last
	// block of a text is short (Go 1.26, amd64). Counter mode is its own inverse: sealing the
	// ciphertext gives the text, and sealing that gives the tag that the frame should have.
	s := c.whole.Seal(c.scratch[:0], c.nonce[:], frame[:textBytes], aad)
	s = c.whole.Seal(s[:0], c.nonce[:], s[:textBytes], aad)
	c.scratch = s
	if subtle.ConstantTimeCompare(s[textBytes:end], frame[textBytes:end]) == 0 {
		clear(frame[:textBytes])
		return false
	}
	c.whole.Seal(s[:0], c.nonce[:], frame[:textBytes], aad)
	copy(frame, s[:textBytes])
	return true
}
