package macsec

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel/craft"
)

var station = NewSCI([6]byte{2, 0, 0, 0, 0, 1}, 1)

func keyOf(s Suite) Key {
	n := 16
	if s == GCMAES256 || s == GCMAESXPN256 {
		n = 32
	}
	return Key{Suite: s, Secret: bytes.Repeat([]byte{7}, n), Salt: [12]byte{1, 2, 3}, SSCI: 9}
}

// both is a sender and a receiver that share association 1.
func both(t testing.TB, sc SenderConfig, rc ReceiverConfig, suite Suite, pn uint64) (*Sender, *Receiver) {
	if sc.SCI == 0 {
		sc.SCI = station
	}
	s, err := NewSender(sc)
	require.NoError(t, err)
	require.NoError(t, s.Install(1, keyOf(suite), pn))
	s.Use(1)
	rc.Offset, rc.TagsInClear = sc.Offset, sc.TagsInClear
	r, err := NewReceiver(rc)
	require.NoError(t, err)
	require.NoError(t, r.Install(sc.SCI, 1, keyOf(suite), pn))
	return s, r
}

func frames() (all [][]byte) {
	for _, n := range []int{0, 1, 30, 100, 1400} {
		all = append(all, craft.Packet{Payload: craft.Payload(n)}.Frame())
	}
	return append(all, all[0][:14])
}

// senders are all ways to send.
func senders() (all []SenderConfig) {
	for _, offset := range []int{0, 30, 50} {
		for _, encrypt := range []bool{false, true} {
			for _, clear := range []int{0, 4} {
				c := SenderConfig{Encrypt: encrypt, Offset: offset, TagsInClear: clear}
				all = append(all, c)
				c.IncludeSCI = true
				all = append(all, c)
				c.IncludeSCI, c.EndStation = false, true
				c.SCI = NewSCI(source, 1)
				all = append(all, c)
				c.EndStation, c.SingleCopy = false, true
				c.SCI = NewSCI(source, 0)
				all = append(all, c)
			}
		}
	}
	return all
}

var source = [6]byte(craft.Packet{}.Frame()[6:12])

func TestWhatIsProtectedIsOpened(t *testing.T) {
	for suite := range GCMAESXPN256 + 1 {
		for _, c := range senders() {
			if suite.extended() && c.Offset > 0 {
				continue
			}
			s, r := both(t, c, ReceiverConfig{ReplayProtect: true}, suite, 1)
			octets := uint64(0)
			for i, plain := range frames() {
				if len(plain) < 12+c.TagsInClear+2 {
					continue
				}
				text := plain[12+c.TagsInClear:]
				octets += uint64(len(text))
				frame := protect(t, s, plain)
				require.Equal(t, plain[:12+c.TagsInClear], frame[:12+c.TagsInClear], "in clear")
				behind := frame[12+c.TagsInClear+s.TagBytes():]
				open := len(text)
				if c.Encrypt {
					open = min(c.Offset, len(text))
				}
				require.Equal(t, text[:open], behind[:open], "up to the offset")
				if len(text)-open > 20 {
					require.False(t, bytes.Contains(behind, text[open:]), "encrypted")
				}
				require.Equal(t, c.Encrypt, frame[14+c.TagsInClear]&tciC != 0)
				require.EqualValues(t, i+1, binary.BigEndian.Uint32(frame[16+c.TagsInClear:]))

				inner, v := r.Open(append(frame, make([]byte, i%3*10*min(1, max(0, 48-len(text))))...)) // padding
				require.Equal(t, OK, v, "%v %+v, %d bytes", suite, c, len(plain))
				require.Equal(t, plain, inner)
			}
			require.EqualValues(t, s.Next(1), r.Next(s.config.SCI, 1))
			stats := r.SAStats(s.config.SCI, 1)
			require.Equal(t, stats, r.ChannelStats(s.config.SCI))
			require.Equal(t, stats, r.Stats)
			want := ReceiverStats{InPktsOK: s.Next(1) - 1}
			if c.Encrypt {
				want.InOctetsDecrypted = octets
				require.Equal(t, SenderStats{OutPktsEncrypted: want.InPktsOK, OutOctetsEncrypted: octets}, s.Stats)
			} else {
				want.InOctetsValidated = octets
				require.Equal(t, SenderStats{OutPktsProtected: want.InPktsOK, OutOctetsProtected: octets}, s.SAStats(1))
			}
			require.Equal(t, want, stats)
		}
	}
}

