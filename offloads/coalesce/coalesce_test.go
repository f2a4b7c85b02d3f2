package coalesce_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/coalesce"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
)

const outerTPID = 0x88A8

// assembler does with the engine what an adapter does: it keeps the frames and
// follows the decisions.
type assembler struct {
	t      testing.TB
	engine coalesce.Engine
	room   int
	open   [coalesce.Contexts][]refmodel.Arrival
	order  []int // of opening
	out    []refmodel.Coalesced
}

func (a *assembler) offer(f refmodel.Arrival) coalesce.Verdict {
	var h parse.Headers
	parse.Frame(&h, f.Frame, outerTPID)
	for {
		d := a.engine.Offer(f.Frame, &h, uint16(f.Queue))
		switch d.Verdict {
		case coalesce.Close:
			require.NotEmpty(a.t, a.open[d.Context])
			a.close(d.Context)
			continue
		case coalesce.Open:
			require.Empty(a.t, a.open[d.Context])
			a.engine.Limit(d.Context, a.room)
			a.open[d.Context] = []refmodel.Arrival{f}
			a.order = append(a.order, d.Context)
		case coalesce.Append, coalesce.Last:
			require.NotEmpty(a.t, a.open[d.Context])
			a.open[d.Context] = append(a.open[d.Context], f)
			if d.Verdict == coalesce.Last {
				a.close(d.Context)
			}
		default:
			require.Equal(a.t, coalesce.Decision{Verdict: coalesce.Pass, Context: coalesce.None}, d)
			a.out = append(a.out, refmodel.Coalesced{Queue: f.Queue, Frame: f.Frame, Frames: 1})
		}
		return d.Verdict
	}
}

func (a *assembler) close(i int) {
	frames := a.open[i]
	var h, lh parse.Headers
	parse.Frame(&h, frames[0].Frame, outerTPID)
	whole := bytes.Clone(frames[0].Frame[:h.Payload])
	for _, f := range frames {
		parse.Frame(&lh, f.Frame, outerTPID)
		whole = append(whole, f.Frame[lh.Payload:lh.End]...)
	}
	coalesce.Finish(whole, &h, frames[len(frames)-1].Frame, &lh, len(whole)-int(h.Payload))
	a.out = append(a.out, refmodel.Coalesced{Queue: frames[0].Queue, Frame: whole, Frames: len(frames)})
	a.engine.Close(i)
	a.open[i] = nil
	for k, c := range a.order {
		if c == i {
			a.order = append(a.order[:k:k], a.order[k+1:]...)
			break
		}
	}
}

func (a *assembler) finish() []refmodel.Coalesced {
	for len(a.order) > 0 {
		a.close(a.order[0])
	}
	return a.out
}

const plenty = 1 << 20

func assemble(t testing.TB, room int, arrivals ...refmodel.Arrival) []refmodel.Coalesced {
	a := &assembler{t: t, room: room}
	for _, f := range arrivals {
		a.offer(f)
	}
	return a.finish()
}

// timestamp is the option as stacks write it.
func timestamp(value, echo uint32) []byte {
	b := []byte{1, 1, 8, 10}
	b = binary.BigEndian.AppendUint32(b, value)
	return binary.BigEndian.AppendUint32(b, echo)
}

// base is a segment that may be coalesced, with payload enough that its frame
// needs no padding.
func base(seq uint32, n int) craft.Packet {
	return craft.Packet{Proto: craft.TCP, Seq: seq, Ack: 100, Flags: 0x10, Window: 500, Payload: craft.Payload(n)}
}

func with(p craft.Packet, change ...func(*craft.Packet)) craft.Packet {
	for _, f := range change {
		f(&p)
	}
	return p
}

// Changes to a packet.
var (
	v6      = func(p *craft.Packet) { p.IPv6 = true }
	stamped = func(p *craft.Packet) { p.TCPOptions = timestamp(1, 2) }
	push    = func(p *craft.Packet) { p.Flags |= 0x08 }
	tagged  = func(p *craft.Packet) { p.Tags = []craft.Tag{craft.VLAN(7)} }
	double  = func(p *craft.Packet) { p.Tags = []craft.Tag{craft.Outer(3), craft.VLAN(7)} }
)

