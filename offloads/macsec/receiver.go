package macsec

import (
	"errors"
	"fmt"
	"math"
)

// Validation is how strict a SecY is with what it receives (validateFrames, 10.7.8).
type Validation uint8

const (
	Strict   Validation = iota // only what is authentic is handed on
	Check                      // what is not is counted, and handed on if it can be read
	Disabled                   // nothing is authenticated, and what can be read is handed on
)

// ReceiverConfig is how a SecY receives.
type ReceiverConfig struct {
	Validation    Validation
	ReplayProtect bool
	ReplayWindow  uint64
	Offset        int // of confidentiality: 0, 30 or 50
	TagsInClear   int // bytes of other tags ahead of the SecTAG
}

// ReceiverStats are the counters of clause 10.7 for what is received: of the SecY up to
// InPktsOverrun, of a channel or an association from then on.
type ReceiverStats struct {
	InPktsUntagged, InPktsNoTag, InPktsBadTag uint64
	InPktsNoSA, InPktsNoSAError               uint64 // 802.1AE-2006: InPktsUnknownSCI, InPktsNoSCI
	InPktsOverrun                             uint64 // none ever: there is always time

	InPktsUnchecked, InPktsDelayed, InPktsLate uint64
	InPktsOK, InPktsInvalid, InPktsNotValid    uint64
	InPktsNotUsingSA, InPktsUnusedSA           uint64
	InOctetsValidated, InOctetsDecrypted       uint64
}

const (
	// maxChannels bounds the channels of a receiver: a key agreement's list of its live
	// members, of 16 bytes each, fits a frame of 1500 bytes (IEEE 802.1X-2020 11.11).
	maxChannels = 96
	// maxExtendedWindow is the widest replay window with which a packet number can be told
	// from its lower half (10.7.8).
	maxExtendedWindow = 1<<30 - 1
)

// Receiver is the receiving half of a SecY. One goroutine uses it at a time.
type Receiver struct {
	Stats    ReceiverStats
	config   ReceiverConfig
	channels map[SCI]*channel
	only     *channel // when there is one, it is that of frames that do not say
}

// channel is a secure channel of another station.
type channel struct {
	Stats ReceiverStats
	sci   SCI
	sas   [4]receivingSA
}

type receivingSA struct {
	*transform
	next  uint64 // one more than the highest packet number, or that if there are no more
	done  bool   // the last packet number there is has come
	first uint64 // the lowest there is: 1, but for a receiver that began with 0
	Stats ReceiverStats
}

// Verdict is what became of a received frame.
type Verdict uint8

const (
	OK            Verdict = iota // authentic, or handed on all the same
	Untagged                     // had no SecTAG, and is handed on
	DropNoTag                    // had none, and should have
	DropBadTag                   // its SecTAG is not valid
	DropNoSA                     // of no channel, or of no association of its channel
	DropReplay                   // its packet number is too low
	DropForged                   // not authentic
	DropEncrypted                // nobody can read it
)

// Drops says whether the frame ends here.
func (v Verdict) Drops() bool { return v >= DropNoTag }

// NewReceiver returns the receiving half of a SecY, without channels.
func NewReceiver(c ReceiverConfig) (*Receiver, error) {
	switch {
	case c.Validation > Disabled:
		return nil, fmt.Errorf("macsec: validation %d: strict, check or disabled were expected", c.Validation)
	case c.Offset != 0 && c.Offset != 30 && c.Offset != 50:
		return nil, fmt.Errorf("macsec: a confidentiality offset of %d: 0, 30 or 50 were expected (14.5)", c.Offset)
	case c.TagsInClear < 0:
		return nil, errors.New("macsec: fewer than no tags in clear")
	}
	return &Receiver{config: c, channels: map[SCI]*channel{}}, nil
}

