package pmd_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/i82599"
	"nicsim.dev/nicsim/i82599/pmd"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
	"nicsim.dev/offloads/segment"
)

// port is an adapter with a driver and a wire that keeps what it is sent.
type port struct {
	t     testing.TB
	clock *sim.Clock
	pool  *nicsim.Pool
	dev   nicsim.Device
	fn    *pci.Function
	drv   driver.Driver
	room  int
	lose  bool // what is sent, instead of keeping it
	sent  [][]byte
}

func (p *port) Room() int { return p.room }
func (p *port) Send(frames []*nicsim.Frame) {
	for _, f := range frames {
		if !p.lose {
			p.sent = append(p.sent, bytes.Clone(f.Data))
		}
		p.pool.Put(f)
	}
	p.room -= len(frames)
}

func newPort(t testing.TB) *port {
	p := &port{t: t, clock: sim.NewVirtual(), pool: &nicsim.Pool{}, room: 1 << 20}
	var err error
	p.dev, err = i82599.New(nicsim.Config{Name: "A", MAC: [6]byte{2, 0, 0, 0, 0, 2}, Clock: p.clock, Pool: p.pool})
	require.NoError(t, err)
	p.fn = p.dev.Functions()[0]
	p.dev.Port().Attach(p)
	p.dev.Port().SetCarrier(true)
	return p
}

func open(t testing.TB, cfg driver.Config) *port {
	p := newPort(t)
	var err error
	p.drv, err = pmd.New(p.fn, p.fn.Memory, cfg)
	require.NoError(t, err)
	return p
}

// settle lets time pass until nothing moves.
func (p *port) settle() {
	for range 10000 {
		if p.dev.Step(256)+p.clock.RunDue(64) > 0 {
			continue
		}
		next, ok := p.clock.Next()
		if !ok || next > p.clock.Now()+sim.Millisecond {
			return
		}
		p.clock.AdvanceTo(next)
	}
	p.t.Fatal("the adapter does not come to rest")
}

// send transmits one packet and returns what left.
func (p *port) send(pkt driver.TxPacket) [][]byte {
	p.sent = nil
	require.Equal(p.t, 1, p.drv.Transmit(0, []driver.TxPacket{pkt}))
	p.settle()
	return p.sent
}

func (p *port) deliver(frames ...[]byte) {
	for _, b := range frames {
		f := p.pool.Get(max(len(b), 60))
		clear(f.Data)
		copy(f.Data, b)
		p.dev.Port().Deliver([]*nicsim.Frame{f})
	}
	p.settle()
}

func (p *port) receive(q int) []driver.RxPacket {
	out := make([]driver.RxPacket, 64)
	return out[:p.drv.Receive(q, out)]
}

func padded(b []byte) []byte { return append(b, make([]byte, max(0, 60-len(b)))...) }

// scatter cuts b into n pieces.
func scatter(b []byte, n int) (pieces [][]byte) {
	for i := range n {
		pieces = append(pieces, b[len(b)*i/n:len(b)*(i+1)/n])
	}
	return pieces
}

// packets are what stacks send, of every kind that the hardware has words for.
func packets() map[string]craft.Packet {
	out := map[string]craft.Packet{}
	for _, v6 := range []bool{false, true} {
		for name, p := range map[string]craft.Packet{
			"TCP":              {Proto: craft.TCP, Seq: 5, Flags: 0x18, Payload: craft.Payload(301)},
			"UDP":              {Payload: craft.Payload(300)},
			"SCTP":             {Proto: craft.SCTP, Payload: craft.Payload(300)},
			"TCP with options": {Proto: craft.TCP, Flags: 0x10, TCPOptions: []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}, Payload: craft.Payload(100)},
			"tagged TCP":       {Proto: craft.TCP, Tags: []craft.Tag{craft.VLAN(9)}, Payload: craft.Payload(77)},
			"short UDP":        {Payload: []byte{1}},
		} {
			p.IPv6 = v6
			out[fmt.Sprint(name, " IPv6=", v6)] = p
		}
	}
	options := craft.Packet{Proto: craft.TCP, Options: []byte{148, 4, 0, 0}, Payload: craft.Payload(90)}
	out["IPv4 options"] = options
	extended := craft.Packet{IPv6: true, Extensions: []craft.Extension{craft.HopByHop, craft.Destination}, Payload: craft.Payload(90)}
	out["IPv6 extension headers"] = extended
	return out
}