func flags(v uint8) func(*craft.Packet)       { return func(p *craft.Packet) { p.Flags = v } }
func tos(v uint8) func(*craft.Packet)         { return func(p *craft.Packet) { p.TOS = v } }
func options(b ...byte) func(*craft.Packet)   { return func(p *craft.Packet) { p.TCPOptions = b } }
func tags(t ...craft.Tag) func(*craft.Packet) { return func(p *craft.Packet) { p.Tags = t } }
func payload(n int) func(*craft.Packet) {
	return func(p *craft.Packet) { p.Payload = craft.Payload(n) }
}
func extension(e craft.Extension) func(*craft.Packet) {
	return func(p *craft.Packet) { p.IPv6, p.Extensions = true, []craft.Extension{e} }
}

// TestWhatQualifies goes through 7.11.1: two segments in order, of which the
// second is of the kind in question, and whether they become one packet.
func TestWhatQualifies(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*craft.Packet)
		yes    bool
	}{
		{"plain", func(*craft.Packet) {}, true},
		{"IPv6", v6, true},
		{"a time stamp", stamped, true},
		{"IPv6 and a time stamp", func(p *craft.Packet) { v6(p); stamped(p) }, true},
		{"one tag", tagged, true},
		{"two tags", double, true},
		{"only an outer tag", tags(craft.Outer(3)), true},
		{"ECT(0)", tos(2), true},
		{"ECT(1)", tos(1), true},
		{"a DSCP", tos(0xB8), true},
		{"IPv6, ECT(0)", func(p *craft.Packet) { v6(p); tos(2)(p) }, true},
		{"one byte and a time stamp", func(p *craft.Packet) { stamped(p); payload(1)(p) }, true},

		{"SYN", flags(0x02), false},
		{"SYN, ACK", flags(0x12), false},
		{"no flag", flags(0), false},
		{"FIN", flags(0x11), false},
		{"RST", flags(0x14), false},
		{"URG", flags(0x30), false},
		{"ECE", flags(0x50), false},
		{"CWR", flags(0x90), false},
		{"no payload", payload(0), false},
		{"congestion marked", tos(3), false},
		{"IPv6, congestion marked", func(p *craft.Packet) { v6(p); tos(3)(p) }, false},
		{"IPv4 options", func(p *craft.Packet) { p.Options = []byte{148, 4, 0, 0} }, false},
		{"hop-by-hop options", extension(craft.HopByHop), false},
		{"destination options", extension(craft.Destination), false},
		{"routing header", extension(craft.Routing), false},
		{"authentication header", func(p *craft.Packet) { p.Extensions = []craft.Extension{craft.AH} }, false},
		{"atomic fragment", extension(craft.AtomicMarker), false},
		{"first fragment", func(p *craft.Packet) { p.Fragment = 0x2000 }, false},
		{"SNAP", func(p *craft.Packet) { p.SNAP = true }, false},
		{"padding", func(p *craft.Packet) { p.Padding = 1 }, false},
		{"other options", options(1, 1, 1, 1), false},
		{"selective acknowledgement", options(1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2), false},
		{"a time stamp not aligned", options(8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1), false},
		{"a time stamp and more", options(append(timestamp(1, 2), 1, 1, 1, 1)...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := with(base(1000, 100), c.change)
			second := first
			second.Seq += uint32(len(first.Payload))
			out := assemble(t, plenty, refmodel.Arrival{Frame: first.Frame()}, refmodel.Arrival{Frame: second.Frame()})
			if !c.yes {
				require.Len(t, out, 2)
				require.Equal(t, first.Frame(), out[0].Frame)
				require.Equal(t, second.Frame(), out[1].Frame)
				return
			}
			require.Len(t, out, 1)
			require.Equal(t, 2, out[0].Frames)
		})
	}
}

// TestReservedFlags: the bits between data offset and flags.
func TestReservedFlags(t *testing.T) {
	for bit := range 4 {
		first, second := base(0, 100).Frame(), base(100, 100).Frame()
		second[14+20+12] |= 1 << bit
		require.Len(t, assemble(t, plenty, refmodel.Arrival{Frame: first}, refmodel.Arrival{Frame: second}), 2)
	}
}

