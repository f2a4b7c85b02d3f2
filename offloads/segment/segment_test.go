package segment_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
	"nicsim.dev/offloads/segment"
)

// super makes a super-frame of p, seeded as a driver does, and its spec.
func super(p craft.Packet, mss int) (segment.Spec, []byte) {
	b := p.Frame()
	// A super-frame with an 802.3 header is too long for its length field: the
	// offsets are those of the same frame without payload.
	p.Payload = nil
	var h parse.Headers
	parse.Frame(&h, p.Frame(), 0x88A8)
	refmodel.Seed(b, int(h.L3), int(h.L4), h.Proto)
	return segment.Spec{
		HeaderBytes: int(h.Payload), MSS: mss, L3: int(h.L3), L4: int(h.L4), PayloadBytes: len(b) - int(h.Payload),
		IPv6: p.IPv6, UDP: h.Is(parse.UDP), SNAP: p.SNAP, IPv4Checksum: !p.IPv6, L4Checksum: true,
		FirstFlags: segment.ResetFirstFlags, MiddleFlags: segment.ResetMiddleFlags, LastFlags: segment.ResetLastFlags,
	}, b
}

// scatter cuts b into pieces of the given sizes, over and over.
func scatter(b []byte, sizes ...int) (pieces [][]byte) {
	for i := 0; len(b) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return pieces
}

func all(t require.TestingT, spec segment.Spec, pieces [][]byte) (segments [][]byte) {
	var s segment.Segmenter
	require.NoError(t, s.Start(&spec, pieces))
	for range s.Segments() {
		dst := make([]byte, s.SegmentBytes()+3)
		n := s.Next(dst)
		require.Equal(t, len(dst)-3, n)
		require.Equal(t, []byte{0, 0, 0}, dst[n:], "beyond the segment")
		segments = append(segments, dst[:n])
	}
	require.Zero(t, s.SegmentBytes())
	require.Zero(t, s.Next(make([]byte, 4096)))
	return segments
}

func stacks() map[string]craft.Packet {
	tcp := craft.Packet{Proto: craft.TCP, Seq: 0xFFFFFF00, Ack: 7, Flags: 0xFF, Window: 500, ID: 0xFFFE,
		TCPOptions: []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, Payload: craft.Payload(4001)}
	tagged := tcp
	tagged.Tags = []craft.Tag{craft.Outer(5), craft.VLAN(6)}
	options := tcp
	options.Options = []byte{7, 7, 4, 0, 0, 0, 0, 0}
	snap := tcp
	snap.SNAP = true
	tcp6 := tcp
	tcp6.IPv6 = true
	extended := tcp6
	extended.Extensions = []craft.Extension{craft.HopByHop, craft.Destination}
	udp := craft.Packet{ID: 9, Payload: craft.Payload(3000)}
	udp6 := udp
	udp6.IPv6 = true
	return map[string]craft.Packet{"TCP": tcp, "tagged": tagged, "options": options, "SNAP": snap,
		"IPv6": tcp6, "IPv6 extensions": extended, "UDP": udp, "UDP over IPv6": udp6}
}

// TestSegmentsAreGoodFrames looks at segments with other eyes than the
// reference's: each is a frame whose lengths and checksums are right, and
// together they carry the payload.
func TestSegmentsAreGoodFrames(t *testing.T) {
	for name, p := range stacks() {
		t.Run(name, func(t *testing.T) {
			spec, b := super(p, 1001)
			segments := all(t, spec, scatter(b, 70, 333, 1, 1024))
			var payload []byte
			for i, s := range segments {
				var h parse.Headers
				parse.Frame(&h, s, 0x88A8)
				require.False(t, h.Is(parse.Truncated))
				require.Equal(t, len(s), int(h.End))
				require.Equal(t, checksum.Good, checksum.L4(s, &h))
				if !p.IPv6 {
					require.Equal(t, checksum.Good, checksum.IPv4Header(s, &h))
					require.Equal(t, p.ID+uint16(i), header.IPv4(s[h.L3:]).ID())
				}
				if p.SNAP {
					require.Equal(t, len(s)-14, int(s[12])<<8|int(s[13]))
				}
				if p.Proto == craft.TCP {
					require.Equal(t, p.Seq+uint32(len(payload)), header.TCP(s[h.L4:]).SequenceNumber())
				}
				payload = append(payload, s[h.Payload:]...)
			}
			require.Equal(t, p.Payload, payload)
		})
	}
}