// unfinished is a frame as a stack hands it over: the checksum field holds the
// sum of the pseudo-header.
func unfinished(b []byte, outer uint16) (frame []byte, start, offset int) {
	frame = bytes.Clone(b)
	var h parse.Headers
	parse.Frame(&h, frame, outer)
	l4 := frame[h.L4:h.End]
	if h.Kind&parse.SCTP != 0 {
		clear(l4[8:12])
		return frame, int(h.L4), 8
	}
	offset = 16
	if h.Kind&parse.UDP != 0 {
		offset = 6
	}
	binary.BigEndian.PutUint16(l4[offset:], refmodel.Sum(refmodel.PseudoHeader(frame, &h, len(l4))))
	return frame, int(h.L4), offset
}

// TestChecksumsAreFinished for every kind of packet, from one piece or several,
// with a tag inserted or without.
func TestChecksumsAreFinished(t *testing.T) {
	for name, kind := range packets() {
		for _, vlan := range []bool{false, true} {
			p := open(t, driver.Config{Offloads: driver.TxChecksum})
			want := kind.Frame()
			frame, start, offset := unfinished(want, 0)
			if vlan {
				want = refmodel.PushTag(want, 12, 0x8100, 0x6005)
			}
			sent := p.send(driver.TxPacket{Pieces: scatter(frame, 3), NeedsChecksum: true, ChecksumStart: start, ChecksumOffset: offset, VLAN: vlan, VLANTCI: 0x6005})
			require.Equal(t, [][]byte{padded(want)}, sent, name)
			require.EqualValues(t, 1, p.drv.Stats().TxPackets)
		}
	}
}

// TestPlainPacketsAreLeftAlone: without a request nothing is touched.
func TestPlainPacketsAreLeftAlone(t *testing.T) {
	p := open(t, driver.Config{})
	frame := craft.Packet{Proto: craft.TCP, Payload: craft.Payload(100)}.Frame()
	frame[50] ^= 0x55
	require.Equal(t, [][]byte{frame}, p.send(driver.TxPacket{Pieces: [][]byte{frame}}))
}

// TestChecksumsInSoftware: what the hardware has no words for is done by the
// driver.
func TestChecksumsInSoftware(t *testing.T) {
	for _, vlan := range []bool{false, true} {
		p := open(t, driver.Config{Offloads: driver.TxChecksum})
		frame := craft.Packet{Proto: 103, Payload: craft.Payload(90)}.Frame() // PIM
		frame[34+2], frame[34+3] = 0x12, 0x34
		want := bytes.Clone(frame)
		binary.BigEndian.PutUint16(want[36:], ^refmodel.Sum(frame[34:]))
		if vlan {
			want = refmodel.PushTag(want, 12, 0x8100, 77)
		}
		sent := p.send(driver.TxPacket{Pieces: [][]byte{frame}, NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 2, VLAN: vlan, VLANTCI: 77})
		require.Equal(t, [][]byte{want}, sent)
	}
	// A field that is not the protocol's own.
	p := open(t, driver.Config{Offloads: driver.TxChecksum})
	frame := craft.Packet{Proto: craft.TCP, Payload: craft.Payload(90)}.Frame()
	want := bytes.Clone(frame)
	binary.BigEndian.PutUint16(want[34+18:], ^refmodel.Sum(frame[34:]))
	require.Equal(t, [][]byte{want}, p.send(driver.TxPacket{Pieces: [][]byte{frame}, NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 18}))
}