// TestWhatClosesAPacket goes through 7.11.4: after two segments in order a third
// comes that follows them but for one thing.
func TestWhatClosesAPacket(t *testing.T) {
	const n = 100
	next := func(p *craft.Packet) { p.Seq += 2 * n }
	for _, c := range []struct {
		name  string
		all   func(*craft.Packet) // of all three
		third func(*craft.Packet)
		make  int // packets
	}{
		{"nothing", nil, next, 1},
		{"another length", nil, func(p *craft.Packet) { next(p); payload(1400)(p) }, 1},
		{"another hop limit, DSCP and identification", nil, func(p *craft.Packet) { next(p); p.TTL, p.TOS, p.ID = 9, 0x20, 77 }, 1},
		{"another acknowledgement and window", nil, func(p *craft.Packet) { next(p); p.Ack, p.Window = 999, 9 }, 1},
		{"a gap", nil, func(p *craft.Packet) { p.Seq += 2*n + 1 }, 2},
		{"a repetition", nil, func(p *craft.Packet) { p.Seq += n }, 2},
		{"an overlap", nil, func(p *craft.Packet) { p.Seq += 2*n - 1 }, 2},
		{"a time stamp", nil, func(p *craft.Packet) { next(p); stamped(p) }, 2},
		{"no time stamp", stamped, func(p *craft.Packet) { next(p); p.TCPOptions = nil }, 2},
		{"a tag", nil, func(p *craft.Packet) { next(p); tagged(p) }, 2},
		{"no tag", tagged, func(p *craft.Packet) { next(p); p.Tags = nil }, 2},
		{"another VLAN", tagged, func(p *craft.Packet) { next(p); tags(craft.VLAN(8))(p) }, 2},
		{"another priority", tagged, func(p *craft.Packet) { next(p); tags(craft.VLAN(7 | 1<<13))(p) }, 2},
		{"another inner tag", double, func(p *craft.Packet) { next(p); tags(craft.Outer(3), craft.VLAN(8))(p) }, 2},
		{"another outer tag", double, func(p *craft.Packet) { next(p); tags(craft.Outer(4), craft.VLAN(7))(p) }, 2},
		{"no outer tag", double, func(p *craft.Packet) { next(p); tagged(p) }, 2},
		{"an outer tag that is no VLAN tag", tagged, func(p *craft.Packet) { next(p); tags(craft.Outer(7))(p) }, 2},
		{"FIN", nil, func(p *craft.Packet) { next(p); flags(0x11)(p) }, 2},
		{"no payload", nil, func(p *craft.Packet) { next(p); payload(0)(p) }, 2},
		{"congestion marked", nil, func(p *craft.Packet) { next(p); tos(3)(p) }, 2},
	} {
		for _, family := range []string{"IPv4", "IPv6"} {
			t.Run(c.name+" "+family, func(t *testing.T) {
				p := base(0xFFFFFF80, n)
				p.IPv6 = family == "IPv6"
				if c.all != nil {
					c.all(&p)
				}
				second := p
				second.Seq += n
				frames := [][]byte{p.Frame(), second.Frame(), with(p, c.third).Frame()}
				var arrivals []refmodel.Arrival
				for _, f := range frames {
					arrivals = append(arrivals, refmodel.Arrival{Frame: f})
				}
				out := assemble(t, plenty, arrivals...)
				require.Len(t, out, c.make)
				if c.make == 1 {
					require.Equal(t, 3, out[0].Frames)
					return
				}
				// In the order of arrival, whatever became of the third.
				require.Equal(t, 2, out[0].Frames)
				require.Equal(t, frames[2], out[1].Frame)
			})
		}
	}
}