func TestFlags(t *testing.T) {
	flags := func(mss int) (got []byte) {
		spec, b := super(craft.Packet{Proto: craft.TCP, Flags: 0xFF, Payload: craft.Payload(300)}, mss)
		spec.FirstFlags, spec.MiddleFlags, spec.LastFlags = 0xF01, 0xF02, 0xF84
		for _, s := range all(t, spec, [][]byte{b}) {
			require.Equal(t, byte(0x50), s[spec.L4+12], "data offset")
			got = append(got, s[spec.L4+13])
		}
		return got
	}
	require.Equal(t, []byte{0x01, 0x02, 0x84}, flags(100))
	require.Equal(t, []byte{0x01, 0x84}, flags(200))
	require.Equal(t, []byte{0xFF}, flags(300), "alone")

	spec, b := super(craft.Packet{Proto: craft.TCP, Flags: 0xFF, Payload: craft.Payload(300)}, 100)
	var got []byte
	for _, s := range all(t, spec, [][]byte{b}) {
		got = append(got, s[spec.L4+13])
	}
	const fin, psh, cwr = 1, 8, 0x80
	require.Equal(t, []byte{0xFF &^ (fin | psh), 0xFF &^ (fin | psh | cwr), 0xFF &^ cwr}, got, "masks after reset")
}

// A driver has a tunnel's packet segmented as one whose IP header is longer: its
// outer IP header is completed, and its inner TCP header. What lies between the two
// is copied, and the driver cancels its sum in the outer header's checksum.
func TestTunnel(t *testing.T) {
	inner := craft.Packet{Proto: craft.TCP, Seq: 1, Flags: 0x10, IPv6: true, Payload: craft.Payload(3000)}
	spec, b := super(inner, 1000)
	outer := craft.Packet{Proto: craft.UDP, ID: 7}.Frame() // 20 bytes of IP, 8 of UDP
	vxlan := append(outer[:14+20+8:14+20+8], 8, 0, 0, 0, 0, 0, 100, 0)
	frame := append(vxlan, b...)
	cancels := refmodel.Sum(frame[14+20 : len(vxlan)+spec.L4])
	binary.BigEndian.PutUint16(frame[14+10:], ^cancels)
	spec.HeaderBytes, spec.L3, spec.L4 = spec.HeaderBytes+len(vxlan), 14, spec.L4+len(vxlan)
	spec.IPv6, spec.IPv4Checksum = false, true

	want := all(t, func() segment.Spec { s, _ := super(inner, 1000); return s }(), [][]byte{b})
	for i, s := range all(t, spec, scatter(frame, 33)) {
		ip := header.IPv4(s[14:])
		require.True(t, ip.IsChecksumValid(), "segment %d", i)
		require.EqualValues(t, 7+i, ip.ID())
		require.EqualValues(t, len(s)-14, ip.TotalLength())
		require.Equal(t, want[i][spec.L4-len(vxlan):], s[spec.L4:], "TCP header and payload")
		require.Equal(t, frame[14+20:spec.L4], s[14+20:spec.L4], "what lies between")
	}
}

// secured is a super-frame with an IPsec header and IV between its IP and upper-layer
// headers.
func secured(p craft.Packet, mss int, ah bool) (segment.Spec, []byte) {
	spec, b := super(p, mss)
	extra := make([]byte, 16)
	if ah {
		extra = make([]byte, 36)
	}
	for i := range extra {
		extra[i] = 0xFE
	}
	spec.IPsec = segment.IPsec{Header: spec.L4, AH: ah, ICVBytes: 16}
	b = slices.Insert(b, spec.L4, extra...)
	spec.L4, spec.HeaderBytes = spec.L4+len(extra), spec.HeaderBytes+len(extra)
	return spec, b
}

