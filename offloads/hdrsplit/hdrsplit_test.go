package hdrsplit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/hdrsplit"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
)

func headers(b []byte) *parse.Headers {
	var h parse.Headers
	parse.Frame(&h, b, 0)
	return &h
}

func TestBoundary(t *testing.T) {
	const none = 0
	extended := []craft.Extension{craft.HopByHop, craft.Destination}
	for _, c := range []struct {
		name   string
		packet craft.Packet
		types  hdrsplit.Types
		want   int
	}{
		{"TCP", craft.Packet{Proto: craft.TCP, TCPOptions: make([]byte, 12)}, hdrsplit.TCP | hdrsplit.IPv4 | hdrsplit.L2, 66},
		{"TCP, class not enabled", craft.Packet{Proto: craft.TCP}, hdrsplit.UDP | hdrsplit.IPv4 | hdrsplit.L2, 34},
		{"TCP, no class of IP", craft.Packet{Proto: craft.TCP}, hdrsplit.UDP | hdrsplit.IPv6 | hdrsplit.L2, 14},
		{"TCP, nothing that fits", craft.Packet{Proto: craft.TCP}, hdrsplit.UDP | hdrsplit.IPv6, none},
		{"UDP", craft.Packet{}, hdrsplit.TCP | hdrsplit.UDP, 42},
		{"SCTP", craft.Packet{Proto: craft.SCTP}, hdrsplit.TCP | hdrsplit.UDP | hdrsplit.IPv4, 34},
		{"IPv4 options", craft.Packet{Options: make([]byte, 8)}, hdrsplit.IPv4, 42},
		{"IPv6", craft.Packet{IPv6: true}, hdrsplit.IPv6, 54},
		{"IPv6 extensions", craft.Packet{IPv6: true, Extensions: extended}, hdrsplit.IPv6 | hdrsplit.L2, 70},
		{"TCP after IPv6 extensions", craft.Packet{IPv6: true, Extensions: extended, Proto: craft.TCP}, hdrsplit.TCP, 90},
		{"first fragment", craft.Packet{Fragment: 0x2000, Payload: craft.Payload(8)}, hdrsplit.UDP | hdrsplit.IPv4, 34},
		{"first fragment, IP not enabled", craft.Packet{Fragment: 0x2000, Payload: craft.Payload(8)}, hdrsplit.UDP, none},
		{"later fragment", craft.Packet{Fragment: 2, Payload: craft.Payload(8)}, hdrsplit.UDP | hdrsplit.IPv4, 34},
		{"IPv6 fragment", craft.Packet{IPv6: true, Extensions: []craft.Extension{craft.Fragment6(0, true)}}, hdrsplit.UDP | hdrsplit.IPv6, 62},
		{"tagged", craft.Packet{Tags: []craft.Tag{craft.VLAN(1)}}, hdrsplit.L2, 18},
		{"not IP", craft.Packet{Tags: []craft.Tag{craft.Outer(1)}}, hdrsplit.UDP | hdrsplit.IPv4 | hdrsplit.L2, 14},
		{"NFS is reserved", craft.Packet{}, hdrsplit.NFS, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, ok := hdrsplit.Boundary(headers(c.packet.Frame()), c.types)
			require.Equal(t, c.want, n)
			require.Equal(t, c.want != none, ok)
		})
	}
}

func TestLongHeadersAreNotSplit(t *testing.T) {
	long := craft.Destination
	long.Bytes = append([]byte{0, 121, 1, 255}, make([]byte, 972)...) // 976 bytes, 54 ahead of them
	p := craft.Packet{IPv6: true, Extensions: []craft.Extension{long}}
	_, ok := hdrsplit.Boundary(headers(p.Frame()), hdrsplit.IPv6)
	require.False(t, ok)
	p.Extensions[0].Bytes[1] = 120
	p.Extensions[0].Bytes = p.Extensions[0].Bytes[:968]
	n, ok := hdrsplit.Boundary(headers(p.Frame()), hdrsplit.IPv6)
	require.True(t, ok)
	require.Equal(t, 1022, n)
}

func TestPlace(t *testing.T) {
	const bufferBytes = 128
	for _, c := range []struct {
		name   string
		mode   hdrsplit.Mode
		bytes  int
		found  bool
		packet int
		want   hdrsplit.Placement
	}{
		{"split", hdrsplit.Split, 66, true, 1500, hdrsplit.Placement{HeaderBytes: 66, HeaderLength: 66, SPH: true}},
		{"split, header only", hdrsplit.Split, 66, true, 66, hdrsplit.Placement{HeaderBytes: 66, HeaderLength: 66, SPH: true}},
		{"split, no boundary", hdrsplit.Split, 0, false, 60, hdrsplit.Placement{}},
		{"split, header too long", hdrsplit.Split, 129, true, 1500, hdrsplit.Placement{HeaderLength: 129, SPH: true, HBO: true}},
		{"always", hdrsplit.Always, 128, true, 1500, hdrsplit.Placement{HeaderBytes: 128, HeaderLength: 128, SPH: true}},
		{"always, no boundary, short", hdrsplit.Always, 0, false, 60, hdrsplit.Placement{HeaderBytes: 60, HeaderLength: 60}},
		{"always, no boundary, long", hdrsplit.Always, 0, false, 1500, hdrsplit.Placement{HeaderBytes: 128, HeaderLength: 128}},
		{"always, header too long", hdrsplit.Always, 129, true, 1500, hdrsplit.Placement{HeaderBytes: 128, HeaderLength: 129, SPH: true, HBO: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, hdrsplit.Place(c.mode, c.bytes, c.found, c.packet, bufferBytes))
		})
	}
}

// FuzzBoundary holds that the boundary is the slow one's.
func FuzzBoundary(f *testing.F) {
	f.Add(craft.Packet{Proto: craft.TCP}.Frame(), uint32(0xFFFF))
	f.Add(craft.Packet{IPv6: true, Extensions: []craft.Extension{craft.HopByHop}}.Frame(), uint32(0x1200))
	f.Fuzz(func(t *testing.T, b []byte, bits uint32) {
		h, types := headers(b), hdrsplit.Types(bits)
		has := func(c hdrsplit.Types) bool { return types&c != 0 }
		wantBytes, wantOK := refmodel.Boundary(h, has(hdrsplit.TCP), has(hdrsplit.UDP), has(hdrsplit.IPv4), has(hdrsplit.IPv6), has(hdrsplit.L2))
		n, ok := hdrsplit.Boundary(h, types)
		require.Equal(t, wantBytes, n)
		require.Equal(t, wantOK, ok)
		require.LessOrEqual(t, n, len(b))
	})
}

func BenchmarkBoundary(b *testing.B) {
	h := headers(craft.Packet{Proto: craft.TCP}.Frame())
	for b.Loop() {
		hdrsplit.Boundary(h, hdrsplit.TCP|hdrsplit.UDP|hdrsplit.IPv4|hdrsplit.IPv6)
	}
}