func TestPushClosesAPacket(t *testing.T) {
	a := &assembler{t: t, room: plenty}
	require.Equal(t, coalesce.Pass, a.offer(refmodel.Arrival{Frame: with(base(0, 100), push).Frame()}), "it would be alone")
	require.Equal(t, coalesce.Open, a.offer(refmodel.Arrival{Frame: base(100, 100).Frame()}))
	require.Equal(t, coalesce.Append, a.offer(refmodel.Arrival{Frame: base(200, 100).Frame()}))
	require.Equal(t, coalesce.Last, a.offer(refmodel.Arrival{Frame: with(base(300, 100), push).Frame()}))
	require.Equal(t, coalesce.Open, a.offer(refmodel.Arrival{Frame: base(400, 100).Frame()}))
	out := a.finish()
	require.Equal(t, []int{1, 3, 1}, []int{out[0].Frames, out[1].Frames, out[2].Frames})
	require.EqualValues(t, 0x18, out[1].Frame[14+20+13])
	require.EqualValues(t, 0x10, out[2].Frame[14+20+13])
}

// TestFlowsAreKeptApart: every part of what identifies a flow counts.
func TestFlowsAreKeptApart(t *testing.T) {
	p := base(0, 100)
	p.Src, p.Dst, p.SrcPort, p.DstPort = []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}, 1, 2
	others := []func(*craft.Packet){
		func(p *craft.Packet) { p.Src = []byte{10, 0, 0, 3} },
		func(p *craft.Packet) { p.Dst = []byte{10, 0, 0, 3} },
		func(p *craft.Packet) { p.SrcPort = 3 },
		func(p *craft.Packet) { p.DstPort = 3 },
		func(p *craft.Packet) { p.SrcPort, p.DstPort = 2, 1 },
		func(p *craft.Packet) { p.Src, p.Dst = p.Dst, p.Src },
		func(p *craft.Packet) {
			v6(p)
			p.Src, p.Dst = append([]byte{10, 0, 0, 1}, make([]byte, 12)...), make([]byte, 16)
		},
	}
	for i, other := range others {
		follow := with(p, other, func(p *craft.Packet) { p.Seq = 100 })
		out := assemble(t, plenty, refmodel.Arrival{Frame: p.Frame()}, refmodel.Arrival{Frame: follow.Frame()},
			refmodel.Arrival{Frame: with(p, func(p *craft.Packet) { p.Seq = 100 }).Frame()})
		require.Len(t, out, 2, "%d", i)
		require.Equal(t, 2, out[0].Frames, "%d: the other flow does not disturb", i)
	}
	out := assemble(t, plenty, refmodel.Arrival{Frame: p.Frame()}, refmodel.Arrival{Queue: 1, Frame: with(p, func(p *craft.Packet) { p.Seq = 100 }).Frame()})
	require.Len(t, out, 2, "another queue")
}

// TestLengthsOfAPacket: an IP packet has 65535 bytes, and a queue's buffers may
// have fewer.
func TestLengthsOfAPacket(t *testing.T) {
	for _, c := range []struct {
		v6         bool
		room, last int // last is the length of the last segment that fits behind 65 of 1000
		headers    int
	}{
		{false, plenty, 65535 - 40 - 65000, 54},
		{true, plenty, 65535 - 20 - 65000, 74},
		{false, 64000, 0, 54},
		{false, 64010, 10, 54},
	} {
		segment := func(seq, n int) refmodel.Arrival {
			p := base(uint32(seq), n)
			p.IPv6 = c.v6
			return refmodel.Arrival{Frame: p.Frame()}
		}
		for _, more := range []int{0, 1} {
			a := &assembler{t: t, room: c.room}
			for i := range 65 {
				a.offer(segment(i*1000, 1000))
			}
			want := []int{c.headers + 65000}
			if n := c.last + more; n > 0 {
				a.offer(segment(65000, n))
				if more == 0 {
					want[0] += n
				} else {
					want = append(want, c.headers+n)
				}
			}
			var got []int
			for _, p := range a.finish() {
				got = append(got, len(p.Frame))
				ip := header.IPv4(p.Frame[14:])
				if c.v6 {
					require.Equal(t, len(p.Frame)-54, int(header.IPv6(p.Frame[14:]).PayloadLength()))
				} else {
					require.Equal(t, len(p.Frame)-14, int(ip.TotalLength()))
					require.EqualValues(t, 0xFFFF, ip.CalculateChecksum())
				}
			}
			require.Equal(t, want, got, "%+v and %d more", c, more)
		}
	}
	// Buffers that do not even hold the first.
	for _, room := range []int{0, -5} {
		require.Len(t, assemble(t, room, refmodel.Arrival{Frame: base(0, 100).Frame()}, refmodel.Arrival{Frame: base(100, 1).Frame()}), 2)
	}
}

