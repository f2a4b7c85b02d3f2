package pair

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"pgregory.net/rapid"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// port records what arrives and when.
type port struct {
	wire    nicsim.Wire
	carrier bool
	clock   *sim.Clock
	pool    *nicsim.Pool
	keep    bool

	got   [][]byte
	flags []nicsim.FrameFlags
	at    []sim.Time
	due   []sim.Time // Frame.At
}

func (p *port) Attach(w nicsim.Wire) { p.wire = w }
func (p *port) SetCarrier(up bool)   { p.carrier = up }
func (p *port) Deliver(frames []*nicsim.Frame) {
	for _, f := range frames {
		if p.keep {
			p.got = append(p.got, slices.Clone(f.Data))
			p.flags = append(p.flags, f.Flags)
			p.at = append(p.at, p.clock.Now())
			p.due = append(p.due, f.At)
		}
		p.pool.Put(f)
	}
}

// numbers reads back the numbers that send wrote.
func (p *port) numbers() []int {
	var out []int
	for _, b := range p.got {
		out = append(out, int(binary.BigEndian.Uint32(b[len(b)-4:])))
	}
	return out
}

type rig struct {
	clock *sim.Clock
	pool  nicsim.Pool
	a, b  port
	pair  *Pair
	loop  *sim.Loop
	sent  int
}

func newRig(t require.TestingT, ab Impairment, seed uint64) *rig {
	r := &rig{clock: sim.NewVirtual()}
	r.a = port{clock: r.clock, pool: &r.pool, keep: true}
	r.b = port{clock: r.clock, pool: &r.pool, keep: true}
	var err error
	r.pair, err = New(r.clock, &r.pool, &r.a, &r.b, ab, Impairment{}, seed)
	require.NoError(t, err)
	r.loop = sim.NewLoop(r.clock)
	r.loop.Add(r.pair)
	return r
}

// send transmits n frames of size bytes from a, numbered in their last bytes,
// as room permits.
func (r *rig) send(t require.TestingT, n, size int) {
	for n > 0 {
		k := min(n, r.a.wire.Room())
		if k == 0 {
			next, ok := r.clock.Next()
			if ok {
				r.clock.AdvanceTo(next)
			}
			require.NotZero(t, r.loop.Turn(), "no room and nothing to wait for")
			continue
		}
		var batch []*nicsim.Frame
		for range k {
			f := r.pool.Get(size)
			clear(f.Data)
			f.At = r.clock.Now()
			binary.BigEndian.PutUint32(f.Data[size-4:], uint32(r.sent))
			r.sent++
			batch = append(batch, f)
		}
		r.a.wire.Send(batch)
		n -= k
	}
}

func (r *rig) run(t require.TestingT, until sim.Time) {
	require.NoError(t, r.loop.Run(until, 1_000_000))
}

