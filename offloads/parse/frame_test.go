package parse_test

import (
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
)

func frame(b []byte, outerTPID uint16) parse.Headers {
	h := parse.Headers{Kind: parse.NFS, OuterTCI: 1, InnerTCI: 2, Proto: 3} // leftovers of another frame
	parse.Frame(&h, b, outerTPID)
	return h
}

func TestFrame(t *testing.T) {
	const vlan, outer = 0x8100, 0x88A8
	ext := func(e ...craft.Extension) []craft.Extension { return e }
	for _, c := range []struct {
		name   string
		packet craft.Packet
		outer  uint16
		want   parse.Headers
	}{
		{"UDP", craft.Packet{Payload: craft.Payload(10), Padding: 8}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.UDP, EtherType: 0x0800, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 34, L4: 34, Payload: 42, End: 52}},
		{"TCP with options", craft.Packet{Proto: craft.TCP, TCPOptions: make([]byte, 12), Payload: craft.Payload(3)}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.TCP, EtherType: 0x0800, Proto: 6, L2Bytes: 14,
			L3: 14, L3End: 34, L4: 34, Payload: 66, End: 69}},
		{"IPv4 options", craft.Packet{Options: []byte{1, 1, 1, 0}}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.IPv4Options | parse.UDP, EtherType: 0x0800, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 38, L4: 38, Payload: 46, End: 46}},
		{"SCTP", craft.Packet{Proto: craft.SCTP, Payload: craft.Payload(4)}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.SCTP, EtherType: 0x0800, Proto: 132, L2Bytes: 14,
			L3: 14, L3End: 34, L4: 34, Payload: 46, End: 50}},
		{"first fragment", craft.Packet{Fragment: 0x2000, Payload: craft.Payload(8)}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.Fragment | parse.FirstFragment, EtherType: 0x0800, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 34, L4: 34, Payload: 42, End: 50}},
		{"later fragment", craft.Packet{Fragment: 5, Payload: craft.Payload(8)}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.Fragment, EtherType: 0x0800, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 34, End: 50}},
		{"fragment that may not be", craft.Packet{Fragment: 0x4000}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.UDP, EtherType: 0x0800, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 34, L4: 34, Payload: 42, End: 42}},
		{"ICMP", craft.Packet{Proto: 1, Payload: make([]byte, 8)}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.ICMP, EtherType: 0x0800, Proto: 1, L2Bytes: 14,
			L3: 14, L3End: 34, L4: 34, Payload: 42, End: 42}},
		{"ICMPv6 over IPv4 is nothing known", craft.Packet{Proto: 58, Payload: make([]byte, 8)}, 0, parse.Headers{
			Kind: parse.IPv4, EtherType: 0x0800, Proto: 58, L2Bytes: 14, L3: 14, L3End: 34, L4: 34, End: 42}},
		{"ESP", craft.Packet{Proto: 50, Payload: make([]byte, 24)}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.ESP, EtherType: 0x0800, Proto: 50, L2Bytes: 14,
			L3: 14, L3End: 34, L4: 34, End: 58}},
		{"AH over IPv4", craft.Packet{Extensions: ext(craft.AH), Proto: craft.TCP}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.AH | parse.TCP, EtherType: 0x0800, Proto: 6, L2Bytes: 14,
			L3: 14, L3End: 58, L4: 58, Payload: 78, End: 78}},
		{"IPv6", craft.Packet{IPv6: true, Proto: craft.TCP}, 0, parse.Headers{
			Kind: parse.IPv6 | parse.TCP, EtherType: 0x86DD, Proto: 6, L2Bytes: 14,
			L3: 14, L3End: 54, L4: 54, Payload: 74, End: 74}},
		{"IPv6 with extensions", craft.Packet{IPv6: true, Extensions: ext(craft.HopByHop, craft.Routing, craft.Destination, craft.Mobility)}, 0, parse.Headers{
			Kind: parse.IPv6 | parse.IPv6Ext | parse.UDP, EtherType: 0x86DD, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 86, L4: 86, Payload: 94, End: 94}},
		{"IPv6 AH", craft.Packet{IPv6: true, Extensions: ext(craft.HopByHop, craft.AH)}, 0, parse.Headers{
			Kind: parse.IPv6 | parse.IPv6Ext | parse.AH | parse.UDP, EtherType: 0x86DD, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 86, L4: 86, Payload: 94, End: 94}},
		{"IPv6 routed by an address", craft.Packet{IPv6: true, Extensions: ext(craft.RoutingVia)}, 0, parse.Headers{
			Kind: parse.IPv6 | parse.IPv6Ext | parse.Rerouted | parse.UDP, EtherType: 0x86DD, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 78, L4: 78, Payload: 86, End: 86}},
		{"IPv6 home address", craft.Packet{IPv6: true, Extensions: ext(craft.HomeAddress)}, 0, parse.Headers{
			Kind: parse.IPv6 | parse.IPv6Ext | parse.Rerouted | parse.UDP, EtherType: 0x86DD, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 78, L4: 78, Payload: 86, End: 86}},
		{"IPv6 first fragment", craft.Packet{IPv6: true, Extensions: ext(craft.Fragment6(0, true))}, 0, parse.Headers{
			Kind: parse.IPv6 | parse.IPv6Ext | parse.Fragment | parse.FirstFragment, EtherType: 0x86DD, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 62, L4: 62, Payload: 70, End: 70}},
		{"IPv6 later fragment", craft.Packet{IPv6: true, Extensions: ext(craft.HopByHop, craft.Fragment6(3, false))}, 0, parse.Headers{
			Kind: parse.IPv6 | parse.IPv6Ext | parse.Fragment, EtherType: 0x86DD, Proto: 17, L2Bytes: 14,
			L3: 14, L3End: 70, End: 78}},
		{"IPv6 without a next header", craft.Packet{IPv6: true, Proto: 59}, 0, parse.Headers{
			Kind: parse.IPv6, EtherType: 0x86DD, Proto: 59, L2Bytes: 14, L3: 14, L3End: 54, End: 54}},
		{"tagged", craft.Packet{Tags: []craft.Tag{craft.VLAN(0x2005)}}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.UDP | parse.Tagged, EtherType: 0x0800, Proto: 17, L2Bytes: 18,
			L3: 18, L3End: 38, L4: 38, Payload: 46, End: 46, InnerTCI: 0x2005}},
		{"double tagged", craft.Packet{Tags: []craft.Tag{craft.Outer(7), craft.VLAN(8)}}, outer, parse.Headers{
			Kind: parse.IPv4 | parse.UDP | parse.Tagged | parse.DoubleTagged | parse.ExtendedVLAN, EtherType: 0x0800, Proto: 17, L2Bytes: 22,
			L3: 22, L3End: 42, L4: 42, Payload: 50, End: 50, OuterTCI: 7, InnerTCI: 8}},
		{"double tagged with one type", craft.Packet{Tags: []craft.Tag{craft.VLAN(7), craft.VLAN(8)}}, vlan, parse.Headers{
			Kind: parse.IPv4 | parse.UDP | parse.Tagged | parse.DoubleTagged | parse.ExtendedVLAN, EtherType: 0x0800, Proto: 17, L2Bytes: 22,
			L3: 22, L3End: 42, L4: 42, Payload: 50, End: 50, OuterTCI: 7, InnerTCI: 8}},
		{"outer tag alone", craft.Packet{Tags: []craft.Tag{craft.Outer(7)}}, outer, parse.Headers{
			Kind: parse.IPv4 | parse.UDP | parse.Tagged | parse.ExtendedVLAN, EtherType: 0x0800, Proto: 17, L2Bytes: 18,
			L3: 18, L3End: 38, L4: 38, Payload: 46, End: 46, InnerTCI: 7}},
		{"outer tag that nobody expects", craft.Packet{Tags: []craft.Tag{craft.Outer(7)}}, 0, parse.Headers{
			EtherType: outer, L2Bytes: 14, End: 46}},
		{"SNAP", craft.Packet{SNAP: true}, 0, parse.Headers{
			Kind: parse.IPv4 | parse.UDP | parse.SNAP, EtherType: 0x0800, Proto: 17, L2Bytes: 22,
			L3: 22, L3End: 42, L4: 42, Payload: 50, End: 50}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, frame(c.packet.Frame(), c.outer))
		})
	}
}

