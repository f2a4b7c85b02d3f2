package macsec

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/big"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel"
)

// counts are the counters that are not zero, by their names.
func counts(s ReceiverStats) map[string]uint64 {
	all := map[string]uint64{}
	for v, i := reflect.ValueOf(s), 0; i < v.NumField(); i++ {
		if n := v.Field(i).Uint(); n > 0 {
			all[v.Type().Field(i).Name] = n
		}
	}
	return all
}

// slow is the reference of what both makes.
func slow(c SenderConfig, rc ReceiverConfig, suite Suite, pn uint64) *refmodel.MACsec {
	k := keyOf(suite)
	m := &refmodel.MACsec{
		Validate:      [...]string{"strict", "check", "disabled"}[rc.Validation],
		ReplayProtect: rc.ReplayProtect, ReplayWindow: rc.ReplayWindow, Offset: c.Offset, Clear: c.TagsInClear,
		AN: 1, Key: k.Secret, Extended: suite.extended(), Salt: k.Salt, SSCI: k.SSCI,
		Next: new(big.Int).SetUint64(pn), Counts: map[string]uint64{},
	}
	sci := c.SCI
	if sci == 0 {
		sci = station
	}
	binary.BigEndian.PutUint64(m.SCI[:], uint64(sci))
	return m
}

// FuzzReceive holds a receiver equal to the reference: frames with chosen distances between
// their packet numbers, damaged or not, and in between any bytes.
func FuzzReceive(f *testing.F) {
	for kind := range uint16(400) {
		f.Add(kind*163, uint64(1)<<32-5, []byte{0, 0, 3, 1, 1, 200, 2, 40, 14, 3, 255, 7, 4, 90, 1}, []byte("any"))
	}
	f.Add(uint16(3), uint64(1)<<31+10, []byte{0, 0, 0, 100, 0, 0, 0, 160, 0}, []byte{})
	f.Add(uint16(3), uint64(math.MaxUint64-2), []byte{0, 130, 0, 0, 130, 0, 0, 129, 0, 0, 120, 0}, []byte{})
	all, addresses := senders(), frames()[0][:14:14]
	f.Fuzz(func(t *testing.T, kind uint16, start uint64, steps, junk []byte) {
		c := all[int(kind)%len(all)]
		rc := ReceiverConfig{Validation: Validation(kind >> 6 % 3), ReplayProtect: kind>>8&1 != 0, ReplayWindow: uint64(kind >> 9 % 4 * 50)}
		suite := Suite(kind >> 12 % 4)
		if suite.extended() && c.Offset > 0 {
			return
		}
		if !suite.extended() {
			start &= math.MaxUint32
		}
		start = max(start, 1)
		s, r := both(t, c, rc, suite, start)
		ref := slow(c, rc, suite, start)
		receive := func(frame []byte) {
			before := bytes.Clone(frame)
			want := ref.Receive(before)
			got, v := r.Open(frame)
			require.Equal(t, want == nil, v.Drops(), "%x", before)
			require.Equal(t, want, got, "%x", before)
			require.Equal(t, ref.Counts, counts(r.Stats), "%x", before)
			if v == DropForged && len(want) == 0 {
				require.NotContains(t, string(frame), "no text is left")
			}
		}
		pn := start
		for ; len(steps) >= 3; steps = steps[3:] {
			next := pn + uint64(int64(steps[1])-128) // mostly ahead, and some behind
			if next == 0 || !suite.extended() && next > math.MaxUint32 {
				next = 1
			}
			pn = next
			plain := append(addresses, "no text is left of what is forged, whatever it was, long or short"...)
			plain = plain[:14+int(steps[0])%len(plain[14:])]
			if len(plain) < 12+c.TagsInClear+2 {
				continue
			}
			frame := append(make([]byte, s.TagBytes()), plain...)
			frame = append(frame, make([]byte, ICVBytes)...)
			require.NoError(t, s.ProtectAs(frame, pn))
			if steps[2]%3 == 1 { // one bit
				frame[int(steps[2]/3)%len(frame)] ^= 1 << (steps[0] % 8)
			}
			if steps[2]%3 == 2 { // as any other tag
				at := 12 + c.TagsInClear
				frame[at+2+int(steps[2]/3)%6] = steps[0]
			}
			receive(frame)
		}
		receive(bytes.Clone(junk))
		receive(append(append(bytes.Repeat([]byte{2}, 12+c.TagsInClear), 0x88, 0xE5), junk...))
	})
}

// With XPN a number in the window is found on both sides of where its low half wraps, and of
// where the highest bit of that changes (10.6.2).
func TestLateFramesOfExtendedNumbers(t *testing.T) {
	plain := frames()[3]
	for _, edge := range []uint64{1 << 31, 1 << 32, 3 << 31, 7 << 32} {
		s, r := both(t, SenderConfig{}, ReceiverConfig{ReplayProtect: true, ReplayWindow: 100}, GCMAESXPN128, edge-60)
		send := func(pn uint64) Verdict {
			frame := append(append(make([]byte, s.TagBytes()), plain...), make([]byte, ICVBytes)...)
			require.NoError(t, s.ProtectAs(frame, pn))
			_, v := r.Open(frame)
			return v
		}
		require.Equal(t, OK, send(edge+30), "%#x", edge)
		require.Equal(t, OK, send(edge-1), "%#x", edge)
		require.Equal(t, OK, send(edge-69), "%#x: the lowest", edge)
		require.Equal(t, DropReplay, send(edge-70), "%#x", edge)
	}
}

// The last number there is comes once.
func TestTheLastExtendedNumber(t *testing.T) {
	s, r := both(t, SenderConfig{}, ReceiverConfig{ReplayProtect: true}, GCMAESXPN128, math.MaxUint64)
	frame := protect(t, s, frames()[3])
	_, v := r.Open(bytes.Clone(frame))
	require.Equal(t, OK, v)
	_, v = r.Open(frame)
	require.Equal(t, DropReplay, v)
}

// Packet number 0 is sent of no association with 32 bits (10.6).
func TestPacketNumberZero(t *testing.T) {
	for _, v := range []Validation{Strict, Check, Disabled} {
		s, r := both(t, SenderConfig{}, ReceiverConfig{Validation: v}, GCMAES128, 1)
		frame := append(append(make([]byte, s.TagBytes()), frames()[3]...), make([]byte, ICVBytes)...)
		require.NoError(t, s.ProtectAs(frame, 0))
		_, verdict := r.Open(frame)
		require.Equal(t, DropBadTag, verdict)
		require.EqualValues(t, 1, r.Stats.InPktsBadTag)
	}
}

// Of a forged frame that is dropped no text is left, not even what was in clear.
func TestNothingIsLeftOfAForgedFrame(t *testing.T) {
	for _, c := range senders() {
		s, r := both(t, c, ReceiverConfig{}, GCMAES128, 1)
		frame := protect(t, s, frames()[3])
		frame[len(frame)-1] ^= 1
		_, v := r.Open(frame)
		require.Equal(t, DropForged, v)
		text := frame[12+c.TagsInClear+s.TagBytes() : len(frame)-ICVBytes]
		require.Equal(t, make([]byte, len(text)), text, "%+v", c)
	}
}