func count(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestAPerfectWireKeepsOrderAndTakesNoTime(t *testing.T) {
	r := newRig(t, Impairment{}, 1)
	require.True(t, r.a.carrier && r.b.carrier)
	r.send(t, 5000, 64)
	r.run(t, 0)
	require.Equal(t, count(5000), r.b.numbers())
	s := r.pair.Stats(AtoB)
	require.Equal(t, Stats{SentFrames: 5000, SentBytes: 5000 * 64, DeliveredFrames: 5000, DeliveredBytes: 5000 * 64}, s)
	require.Zero(t, r.pair.Stats(BtoA))
}

func TestRoomIsBackPressure(t *testing.T) {
	r := newRig(t, Impairment{}, 1)
	room := r.a.wire.Room()
	require.Equal(t, waitingFrames, room)
	r.send(t, room, 60)
	require.Zero(t, r.a.wire.Room())
	require.Equal(t, 2*100, r.pair.Step(100)+r.pair.Step(100))
	require.Equal(t, 200, r.a.wire.Room())
}

func TestLongFramesHaveRoomForFewer(t *testing.T) {
	r := newRig(t, Impairment{}, 1)
	r.send(t, 1, 1514)
	r.run(t, 0)
	require.Equal(t, waitingBytes/1514, r.a.wire.Room())
	r.send(t, 40, 1514)
	require.Equal(t, waitingBytes/1514-40, r.a.wire.Room())
	r.run(t, 0)
	require.Equal(t, waitingBytes/1514, r.a.wire.Room())
}

func TestARatedWireTakesNoMoreThanItsQueueHolds(t *testing.T) {
	r := newRig(t, Impairment{RateBits: 10_000_000_000, Delay: sim.Millisecond}, 1)
	r.send(t, 1, 1514)
	sent := 1
	for k := r.a.wire.Room(); k > 0; k = r.a.wire.Room() {
		r.send(t, 1, 1514)
		sent++
	}
	require.InDelta(t, waitingBytes/1538, sent, 2)
	r.run(t, sim.Millisecond/2)
	require.Empty(t, r.b.got)
	require.Equal(t, waitingBytes/1514, r.a.wire.Room(), "what has departed waits no more")
}

func TestDelayAndRateAreThoseOfTheWire(t *testing.T) {
	// 10 Gbit/s carries 14.88 million frames a second: 84 bytes each, 67.2 ns.
	r := newRig(t, Impairment{Delay: 50 * sim.Microsecond, RateBits: 10_000_000_000}, 1)
	r.send(t, 1000, 60)
	r.run(t, sim.Second)
	require.Equal(t, count(1000), r.b.numbers())
	require.Equal(t, r.b.at, r.b.due, "delivered when due")
	require.Equal(t, 50*sim.Microsecond+67, r.b.at[0])
	require.Equal(t, 50*sim.Microsecond+67200, r.b.at[999])
	require.Equal(t, 50*sim.Microsecond+336, r.b.at[4], "fractions add up")
}

func TestALongDelayDoesNotLowerTheRate(t *testing.T) {
	r := newRig(t, Impairment{Delay: 10 * sim.Millisecond, RateBits: 10_000_000_000}, 1)
	n := 3 * waitingFrames
	sender := sim.StepFunc(func(int) int {
		k := min(n-r.sent, r.a.wire.Room())
		if k > 0 {
			r.send(t, k, 1514)
		}
		return k
	})
	r.loop.Add(sender)
	r.run(t, sim.Second)
	require.Len(t, r.b.got, n)
	// 1538 bytes take 1230.4 ns.
	require.Equal(t, 10*sim.Millisecond+sim.Time(n*12304/10), r.b.at[n-1])
}

func TestJitterSpreadsButDoesNotReorder(t *testing.T) {
	r := newRig(t, Impairment{Delay: sim.Microsecond, Jitter: 10 * sim.Microsecond}, 1)
	for range 100 {
		r.send(t, 1, 60)
		r.run(t, r.clock.Now()+sim.Microsecond)
	}
	r.run(t, sim.Second)
	require.Equal(t, count(100), r.b.numbers())
	gaps := map[sim.Time]bool{}
	for i := 1; i < len(r.b.at); i++ {
		gaps[r.b.at[i]-r.b.at[i-1]] = true
	}
	require.Greater(t, len(gaps), 20)
}

func TestLossDuplicationAndReorderingAreCounted(t *testing.T) {
	const n = 20000
	r := newRig(t, Impairment{Loss: 0.1, Duplicate: 0.05, Reorder: 0.02}, 7)
	r.send(t, n, 60)
	r.run(t, sim.Second)
	s := r.pair.Stats(AtoB)
	require.InDelta(t, 0.1*n, s.Lost, 0.01*n)
	require.InDelta(t, 0.05*0.9*n, s.Duplicated, 0.01*n)
	require.InDelta(t, 0.02*0.945*n, s.Reordered, 0.005*n)
	require.Equal(t, n-s.Lost+s.Duplicated, s.DeliveredFrames)
	seen := map[int]int{}
	late := 0
	last := -1
	for _, v := range r.b.numbers() {
		seen[v]++
		if v < last {
			late++
		}
		last = max(last, v)
	}
	require.Equal(t, n-int(s.Lost), len(seen))
	require.Greater(t, late, int(s.Reordered)/2)
}

func TestAHeldFrameIsOvertakenByFewOrGoesOnAlone(t *testing.T) {
	r := newRig(t, Impairment{Reorder: 1}, 1)
	r.send(t, 1, 60)
	r.run(t, maxHold-1)
	require.Empty(t, r.b.got)
	r.run(t, maxHold)
	require.Equal(t, []int{0}, r.b.numbers())

	require.NoError(t, r.pair.Impair(AtoB, Impairment{Reorder: 1}))
	r.send(t, 1, 60)
	require.NoError(t, r.pair.Impair(AtoB, Impairment{}))
	r.send(t, 10, 60)
	r.run(t, r.clock.Now())
	got := r.b.numbers()[1:]
	require.Len(t, got, 11)
	where := slices.Index(got, 1)
	require.True(t, where >= 1 && where <= maxOvertake, "overtaken by %d", where)
}

func TestCorruptionFlipsOneBitAndFlagsIt(t *testing.T) {
	r := newRig(t, Impairment{Corrupt: 1}, 3)
	for range 200 {
		f := r.pool.Get(100)
		clear(f.Data)
		r.a.wire.Send([]*nicsim.Frame{f})
	}
	r.run(t, 0)
	where := map[int]bool{}
	for i, b := range r.b.got {
		ones := 0
		for j, v := range b {
			if v != 0 {
				where[j] = true
				for ; v != 0; v &= v - 1 {
					ones++
				}
			}
		}
		require.Equal(t, 1, ones)
		require.Equal(t, nicsim.BadFCS, r.b.flags[i])
	}
	require.Greater(t, len(where), 50)
	require.EqualValues(t, 200, r.pair.Stats(AtoB).Corrupted)
}

func TestSilentCorruptionIsSeenByHigherChecksumsOnly(t *testing.T) {
	buf := gopacket.NewSerializeBuffer()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
	tcp := &layers.TCP{SrcPort: 1000, DstPort: 80, Seq: 1, ACK: true, Window: 100}
	require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
	require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		ip, tcp, gopacket.Payload(make([]byte, 400))))
	frame := buf.Bytes()

	r := newRig(t, Impairment{Corrupt: 1, SilentCorruption: true}, 5)
	for range 300 {
		f := r.pool.Get(len(frame))
		copy(f.Data, frame)
		r.a.wire.Send([]*nicsim.Frame{f})
	}
	r.run(t, 0)
	require.Len(t, r.b.got, 300)
	for i, b := range r.b.got {
		require.Zero(t, r.b.flags[i])
		require.Equal(t, frame[:14], b[:14])
		ipv4, seg := header.IPv4(b[14:34]), header.TCP(b[34:])
		pseudo := header.PseudoHeaderChecksum(header.TCPProtocolNumber, ipv4.SourceAddress(), ipv4.DestinationAddress(), uint16(len(seg)))
		good := ipv4.IsChecksumValid() && checksum.Checksum(seg, pseudo) == 0xffff
		require.False(t, good, "frame %d", i)
	}
}