// Of each bit it is known whether it is authenticated: all, but for tags ahead of the SecTAG
// and padding behind the ICV. Of what is not authentic nothing is left.
func TestEveryBitOfAFrame(t *testing.T) {
	for _, c := range senders() {
		plain := frames()[3]
		for _, validation := range []Validation{Strict, Check} {
			s, _ := both(t, c, ReceiverConfig{}, GCMAES128, 5)
			frame := protect(t, s, plain)
			for bit := range 8 * len(frame) {
				_, r := both(t, c, ReceiverConfig{Validation: validation}, GCMAES128, 5)
				forged := bytes.Clone(frame)
				forged[bit/8] ^= 1 << (bit % 8)
				_, v := r.Open(forged)
				inClear := bit/8 >= 12 && bit/8 < 12+c.TagsInClear
				notTag := bit/8 >= 12+c.TagsInClear && bit/8 < 14+c.TagsInClear
				switch {
				case inClear:
					require.Equal(t, OK, v)
				case notTag && validation != Strict:
					require.Equal(t, Untagged, v)
				case validation == Strict || c.Encrypt && v.Drops():
					require.True(t, v.Drops(), "bit %d of byte %d", bit%8, bit/8)
				}
				if !inClear && !notTag && c.Encrypt && v.Drops() {
					require.False(t, bytes.Contains(forged, plain[12+c.TagsInClear+c.Offset:]))
				}
				require.Equal(t, inClear, r.Stats.InPktsOK == 1, "authentic")
			}
		}
	}
}

