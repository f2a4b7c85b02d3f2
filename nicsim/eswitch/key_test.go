package eswitch_test

import (
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/eswitch"
	"nicsim.dev/offloads/parse"
)

// serialize builds a frame with gopacket.
func serialize(t testing.TB, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	out := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true}, parts...))
	return out.Bytes()
}

func keyOf(b []byte) *eswitch.Key {
	var h parse.Headers
	parse.Frame(&h, b, 0x88A8)
	k := &eswitch.Key{1, 2, 3, 4, 5, 6, 7, 8} // leftovers of another frame
	k.Frame(b, &h)
	return k
}

func TestKeyOfTaggedTCP(t *testing.T) {
	k := keyOf(serialize(t,
		&layers.Ethernet{DstMAC: []byte{2, 1, 2, 3, 4, 5}, SrcMAC: []byte{6, 7, 8, 9, 10, 11}, EthernetType: 0x88A8},
		&layers.Dot1Q{Type: layers.EthernetTypeDot1Q, VLANIdentifier: 100, Priority: 5},
		&layers.Dot1Q{Type: layers.EthernetTypeIPv4, VLANIdentifier: 200},
		&layers.IPv4{Version: 4, IHL: 5, TTL: 9, Protocol: layers.IPProtocolTCP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}},
		&layers.TCP{SrcPort: 1234, DstPort: 80, SYN: true, ACK: true}))
	for field, want := range map[eswitch.Field]uint64{
		eswitch.DstMAC: 0x020102030405, eswitch.SrcMAC: 0x060708090A0B, eswitch.EtherType: 0x0800,
		eswitch.Kind:     uint64(parse.IPv4 | parse.TCP | parse.Tagged | parse.DoubleTagged | parse.ExtendedVLAN),
		eswitch.OuterTCI: 5<<13 | 100, eswitch.InnerTCI: 200, eswitch.Proto: 6, eswitch.TCPFlags: 0x12,
		eswitch.SrcIPHigh: 0, eswitch.SrcIP: 0x0A000001, eswitch.DstIPHigh: 0, eswitch.DstIP: 0x0A000002,
		eswitch.SrcPort: 1234, eswitch.DstPort: 80,
	} {
		require.Equal(t, want, k.Get(field), "field %d", field)
	}
}

func TestKeyOfUDPOverIPv6(t *testing.T) {
	src, dst := make([]byte, 16), make([]byte, 16)
	for i := range 16 {
		src[i], dst[i] = byte(i+1), byte(i+101)
	}
	k := keyOf(serialize(t,
		&layers.Ethernet{DstMAC: make([]byte, 6), SrcMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv6},
		&layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, SrcIP: src, DstIP: dst},
		&layers.UDP{SrcPort: 53, DstPort: 5353}))
	require.Equal(t, binary.BigEndian.Uint64(src), k.Get(eswitch.SrcIPHigh))
	require.Equal(t, binary.BigEndian.Uint64(src[8:]), k.Get(eswitch.SrcIP))
	require.Equal(t, binary.BigEndian.Uint64(dst), k.Get(eswitch.DstIPHigh))
	require.Equal(t, binary.BigEndian.Uint64(dst[8:]), k.Get(eswitch.DstIP))
	require.EqualValues(t, 53, k.Get(eswitch.SrcPort))
	require.EqualValues(t, 5353, k.Get(eswitch.DstPort))
	require.Zero(t, k.Get(eswitch.TCPFlags))
}

// TestFieldsAreApart sets every field to all ones in turn and finds no other
// field changed.
func TestFieldsAreApart(t *testing.T) {
	for f := eswitch.DstMAC; f <= eswitch.DstPort; f++ {
		var k eswitch.Key
		k.Set(f, ^uint64(0))
		require.NotZero(t, k.Get(f))
		for other := eswitch.DstMAC; other <= eswitch.DstPort; other++ {
			if other != f {
				require.Zero(t, k.Get(other), "%d by %d", other, f)
			}
		}
		k.Set(f, 0)
		require.Equal(t, eswitch.Key{}, k)
	}
}

func FuzzKey(f *testing.F) {
	f.Add(make([]byte, 60))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := keyOf(b) // does not panic
		if len(b) >= 14 {
			require.Equal(t, binary.BigEndian.Uint64(append(make([]byte, 2), b[:6]...)), k.Get(eswitch.DstMAC))
		}
	})
}
