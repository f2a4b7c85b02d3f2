package rss_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
	"nicsim.dev/offloads/rss"
)

// microsoft is the key of Microsoft's "Verifying the RSS Hash Calculation".
var microsoft = [40]byte{
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
}

func headers(b []byte) *parse.Headers {
	var h parse.Headers
	parse.Frame(&h, b, 0)
	return &h
}

// TestMicrosoftVectors checks the vectors that Microsoft publishes under the
// same title.
func TestMicrosoftVectors(t *testing.T) {
	key := rss.NewKey(microsoft)
	for _, v := range []struct {
		dst, src         string
		dstPort, srcPort uint16
		addresses, ports uint32
	}{
		{"161.142.100.80", "66.9.149.187", 1766, 2794, 0x323e8fc2, 0x51ccc178},
		{"65.69.140.83", "199.92.111.2", 4739, 14230, 0xd718262a, 0xc626b0ea},
		{"12.22.207.184", "24.19.198.95", 38024, 12898, 0xd2d0a5de, 0x5c2b394a},
		{"209.142.163.6", "38.27.205.30", 2217, 48228, 0x82989176, 0xafc7327f},
		{"202.188.127.2", "153.39.163.191", 1303, 44251, 0x5d1809c5, 0x10e828a2},
		{"3ffe:2501:200:3::1", "3ffe:2501:200:1fff::7", 1766, 2794, 0x2cc18cd5, 0x40207d3d},
		{"ff02::1", "3ffe:501:8::260:97ff:fe40:efab", 4739, 14230, 0x0f0c461c, 0xdde51bbf},
		{"fe80::200:f8ff:fe21:67cf", "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 38024, 44251, 0x4b61e985, 0x02d1feef},
	} {
		src, dst := netip.MustParseAddr(v.src), netip.MustParseAddr(v.dst)
		p := craft.Packet{IPv6: src.Is6(), Src: src.AsSlice(), Dst: dst.AsSlice(), SrcPort: v.srcPort, DstPort: v.dstPort}
		all := rss.TCPv4 | rss.IPv4 | rss.UDPv4 | rss.TCPv6 | rss.IPv6 | rss.UDPv6
		for _, c := range []struct {
			proto   uint8
			enabled rss.Types
			v4, v6  rss.Type
			want    uint32
		}{
			{craft.TCP, all, rss.TypeTCPv4, rss.TypeTCPv6, v.ports},
			{craft.UDP, all, rss.TypeUDPv4, rss.TypeUDPv6, v.ports},
			{craft.TCP, all &^ (rss.TCPv4 | rss.TCPv6), rss.TypeIPv4, rss.TypeIPv6, v.addresses},
			{craft.SCTP, all, rss.TypeIPv4, rss.TypeIPv6, v.addresses},
			{craft.UDP, rss.TCPv4 | rss.TCPv6, rss.TypeNone, rss.TypeNone, 0},
			{craft.TCP, rss.TCPv6Ex | all, rss.TypeTCPv4, rss.TypeTCPv6Ex, v.ports},
		} {
			p.Proto = c.proto
			b := p.Frame()
			hash, kind := key.Hash(b, headers(b), c.enabled)
			want := c.v4
			if p.IPv6 {
				want = c.v6
			}
			require.Equal(t, want, kind)
			require.Equal(t, c.want, hash, "%s to %s", v.src, v.dst)
			if !p.IPv6 {
				require.Equal(t, v.ports, key.Flow((*[12]byte)(b[26:])))
				require.Equal(t, v.addresses, key.Addresses((*[8]byte)(b[26:])))
			}
		}
	}
}

func TestFragmentsHashByAddress(t *testing.T) {
	key := rss.NewKey(microsoft)
	enabled := rss.UDPv4 | rss.IPv4 | rss.UDPv6 | rss.IPv6
	for _, pair := range [][2]craft.Packet{
		{{Fragment: 0x2000, Payload: craft.Payload(16)}, {Fragment: 3, Payload: craft.Payload(16)}},
		{{IPv6: true, Extensions: []craft.Extension{craft.Fragment6(0, true)}}, {IPv6: true, Extensions: []craft.Extension{craft.Fragment6(3, false)}}},
	} {
		first, later := pair[0].Frame(), pair[1].Frame()
		hash1, t1 := key.Hash(first, headers(first), enabled)
		hash2, t2 := key.Hash(later, headers(later), enabled)
		require.Equal(t, hash1, hash2)
		require.Equal(t, t1, t2)
		require.Contains(t, []rss.Type{rss.TypeIPv4, rss.TypeIPv6}, t1)
		_, none := key.Hash(first, headers(first), rss.UDPv4|rss.UDPv6)
		require.Equal(t, rss.TypeNone, none)
	}
}

func TestOtherFramesHaveNoHash(t *testing.T) {
	arp := []byte{12: 8, 13: 6, 59: 0}
	hash, kind := rss.NewKey(microsoft).Hash(arp, headers(arp), 0xFFFF)
	require.Zero(t, hash)
	require.Equal(t, rss.TypeNone, kind)
}

// TestMobileNode shows that only the Ex functions follow a mobile node.
func TestMobileNode(t *testing.T) {
	key := rss.NewKey(microsoft)
	p := craft.Packet{IPv6: true, Proto: craft.TCP, Extensions: []craft.Extension{craft.HopByHop, craft.RoutingVia, craft.HomeAddress}}
	b := p.Frame()
	home, via := craft.HomeAddress.Bytes[8:24], craft.RoutingVia.Bytes[8:24]
	ports := []byte{1000 >> 8, 1000 & 255, 2000 >> 8, 2000 & 255}

	hash, kind := key.Hash(b, headers(b), rss.TCPv6Ex)
	require.Equal(t, rss.TypeTCPv6Ex, kind)
	require.Equal(t, refmodel.Toeplitz(microsoft, slices.Concat(home, via, ports)), hash)

	hash, kind = key.Hash(b, headers(b), rss.IPv6Ex)
	require.Equal(t, rss.TypeIPv6Ex, kind)
	require.Equal(t, refmodel.Toeplitz(microsoft, slices.Concat(home, via)), hash)

	hash, kind = key.Hash(b, headers(b), rss.TCPv6)
	require.Equal(t, rss.TypeTCPv6, kind)
	require.Equal(t, refmodel.Toeplitz(microsoft, slices.Concat(b[22:54], ports)), hash)
}

// FuzzHash holds that tables give the hash of the bits, and that no frame makes
// a hash panic.
func FuzzHash(f *testing.F) {
	f.Add(microsoft[:], craft.Packet{Proto: craft.TCP}.Frame(), uint16(0xFFFF))
	f.Add(microsoft[:], craft.Packet{IPv6: true}.Frame(), uint16(0xFFFF))
	f.Add(microsoft[:], craft.Packet{IPv6: true, Extensions: []craft.Extension{
		craft.HomeAddress, craft.AH, craft.RoutingVia, craft.Fragment6(0, true)}}.Frame(), uint16(0xFFFF))
	f.Fuzz(func(t *testing.T, k, b []byte, enabled uint16) {
		var key [40]byte
		copy(key[:], k)
		h := headers(b)
		const ex = rss.TCPv6Ex | rss.IPv6Ex | rss.UDPv6Ex
		rss.NewKey(key).Hash(b, h, ex)
		hash, kind := rss.NewKey(key).Hash(b, h, rss.Types(enabled)&^ex)
		var input []byte
		switch kind {
		case rss.TypeTCPv4, rss.TypeUDPv4, rss.TypeIPv4:
			input = b[h.L3+12 : h.L3+20]
		case rss.TypeTCPv6, rss.TypeUDPv6, rss.TypeIPv6:
			input = b[h.L3+8 : h.L3+40]
		}
		if kind != rss.TypeIPv4 && kind != rss.TypeIPv6 && kind != rss.TypeNone {
			input = slices.Concat(input, b[h.L4:h.L4+4])
		}
		require.Equal(t, refmodel.Toeplitz(key, input), hash)
	})
}

func TestHashDoesNotAllocate(t *testing.T) {
	key := rss.NewKey(microsoft)
	b := craft.Packet{IPv6: true, Extensions: []craft.Extension{craft.HomeAddress}}.Frame()
	h := headers(b)
	require.Zero(t, testing.AllocsPerRun(10, func() { key.Hash(b, h, 0xFFFF) }))
}

func BenchmarkHash(b *testing.B) {
	key := rss.NewKey(microsoft)
	for _, c := range []struct {
		name   string
		packet craft.Packet
	}{
		{"tcp4", craft.Packet{Proto: craft.TCP}},
		{"tcp6", craft.Packet{Proto: craft.TCP, IPv6: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			frame := c.packet.Frame()
			h := headers(frame)
			for b.Loop() {
				key.Hash(frame, h, 0xFFFF)
			}
		})
	}
}