// TestContradictions shows frames whose lengths cannot be true.
func TestContradictions(t *testing.T) {
	change := func(p craft.Packet, at int, v byte) []byte {
		b := p.Frame()
		b[at] = v
		return b
	}
	udp, tcp, v6 := craft.Packet{}, craft.Packet{Proto: craft.TCP}, craft.Packet{IPv6: true}
	for _, c := range []struct {
		name string
		b    []byte
		want parse.Kind
	}{
		{"nothing", nil, 0},
		{"half an address", make([]byte, 8), 0},
		{"a tag and no more", []byte{12: 0x81, 13: 0, 15: 1}, 0},
		{"IPv4 version", change(udp, 14, 0x55), 0},
		{"IPv4 header length", change(udp, 14, 0x44), 0},
		{"IPv4 length beyond the frame", change(udp, 16, 1), parse.IPv4 | parse.UDP},
		{"IPv4 length within its header", change(udp, 17, 19), parse.IPv4 | parse.UDP},
		{"IPv4 length within the UDP header", change(udp, 17, 27), parse.IPv4},
		{"TCP data offset short", change(tcp, 46, 0x40), parse.IPv4},
		{"TCP data offset long", change(tcp, 46, 0x60), parse.IPv4},
		{"IPv6 length beyond the frame", change(v6, 19, 9), parse.IPv6 | parse.UDP},
		{"IPv6 length within the UDP header", change(v6, 19, 7), parse.IPv6},
		{"IPv6 extension beyond the frame", change(craft.Packet{IPv6: true, Extensions: []craft.Extension{craft.HopByHop}}, 55, 9), parse.IPv6 | parse.IPv6Ext},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want|parse.Truncated, frame(c.b, 0).Kind)
		})
	}
}