// What a receiver does and counts, after 10.6 and figure 10-5.
func TestCounters(t *testing.T) {
	plain := frames()[3]
	secured := func(encrypt bool, change func(frame []byte)) []byte {
		s, _ := both(t, SenderConfig{IncludeSCI: true, Encrypt: encrypt}, ReceiverConfig{}, GCMAES128, 100)
		frame := protect(t, s, plain)
		change(frame)
		return frame
	}
	nothing := func([]byte) {}
	for _, c := range []struct {
		name   string
		frame  []byte
		config ReceiverConfig
		want   Verdict
		stats  ReceiverStats
	}{
		{"no tag", plain, ReceiverConfig{}, DropNoTag, ReceiverStats{InPktsNoTag: 1}},
		{"no tag, check", plain, ReceiverConfig{Validation: Check}, Untagged, ReceiverStats{InPktsUntagged: 1}},
		{"version 1", secured(true, func(b []byte) { b[14] |= tciVersion }), ReceiverConfig{}, DropBadTag, ReceiverStats{InPktsBadTag: 1}},
		{"ES and SC", secured(true, func(b []byte) { b[14] |= tciES }), ReceiverConfig{}, DropBadTag, ReceiverStats{InPktsBadTag: 1}},
		{"E without C", secured(true, func(b []byte) { b[14] &^= tciC }), ReceiverConfig{}, DropBadTag, ReceiverStats{InPktsBadTag: 1}},
		{"SL of 48", secured(true, func(b []byte) { b[15] = 48 }), ReceiverConfig{}, DropBadTag, ReceiverStats{InPktsBadTag: 1}},
		{"a frame as short without SL", secured(true, nothing)[:28+47+16], ReceiverConfig{}, DropBadTag, ReceiverStats{InPktsBadTag: 1}},
		{"half a tag", secured(true, nothing)[:19], ReceiverConfig{Validation: Disabled}, DropBadTag, ReceiverStats{InPktsBadTag: 1}},
		{"no room for the ICV", secured(true, nothing)[:30], ReceiverConfig{}, DropBadTag, ReceiverStats{InPktsBadTag: 1}},
		{"another channel", secured(true, func(b []byte) { b[20]++ }), ReceiverConfig{}, DropNoSA, ReceiverStats{InPktsNoSAError: 1}},
		{"another channel, encrypted, check", secured(true, func(b []byte) { b[20]++ }), ReceiverConfig{Validation: Check}, DropNoSA, ReceiverStats{InPktsNoSAError: 1}},
		{"another channel, check", secured(false, func(b []byte) { b[20]++ }), ReceiverConfig{Validation: Check}, OK, ReceiverStats{InPktsNoSA: 1}},
		{"another association", secured(true, func(b []byte) { b[14] ^= 3 }), ReceiverConfig{}, DropNoSA, ReceiverStats{InPktsNotUsingSA: 1}},
		{"another association, check", secured(false, func(b []byte) { b[14] ^= 3 }), ReceiverConfig{Validation: Check}, OK, ReceiverStats{InPktsUnusedSA: 1}},
		{"forged", secured(true, func(b []byte) { b[40]++ }), ReceiverConfig{}, DropForged, ReceiverStats{InPktsNotValid: 1, InOctetsDecrypted: 130}},
		{"forged, check", secured(false, func(b []byte) { b[40]++ }), ReceiverConfig{Validation: Check}, OK, ReceiverStats{InPktsInvalid: 1, InOctetsValidated: 130}},
		{"encrypted and forged, check", secured(true, func(b []byte) { b[40]++ }), ReceiverConfig{Validation: Check}, DropForged, ReceiverStats{InPktsNotValid: 1, InOctetsDecrypted: 130}},
		{"forged, disabled", secured(false, func(b []byte) { b[40]++ }), ReceiverConfig{Validation: Disabled}, OK, ReceiverStats{InPktsUnchecked: 1}},
		{"encrypted, disabled", secured(true, nothing), ReceiverConfig{Validation: Disabled}, DropEncrypted, ReceiverStats{InPktsNotValid: 1}},
		{"C without E", secured(false, func(b []byte) { b[14] |= tciC }), ReceiverConfig{}, DropForged, ReceiverStats{InPktsNotValid: 1, InOctetsValidated: 130}},
		{"good", secured(true, nothing), ReceiverConfig{}, OK, ReceiverStats{InPktsOK: 1, InOctetsDecrypted: 130}},
		{"late", secured(true, nothing), ReceiverConfig{ReplayProtect: true, ReplayWindow: 50}, DropReplay, ReceiverStats{InPktsLate: 1}},
		{"late within the window", secured(true, nothing), ReceiverConfig{ReplayProtect: true, ReplayWindow: 151}, OK, ReceiverStats{InPktsOK: 1, InOctetsDecrypted: 130}},
		{"late, unprotected", secured(true, nothing), ReceiverConfig{ReplayWindow: 50}, OK, ReceiverStats{InPktsDelayed: 1, InOctetsDecrypted: 130}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewReceiver(c.config)
			require.NoError(t, err)
			pn := uint64(1)
			if c.want == DropReplay || c.stats.InPktsDelayed > 0 || c.config.ReplayWindow > 0 {
				pn = 251
			}
			require.NoError(t, r.Install(station, 1, keyOf(GCMAES128), pn))
			inner, v := r.Open(c.frame)
			require.Equal(t, c.want, v)
			require.Equal(t, v.Drops(), inner == nil)
			require.Equal(t, c.stats, r.Stats)
			if v == OK && c.stats.InPktsInvalid+c.stats.InPktsUnchecked == 0 {
				require.Equal(t, plain, inner)
			}
		})
	}
}

// A higher packet number moves the window, a forged one does not.
func TestReplayWindow(t *testing.T) {
	s, r := both(t, SenderConfig{}, ReceiverConfig{ReplayProtect: true, ReplayWindow: 10}, GCMAES128, 1)
	var sent [][]byte
	for range 50 {
		sent = append(sent, protect(t, s, frames()[3]))
	}
	open := func(i int) Verdict {
		_, v := r.Open(bytes.Clone(sent[i-1]))
		return v
	}
	require.Equal(t, OK, open(1))
	require.Equal(t, OK, open(1), "within the window nothing is remembered (10.6.2)")
	sent[49][40] ^= 1
	require.Equal(t, DropForged, open(50))
	require.EqualValues(t, 2, r.Next(station, 1))
	require.Equal(t, OK, open(40))
	require.Equal(t, DropReplay, open(30))
	require.Equal(t, OK, open(31))
}

// Packet number 0 is none, but for two ends that both began with it.
func TestPacketNumber0(t *testing.T) {
	s, r := both(t, SenderConfig{}, ReceiverConfig{}, GCMAES128, 1)
	plain := frames()[3]
	frame := append(append(make([]byte, s.TagBytes()), plain...), make([]byte, ICVBytes)...)
	require.NoError(t, s.ProtectAs(frame, 0))
	_, v := r.Open(bytes.Clone(frame))
	require.Equal(t, DropBadTag, v)
	require.NoError(t, r.Install(station, 1, keyOf(GCMAES128), 0))
	_, v = r.Open(frame)
	require.Equal(t, OK, v)
	require.EqualValues(t, 1, r.Next(station, 1))
}