// super is a packet to be segmented, and what is to leave.
func super(kind craft.Packet, mss int, outer uint16, vlan bool) (driver.TxPacket, [][]byte) {
	frame := kind.Frame()
	var h parse.Headers
	kind.Payload = nil
	parse.Frame(&h, kind.Frame(), outer)
	spec := segment.Spec{
		HeaderBytes: int(h.Payload), MSS: mss, L3: int(h.L3), L4: int(h.L4), PayloadBytes: len(frame) - int(h.Payload),
		IPv6: kind.IPv6, UDP: h.Kind&parse.UDP != 0, IPv4Checksum: !kind.IPv6, L4Checksum: true,
		FirstFlags: segment.ResetFirstFlags, MiddleFlags: segment.ResetMiddleFlags, LastFlags: segment.ResetLastFlags,
	}
	seeded := bytes.Clone(frame)
	refmodel.Seed(seeded, spec.L3, spec.L4, h.Proto)
	want := refmodel.Segments(spec, seeded)
	pkt := driver.TxPacket{
		Pieces: scatter(frame, 5), NeedsChecksum: true, ChecksumStart: spec.L4, ChecksumOffset: 16,
		GSO: driver.TCPv4, GSOBytes: mss, HeaderBytes: spec.HeaderBytes, VLAN: vlan, VLANTCI: 0x2005,
	}
	at := 12
	if outer != 0 {
		at = 16
	}
	for i := range want {
		if vlan {
			want[i] = refmodel.PushTag(want[i], at, 0x8100, 0x2005)
		}
		want[i] = padded(want[i])
	}
	switch {
	case spec.UDP:
		pkt.GSO, pkt.ChecksumOffset = driver.UDP, 6
	case kind.IPv6:
		pkt.GSO = driver.TCPv6
	}
	return pkt, want
}

// TestSuperFrames: TCP and UDP, of every shape, up to 64 KiB.
func TestSuperFrames(t *testing.T) {
	stamps := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	for _, c := range []struct {
		name string
		kind craft.Packet
		n    int
		mss  int
	}{
		{"TCP", craft.Packet{Proto: craft.TCP, Flags: 0x19, Seq: 0xFFFFFF00, ID: 0xFFFE}, 5000, 1448},
		{"TCP with time stamps", craft.Packet{Proto: craft.TCP, Flags: 0x18, TCPOptions: stamps}, 5000, 1436},
		{"TCP in one segment", craft.Packet{Proto: craft.TCP, Flags: 0x19}, 500, 1448},
		{"TCP of 64 KiB", craft.Packet{Proto: craft.TCP, Flags: 0x18}, 65535 - 60, 1448},
		{"TCP of bytes", craft.Packet{Proto: craft.TCP, Flags: 0x18}, 90, 1},
		{"TCP in jumbos", craft.Packet{Proto: craft.TCP, Flags: 0x18}, 60000, 8948},
		{"tagged TCP", craft.Packet{Proto: craft.TCP, Flags: 0x18, Tags: []craft.Tag{craft.VLAN(3)}}, 5000, 1444},
		{"UDP", craft.Packet{ID: 9}, 5000, 1400},
		{"UDP of 64 KiB", craft.Packet{}, 65535 - 60, 1400},
	} {
		for _, v6 := range []bool{false, true} {
			for _, vlan := range []bool{false, true} {
				t.Run(fmt.Sprint(c.name, " IPv6=", v6, " insert=", vlan), func(t *testing.T) {
					c.kind.IPv6, c.kind.Payload = v6, craft.Payload(c.n)
					p := open(t, driver.Config{Offloads: driver.AllOffloads, MTU: 9000})
					pkt, want := super(c.kind, c.mss, 0, vlan)
					require.Equal(t, want, p.send(pkt))
					require.EqualValues(t, 1, p.drv.Stats().TxGSOPackets)
				})
			}
		}
	}
}

// TestWhatCannotBeSent is skipped and counted, and nothing else is disturbed.
func TestWhatCannotBeSent(t *testing.T) {
	tcp, _ := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(3000)}, 1000, 0, false)
	with := func(change func(*driver.TxPacket)) driver.TxPacket {
		q := tcp
		change(&q)
		return q
	}
	sctp := craft.Packet{Proto: craft.SCTP, Payload: craft.Payload(3000)}.Frame()
	for name, pkt := range map[string]driver.TxPacket{
		"nothing":                      {},
		"too long":                     {Pieces: [][]byte{make([]byte, 70000)}},
		"segments of no length":        with(func(q *driver.TxPacket) { q.GSOBytes = 0 }),
		"segments too long":            with(func(q *driver.TxPacket) { q.GSOBytes = 70000 }),
		"another header length":        with(func(q *driver.TxPacket) { q.HeaderBytes = 42 }),
		"SCTP segmentation":            {Pieces: [][]byte{sctp}, GSO: driver.TCPv4, GSOBytes: 100, HeaderBytes: 46, NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 8},
		"segmentation of what":         with(func(q *driver.TxPacket) { q.Pieces = [][]byte{make([]byte, 3000)} }),
		"checksum beyond the frame":    {Pieces: [][]byte{make([]byte, 100)}, NeedsChecksum: true, ChecksumStart: 60, ChecksumOffset: 60},
		"checksum before it starts":    {Pieces: [][]byte{make([]byte, 100)}, NeedsChecksum: true, ChecksumStart: 60, ChecksumOffset: -4},
		"segmentation, checksum aside": with(func(q *driver.TxPacket) { q.ChecksumOffset = 10 }),
	} {
		p := open(t, driver.Config{Offloads: driver.AllOffloads})
		frame := craft.Packet{Payload: craft.Payload(50)}.Frame()
		require.Equal(t, 3, p.drv.Transmit(0, []driver.TxPacket{{Pieces: [][]byte{frame}}, pkt, {Pieces: [][]byte{frame}}}), name)
		p.settle()
		require.Equal(t, [][]byte{frame, frame}, p.sent, name)
		require.EqualValues(t, 1, p.drv.Stats().TxUnsupported, name)
		require.EqualValues(t, 2, p.drv.Stats().TxPackets, name)
	}
}