func TestEndlessExtensionsEnd(t *testing.T) {
	p := craft.Packet{IPv6: true}
	for range 16 {
		p.Extensions = append(p.Extensions, craft.Destination)
	}
	h := frame(p.Frame(), 0)
	require.Equal(t, parse.IPv6|parse.IPv6Ext|parse.Truncated, h.Kind, "the header after the last extension is not looked at")
	p.Extensions = p.Extensions[:15]
	h = frame(p.Frame(), 0)
	require.True(t, h.Is(parse.UDP))
}

// TestGopacketAgrees compares offsets with those of another decoder.
func TestGopacketAgrees(t *testing.T) {
	for _, p := range seeds() {
		b := p.Frame()
		h := frame(b, 0)
		decoded := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.NoCopy)
		transport := decoded.TransportLayer()
		if transport == nil || h.Kind&(parse.TCP|parse.UDP|parse.SCTP) == 0 {
			continue
		}
		require.Equal(t, transport.LayerPayload(), b[h.Payload:h.End], "%+v", p)
		require.Equal(t, transport.LayerContents(), b[h.L4:h.Payload], "%+v", p)
	}
}

func seeds() []craft.Packet {
	data := craft.Payload(20)
	return []craft.Packet{
		{Payload: data}, {Proto: craft.TCP, Payload: data}, {Proto: craft.SCTP, Payload: data},
		{Proto: craft.TCP, TCPOptions: make([]byte, 12), Payload: data, Padding: 3},
		{IPv6: true, Payload: data}, {IPv6: true, Proto: craft.TCP, Payload: data},
		{Options: []byte{1, 1, 1, 0}, Payload: data}, {Extensions: []craft.Extension{craft.AH}, Payload: data},
		{IPv6: true, Extensions: []craft.Extension{craft.HopByHop, craft.Destination, craft.Routing, craft.AH, craft.Mobility}, Payload: data},
		{IPv6: true, Extensions: []craft.Extension{craft.HomeAddress, craft.RoutingVia, craft.Fragment6(0, true)}, Payload: data},
		{IPv6: true, Extensions: []craft.Extension{craft.Fragment6(2, true)}, Payload: data},
		{Tags: []craft.Tag{craft.VLAN(5)}, Payload: data}, {Tags: []craft.Tag{craft.Outer(6), craft.VLAN(5)}, Payload: data},
		{SNAP: true, Payload: data}, {Fragment: 0x2000, Payload: data}, {Fragment: 9, Payload: data},
		{Proto: 1, Payload: data}, {IPv6: true, Proto: 58, Payload: data}, {Proto: 50, Payload: data},
	}
}

// FuzzFrame holds that the fast parser finds what the slow one finds, and that
// every offset it gives lies in the frame.
func FuzzFrame(f *testing.F) {
	for _, p := range seeds() {
		f.Add(p.Frame(), uint16(0x88A8))
		f.Add(p.Frame(), uint16(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, outerTPID uint16) {
		h := frame(b, outerTPID)
		require.Equal(t, refmodel.Frame(b, outerTPID), h)
		last := uint16(0)
		for _, at := range []uint16{h.L3, h.L3End, h.L4, h.Payload} {
			if at != 0 {
				require.GreaterOrEqual(t, at, last)
				last = at
			}
		}
		require.LessOrEqual(t, int(h.End), len(b))
		require.LessOrEqual(t, h.Payload, h.End)
		require.LessOrEqual(t, h.L4, h.End)
		require.LessOrEqual(t, h.L3End, h.End)
	})
}

func TestFrameDoesNotAllocate(t *testing.T) {
	var h parse.Headers
	for _, p := range seeds() {
		b := p.Frame()
		require.Zero(t, testing.AllocsPerRun(10, func() { parse.Frame(&h, b, 0x88A8) }))
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, c := range []struct {
		name   string
		packet craft.Packet
	}{
		{"udp", craft.Packet{Payload: craft.Payload(18)}},
		{"tcp", craft.Packet{Proto: craft.TCP, Payload: craft.Payload(6)}},
		{"tagged", craft.Packet{Payload: craft.Payload(18), Tags: []craft.Tag{craft.VLAN(5)}}},
		{"ipv6", craft.Packet{IPv6: true, Payload: craft.Payload(2)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var h parse.Headers
			frame := c.packet.Frame()
			for b.Loop() {
				parse.Frame(&h, frame, 0)
			}
		})
	}
}
