package ipsec

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

// withAH is a packet with an AH header behind all others that may be ahead of it, the
// place of that, and where the headers are that routers change.
func withAH(t testing.TB, p craft.Packet) (packet []byte, ah int) {
	b := p.Frame()
	var h parse.Headers
	parse.Frame(&h, b, 0)
	n := AHBytes(p.IPv6)
	header := make([]byte, n)
	header[0], header[1] = h.Proto, uint8(n/4-2)
	copy(header[4:], "spi.seq.initvect")
	packet = append(append(bytes.Clone(b[h.L3:h.L4]), header...), b[h.L4:]...)
	ah = int(h.L4 - h.L3)
	if p.IPv6 {
		binary.BigEndian.PutUint16(packet[4:], uint16(len(packet)-40))
		at := 6
		for next := 40; next < ah; next += (int(packet[next+1]) + 1) * 8 {
			at = next
		}
		packet[at] = extensionAH
	} else {
		binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
		packet[9] = extensionAH
	}
	return packet, ah
}

func gmac(t testing.TB, esn bool) *Transform {
	return transform(t, Key{AESGMAC, make([]byte, 16), [4]byte{1, 2, 3, 4}, 16, esn})
}

// What routers may change is not authenticated, and everything else is (RFC 4302
// 3.3.3.1, appendix A).
func TestWhatAHAuthenticates(t *testing.T) {
	data := []byte("what an upper layer sends")
	for _, c := range []struct {
		name    string
		packet  craft.Packet
		mutable [][2]int // bits that may change: first, and one beyond the last
		option  int      // the byte where an option begins of which nothing is authenticated
	}{
		{"IPv4", craft.Packet{Payload: data}, [][2]int{{8, 16}, {48, 72}, {80, 96}}, 0},
		// Router alert, record route, end of options and what follows that.
		{"IPv4 with options", craft.Packet{Payload: data, Options: []byte{148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
			[][2]int{{8, 16}, {48, 72}, {80, 96}, {26 * 8, 31 * 8}}, 24},
		{"IPv6", craft.Packet{IPv6: true, Payload: data}, [][2]int{{4, 32}, {56, 64}}, 0},
		// Options that may change, and that may not.
		{"IPv6 with hop-by-hop options", craft.Packet{IPv6: true, Payload: data, Extensions: []craft.Extension{
			{Proto: 0, Bytes: []byte{0, 1, 0x3E, 2, 9, 9, 0, 0, 0x1E, 2, 9, 9, 1, 2, 0, 0}},
		}}, [][2]int{{4, 32}, {56, 64}, {44 * 8, 46 * 8}}, 0},
	} {
		for _, esn := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				tr := gmac(t, esn)
				packet, ah := withAH(t, c.packet)
				require.NoError(t, tr.SealAH(packet, ah, 7))
				require.NoError(t, tr.OpenAH(packet, ah, 7))
				if esn {
					require.ErrorIs(t, tr.OpenAH(packet, ah, 8), ErrAuth)
				}
				for bit := range 8 * len(packet) {
					if c.option > 0 && (bit/8 == c.option || bit/8 == c.option+1) {
						continue // another kind or length, of which nothing is authenticated either
					}
					free := false
					for _, m := range c.mutable {
						free = free || bit >= m[0] && bit < m[1]
					}
					packet[bit/8] ^= 0x80 >> (bit % 8)
					err := tr.OpenAH(packet, ah, 7)
					packet[bit/8] ^= 0x80 >> (bit % 8)
					require.Equal(t, free, err == nil, "bit %d of byte %d: %v", bit%8, bit/8, err)
				}
			})
		}
	}
}