// TestFullRings: a driver takes what fits, and no frame is lost or changed
// however the ring and the memory behind it wrap.
func TestFullRings(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{64, 64, 512, 512, 512} { // descriptors run out, or memory
		p := open(t, driver.Config{Offloads: driver.AllOffloads, RingSize: size, MTU: 9000})
		p.room = 0
		var want [][]byte
		var refused int
		for i := range 2000 {
			var pkt driver.TxPacket
			var leaves [][]byte
			switch rng.IntN(8) {
			case 0, 3, 4:
				pkt, leaves = super(craft.Packet{Proto: craft.TCP, Flags: 0x10, Seq: uint32(i), Payload: craft.Payload(1 + rng.IntN(60000))}, 8000, 0, rng.IntN(2) == 0)
			case 1, 2:
				pkt = driver.TxPacket{Pieces: [][]byte{make([]byte, 1+rng.IntN(60000))}, GSO: driver.TCPv4, GSOBytes: 100} // unsupported
			default:
				frame := craft.Packet{ID: uint16(i), Payload: craft.Payload(rng.IntN(1400))}.Frame()
				pkt, leaves = driver.TxPacket{Pieces: [][]byte{frame}}, [][]byte{padded(frame)}
			}
			if p.drv.Transmit(0, []driver.TxPacket{pkt}) == 0 {
				refused++
				p.room = 1 + rng.IntN(40)
				p.settle()
				continue
			}
			want = append(want, leaves...)
		}
		p.room = 1 << 20
		p.settle()
		require.Positive(t, refused)
		require.EqualValues(t, refused, p.drv.Stats().TxRingFull)
		require.Len(t, p.sent, len(want))
		for i := range want {
			require.Equal(t, want[i], p.sent[i], "frame %d", i)
		}
	}
}

// TestConfigurationsThatMakeNoSense are refused with what was expected.
func TestConfigurationsThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		cfg  driver.Config
		want string
	}{
		{driver.Config{Queues: -1}, "82599 driver: queues is -1, want 1 to 16"},
		{driver.Config{Queues: 17}, "82599 driver: queues is 17, want 1 to 16"},
		{driver.Config{RingSize: 63}, "82599 driver: ring size is 63, want 64 to 4096, a multiple of 8"},
		{driver.Config{RingSize: 68}, "82599 driver: ring size is 68, want 64 to 4096, a multiple of 8"},
		{driver.Config{RingSize: 8192}, "82599 driver: ring size is 8192, want 64 to 4096, a multiple of 8"},
		{driver.Config{MTU: 67}, "82599 driver: MTU is 67, want 68 to 15854"},
		{driver.Config{MTU: 15855}, "82599 driver: MTU is 15855, want 68 to 15854"},
		{driver.Config{Buffer: 1000}, "82599 driver: buffer is 1000, want 1024 to 16384, a multiple of 1024"},
		{driver.Config{Buffer: 17408}, "82599 driver: buffer is 17408, want 1024 to 16384, a multiple of 1024"},
		{driver.Config{RSSKey: make([]byte, 39)}, "82599 driver: RSS key length is 39, want 40"},
	} {
		p := newPort(t)
		_, err := pmd.New(p.fn, p.fn.Memory, c.cfg)
		var bad *pmd.BadConfig
		require.ErrorAs(t, err, &bad)
		require.EqualError(t, err, c.want)
	}
}

