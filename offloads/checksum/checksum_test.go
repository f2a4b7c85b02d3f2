package checksum_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	gvisor "gvisor.dev/gvisor/pkg/tcpip/checksum"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
)

func headers(b []byte) *parse.Headers {
	var h parse.Headers
	parse.Frame(&h, b, 0x88A8)
	return &h
}

// stacks are the header stacks whose checksums are verified and inserted.
func stacks() map[string]craft.Packet {
	all := map[string]craft.Packet{}
	for name, proto := range map[string]uint8{"UDP": craft.UDP, "TCP": craft.TCP, "SCTP": craft.SCTP} {
		p := craft.Packet{Proto: proto, Payload: craft.Payload(101), Padding: 5}
		all[name] = p
		tagged := p
		tagged.Tags = []craft.Tag{craft.Outer(1), craft.VLAN(2)}
		all[name+" tagged twice"] = tagged
		options := p
		options.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0}
		all[name+" IPv4 options"] = options
		p.IPv6 = true
		all[name+" IPv6"] = p
		p.Extensions = []craft.Extension{craft.HopByHop, craft.Destination, craft.Routing}
		all[name+" IPv6 extensions"] = p
	}
	return all
}

func TestVerifyTellsGoodFromBad(t *testing.T) {
	for name, p := range stacks() {
		t.Run(name, func(t *testing.T) {
			b := p.Frame()
			h := headers(b)
			require.Equal(t, checksum.Good, checksum.L4(b, h))
			for _, at := range []int{int(h.Payload), int(h.End) - 1, int(h.L4)} {
				b[at] ^= 0x10
				require.Equal(t, checksum.Bad, checksum.L4(b, h), "byte %d", at)
				b[at] ^= 0x10
			}
			if p.IPv6 {
				require.Equal(t, checksum.NotChecked, checksum.IPv4Header(b, h))
				return
			}
			require.Equal(t, checksum.Good, checksum.IPv4Header(b, h))
			b[h.L3+8]--
			require.Equal(t, checksum.Bad, checksum.IPv4Header(b, h))
			require.Equal(t, checksum.Good, checksum.L4(b, h), "the time to live is not in the pseudo-header")
		})
	}
}

func TestInsertGivesWhatTheSenderHad(t *testing.T) {
	for name, p := range stacks() {
		t.Run(name, func(t *testing.T) {
			want := p.Frame()
			h := headers(want)
			got := bytes.Clone(want)
			l3, l4, end := int(h.L3), int(h.L4), int(h.End)
			seed := checksum.PseudoIPv4
			if p.IPv6 {
				seed = checksum.PseudoIPv6
			} else {
				got[l3+10], got[l3+11] = 0xDE, 0xAD
				require.True(t, checksum.FillIPv4(got, l3, int(h.L3End)-l3))
			}
			pseudo := seed(got, l3, h.Proto, end-l4)
			require.Equal(t, refmodel.Sum(refmodel.PseudoHeader(want, h, end-l4)), pseudo)
			switch h.Proto {
			case craft.TCP:
				gvisor.Put(got[l4+16:], pseudo)
				require.True(t, checksum.Fill(got, l4, l4+16, end))
			case craft.UDP:
				gvisor.Put(got[l4+6:], pseudo)
				require.True(t, checksum.FillUDP(got, l4, l4+6, end))
			case craft.SCTP:
				copy(got[l4+8:], []byte{1, 2, 3, 4})
				require.True(t, checksum.FillSCTP(got, l4, end))
			}
			require.Equal(t, want, got)
		})
	}
}

func TestUDPZero(t *testing.T) {
	b := craft.Packet{NoChecksum: true}.Frame()
	require.Equal(t, checksum.Absent, checksum.L4(b, headers(b)))

	field := []byte{0xFF, 0xFF, 0, 0}
	require.True(t, checksum.FillUDP(field, 0, 2, 4))
	require.Equal(t, []byte{0xFF, 0xFF, 0xFF, 0xFF}, field, "a computed zero is sent as ones")
	field = []byte{0xFF, 0xFF, 0, 0}
	require.True(t, checksum.Fill(field, 0, 2, 4))
	require.Equal(t, []byte{0xFF, 0xFF, 0, 0}, field)
}

func TestUDPLength(t *testing.T) {
	p := craft.Packet{Payload: craft.Payload(9)}
	b := p.Frame()
	h := headers(b)
	for _, n := range []byte{0, 7, 18} {
		b[h.L4+5] = n
		require.Equal(t, checksum.Bad, checksum.L4(b, h), "length %d", n)
	}
	// A datagram may end before its packet does; the rest is not covered.
	inner := p.Frame()
	inner = append(inner, 1, 2, 3)
	inner[h.L3+3] += 3
	require.Equal(t, checksum.Good, checksum.L4(inner, headers(inner)))
}

func TestNotChecked(t *testing.T) {
	for name, p := range map[string]craft.Packet{
		"first fragment":  {Fragment: 0x2000},
		"later fragment":  {Fragment: 1},
		"IPv6 fragment":   {IPv6: true, Extensions: []craft.Extension{craft.Fragment6(0, true)}},
		"routed":          {IPv6: true, Extensions: []craft.Extension{craft.RoutingVia}},
		"home address":    {IPv6: true, Extensions: []craft.Extension{craft.HomeAddress}},
		"ICMP":            {Proto: 1, Payload: make([]byte, 8)},
		"encrypted":       {Proto: 50, Payload: make([]byte, 16)},
		"unknown outer":   {Tags: []craft.Tag{{TPID: 0x9100, TCI: 1}}},
		"unknown content": {Proto: 200, Payload: make([]byte, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			b := p.Frame()
			require.Equal(t, checksum.NotChecked, checksum.L4(b, headers(b)))
		})
	}
	cut := craft.Packet{Payload: craft.Payload(9)}.Frame()
	cut = cut[:len(cut)-1]
	require.Equal(t, checksum.NotChecked, checksum.L4(cut, headers(cut)), "truncated")
}