// TestContextsRunOut: the oldest packet makes room for a new one (7.11.3).
func TestContextsRunOut(t *testing.T) {
	a := &assembler{t: t, room: plenty}
	of := func(flow int, seq uint32) refmodel.Arrival {
		p := base(seq, 100)
		p.SrcPort, p.DstPort = uint16(flow+1), 9
		return refmodel.Arrival{Frame: p.Frame()}
	}
	for i := range coalesce.Contexts {
		require.Equal(t, coalesce.Open, a.offer(of(i, 0)))
	}
	require.Equal(t, coalesce.Append, a.offer(of(0, 100)), "the oldest is still open")
	require.Empty(t, a.out)
	require.Equal(t, coalesce.Pass, a.offer(refmodel.Arrival{Frame: with(base(0, 100), push).Frame()}), "this one needs no place")
	require.Equal(t, coalesce.Open, a.offer(of(50, 0)))
	require.Equal(t, []int{1, 2}, []int{a.out[0].Frames, a.out[1].Frames})
	require.Equal(t, coalesce.Open, a.offer(of(0, 200)), "the second oldest goes")
	require.Equal(t, of(1, 0).Frame, a.out[2].Frame)
	require.Equal(t, coalesce.Append, a.offer(of(2, 100)))
	require.Len(t, a.finish(), 3+coalesce.Contexts)
}

// TestHeadersOfAPacket goes through 7.11.5.
func TestHeadersOfAPacket(t *testing.T) {
	for _, change := range []func(*craft.Packet){func(*craft.Packet) {}, v6, stamped, double} {
		first := with(base(5, 1000), change, func(p *craft.Packet) { p.ID, p.TTL, p.Urgent = 7, 60, 3 })
		last := with(base(1005, 500), change, func(p *craft.Packet) { p.ID, p.TTL, p.Ack, p.Window, p.Flags = 9, 50, 777, 888, 0x18 })
		want := with(first, func(p *craft.Packet) {
			p.Ack, p.Window, p.Flags = last.Ack, last.Window, last.Flags
			p.Payload = append(bytes.Clone(first.Payload), last.Payload...)
		})
		if first.TCPOptions != nil {
			last.TCPOptions = timestamp(11, 12)
			want.TCPOptions = last.TCPOptions
		}
		out := assemble(t, plenty, refmodel.Arrival{Frame: first.Frame()}, refmodel.Arrival{Frame: last.Frame()})
		require.Len(t, out, 1)
		got, wanted := out[0].Frame, want.Frame()
		var h parse.Headers
		parse.Frame(&h, got, outerTPID)
		copy(wanted[h.L4+16:h.L4+18], first.Frame()[h.L4+16:]) // the TCP checksum is the first's
		require.Equal(t, wanted, got)
		require.NotEqual(t, checksum.Bad, checksum.IPv4Header(got, &h))
	}
}

func TestOtherTrafficPasses(t *testing.T) {
	a := &assembler{t: t, room: plenty}
	require.Equal(t, coalesce.Open, a.offer(refmodel.Arrival{Frame: base(0, 100).Frame()}))
	for _, p := range []craft.Packet{{Payload: craft.Payload(50)}, {Proto: craft.SCTP}, {Proto: 1, Payload: make([]byte, 20)}, {Proto: 6, Fragment: 5, Payload: make([]byte, 40)}} {
		require.Equal(t, coalesce.Pass, a.offer(refmodel.Arrival{Frame: p.Frame()}))
	}
	require.Equal(t, coalesce.Pass, a.offer(refmodel.Arrival{Frame: []byte{1, 2, 3}}))
	require.Equal(t, coalesce.Append, a.offer(refmodel.Arrival{Frame: base(100, 100).Frame()}))
}