// Install makes an association of a channel, and the channel if it is new: the lowest
// packet number that is to come is pn. No sender begins with 0 but hardware that was told
// to, and a receiver takes that if it is told so too.
func (r *Receiver) Install(sci SCI, an uint8, k Key, pn uint64) error {
	t, err := newTransform(k)
	switch {
	case err != nil:
		return err
	case an > anMask:
		return fmt.Errorf("macsec: association number %d: 0 to 3 were expected", an)
	case !t.extended && pn > math.MaxUint32:
		return fmt.Errorf("macsec: packet number %d of %v", pn, k.Suite)
	case t.extended && r.config.Offset != 0:
		return errors.New("macsec: suites of extended packet numbers have no confidentiality offset (14.7)")
	case t.extended && r.config.ReplayWindow > maxExtendedWindow:
		return fmt.Errorf("macsec: a replay window of %d: %v has at most %d (10.7.8)", r.config.ReplayWindow, k.Suite, maxExtendedWindow)
	}
	c := r.channels[sci]
	if c == nil {
		if len(r.channels) == maxChannels {
			return fmt.Errorf("macsec: there are %d channels, and may be no more", maxChannels)
		}
		c = &channel{sci: sci}
		r.channels[sci] = c
	}
	c.sas[an] = receivingSA{transform: t, next: pn, first: min(pn, 1)}
	r.settle()
	return nil
}

// Remove takes an association away, and RemoveChannel a whole channel.
func (r *Receiver) Remove(sci SCI, an uint8) {
	if c := r.channels[sci]; c != nil {
		c.sas[an&anMask] = receivingSA{}
	}
}

func (r *Receiver) RemoveChannel(sci SCI) {
	delete(r.channels, sci)
	r.settle()
}

func (r *Receiver) settle() {
	r.only = nil
	if len(r.channels) == 1 {
		for _, c := range r.channels {
			r.only = c
		}
	}
}

// ChannelStats are the counters of a channel, and SAStats those of an association.
func (r *Receiver) ChannelStats(sci SCI) (s ReceiverStats) {
	if c := r.channels[sci]; c != nil {
		s = c.Stats
	}
	return s
}

func (r *Receiver) SAStats(sci SCI, an uint8) (s ReceiverStats) {
	if c := r.channels[sci]; c != nil {
		s = c.sas[an&anMask].Stats
	}
	return s
}

// Next is one more than the highest packet number of an association, 0 when there is none.
func (r *Receiver) Next(sci SCI, an uint8) uint64 {
	if c := r.channels[sci]; c != nil {
		return c.sas[an&anMask].next
	}
	return 0
}

// Open opens a received frame where it lies (10.6): what it returns is the frame without
// tag, ICV and padding. Of a frame that is dropped as forged no text is left.
func (r *Receiver) Open(frame []byte) (inner []byte, v Verdict) {
	if !isTagged(frame, r.config.TagsInClear) {
		if r.config.Validation == Strict {
			r.Stats.InPktsNoTag++
			return nil, DropNoTag
		}
		r.Stats.InPktsUntagged++
		return frame, Untagged
	}
	t, text, ok := readTag(frame, r.config.TagsInClear)
	if !ok {
		r.Stats.InPktsBadTag++
		return nil, DropBadTag
	}
	c := r.channel(frame, &t)
	if c == nil {
		if r.tolerates(&t) {
			r.Stats.InPktsNoSA++
			return r.strip(frame, &t, text), OK
		}
		r.Stats.InPktsNoSAError++
		return nil, DropNoSA
	}
	sa := &c.sas[t.an()]
	counters := tally{&r.Stats, &c.Stats, &sa.Stats}
	if sa.transform == nil {
		if r.tolerates(&t) {
			counters.add(func(s *ReceiverStats) { s.InPktsUnusedSA++ })
			return r.strip(frame, &t, text), OK
		}
		counters.add(func(s *ReceiverStats) { s.InPktsNotUsingSA++ })
		return nil, DropNoSA
	}
	if t.pn == 0 && !sa.extended && sa.first > 0 { // a zero PN is no valid one (10.6)
		r.Stats.InPktsBadTag++
		return nil, DropBadTag
	}
	return r.validate(frame, &t, text, c.sci, sa, counters)
}