// Packet numbers end, and extended ones go on behind 2^32, late ones included.
func TestPacketNumbersEnd(t *testing.T) {
	s, r := both(t, SenderConfig{}, ReceiverConfig{ReplayProtect: true}, GCMAES128, math.MaxUint32-1)
	plain := frames()[3]
	for range 2 {
		_, v := r.Open(protect(t, s, plain))
		require.Equal(t, OK, v)
	}
	room := make([]byte, len(plain)+24)
	require.ErrorIs(t, s.Protect(room), ErrExhausted)
	require.Zero(t, s.Next(1))
	s.Use(2)
	require.ErrorIs(t, s.Protect(room), ErrNoSA)

	s, r = both(t, SenderConfig{}, ReceiverConfig{ReplayProtect: true, ReplayWindow: 8}, GCMAESXPN256, math.MaxUint32-3)
	var kept []byte
	for i := range 8 {
		frame := protect(t, s, plain)
		if i == 3 { // the last ahead of 2^32
			kept = bytes.Clone(frame)
			continue
		}
		_, v := r.Open(frame)
		require.Equal(t, OK, v, "%d", i)
	}
	require.EqualValues(t, math.MaxUint32+5, r.Next(station, 1))
	_, v := r.Open(kept)
	require.Equal(t, OK, v, "it is in the window")

	s, _ = both(t, SenderConfig{}, ReceiverConfig{}, GCMAESXPN128, math.MaxUint64)
	protect(t, s, plain)
	require.ErrorIs(t, s.Protect(room), ErrExhausted)
}

// Keys change without loss: both associations are there while frames of both are on the way.
func TestAssociationsChange(t *testing.T) {
	s, r := both(t, SenderConfig{Encrypt: true}, ReceiverConfig{ReplayProtect: true}, GCMAES128, 1)
	other := keyOf(GCMAES256)
	require.NoError(t, s.Install(2, other, 1))
	require.NoError(t, r.Install(station, 2, other, 1))
	plain := frames()[4]
	old := protect(t, s, plain)
	s.Use(2)
	for _, frame := range [][]byte{protect(t, s, plain), old, protect(t, s, plain)} {
		inner, v := r.Open(frame)
		require.Equal(t, OK, v)
		require.Equal(t, plain, inner)
	}
	require.EqualValues(t, 1, r.SAStats(station, 1).InPktsOK)
	require.EqualValues(t, 2, r.SAStats(station, 2).InPktsOK)
	s.Use(1)
	r.Remove(station, 1)
	_, v := r.Open(protect(t, s, plain))
	require.Equal(t, DropNoSA, v)
	s.Remove(1)
	require.ErrorIs(t, s.Protect(make([]byte, 100)), ErrNoSA)
	s.Use(2)
	r.RemoveChannel(station)
	_, v = r.Open(protect(t, s, plain))
	require.Equal(t, DropNoSA, v)
	require.Zero(t, r.ChannelStats(station))
	require.Zero(t, r.SAStats(station, 2))
	require.Zero(t, r.Next(station, 2))
}

