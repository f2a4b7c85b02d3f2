package checksum_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

// plain is what Plain promises, by the functions that it stands for.
func plain(b []byte) parse.Kind {
	var h parse.Headers
	parse.Frame(&h, b, 0)
	switch {
	case len(b) < 60, h.Kind != parse.IPv4|parse.TCP && h.Kind != parse.IPv4|parse.UDP,
		h.Kind&parse.UDP != 0 && header.UDP(b[h.L4:]).Length() != h.End-h.L4,
		checksum.IPv4Header(b, &h) != checksum.Good, checksum.L4(b, &h) != checksum.Good:
		return 0
	}
	return h.Kind
}

// roomy returns b with the capacity that frames have; what is beyond b is noise.
func roomy(b []byte) []byte {
	r := make([]byte, len(b)+100)
	for i := range r {
		r[i] = byte(i*7 + 1)
	}
	copy(r, b)
	return r[:len(b)]
}

func padded(p craft.Packet) []byte {
	b := p.Frame()
	return roomy(append(b, make([]byte, max(0, 60-len(b)))...))
}

func TestPlainFrames(t *testing.T) {
	for n := range 300 {
		for _, p := range []craft.Packet{
			{Payload: craft.Payload(n)},
			{Payload: craft.Payload(n), Padding: 5},
			{Proto: craft.TCP, Flags: 0x10, Payload: craft.Payload(n)},
			{Proto: craft.TCP, Flags: 0x10, TCPOptions: make([]byte, 12), Payload: craft.Payload(n)},
		} {
			b := padded(p)
			require.NotZero(t, plain(b))
			require.Equal(t, plain(b), checksum.Plain(b), "%d bytes", n)
		}
	}
}

func TestFramesThatAreNotPlain(t *testing.T) {
	payload := craft.Payload(30)
	for name, p := range map[string]craft.Packet{
		"IPv6":        {IPv6: true, Payload: payload},
		"tag":         {Tags: []craft.Tag{craft.VLAN(3)}, Payload: payload},
		"options":     {Options: []byte{1, 1, 1, 0}, Payload: payload},
		"fragment":    {Fragment: 0x2000, Payload: payload},
		"no checksum": {NoChecksum: true, Payload: payload},
		"SCTP":        {Proto: craft.SCTP, Payload: payload},
	} {
		require.Zero(t, checksum.Plain(padded(p)), name)
	}
	require.Zero(t, checksum.Plain(craft.Packet{Payload: payload[:10]}.Frame()), "short")
	b := craft.Packet{Payload: payload[:20]}.Frame()
	require.Zero(t, checksum.Plain(b[:len(b):len(b)]), "no room behind it")
}

// Every damaged bit is noticed by one of the checksums, or is not theirs.
func TestPlainNoticesDamage(t *testing.T) {
	for _, n := range []int{0, 17, 18, 23, 24, 40, 200} {
		good := padded(craft.Packet{Payload: craft.Payload(n)})
		for bit := range 8 * len(good) {
			b := roomy(good)
			b[bit/8] ^= 1 << (bit % 8)
			require.Equal(t, plain(b), checksum.Plain(b), "bit %d of %d bytes", bit, len(b))
		}
	}
}

// FuzzPlain holds that Plain says what parsing and verifying say, whatever the
// frame holds.
func FuzzPlain(f *testing.F) {
	for _, n := range []int{0, 18, 22, 30, 100} {
		f.Add(craft.Packet{Payload: craft.Payload(n)}.Frame())
		f.Add(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(n)}.Frame())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0xFFFF {
			return
		}
		require.Equal(t, plain(b), checksum.Plain(roomy(b)))
	})
}

func TestPlainDoesNotAllocate(t *testing.T) {
	b := padded(craft.Packet{Payload: craft.Payload(100)})
	require.Zero(t, testing.AllocsPerRun(10, func() { checksum.Plain(b) }))
}