func TestFragmentSumsMakeTheDatagram(t *testing.T) {
	whole := craft.Packet{Payload: craft.Payload(100)}.Frame()
	h := headers(whole)
	datagram := whole[h.L4:h.End]
	sum := checksum.PseudoIPv4(whole, int(h.L3), h.Proto, len(datagram))
	for _, f := range []struct{ from, to int }{{0, 48}, {48, 96}, {96, 108}} {
		word := uint16(f.from / 8)
		if f.to < len(datagram) {
			word |= 0x2000
		}
		// The fragment's bytes stand where a packet of protocol 200 has its payload.
		b := craft.Packet{Proto: 200, Payload: datagram[f.from:f.to], Fragment: word, Padding: 7}.Frame()
		b[h.L3+9] = craft.UDP
		sum = checksum.Add(sum, checksum.FragmentSum(b, headers(b)))
	}
	require.Equal(t, uint16(0xFFFF), sum)
	require.Zero(t, checksum.FragmentSum(whole, h), "not a fragment")
	tcp := craft.Packet{Proto: craft.TCP, Fragment: 1}.Frame()
	require.Zero(t, checksum.FragmentSum(tcp, headers(tcp)), "not UDP")
}

func TestFillOutsideTheFrame(t *testing.T) {
	b := craft.Payload(40)
	want := bytes.Clone(b)
	for _, r := range [][3]int{{-1, 4, 8}, {4, 2, 8}, {0, 39, 41}, {0, 38, 41}, {0, 7, 8}, {0, -2, 8}, {0, 8, 1}, {9, 9, 9}, {1 << 62, 1 << 62, 1<<63 - 1}} {
		require.False(t, checksum.Fill(b, r[0], r[1], r[2]), "%v", r)
		require.False(t, checksum.FillUDP(b, r[0], r[1], r[2]), "%v", r)
	}
	for _, r := range [][2]int{{-1, 20}, {0, 19}, {21, 20}, {41, 20}, {1 << 62, 20}, {0, 1<<63 - 1}} {
		require.False(t, checksum.FillIPv4(b, r[0], r[1]), "%v", r)
		require.Zero(t, checksum.PseudoIPv6(b, 1, 6, 0))
	}
	for _, r := range [][2]int{{-9, 20}, {0, 11}, {30, 41}, {35, 40}, {1<<63 - 1, 40}} {
		require.False(t, checksum.FillSCTP(b, r[0], r[1]), "%v", r)
	}
	require.Equal(t, want, b)
}

// FuzzVerify holds that verdicts are those of the slow sums.
func FuzzVerify(f *testing.F) {
	for _, p := range stacks() {
		f.Add(p.Frame())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := headers(b)
		if v := checksum.IPv4Header(b, h); v != checksum.NotChecked {
			require.Equal(t, refmodel.GoodIPv4(b, h), v == checksum.Good)
		}
		if v := checksum.L4(b, h); v == checksum.Good || v == checksum.Bad {
			require.Equal(t, refmodel.GoodL4(b, h), v == checksum.Good)
		}
		checksum.FragmentSum(b, h)
		require.Equal(t, refmodel.Sum(b), checksum.Sum(b, 0))
	})
}

// FuzzFill holds that no range makes an insertion panic, and that what is
// stored is the complement of the slow sum.
func FuzzFill(f *testing.F) {
	f.Add(craft.Payload(60), 14, 20, 60)
	f.Fuzz(func(t *testing.T, b []byte, start, at, end int) {
		want := bytes.Clone(b)
		if checksum.Fill(b, start, at, end) {
			gvisor.Put(want[at:], ^refmodel.Sum(want[start:end]))
		}
		require.Equal(t, want, b)
		if checksum.FillSCTP(b, start, end) {
			copy(want[start+8:], []byte{0, 0, 0, 0})
			binary.LittleEndian.PutUint32(want[start+8:], refmodel.CRC32c(want[start:end]))
		}
		require.Equal(t, want, b)
		checksum.FillUDP(b, start, at, end)
		checksum.FillIPv4(b, start, at)
		checksum.PseudoIPv4(b, start, 6, end)
		checksum.PseudoIPv6(b, start, 6, end)
	})
}

func TestNoAllocation(t *testing.T) {
	for name, p := range stacks() {
		b := p.Frame()
		h := headers(b)
		require.Zero(t, testing.AllocsPerRun(10, func() {
			checksum.IPv4Header(b, h)
			checksum.L4(b, h)
			checksum.FillSCTP(b, int(h.L4), int(h.End))
			checksum.Fill(b, int(h.L4), int(h.L4), int(h.End))
		}), name)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct {
		name   string
		packet craft.Packet
	}{
		{"udp64", craft.Packet{Payload: craft.Payload(18)}},
		{"tcp1500", craft.Packet{Proto: craft.TCP, Payload: craft.Payload(1460)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			frame := c.packet.Frame()
			h := headers(frame)
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if checksum.IPv4Header(frame, h) != checksum.Good || checksum.L4(frame, h) != checksum.Good {
					b.Fatal("bad")
				}
			}
		})
	}
}
