package ipsec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"nicsim.dev/offloads/aead"
)

// Algorithm is how an association protects packets.
type Algorithm uint8

// The algorithms. The IV of each is 8 bytes that the packet carries, its nonce the salt
// and the IV.
const (
	AESGCM           Algorithm = iota // RFC 4106
	AESGMAC                           // RFC 4543: authenticates, and hides nothing
	ChaCha20Poly1305                  // RFC 7634
)

// Key is what both ends of an association share.
type Key struct {
	Algorithm Algorithm
	Secret    []byte // 16, 24 or 32 bytes; 32 for ChaCha20-Poly1305
	Salt      [4]byte
	TagBytes  int  // of the ICV: 8, 12 or 16; 16 but for AES-GCM
	ESN       bool // extended sequence numbers: 32 bits of one are authenticated and not sent
}

// Format names no secret.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "algorithm %d, key of %d bytes, ICV of %d bytes, ESN %v", k.Algorithm, len(k.Secret), k.TagBytes, k.ESN)
}

const (
	// ESPHeaderBytes are the SPI and the low half of the sequence number (RFC 4303 2).
	ESPHeaderBytes = 8
	// IVBytes is the size of what follows them.
	IVBytes = 8
	// espTrailerBytes are the pad length and the next header.
	espTrailerBytes = 2
	// espAlign is of what the text is a multiple (RFC 4303 2.4).
	espAlign = 4
)

// Why a packet cannot be opened.
var (
	ErrLength = errors.New("ipsec: the packet's length is none that its association's packets have")
	ErrAuth   = errors.New("ipsec: the packet is not authentic")
	ErrPad    = errors.New("ipsec: the packet is padded with more than it holds")
)

// Transform is an association's key, ready for use. It has scratch memory: one goroutine
// uses it at a time.
type Transform struct {
	aead  *aead.AEAD
	nonce [aead.NonceBytes]byte
	esn   bool
	mac   bool
	aad   []byte // what is authenticated, where it does not lie in the packet as it is
}

// NewTransform returns a key's transform.
func NewTransform(k Key) (*Transform, error) {
	t := &Transform{esn: k.ESN, mac: k.Algorithm == AESGMAC}
	copy(t.nonce[:], k.Salt[:])
	cipher := aead.AESGCM
	switch k.Algorithm {
	case AESGCM:
	case AESGMAC:
		if k.TagBytes != aead.MaxTagBytes {
			return nil, fmt.Errorf("ipsec: AES-GMAC has an ICV of 16 bytes, not %d (RFC 4543 3.3)", k.TagBytes)
		}
	case ChaCha20Poly1305:
		cipher = aead.ChaCha20Poly1305
	default:
		return nil, fmt.Errorf("ipsec: there is no algorithm %d", k.Algorithm)
	}
	var err error
	t.aead, err = aead.New(cipher, k.Secret, k.TagBytes)
	return t, err
}

// ICVBytes is the size of what ends a packet.
func (t *Transform) ICVBytes() int { return t.aead.TagBytes() }

// SealESP protects a packet, which reaches from the ESP header to the end of the ICV. All
// but the ICV is there: header, IV, payload, padding, pad length and next header. high is
// the half of an extended sequence number that is not sent.
func (t *Transform) SealESP(packet []byte, high uint32) error {
	frame, text, aad, ok := t.parts(packet, high)
	if !ok {
		return ErrLength
	}
	t.aead.Seal(&t.nonce, frame, text, aad)
	return nil
}

// OpenESP is the reverse of SealESP: it leaves the text in place of the ciphertext, and
// zeros if the error is ErrAuth.
func (t *Transform) OpenESP(packet []byte, high uint32) error {
	frame, text, aad, ok := t.parts(packet, high)
	if !ok {
		return ErrLength
	}
	if !t.aead.Open(&t.nonce, frame, text, aad) {
		clear(packet[ESPHeaderBytes+IVBytes : len(packet)-t.ICVBytes()])
		return ErrAuth
	}
	return nil
}

// parts takes a packet's IV for the nonce, and returns what is sealed, with the size of the
// text at its begin, and what is authenticated besides: with AES-GMAC that is all.
func (t *Transform) parts(packet []byte, high uint32) (frame []byte, text int, aad []byte, ok bool) {
	text, ok = t.text(packet)
	if !ok {
		return nil, 0, nil, false
	}
	copy(t.nonce[4:], packet[ESPHeaderBytes:])
	if t.mac {
		icv := len(packet) - t.ICVBytes()
		return packet[icv:], 0, t.header(packet, high, icv), true
	}
	return packet[ESPHeaderBytes+IVBytes:], text, t.header(packet, high, ESPHeaderBytes), true
}

// text returns how long the text of an ESP packet is.
func (t *Transform) text(packet []byte) (n int, ok bool) {
	n = len(packet) - ESPHeaderBytes - IVBytes - t.ICVBytes()
	return n, n >= espAlign && n%espAlign == 0
}

// header returns the first n bytes of a packet as they are authenticated: with the high
// half of an extended sequence number ahead of the low one (RFC 4106 5).
func (t *Transform) header(packet []byte, high uint32, n int) []byte {
	if !t.esn {
		return packet[:n]
	}
	t.aad = append(t.aad[:0], packet[:4]...)
	t.aad = binary.BigEndian.AppendUint32(t.aad, high)
	t.aad = append(t.aad, packet[4:n]...)
	return t.aad
}

// Inner returns the payload of an opened ESP packet and the protocol that it is of. What
// the padding holds is not looked at: adapters pad with zeros (RFC 4303 2.4 has 1, 2, 3).
func (t *Transform) Inner(packet []byte) (payload []byte, next uint8, err error) {
	n, ok := t.text(packet)
	if !ok {
		return nil, 0, ErrLength
	}
	text := packet[ESPHeaderBytes+IVBytes:][:n]
	padding := int(text[n-espTrailerBytes])
	if padding > n-espTrailerBytes {
		return nil, 0, ErrPad
	}
	return text[:n-espTrailerBytes-padding], text[n-1], nil
}
