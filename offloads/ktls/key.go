// Package ktls encrypts and decrypts TLS records as TCP segments pass, the way Linux asks it of
// an adapter (Documentation/networking/tls-offload.rst): segments begin and end anywhere in
// a record, none is held back, and what cannot be handled goes to software as it came.
//
// A Transmitter and a Receiver are the adapter's part. A Writer and a Reader are the
// stack's: they frame records and remember them, and open those that the adapter left alone.
package ktls

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Version is a version of TLS.
type Version uint8

// The versions.
const (
	TLS12 Version = iota // RFC 5246
	TLS13                // RFC 8446
)

func (v Version) String() string {
	switch v {
	case TLS12:
		return "TLS 1.2"
	case TLS13:
		return "TLS 1.3"
	}
	return fmt.Sprintf("version %d", uint8(v))
}

// Cipher is how records are protected.
type Cipher uint8

// The ciphers, of both versions.
const (
	AES128GCM        Cipher = iota // RFC 5288, RFC 8446 5.2
	AES256GCM                      // the same
	ChaCha20Poly1305               // RFC 7905, RFC 8446 5.2
)

func (c Cipher) String() string {
	switch c {
	case AES128GCM:
		return "AES-128-GCM"
	case AES256GCM:
		return "AES-256-GCM"
	case ChaCha20Poly1305:
		return "ChaCha20-Poly1305"
	}
	return fmt.Sprintf("cipher %d", uint8(c))
}

// Key protects one direction of a connection.
type Key struct {
	Version Version
	Cipher  Cipher
	Secret  []byte // 16 bytes, or 32 with AES-256 and ChaCha20
	// IV is the write IV. AES-GCM in TLS 1.2 has one of 4 bytes, the salt; the others are
	// not used then (RFC 5288 3).
	IV [nonceBytes]byte
}

// Format names no secret.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%v, %v, key of %d bytes", k.Version, k.Cipher, len(k.Secret))
}

const (
	// HeaderBytes are the type, the version and the length of a record (RFC 8446 5.1).
	HeaderBytes = 5
	// TagBytes is what ends a record.
	TagBytes = 16
	// MaxContentBytes is the most that a record carries (RFC 8446 5.1).
	MaxContentBytes = 1 << 14

	nonceBytes    = 12
	explicitBytes = 8 // of the nonce in a record (RFC 5288 3)
	saltBytes     = 4
	headMaxBytes  = HeaderBytes + explicitBytes
	aadMaxBytes   = 13
	textMaxBytes  = MaxContentBytes + 1
	recordVersion = 0x0303 // of every record (RFC 8446 5.1)
)

// Types of records (RFC 8446 5.1).
const (
	ChangeCipherSpec = 20 + iota
	Alert
	Handshake
	ApplicationData
)

// format is where things lie in a connection's records.
type format struct {
	version    Version
	headBytes  int // ahead of the text: the header and the explicit part of the nonce
	innerBytes int // of the text behind the content: its type (RFC 8446 5.2)
}

func (k Key) format() format {
	f := format{version: k.Version, headBytes: HeaderBytes}
	switch {
	case k.Version == TLS13:
		f.innerBytes = 1
	case k.Cipher != ChaCha20Poly1305:
		f.headBytes += explicitBytes
	}
	return f
}

// maxBytes is the size of the longest record.
func (f format) maxBytes() int { return f.headBytes + MaxContentBytes + f.innerBytes + TagBytes }

// parse returns the size of the record that begins with a header, and false if no record of
// the connection begins so. The limits are those of its cipher, which are narrower than
// TLS's own (RFC 5246 6.2.3, RFC 8446 5.2), so that less is taken for a header that is none.
func (f format) parse(h []byte) (size int, ok bool) {
	first := byte(ChangeCipherSpec)
	if f.version == TLS13 {
		first = ApplicationData
	}
	size = HeaderBytes + int(binary.BigEndian.Uint16(h[3:]))
	return size, h[0] >= first && h[0] <= ApplicationData &&
		binary.BigEndian.Uint16(h[1:]) == recordVersion &&
		size >= f.headBytes+f.innerBytes+TagBytes && size <= f.maxBytes()
}

// aad returns what is authenticated besides the text: the header (RFC 8446 5.2), or the number
// and the header with the length of the text (RFC 5246 6.2.3.3).
func (f format) aad(room *[aadMaxBytes]byte, h []byte, number uint64, textBytes int) []byte {
	if f.version == TLS13 {
		return room[:copy(room[:], h[:HeaderBytes])]
	}
	binary.BigEndian.PutUint64(room[:], number)
	copy(room[8:], h[:3])
	binary.BigEndian.PutUint16(room[11:], uint16(textBytes))
	return room[:]
}

// nonce returns the nonce of a record: the salt and what the record carries (RFC 5288 3), or
// the IV and the record's number (RFC 7905 2, RFC 8446 5.3).
func (f format) nonce(iv *[nonceBytes]byte, head []byte, number uint64) (n [nonceBytes]byte) {
	n = *iv
	if f.headBytes > HeaderBytes {
		copy(n[saltBytes:], head[HeaderBytes:f.headBytes])
		return n
	}
	low := n[nonceBytes-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^number)
	return n
}

// whole returns the cipher that takes records whole.
func (k Key) whole() (cipher.AEAD, error) {
	if k.Version > TLS13 {
		return nil, fmt.Errorf("ktls: there is no %v", k.Version)
	}
	want := 32
	switch k.Cipher {
	case AES128GCM:
		want = 16
	case AES256GCM, ChaCha20Poly1305:
	default:
		return nil, fmt.Errorf("ktls: there is no %v", k.Cipher)
	}
	if len(k.Secret) != want {
		return nil, fmt.Errorf("ktls: a key of %d bytes: %d were expected", len(k.Secret), want)
	}
	if k.Cipher == ChaCha20Poly1305 {
		return chacha20poly1305.New(k.Secret)
	}
	block, err := aes.NewCipher(k.Secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
