package ktls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
)

// stream is a cipher that takes the text of a record in pieces. Go's take it whole, so a record
// begins with its whole key stream, which is what they make of zeros, and is authenticated
// piece by piece. That is 16 KiB for each direction of a connection.
type stream struct {
	whole cipher.AEAD
	keys  []byte // the key stream of the record at hand
	at    int    // bytes of its text so far
	aad   uint64 // bytes of its additional data
	nonce [nonceBytes]byte

	// AES-GCM
	hash ghash

	// ChaCha20-Poly1305
	secret []byte // nil with AES-GCM
	mac    poly1305
}

// zeros is what makes a key stream visible.
var zeros [textMaxBytes]byte

func newStream(k Key) (*stream, error) {
	whole, err := k.whole()
	if err != nil {
		return nil, err
	}
	s := &stream{whole: whole, keys: make([]byte, 0, textMaxBytes+TagBytes)}
	if k.Cipher == ChaCha20Poly1305 {
		s.secret = append(s.secret, k.Secret...)
		return s, nil
	}
	block, err := aes.NewCipher(k.Secret)
	if err != nil {
		return nil, err
	}
	var h [aes.BlockSize]byte
	block.Encrypt(h[:], h[:])
	s.hash.gmac, s.hash.inverse = whole, elementOf(h[:]).inverse()
	return s, nil
}

// begin starts a record with so many bytes of text.
func (s *stream) begin(nonce [nonceBytes]byte, aad []byte, textBytes int) {
	s.nonce, s.at, s.aad = nonce, 0, uint64(len(aad))
	s.keys = s.whole.Seal(s.keys[:0], s.nonce[:], zeros[:textBytes], nil)
	if s.secret != nil {
		s.beginPoly1305(aad)
		return
	}
	s.hash.begin(&s.nonce)
	s.hash.write(aad)
	s.hash.pad()
}

// beginPoly1305 takes the key of the code from the first block of the key stream, which Go's
// cipher keeps to itself (RFC 8439 2.6).
func (s *stream) beginPoly1305(aad []byte) {
	c, err := chacha20.NewUnauthenticatedCipher(s.secret, s.nonce[:])
	if err != nil {
		panic(err) // the sizes of both are known
	}
	var key [32]byte
	c.XORKeyStream(key[:], key[:])
	s.mac.reset(&key)
	s.mac.write(aad)
	s.mac.pad()
}

// seal encrypts the next bytes of the text where they are.
func (s *stream) seal(b []byte) {
	s.xor(b)
	s.authenticate(b)
}

// open decrypts them.
func (s *stream) open(b []byte) {
	s.authenticate(b)
	s.xor(b)
}

// xor is both, without authentication.
func (s *stream) xor(b []byte) {
	subtle.XORBytes(b, b, s.keys[s.at:][:len(b)])
	s.at += len(b)
}

func (s *stream) authenticate(b []byte) {
	if s.secret != nil {
		s.mac.write(b)
		return
	}
	s.hash.write(b)
}

// tag returns the tag of the record, whose text has passed.
func (s *stream) tag() (t [TagBytes]byte) {
	text := uint64(s.at)
	if s.secret != nil {
		s.mac.pad()
		s.mac.block(s.aad, text)
		lo, hi := s.mac.sum()
		binary.LittleEndian.PutUint64(t[:], lo)
		binary.LittleEndian.PutUint64(t[8:], hi)
		return t
	}
	return s.hash.sum(s.aad, text)
}