func TestSameSeedSameResults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Float64Range(0, 0.5)
		imp := Impairment{
			Loss: p.Draw(t, "loss"), Duplicate: p.Draw(t, "duplicate"), Corrupt: p.Draw(t, "corrupt"), Reorder: p.Draw(t, "reorder"),
			Delay:    sim.Time(rapid.Int64Range(0, 1000).Draw(t, "delay")),
			Jitter:   sim.Time(rapid.Int64Range(0, 1000).Draw(t, "jitter")),
			RateBits: rapid.SampledFrom([]int64{0, 1_000_000, 10_000_000_000}).Draw(t, "rate"),
		}
		n := rapid.IntRange(1, 300).Draw(t, "frames")
		seed := rapid.Uint64().Draw(t, "seed")
		run := func(seed uint64) (*rig, Stats) {
			r := newRig(t, imp, seed)
			r.send(t, n, 100)
			r.run(t, sim.Second)
			return r, r.pair.Stats(AtoB)
		}
		one, s1 := run(seed)
		two, s2 := run(seed)
		require.Equal(t, s1, s2)
		require.Equal(t, one.b.got, two.b.got)
		require.Equal(t, one.b.at, two.b.at)
		require.Equal(t, one.b.flags, two.b.flags)
		require.Equal(t, s1.SentFrames-s1.Lost+s1.Duplicated, s1.DeliveredFrames, "every frame is accounted for")
		require.Equal(t, int(s1.DeliveredFrames), len(one.b.got))
	})
}

type probe struct{ drops []nicsim.Event }

func (p *probe) Observe(e *nicsim.Event) { p.drops = append(p.drops, *e) }