// The sender authenticates what the last receiver will see.
func TestSourceRoutes(t *testing.T) {
	tr := gmac(t, false)
	t.Run("IPv4", func(t *testing.T) {
		route := []byte{131, 7, 4, 10, 0, 0, 9, 1}
		packet, ah := withAH(t, craft.Packet{Options: route})
		require.NoError(t, tr.SealAH(packet, ah, 0))
		var first [4]byte
		copy(first[:], packet[16:])
		copy(packet[16:], []byte{10, 0, 0, 9})
		require.NoError(t, tr.OpenAH(packet, ah, 0), "ahead of the last hop")
		copy(packet[23:], first[:])
		packet[22] = 8
		require.NoError(t, tr.OpenAH(packet, ah, 0), "behind it, which has recorded itself")
		packet[19]++
		require.ErrorIs(t, tr.OpenAH(packet, ah, 0), ErrAuth)
	})
	t.Run("IPv6", func(t *testing.T) {
		one, two := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
		routing := append(append([]byte{0, 4, 0, 2, 0, 0, 0, 0}, one...), two...)
		packet, ah := withAH(t, craft.Packet{IPv6: true, Extensions: []craft.Extension{{Proto: 43, Bytes: routing}}})
		require.NoError(t, tr.SealAH(packet, ah, 0))
		first := bytes.Clone(packet[24:40])
		copy(packet[24:], one) // at the first hop
		copy(packet[48:], first)
		packet[43] = 1
		require.NoError(t, tr.OpenAH(packet, ah, 0))
		copy(packet[24:], two) // and at the last
		copy(packet[64:], one)
		packet[43] = 0
		require.NoError(t, tr.OpenAH(packet, ah, 0))
		packet[43] = 3
		require.ErrorIs(t, tr.OpenAH(packet, ah, 0), ErrHeader)
	})
}

func TestHeadersAheadOfAHThatMakeNoSense(t *testing.T) {
	tr := gmac(t, false)
	good, ah := withAH(t, craft.Packet{Options: []byte{7, 7, 4, 0, 0, 0, 0, 0}})
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   error
	}{
		"version":           {func(b []byte) []byte { b[0] = 0x57; return b }, ErrHeader},
		"header length":     {func(b []byte) []byte { b[0] = 0x46; return b }, ErrHeader},
		"option length":     {func(b []byte) []byte { b[21] = 9; return b }, ErrHeader},
		"option length 0":   {func(b []byte) []byte { b[21] = 0; return b }, ErrHeader},
		"AH length":         {func(b []byte) []byte { b[ah+1] = 6; return b }, ErrLength},
		"AH length beyond":  {func(b []byte) []byte { b[ah+1] = 255; return b }, ErrLength},
		"shorter than AH":   {func(b []byte) []byte { return b[:ah+35] }, ErrLength},
		"nothing":           {func(b []byte) []byte { return nil }, ErrLength},
		"IPv6 that is IPv4": {func(b []byte) []byte { b[0] = 0x60; return b }, ErrHeader},
	} {
		b := c.change(bytes.Clone(good))
		require.ErrorIs(t, tr.SealAH(b, ah, 0), c.want, name)
		require.ErrorIs(t, tr.OpenAH(b, ah, 0), c.want, name)
	}
	require.ErrorIs(t, transform(t, keys()[0]).SealAH(bytes.Clone(good), ah, 0), ErrLength, "of an association that encrypts")
}

// FuzzAH holds that no bytes make AH panic, and that what it seals it opens.
func FuzzAH(f *testing.F) {
	for _, p := range []craft.Packet{
		{}, {IPv6: true}, {Options: []byte{131, 7, 4, 10, 0, 0, 9, 1}},
		{IPv6: true, Extensions: []craft.Extension{{Proto: 43, Bytes: make([]byte, 8)}, craft.Destination}},
	} {
		packet, ah := withAH(f, p)
		f.Add(packet, ah)
	}
	tr := gmac(f, true)
	f.Fuzz(func(t *testing.T, packet []byte, ah int) {
		if ah < 0 || ah > len(packet) || tr.SealAH(packet, ah, 1) != nil {
			return
		}
		require.NoError(t, tr.OpenAH(packet, ah, 1))
		packet[len(packet)-1] ^= 1
		if len(packet) > ah+40 {
			require.ErrorIs(t, tr.OpenAH(packet, ah, 1), ErrAuth)
		}
	})
}

func TestAHAllocatesNothing(t *testing.T) {
	tr := gmac(t, true)
	packet, ah := withAH(t, craft.Packet{IPv6: true, Payload: make([]byte, 1400)})
	require.Zero(t, testing.AllocsPerRun(50, func() {
		if tr.SealAH(packet, ah, 1) != nil || tr.OpenAH(packet, ah, 1) != nil {
			t.Fatal("what was sealed does not open")
		}
	}))
}
