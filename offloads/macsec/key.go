package macsec

import (
	"encoding/binary"
	"fmt"

	"nicsim.dev/offloads/aead"
)

// Suite is a cipher suite (clause 14).
type Suite uint8

// The suites. Those with extended packet numbers count to 2^64, of which frames carry the
// lower half.
const (
	GCMAES128 Suite = iota
	GCMAES256
	GCMAESXPN128
	GCMAESXPN256
)

func (s Suite) String() string {
	if names := [...]string{"GCM-AES-128", "GCM-AES-256", "GCM-AES-XPN-128", "GCM-AES-XPN-256"}; int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("suite %d", uint8(s))
}

// extended says whether packet numbers are of 64 bits.
func (s Suite) extended() bool { return s == GCMAESXPN128 || s == GCMAESXPN256 }

// Key is a secure association key, and what goes with it in a suite of extended packet
// numbers.
type Key struct {
	Suite  Suite
	Secret []byte   // 16 or 32 bytes
	Salt   [12]byte // of extended packet numbers
	SSCI   uint32   // the short name of the sender's channel, of those too
}

// Format names no secret.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%v, key of %d bytes", k.Suite, len(k.Secret))
}

// transform is a key, ready for use.
type transform struct {
	aead     *aead.AEAD
	nonce    [aead.NonceBytes]byte
	salt     [12]byte
	ssci     uint32
	extended bool
	aad      []byte // what is authenticated, where it does not lie as it is
}

func newTransform(k Key) (*transform, error) {
	want := 16
	switch k.Suite {
	case GCMAES128, GCMAESXPN128:
	case GCMAES256, GCMAESXPN256:
		want = 32
	default:
		return nil, fmt.Errorf("macsec: there is no %v", k.Suite)
	}
	if len(k.Secret) != want {
		return nil, fmt.Errorf("macsec: a key of %d bytes: %v has %d", len(k.Secret), k.Suite, want)
	}
	a, err := aead.New(aead.AESGCM, k.Secret, ICVBytes)
	return &transform{aead: a, salt: k.Salt, ssci: k.SSCI, extended: k.Suite.extended()}, err
}

// setNonce makes the initialization vector (14.5 to 14.8).
func (t *transform) setNonce(sci SCI, pn uint64) {
	if !t.extended {
		binary.BigEndian.PutUint64(t.nonce[:], uint64(sci))
		binary.BigEndian.PutUint32(t.nonce[8:], uint32(pn))
		return
	}
	binary.BigEndian.PutUint32(t.nonce[:], t.ssci)
	binary.BigEndian.PutUint64(t.nonce[4:], pn)
	for i := range t.nonce {
		t.nonce[i] ^= t.salt[i]
	}
}

// parts are what of a protected frame is sealed, with the size of the text at its begin, and
// what is authenticated besides: addresses, SecTAG and of the text what stays in clear
// (10.5.3, 10.5.4). Tags ahead of the SecTAG are not.
func (t *transform) parts(frame []byte, clear int, h *tag, text, offset int) (sealed []byte, n int, aad []byte) {
	at := addressBytes + clear
	behind := at + h.bytes
	open := text // without encryption all of it
	if h.tci&tciE != 0 {
		open = min(offset, text)
	}
	aad = frame[:behind+open]
	if clear > 0 {
		t.aad = append(append(t.aad[:0], frame[:addressBytes]...), frame[at:behind+open]...)
		aad = t.aad
	}
	return frame[behind+open : behind+text+ICVBytes], text - open, aad
}
