package macsec

import (
	"errors"
	"fmt"
	"math"
)

// SenderConfig is how a SecY sends.
type SenderConfig struct {
	SCI SCI
	// IncludeSCI puts the SCI into each tag. Without, EndStation or SingleCopy may say
	// what it is; with none of them a receiver has to know (10.5.3).
	IncludeSCI, EndStation, SingleCopy bool
	// Encrypt hides the text, but for its first Offset bytes: 0, 30 or 50.
	Encrypt bool
	Offset  int
	// Unprotected sends frames as they are (protectFrames is false).
	Unprotected bool
	// TagsInClear is how many bytes of other tags stay ahead of the SecTAG. They are
	// not authenticated.
	TagsInClear int
	// MaxFrame bounds what protected frames may be long; 0 is no bound.
	MaxFrame int
}

// SenderStats are the counters of clause 10.7 for what is sent.
type SenderStats struct {
	OutPktsUntagged, OutPktsTooLong        uint64
	OutPktsProtected, OutPktsEncrypted     uint64
	OutOctetsProtected, OutOctetsEncrypted uint64
}

// Sender is the sending half of a SecY. One goroutine uses it at a time.
type Sender struct {
	Stats  SenderStats
	config SenderConfig
	tci    uint8
	sas    [4]sendingSA
	using  uint8
}

// sendingSA is an association of the sender.
type sendingSA struct {
	*transform
	next  uint64 // 0 when there are no more
	Stats SenderStats
}

// Why a frame is not sent.
var (
	ErrNoSA      = errors.New("macsec: there is no association to send by")
	ErrExhausted = errors.New("macsec: the association has used all its packet numbers")
	ErrTooLong   = errors.New("macsec: the frame would be longer than the network takes")
	ErrTooShort  = errors.New("macsec: the frame has no addresses and type")
)

// NewSender returns the sending half of a SecY, without associations.
func NewSender(c SenderConfig) (*Sender, error) {
	s := &Sender{config: c}
	switch {
	case c.Offset != 0 && c.Offset != 30 && c.Offset != 50:
		return nil, fmt.Errorf("macsec: a confidentiality offset of %d: 0, 30 or 50 were expected (14.5)", c.Offset)
	case c.IncludeSCI && (c.EndStation || c.SingleCopy):
		return nil, errors.New("macsec: a tag with an SCI has neither ES nor SCB (9.5)")
	case (c.EndStation || c.SingleCopy) && uint16(c.SCI) != impliedPort(c.SingleCopy):
		return nil, fmt.Errorf("macsec: an SCI that is implied has port %d, not %d (9.5)", impliedPort(c.SingleCopy), uint16(c.SCI))
	case c.TagsInClear < 0:
		return nil, errors.New("macsec: fewer than no tags in clear")
	}
	for _, f := range []struct {
		on  bool
		bit uint8
	}{{c.IncludeSCI, tciSC}, {c.EndStation, tciES}, {c.SingleCopy, tciSCB}, {c.Encrypt, tciE | tciC}} {
		if f.on {
			s.tci |= f.bit
		}
	}
	return s, nil
}

// Install makes an association: the next frame by it has packet number pn.
func (s *Sender) Install(an uint8, k Key, pn uint64) error {
	t, err := newTransform(k)
	switch {
	case err != nil:
		return err
	case an > anMask:
		return fmt.Errorf("macsec: association number %d: 0 to 3 were expected", an)
	case pn == 0 || !t.extended && pn > math.MaxUint32:
		return fmt.Errorf("macsec: packet number %d of %v", pn, k.Suite)
	case t.extended && s.config.Offset != 0:
		return errors.New("macsec: suites of extended packet numbers have no confidentiality offset (14.7)")
	}
	s.sas[an] = sendingSA{transform: t, next: pn}
	return nil
}

// Remove takes an association away.
func (s *Sender) Remove(an uint8) { s.sas[an&anMask] = sendingSA{} }

// Use changes the association by which frames are sent (encodingSA).
func (s *Sender) Use(an uint8) { s.using = an & anMask }

// Next is the next packet number of an association, 0 when there is none.
func (s *Sender) Next(an uint8) uint64 { return s.sas[an&anMask].next }

// SAStats are the counters of an association.
func (s *Sender) SAStats(an uint8) SenderStats { return s.sas[an&anMask].Stats }

// TagBytes is by how much Protect makes a frame longer at its front.
func (s *Sender) TagBytes() int {
	if s.config.Unprotected {
		return 0
	}
	return tagBytes(s.tci)
}

// Protect protects a frame in place, with the next packet number. frame begins with
// TagBytes bytes of room and ends with ICVBytes of it, neither of which there is while
// frames are sent unprotected.
func (s *Sender) Protect(frame []byte) error {
	sa := &s.sas[s.using]
	if !s.config.Unprotected && sa.transform != nil && sa.next == 0 {
		return ErrExhausted
	}
	pn := sa.next
	err := s.ProtectAs(frame, pn)
	if err != nil || s.config.Unprotected {
		return err
	}
	if sa.next++; !sa.extended && sa.next > math.MaxUint32 {
		sa.next = 0
	}
	return nil
}

// ProtectAs is Protect with a packet number of the caller's, who has it in a register.
func (s *Sender) ProtectAs(frame []byte, pn uint64) error {
	if s.config.Unprotected {
		s.Stats.OutPktsUntagged++
		return nil
	}
	clear, room := s.config.TagsInClear, tagBytes(s.tci)
	text := len(frame) - room - addressBytes - clear - ICVBytes
	sa := &s.sas[s.using]
	switch {
	case text < 2:
		return ErrTooShort
	case s.config.MaxFrame > 0 && len(frame) > s.config.MaxFrame:
		s.Stats.OutPktsTooLong++
		return ErrTooLong
	case sa.transform == nil:
		return ErrNoSA
	}
	copy(frame, frame[room:room+addressBytes+clear])
	t := tag{tci: s.tci | s.using, pn: uint32(pn), sci: s.config.SCI, bytes: room}
	if text < longest {
		t.short = uint8(text)
	}
	t.put(frame[addressBytes+clear:])
	sa.setNonce(s.config.SCI, pn)
	sealed, n, aad := sa.parts(frame, clear, &t, text, s.config.Offset)
	sa.aead.Seal(&sa.nonce, sealed, n, aad)
	for _, c := range [...]*SenderStats{&s.Stats, &sa.Stats} {
		if s.config.Encrypt {
			c.OutPktsEncrypted++
			c.OutOctetsEncrypted += uint64(text)
		} else {
			c.OutPktsProtected++
			c.OutOctetsProtected += uint64(text)
		}
	}
	return nil
}