func TestOfferAllocatesNothing(t *testing.T) {
	var frames [][]byte
	var headers []parse.Headers
	for seq := range uint32(4) {
		for flow := range 40 {
			p := base(seq*100, 100)
			p.SrcPort, p.DstPort, p.IPv6 = uint16(flow+1), 9, flow%2 == 1
			var h parse.Headers
			b := p.Frame()
			parse.Frame(&h, b, 0)
			frames, headers = append(frames, b), append(headers, h)
		}
	}
	e := new(coalesce.Engine)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for i, b := range frames {
			for {
				d := e.Offer(b, &headers[i], 0)
				if d.Verdict != coalesce.Close {
					break
				}
				e.Close(d.Context)
			}
		}
	}))
}

// program reads frames of a few flows from bytes, four for each: most continue
// their flow, some do not.
func program(data []byte) (arrivals []refmodel.Arrival, room int) {
	room = plenty
	if len(data) > 0 && data[0]&1 != 0 {
		room = int(data[0]) * 20
	}
	next := map[int]uint32{}
	for ; len(data) >= 4 && len(arrivals) < 400; data = data[4:] {
		flow := int(data[0]) % 40
		p := base(next[flow], 10+int(data[2])*6)
		p.SrcPort, p.DstPort, p.ID = uint16(flow+1), 9, uint16(len(arrivals))
		p.IPv6 = flow&1 != 0
		p.Ack, p.Window = uint32(len(arrivals)), uint16(data[3])
		if flow&2 != 0 {
			p.TCPOptions = timestamp(uint32(len(arrivals)), uint32(data[3]))
		}
		if flow&4 != 0 {
			p.Tags = []craft.Tag{craft.VLAN(uint16(flow))}
		}
		if flow&8 != 0 {
			p.Tags = append([]craft.Tag{craft.Outer(1)}, p.Tags...)
		}
		oddities := []func(*craft.Packet){
			push, func(p *craft.Packet) { p.Seq += uint32(data[3]) }, func(p *craft.Packet) { p.Flags = data[3] }, tos(data[3]), payload(0),
			func(p *craft.Packet) { p.TCPOptions = timestamp(9, 9) }, func(p *craft.Packet) { p.TCPOptions = nil },
			func(p *craft.Packet) { p.Tags = nil }, tags(craft.VLAN(99)), func(p *craft.Packet) { p.Proto = craft.UDP },
			func(p *craft.Packet) { p.Padding = 2 }, func(p *craft.Packet) { p.SNAP = true }, func(p *craft.Packet) { p.Fragment = 1 },
			func(p *craft.Packet) { p.IPv6 = !p.IPv6 }, func(p *craft.Packet) { p.Extensions = []craft.Extension{craft.AH} },
			func(p *craft.Packet) { p.Options = []byte{1, 1, 1, 1} },
		}
		if k := int(data[1]); k < len(oddities) {
			oddities[k](&p)
		}
		f := p.Frame()
		if data[1] == 100 && len(f) > 40 {
			f[14+int(data[3])%40] ^= data[2] // anything at all in a header
		}
		next[flow] = p.Seq + uint32(len(p.Payload))
		arrivals = append(arrivals, refmodel.Arrival{Queue: flow % 3, Frame: f})
	}
	return arrivals, room
}

// FuzzCoalesce holds that the engine makes of any frames what the reference
// makes of them.
func FuzzCoalesce(f *testing.F) {
	f.Add([]byte{0, 200, 9, 9, 0, 200, 9, 9, 1, 200, 100, 1, 0, 0, 9, 9, 1, 200, 5, 5})
	for seed := range 8 {
		data := make([]byte, 1200)
		x := uint32(seed + 1)
		for i := range data {
			x = x*1664525 + 1013904223
			data[i] = byte(x >> 24)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		arrivals, room := program(data)
		got := assemble(t, room, arrivals...)
		want := refmodel.Coalesce(arrivals, outerTPID, coalesce.Contexts, room)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, want[i], got[i], fmt.Sprintf("packet %d", i))
		}
		// Nothing is lost and nothing made up.
		frames := 0
		for _, p := range got {
			frames += p.Frames
		}
		require.Equal(t, len(arrivals), frames)
	})
}