// Each segment of an association's packet is a packet of that association, ready to be
// sealed: its upper layer is that of the segment without IPsec.
func TestIPsec(t *testing.T) {
	for name, p := range stacks() {
		if p.SNAP || p.Options != nil || p.Extensions != nil {
			continue
		}
		for _, ah := range []bool{false, true} {
			plain, b := super(p, 701)
			want := all(t, plain, [][]byte{b})
			spec, b := secured(p, 701, ah)
			segments := all(t, spec, scatter(b, 33))
			require.Equal(t, refmodel.Segments(spec, b), segments, name)
			for i, s := range segments {
				l4 := want[i][plain.L4:]
				require.Equal(t, l4, s[spec.L4:spec.L4+len(l4)], "%s: upper layer of segment %d", name, i)
				h := s[spec.IPsec.Header:]
				ipBytes := len(s) - spec.L3
				if p.IPv6 {
					require.EqualValues(t, ipBytes-40, header.IPv6(s[spec.L3:]).PayloadLength())
				} else {
					require.EqualValues(t, ipBytes, header.IPv4(s[spec.L3:]).TotalLength())
					require.True(t, header.IPv4(s[spec.L3:]).IsChecksumValid())
				}
				if ah {
					require.Equal(t, 0xFEFEFEFE+uint32(i), binary.BigEndian.Uint32(h[8:]))
					require.Equal(t, 0xFEFEFEFE_FEFEFEFE+uint64(i), binary.BigEndian.Uint64(h[12:]))
					require.Len(t, s, spec.L4+len(l4))
					continue
				}
				require.Equal(t, 0xFEFEFEFE+uint32(i), binary.BigEndian.Uint32(h[4:]))
				require.Equal(t, 0xFEFEFEFE_FEFEFEFE+uint64(i), binary.BigEndian.Uint64(h[8:]))
				trailer := s[spec.L4+len(l4) : len(s)-16]
				padding := trailer[len(trailer)-2]
				require.Len(t, trailer, int(padding)+2)
				require.Less(t, padding, uint8(4))
				require.Zero(t, (len(l4)+len(trailer))%4)
				proto := craft.TCP
				if spec.UDP {
					proto = craft.UDP
				}
				require.Equal(t, proto, trailer[len(trailer)-1])
			}
		}
	}
}

func TestChecksumsLeftAlone(t *testing.T) {
	spec, b := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(300)}, 100)
	spec.IPv4Checksum, spec.L4Checksum = false, false
	for _, s := range all(t, spec, [][]byte{b}) {
		require.Equal(t, b[spec.L3+10:spec.L3+12], s[spec.L3+10:spec.L3+12])
		require.Equal(t, b[spec.L4+16:spec.L4+18], s[spec.L4+16:spec.L4+18])
	}
}

func TestNoPayload(t *testing.T) {
	spec, b := super(craft.Packet{Proto: craft.TCP, Flags: 0x19}, 100)
	want := craft.Packet{Proto: craft.TCP, Flags: 0x19}.Frame()
	require.Equal(t, [][]byte{want}, all(t, spec, [][]byte{b}))
}

func TestExcessIsNotSent(t *testing.T) {
	p := craft.Packet{Proto: craft.TCP, Payload: craft.Payload(300)}
	spec, b := super(p, 1000)
	require.Equal(t, [][]byte{p.Frame()}, all(t, spec, [][]byte{b, {1, 2, 3}}))
}