func TestPullingTheCableLosesWhatIsOnIt(t *testing.T) {
	r := newRig(t, Impairment{Delay: sim.Millisecond}, 1)
	var p probe
	r.pair.SetProbe(&p, "left", "right")
	r.send(t, 3, 60)
	r.pair.SetLink(false)
	require.False(t, r.a.carrier || r.b.carrier)
	r.send(t, 2, 60)
	r.run(t, sim.Second)
	require.Empty(t, r.b.got)
	require.EqualValues(t, 5, r.pair.Stats(AtoB).LostLinkDown)
	require.Len(t, p.drops, 5)
	require.Equal(t, nicsim.DropWireLoss, p.drops[0].Drop)
	require.Equal(t, "left", p.drops[0].Device)

	r.pair.SetLink(true)
	require.True(t, r.a.carrier && r.b.carrier)
	r.send(t, 1, 60)
	r.run(t, 2*sim.Second)
	require.Equal(t, []int{5}, r.b.numbers())
}

func TestAnImpossibleImpairmentIsNamed(t *testing.T) {
	r := newRig(t, Impairment{}, 1)
	for _, c := range []struct {
		imp   Impairment
		field string
	}{
		{Impairment{Loss: 1.1}, "Loss"},
		{Impairment{Duplicate: -0.1}, "Duplicate"},
		{Impairment{Delay: -1}, "Delay"},
		{Impairment{Jitter: 11 * sim.Second}, "Jitter"},
		{Impairment{RateBits: 1}, "RateBits"},
	} {
		var bad *BadImpairment
		require.ErrorAs(t, r.pair.Impair(AtoB, c.imp), &bad)
		require.Equal(t, c.field, bad.Field)
		_, err := New(r.clock, &r.pool, &r.a, &r.b, Impairment{}, c.imp, 1)
		require.ErrorAs(t, err, &bad)
	}
}

// flow sends batches of frames back and forth as an adapter would.
func flow(tb testing.TB, imp Impairment) (turn func()) {
	r := newRig(tb, imp, 1)
	r.b.keep = false
	batch := make([]*nicsim.Frame, 64)
	return func() {
		if r.a.wire.Room() < len(batch) {
			tb.Fatal("no room")
		}
		for i := range batch {
			batch[i] = r.pool.Get(400)
		}
		r.a.wire.Send(batch)
		r.clock.AdvanceTo(r.clock.Now() + sim.Millisecond)
		r.loop.Turn()
	}
}

func TestFramesCostNoAllocation(t *testing.T) {
	for name, imp := range map[string]Impairment{
		"perfect":  {},
		"impaired": {Loss: 0.01, Duplicate: 0.01, Corrupt: 0.01, Reorder: 0.01, Delay: sim.Microsecond, RateBits: 10_000_000_000},
	} {
		turn := flow(t, imp)
		for range 100 {
			turn()
		}
		require.Zero(t, testing.AllocsPerRun(100, turn), name)
	}
}

func BenchmarkPair(b *testing.B) {
	for name, imp := range map[string]Impairment{
		"perfect": {},
		"delay":   {Delay: 10 * sim.Microsecond},
		"rate":    {Delay: 10 * sim.Microsecond, RateBits: 10_000_000_000},
		"loss":    {Loss: 0.001},
	} {
		b.Run(name, func(b *testing.B) {
			turn := flow(b, imp)
			for b.Loop() {
				turn()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64), "ns/frame")
		})
	}
}

func TestAPortThatShowsNoSignalTakesTheFarCarrier(t *testing.T) {
	r := newRig(t, Impairment{}, 1)
	lane := r.a.wire.(nicsim.SignalWire)
	lane.SetSignal(false)
	require.True(t, r.a.carrier)
	require.False(t, r.b.carrier)
	r.pair.SetLink(false)
	lane.SetSignal(true)
	require.False(t, r.b.carrier, "the cable is not plugged")
	r.pair.SetLink(true)
	require.True(t, r.b.carrier)
}

func TestAFullWireTakesAControlFrame(t *testing.T) {
	r := newRig(t, Impairment{}, 1)
	r.send(t, r.a.wire.Room(), 60)
	require.Zero(t, r.a.wire.Room())
	r.a.wire.Send([]*nicsim.Frame{r.pool.Get(60)})
	r.run(t, 0)
	require.Len(t, r.b.got, waitingFrames+1)
}
