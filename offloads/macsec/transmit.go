package macsec

import "fmt"

// TxConfig is what management says of transmission (10.7.16, 10.7.17, 10.7.24).
type TxConfig struct {
	Protect    bool  // protectFrames; frames go as they are if it is not set
	Encrypt    bool  // and not only protect their integrity
	SCI        SCI   // of the transmit channel
	IncludeSCI bool  // in the SecTAG
	ES         bool  // the SCI is implied by the source address (9.5)
	SCB        bool  // the channel is one of single copy broadcast (9.5)
	EncodingSA uint8 // the association that protects
	MaxBytes   int   // of a frame on the link, without the frame check sequence
}

// check holds what 9.5 says of the bits of a SecTAG.
func (c TxConfig) check() error {
	switch {
	case c.EncodingSA >= Associations:
		return fmt.Errorf("macsec: encoding SA %d: 0 to %d were expected", c.EncodingSA, Associations-1)
	case c.SCI == noSCI:
		return fmt.Errorf("macsec: SCI %#x is that of no channel (9.9)", uint64(c.SCI))
	case c.IncludeSCI && (c.ES || c.SCB):
		return fmt.Errorf("macsec: a SecTAG with an SCI has neither ES nor SCB set (9.5)")
	case c.ES && uint16(c.SCI) != impliedPort(c.SCB):
		return fmt.Errorf("macsec: an SCI that is implied by ES has port %d, not %d (9.5)", impliedPort(c.SCB), uint16(c.SCI))
	}
	return nil
}

// TxCounters count what was sent, and what could not be (10.7.18). A SecY has one transmit
// channel here, of which its own are the counts.
type TxCounters struct {
	OutPktsUntagged, OutPktsTooLong        uint64
	OutPktsProtected, OutPktsEncrypted     uint64
	OutOctetsProtected, OutOctetsEncrypted uint64 // of user data
}

// TxSACounters count the frames of an association's number, whatever its key was.
type TxSACounters struct {
	OutPktsProtected, OutPktsEncrypted uint64
}

// Transmitter is the transmitting half of a SecY, with one secure channel. One goroutine
// uses it.
type Transmitter struct {
	Counters   TxCounters
	SACounters [Associations]TxSACounters

	suite Suite
	cfg   TxConfig
	tci   uint8 // of every frame, without the number of the association
	sas   [Associations]txSA
}

// txSA is an association of the transmit channel. It has no cipher if there is none, and no
// next packet number once it is used up.
type txSA struct {
	cipher *cipher
	key    *Key // with which the cipher was made
	next   uint64
}

// NewTransmitter returns a transmitter without associations.
func NewTransmitter(s Suite, c TxConfig) (*Transmitter, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	t := &Transmitter{suite: s}
	return t, t.Configure(c)
}