func TestErrors(t *testing.T) {
	good, b := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(300)}, 100)
	for _, c := range []struct {
		name   string
		change func(*segment.Spec)
		want   segment.Error
	}{
		{"MSS 0", func(s *segment.Spec) { s.MSS = 0 }, segment.ErrNoMSS},
		{"MSS negative", func(s *segment.Spec) { s.MSS = -1 }, segment.ErrNoMSS},
		{"header longer than the frame", func(s *segment.Spec) { s.HeaderBytes = 400; s.PayloadBytes = 0 }, segment.ErrShortFrame},
		{"header longer than any", func(s *segment.Spec) { s.HeaderBytes = 894 }, segment.ErrHeaderTooLong},
		{"payload longer than the frame", func(s *segment.Spec) { s.PayloadBytes++ }, segment.ErrShortFrame},
		{"payload negative", func(s *segment.Spec) { s.PayloadBytes = -1 }, segment.ErrShortFrame},
		{"no Ethernet header", func(s *segment.Spec) { s.L3 = 13 }, segment.ErrHeaderLayout},
		{"no SNAP header", func(s *segment.Spec) { s.SNAP = true }, segment.ErrHeaderLayout},
		{"IPv4 header short", func(s *segment.Spec) { s.L4-- }, segment.ErrHeaderLayout},
		{"IPv6 header short", func(s *segment.Spec) { s.IPv6 = true }, segment.ErrHeaderLayout},
		{"absurd offsets", func(s *segment.Spec) { s.HeaderBytes = -100; s.L4 = math.MinInt }, segment.ErrHeaderLayout},
		{"TCP header short", func(s *segment.Spec) { s.HeaderBytes-- }, segment.ErrHeaderLayout},
		{"ESP header in the IP header", func(s *segment.Spec) { s.IPsec.Header = s.L3 + 19 }, segment.ErrHeaderLayout},
		{"ESP header behind the IP header", func(s *segment.Spec) {
			s.IPsec.Header, s.L4, s.HeaderBytes, s.PayloadBytes = s.L3+24, s.L3+40, s.L3+60, 100
		}, segment.ErrHeaderLayout},
		{"ESP header short", func(s *segment.Spec) { s.IPsec.Header = s.L4 - 15 }, segment.ErrHeaderLayout},
		{"AH header short", func(s *segment.Spec) { s.IPsec = segment.IPsec{Header: s.L4 - 35, AH: true} }, segment.ErrHeaderLayout},
		{"UDP header short", func(s *segment.Spec) { s.UDP = true; s.HeaderBytes = s.L4 + 7 }, segment.ErrHeaderLayout},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := good
			c.change(&spec)
			var s segment.Segmenter
			require.ErrorIs(t, s.Start(&spec, [][]byte{b}), c.want)
			require.Zero(t, s.Segments())
			require.Zero(t, s.Next(make([]byte, 2000)))
		})
	}
	big, bigFrame := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(65496)}, 65496)
	var s segment.Segmenter
	require.ErrorIs(t, s.Start(&big, [][]byte{bigFrame}), segment.ErrLongSegment)
}

func TestShortDestination(t *testing.T) {
	spec, b := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(300)}, 200)
	var s segment.Segmenter
	require.NoError(t, s.Start(&spec, [][]byte{b}))
	dst := make([]byte, s.SegmentBytes())
	require.Zero(t, s.Next(dst[1:]))
	require.Equal(t, len(dst), s.Next(dst), "the segment is still to come")
}

// FuzzSegment holds that segments are those of the slow version, however the
// frame is scattered, and that no spec makes the segmenter panic.
func FuzzSegment(f *testing.F) {
	for _, p := range stacks() {
		spec, b := super(p, 700)
		var bits uint8
		for i, v := range []bool{spec.IPv6, spec.UDP, spec.SNAP} {
			if v {
				bits |= 1 << i
			}
		}
		f.Add(b, spec.HeaderBytes, spec.MSS, spec.L3, spec.L4, spec.PayloadBytes, bits|0x18, uint16(0xFF6), uint8(97), 0)
	}
	for _, ah := range []bool{false, true} {
		spec, b := secured(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(3000)}, 701, ah)
		bits := uint8(0x18)
		if ah {
			bits |= 0x20
		}
		f.Add(b, spec.HeaderBytes, spec.MSS, spec.L3, spec.L4, spec.PayloadBytes, bits, uint16(0xFF6), uint8(97), spec.IPsec.Header)
	}
	f.Fuzz(func(t *testing.T, b []byte, headerBytes, mss, l3, l4, payloadBytes int, bits uint8, mask uint16, piece uint8, ipsec int) {
		spec := segment.Spec{
			HeaderBytes: headerBytes, MSS: mss, L3: l3, L4: l4, PayloadBytes: payloadBytes,
			IPv6: bits&1 != 0, UDP: bits&2 != 0, SNAP: bits&4 != 0, IPv4Checksum: bits&8 != 0, L4Checksum: bits&16 != 0,
			FirstFlags: mask, MiddleFlags: ^mask, LastFlags: mask >> 4,
			IPsec: segment.IPsec{Header: ipsec, AH: bits&32 != 0, ICVBytes: 16},
		}
		pieces := scatter(bytes.Clone(b), int(piece)+1, 64, 1)
		var s segment.Segmenter
		if s.Start(&spec, pieces) != nil || s.Segments() > 1000 {
			return
		}
		require.Equal(t, refmodel.Segments(spec, b), all(t, spec, pieces))
	})
}

func TestSegmentDoesNotAllocate(t *testing.T) {
	spec, b := super(stacks()["TCP"], 1000)
	pieces := scatter(b, 100, 2048)
	dst := make([]byte, 2048)
	s := new(segment.Segmenter)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		if s.Start(&spec, pieces) != nil {
			t.Fatal("refused")
		}
		for s.Next(dst) != 0 {
		}
	}))
}
