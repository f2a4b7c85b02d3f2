package macsec

import (
	"encoding/binary"
	"fmt"

	"nicsim.dev/offloads/aead"
)

// Suite is a cipher suite (IEEE 802.1AE-2018 14). The tag of each, the ICV, has 16 bytes.
type Suite uint8

// The cipher suites. Those of XPN number frames with 64 bits, of which the SecTAG carries
// the low 32.
const (
	GCMAES128    Suite = iota // 14.5
	GCMAES256                 // 14.6
	GCMAESXPN128              // 14.7
	GCMAESXPN256              // 14.8
)

var suites = [...]struct {
	name     string
	sakBytes int
}{
	GCMAES128:    {"GCM-AES-128", 16},
	GCMAES256:    {"GCM-AES-256", 32},
	GCMAESXPN128: {"GCM-AES-XPN-128", 16},
	GCMAESXPN256: {"GCM-AES-XPN-256", 32},
}

func (s Suite) String() string {
	if int(s) < len(suites) {
		return suites[s].name
	}
	return fmt.Sprintf("cipher suite %d", uint8(s))
}

// XPN says whether packet numbers have 64 bits.
func (s Suite) XPN() bool { return s == GCMAESXPN128 || s == GCMAESXPN256 }

func (s Suite) check() error {
	if int(s) >= len(suites) {
		return fmt.Errorf("macsec: there is no %v", s)
	}
	return nil
}

// lastPN is the highest number that a frame may have.
func (s Suite) lastPN() uint64 {
	if s.XPN() {
		return 1<<64 - 1
	}
	return 1<<32 - 1
}

// Key is what the ends of a secure association share.
type Key struct {
	SAK    []byte // 16 or 32 bytes
	Offset int    // of the user data's bytes that stay in clear in an encrypted frame: 0, 30 or 50
	Salt   [12]byte
	SSCI   uint32 // of the channel that sends; with the salt it is for the suites of XPN
}

// Format names no secret.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "SAK of %d bytes, confidentiality offset %d", len(k.SAK), k.Offset)
}

// cipher is a key, ready for use on one channel. It has scratch memory: one goroutine uses
// it at a time.
type cipher struct {
	aead   *aead.AEAD
	offset int
	base   [aead.NonceBytes]byte // what the packet number is added to
	nonce  [aead.NonceBytes]byte
	pnAt   int // where in the nonce the packet number begins
}

func newCipher(s Suite, k Key, sci SCI) (*cipher, error) {
	if len(k.SAK) != suites[s].sakBytes {
		return nil, fmt.Errorf("macsec: a SAK of %d bytes: %v has %d", len(k.SAK), s, suites[s].sakBytes)
	}
	if k.Offset != 0 && (s.XPN() || k.Offset != 30 && k.Offset != 50) {
		return nil, fmt.Errorf("macsec: %v has no confidentiality offset %d", s, k.Offset)
	}
	c := &cipher{offset: k.Offset}
	if s.XPN() { // 14.7: the salt, xored with SSCI and packet number
		c.base, c.pnAt = k.Salt, 4
		binary.BigEndian.PutUint32(c.base[:], binary.BigEndian.Uint32(c.base[:])^k.SSCI)
	} else { // 14.5: SCI and packet number
		c.pnAt = 8
		binary.BigEndian.PutUint64(c.base[:], uint64(sci))
	}
	var err error
	c.aead, err = aead.New(aead.AESGCM, k.SAK, ICVBytes)
	return c, err
}

// number sets the nonce for a frame.
func (c *cipher) number(pn uint64) {
	c.nonce = c.base
	if c.pnAt == 4 {
		binary.BigEndian.PutUint64(c.nonce[4:], binary.BigEndian.Uint64(c.base[4:])^pn)
	} else {
		binary.BigEndian.PutUint32(c.nonce[8:], uint32(pn))
	}
}

// split tells what of a frame is encrypted. The frame begins with its addresses and ends
// with its ICV, and its user data is at byte user: what is ahead of at is authenticated as
// it is, the text behind it is encrypted too (14.5).
func (c *cipher) split(frame []byte, user int, encrypted bool) (at, textBytes int) {
	icv := len(frame) - ICVBytes
	if !encrypted {
		return icv, 0
	}
	at = min(user+c.offset, icv)
	return at, icv - at
}

func (c *cipher) seal(frame []byte, user int, encrypt bool, pn uint64) {
	c.number(pn)
	at, n := c.split(frame, user, encrypt)
	c.aead.Seal(&c.nonce, frame[at:], n, frame[:at])
}

// open says whether a frame is genuine. If it is not, what was encrypted is cleared.
func (c *cipher) open(frame []byte, user int, encrypted bool, pn uint64) bool {
	c.number(pn)
	at, n := c.split(frame, user, encrypted)
	return c.aead.Open(&c.nonce, frame[at:], n, frame[:at])
}