func TestFramesThatAreNotSent(t *testing.T) {
	s, _ := both(t, SenderConfig{MaxFrame: 100}, ReceiverConfig{}, GCMAES128, 1)
	require.ErrorIs(t, s.Protect(make([]byte, 101)), ErrTooLong)
	require.EqualValues(t, 1, s.Stats.OutPktsTooLong)
	require.ErrorIs(t, s.Protect(make([]byte, 12+8+16+1)), ErrTooShort)
	require.ErrorIs(t, s.Protect(nil), ErrTooShort)
	require.EqualValues(t, 1, s.Next(1))

	s, err := NewSender(SenderConfig{Unprotected: true})
	require.NoError(t, err)
	require.Zero(t, s.TagBytes())
	frame := frames()[3]
	require.NoError(t, s.Protect(frame))
	require.Equal(t, frames()[3], frame)
	require.EqualValues(t, 1, s.Stats.OutPktsUntagged)
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	for _, c := range []SenderConfig{{Offset: 31}, {IncludeSCI: true, EndStation: true}, {IncludeSCI: true, SingleCopy: true}, {TagsInClear: -4}, {EndStation: true, SCI: 2}, {SingleCopy: true, SCI: 1}} {
		_, err := NewSender(c)
		require.Error(t, err)
	}
	for _, c := range []ReceiverConfig{{Offset: 31}, {Validation: 3}, {TagsInClear: -4}} {
		_, err := NewReceiver(c)
		require.Error(t, err)
	}
	s, err := NewSender(SenderConfig{Offset: 30})
	require.NoError(t, err)
	require.Error(t, s.Install(0, keyOf(GCMAES128), 0))
	r, err := NewReceiver(ReceiverConfig{Offset: 30})
	require.NoError(t, err)
	for _, c := range []struct {
		an uint8
		k  Key
		pn uint64
	}{
		{4, keyOf(GCMAES128), 1},
		{0, keyOf(GCMAES128), 1 << 32},
		{0, keyOf(GCMAESXPN128), 1}, // with an offset
		{0, Key{Suite: GCMAES256, Secret: make([]byte, 16)}, 1},
		{0, Key{Suite: 4, Secret: make([]byte, 16)}, 1},
	} {
		require.Error(t, s.Install(c.an, c.k, c.pn))
		require.Error(t, r.Install(station, c.an, c.k, c.pn))
	}
	r, err = NewReceiver(ReceiverConfig{ReplayWindow: maxExtendedWindow + 1})
	require.NoError(t, err)
	require.ErrorContains(t, r.Install(station, 0, keyOf(GCMAESXPN128), 1), "replay window")
	for sci := range SCI(maxChannels) {
		require.NoError(t, r.Install(sci, 0, keyOf(GCMAES128), 1))
	}
	require.ErrorContains(t, r.Install(station, 0, keyOf(GCMAES128), 1), "may be no more")
}

func TestAKeyIsNotPrinted(t *testing.T) {
	k := Key{Secret: []byte("secretsecretsecr"), Salt: [12]byte{'s', 'a', 'l', 't'}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		text := fmt.Sprintf(verb, k)
		require.Contains(t, text, "GCM-AES-128")
		for _, s := range []string{"secret", "salt", hex.EncodeToString([]byte("secret")), "115"} {
			require.NotContains(t, text, s)
		}
	}
	require.Equal(t, "suite 9", Suite(9).String())
}

func TestNothingIsAllocated(t *testing.T) {
	for _, c := range senders() {
		s, r := both(t, c, ReceiverConfig{}, GCMAES128, 1)
		plain := frames()[4]
		frame := make([]byte, s.TagBytes()+len(plain)+ICVBytes)
		require.Zero(t, testing.AllocsPerRun(20, func() {
			copy(frame[s.TagBytes():], plain)
			if s.Protect(frame) != nil {
				t.Fatal("not sent")
			}
			if _, v := r.Open(frame); v != OK {
				t.Fatal(v)
			}
		}))
	}
}

// FuzzOpen holds that no bytes make a receiver panic, and that one accepts a frame of no
// sender only if it need not be authentic.
func FuzzOpen(f *testing.F) {
	for i, c := range senders() {
		s, _ := both(f, c, ReceiverConfig{}, GCMAES128, 1)
		f.Add(protect(f, s, frames()[i%5]), uint8(i))
	}
	f.Add([]byte{}, uint8(0))
	all := senders()
	f.Fuzz(func(t *testing.T, frame []byte, kind uint8) {
		c := all[int(kind)%len(all)]
		s, r := both(t, c, ReceiverConfig{Validation: Validation(kind % 3), ReplayProtect: kind&4 != 0}, GCMAES128, 1)
		before := bytes.Clone(frame)
		inner, v := r.Open(frame)
		if v.Drops() {
			require.Nil(t, inner)
		}
		if len(before) < s.TagBytes()+14+c.TagsInClear+ICVBytes {
			return
		}
		plain := bytes.Clone(before[s.TagBytes() : len(before)-ICVBytes])
		require.NoError(t, s.Protect(before))
		_, strict := both(t, c, ReceiverConfig{}, GCMAES128, 1)
		if c.EndStation || c.SingleCopy {
			return // its SCI would be that of any source address
		}
		inner, v = strict.Open(before)
		require.Equal(t, OK, v)
		require.Equal(t, plain, inner)
	})
}