// tolerates says whether a frame that nothing is known of may be handed on: it can be
// read, and nobody insists.
func (r *Receiver) tolerates(t *tag) bool {
	return r.config.Validation != Strict && t.tci&tciC == 0
}

// channel finds the channel of a frame.
func (r *Receiver) channel(frame []byte, t *tag) *channel {
	if t.tci&tciSC != 0 {
		return r.channels[t.sci]
	}
	if sci, ok := t.implied(frame); ok {
		return r.channels[sci]
	}
	return r.only
}

// tally is where a frame counts: in the SecY, its channel and its association.
type tally [3]*ReceiverStats

func (t *tally) add(count func(*ReceiverStats)) {
	for _, s := range t {
		count(s)
	}
}

func (r *Receiver) validate(frame []byte, t *tag, text int, sci SCI, sa *receivingSA, counters tally) ([]byte, Verdict) {
	lowest := sa.first
	if sa.next > r.config.ReplayWindow {
		lowest = max(lowest, sa.next-r.config.ReplayWindow)
	}
	pn := sa.recover(t.pn, lowest)
	late := pn < lowest || sa.done
	if r.config.ReplayProtect && late {
		counters.add(func(s *ReceiverStats) { s.InPktsLate++ })
		return nil, DropReplay
	}
	if r.config.Validation == Disabled {
		if t.tci&tciC != 0 {
			counters.add(func(s *ReceiverStats) { s.InPktsNotValid++ })
			return nil, DropEncrypted
		}
		if late {
			counters.add(func(s *ReceiverStats) { s.InPktsDelayed++ })
		} else {
			counters.add(func(s *ReceiverStats) { s.InPktsUnchecked++ })
		}
		return r.strip(frame, t, text), OK
	}
	if t.tci&tciE != 0 {
		counters.add(func(s *ReceiverStats) { s.InOctetsDecrypted += uint64(text) })
	} else {
		counters.add(func(s *ReceiverStats) { s.InOctetsValidated += uint64(text) })
	}
	if t.tci&(tciE|tciC) == tciC || pn < sa.first || !sa.open(frame, r.config, t, text, sci, pn) {
		if r.config.Validation == Strict || t.tci&tciC != 0 {
			counters.add(func(s *ReceiverStats) { s.InPktsNotValid++ })
			clear(frame[addressBytes+r.config.TagsInClear+t.bytes:][:text])
			return nil, DropForged
		}
		counters.add(func(s *ReceiverStats) { s.InPktsInvalid++ })
		return r.strip(frame, t, text), OK
	}
	if late {
		counters.add(func(s *ReceiverStats) { s.InPktsDelayed++ })
	} else {
		counters.add(func(s *ReceiverStats) { s.InPktsOK++ })
	}
	if pn >= sa.next {
		sa.done = pn == math.MaxUint64
		sa.next = max(pn, pn+1)
	}
	return r.strip(frame, t, text), OK
}

// open decrypts or authenticates.
func (sa *receivingSA) open(frame []byte, c ReceiverConfig, t *tag, text int, sci SCI, pn uint64) bool {
	sa.setNonce(sci, pn)
	sealed, n, aad := sa.parts(frame, c.TagsInClear, t, text, c.Offset)
	return sa.aead.Open(&sa.nonce, sealed, n, aad)
}

// recover returns the whole packet number of which a frame has the lower half. Its upper
// half is that of the lowest number that is not late, or one more if the highest bit of the
// lower half is set in that and not in the frame (10.6.2).
func (sa *receivingSA) recover(low uint32, lowest uint64) uint64 {
	if !sa.extended {
		return uint64(low)
	}
	const upperHalf = 1 << 31
	pn := lowest&^math.MaxUint32 | uint64(low)
	if uint32(lowest)&upperHalf != 0 && low&upperHalf == 0 {
		pn += 1 << 32
	}
	return pn
}

// strip takes tag, ICV and padding away.
func (r *Receiver) strip(frame []byte, t *tag, text int) []byte {
	ahead := addressBytes + r.config.TagsInClear
	inner := frame[t.bytes : ahead+t.bytes+text]
	copy(inner, frame[:ahead])
	return inner
}