// TestTheLargestConfiguration works: every queue, the longest frame.
func TestTheLargestConfiguration(t *testing.T) {
	p := open(t, driver.Config{Queues: 16, RingSize: 4096, MTU: 15854, Buffer: 16384, Offloads: driver.AllOffloads | driver.HeaderSplit})
	require.Equal(t, 16, p.drv.Queues())
	frame := craft.Packet{Payload: craft.Payload(15854 - 28)}.Frame()
	require.Equal(t, [][]byte{frame}, p.send(driver.TxPacket{Pieces: [][]byte{frame}}))
	p.deliver(frame)
	for q := range 16 {
		for _, r := range p.receive(q) {
			require.Equal(t, frame, bytes.Join(r.Pieces, nil))
			return
		}
	}
	t.Fatal("nothing arrived")
}

// TestDriversCloseAndOpen: the adapter is quiet between, and as new after.
func TestDriversCloseAndOpen(t *testing.T) {
	p := open(t, driver.Config{Offloads: driver.RSC, StripVLAN: true})
	_, err := pmd.New(p.fn, p.fn.Memory, driver.Config{})
	require.ErrorIs(t, err, dma.ErrOverlap, "one driver at a time")
	frame := craft.Packet{Proto: craft.TCP, Flags: 0x10, Payload: craft.Payload(100)}.Frame()
	for range 3 {
		p.deliver(frame)
		p.send(driver.TxPacket{Pieces: [][]byte{frame}})
		require.NoError(t, p.drv.Close())
		require.False(t, p.fn.BusMaster())
		p.deliver(frame)
		p.settle()
		require.Zero(t, p.pool.Out())
		require.Nil(t, p.fn.Memory.Bytes(pmd.IOVA, 1, dma.Read))

		p.drv, err = pmd.New(p.fn, p.fn.Memory, driver.Config{})
		require.NoError(t, err)
		require.True(t, p.drv.LinkUp())
		require.Equal(t, [6]byte{2, 0, 0, 0, 0, 2}, p.drv.MAC())
		require.Zero(t, p.drv.Stats())
		require.Empty(t, p.receive(0), "what came before is not there")
		tagged := refmodel.PushTag(frame, 12, 0x8100, 5)
		p.deliver(tagged)
		require.Equal(t, tagged, p.receive(0)[0].Pieces[0], "tags are not stripped any more")
	}
}

// TestNobodyAnswers: a function that is not there.
func TestNobodyAnswers(t *testing.T) {
	p := newPort(t)
	p.fn.SetPresent(false)
	_, err := pmd.New(p.fn, p.fn.Memory, driver.Config{})
	require.ErrorContains(t, err, "CTRL.RST")
	require.Nil(t, p.fn.Memory.Bytes(pmd.IOVA, 1, dma.Read), "its memory is not left mapped")
	p.fn.SetPresent(true)
	_, err = pmd.New(p.fn, p.fn.Memory, driver.Config{})
	require.NoError(t, err)
}

// TestNothingIsAllocatedForAPacket, sent or received, whatever is asked for.
func TestNothingIsAllocatedForAPacket(t *testing.T) {
	p := open(t, driver.Config{Offloads: driver.AllOffloads})
	gso, _ := super(craft.Packet{Proto: craft.TCP, Flags: 0x10, Payload: craft.Payload(20000)}, 1448, 0, false)
	frame := craft.Packet{Payload: craft.Payload(500)}.Frame()
	out := []driver.TxPacket{gso, {Pieces: [][]byte{frame}, VLAN: true}}
	in := make([]driver.RxPacket, 32)
	stream := craft.Packet{Proto: craft.TCP, Flags: 0x18, Payload: craft.Payload(500)}.Frame()
	p.lose = true
	arriving := make([]*nicsim.Frame, 4)
	require.Zero(t, testing.AllocsPerRun(50, func() {
		p.room = 1 << 20
		if p.drv.Transmit(0, out) != 2 {
			t.Fatal("the ring is full")
		}
		for i := range arriving {
			arriving[i] = p.pool.Get(len(stream))
			copy(arriving[i].Data, stream)
		}
		p.dev.Port().Deliver(arriving)
		p.dev.Step(256)
		if p.drv.Receive(0, in) != 4 {
			t.Fatal("packets are missing")
		}
	}))
}
