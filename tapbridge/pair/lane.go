package pair

import (
	"math/rand/v2"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

const (
	// waitingFrames and waitingBytes bound what waits for its turn on the wire:
	// enough for a batch, and little beside a receive packet buffer of 512 KiB,
	// which has to hold it when its owner has just asked for a pause.
	waitingFrames = 256
	waitingBytes  = 64 << 10
	// flightFrames bounds what is between the ends: 10 Gbit/s of full frames for
	// 20 ms, or 33 MB of buffers.
	flightFrames = 16384
	// heldFrames bounds the frames that are being overtaken.
	heldFrames  = 16
	maxOvertake = 3
	maxHold     = sim.Millisecond

	// wireOverheadBytes is preamble, frame check sequence and gap (IEEE
	// 802.3-2018 4.2.3.2, 4.4.2), and minFrameBytes what a frame is padded to
	// without its frame check sequence.
	wireOverheadBytes = 8 + 4 + 12
	minFrameBytes     = 60
)

// Stats counts what happened on one direction of the wire.
type Stats struct {
	SentFrames, SentBytes            uint64 // by the port, frame check sequence not included
	DeliveredFrames, DeliveredBytes  uint64
	Lost                             uint64 // by chance
	LostLinkDown                     uint64
	Duplicated, Corrupted, Reordered uint64
}

// flight is a frame between the ends.
type flight struct {
	frame          *nicsim.Frame
	departs, lands sim.Time
}

// held is a frame that others overtake.
type held struct {
	frame *nicsim.Frame
	left  int // frames still to pass
	until sim.Time
}

// lane is one direction of the wire.
type lane struct {
	clock *sim.Clock
	pool  *nicsim.Pool
	to    nicsim.Port
	rng   *rand.Rand
	imp   Impairment
	down  bool // the cable is not plugged
	dark  bool // the sender shows no signal
	probe nicsim.Probe
	name  string // of the sender, for the probe
	stats Stats

	ready      []*nicsim.Frame // to be delivered by the next step
	readyBytes int
	meanBytes  int // of the frames that the port sent last

	ring       []flight // a power of two; grows to flightFrames
	head, size int
	departed   int // of the frames in the ring, from its head
	busyUntil  sim.Time
	remainder  int64 // of the division of bits by rate, in bits times 1e9
	lastLands  sim.Time

	held    []held
	wanting bool // the port found no room, and none has departed since
	timer   sim.Event
}

func (l *lane) init(clock *sim.Clock, pool *nicsim.Pool, to nicsim.Port, imp Impairment, rng *rand.Rand) {
	l.clock, l.pool, l.to, l.imp, l.rng = clock, pool, to, imp, rng
	l.down = true
	l.ready = make([]*nicsim.Frame, 0, waitingFrames+heldFrames)
	l.held = make([]held, 0, heldFrames)
	l.meanBytes = minFrameBytes
	// The event only makes the loop turn; Step does what is due.
	l.timer.Run = func() {}
}

// SetSignal implements nicsim.SignalWire.
func (l *lane) SetSignal(on bool) {
	l.dark = !on
	l.carry()
}

// carry tells the far port whether a signal arrives.
func (l *lane) carry() { l.to.SetCarrier(!l.down && !l.dark) }

// Room implements nicsim.Wire. It takes the frames to come for as long as the
// last ones.
func (l *lane) Room() int {
	frames, bytes := len(l.ready)+len(l.held), l.readyBytes
	if l.size > 0 {
		l.depart()
		frames += l.size - l.departed
		if ahead := l.busyUntil - l.clock.Now(); ahead > 0 {
			bytes += int(int64(ahead) / 8 * (l.imp.RateBits / 1000) / int64(sim.Second/1000))
		}
	}
	room := min(waitingFrames-frames, (waitingBytes-bytes)/l.meanBytes, flightFrames-l.size)
	if l.imp.Duplicate > 0 {
		room /= 2
	}
	if room <= 0 {
		l.wanting = true
		l.arm()
		return 0
	}
	return room
}

// Send implements nicsim.Wire.
func (l *lane) Send(frames []*nicsim.Frame) {
	if len(frames) == 0 {
		return
	}
	bytes := 0
	for _, f := range frames {
		bytes += len(f.Data)
	}
	l.stats.SentFrames += uint64(len(frames))
	l.stats.SentBytes += uint64(bytes)
	l.meanBytes = max(bytes/len(frames), minFrameBytes)
	switch {
	case l.down:
		for _, f := range frames {
			l.stats.LostLinkDown++
			l.drop(f)
		}
	case l.size == 0 && len(l.held) == 0 && l.imp.perfect():
		l.ready = append(l.ready, frames...)
		l.readyBytes += bytes
	default:
		for _, f := range frames {
			l.impair(f)
		}
		l.arm()
	}
}

// impair decides what becomes of a frame.
func (l *lane) impair(f *nicsim.Frame) {
	if l.chance(l.imp.Loss) {
		l.stats.Lost++
		l.drop(f)
		return
	}
	if l.chance(l.imp.Duplicate) {
		l.stats.Duplicated++
		twin := l.pool.Get(len(f.Data))
		copy(twin.Data, f.Data)
		twin.At, twin.ID, twin.Flags = f.At, f.ID, f.Flags
		l.damage(twin)
		l.launch(twin)
	}
	l.damage(f)
	l.launch(f)
}

func (l *lane) chance(p float64) bool { return p > 0 && l.rng.Float64() < p }

func (l *lane) damage(f *nicsim.Frame) {
	const etherBytes = 14
	if !l.chance(l.imp.Corrupt) || len(f.Data) == 0 {
		return
	}
	from := 0
	if l.imp.SilentCorruption {
		from = min(etherBytes, len(f.Data)-1)
	} else {
		f.Flags |= nicsim.BadFCS
	}
	bit := l.rng.IntN((len(f.Data) - from) * 8)
	f.Data[from+bit/8] ^= 1 << (bit % 8)
	l.stats.Corrupted++
}

// launch puts a frame on the wire, or holds it back for others to overtake.
func (l *lane) launch(f *nicsim.Frame) {
	if len(l.held) < heldFrames && l.chance(l.imp.Reorder) {
		l.stats.Reordered++
		l.held = append(l.held, held{f, 1 + l.rng.IntN(maxOvertake), l.clock.Now() + maxHold})
		return
	}
	l.pass(f)
	kept := l.held[:0]
	for _, h := range l.held {
		if h.left--; h.left > 0 {
			kept = append(kept, h)
		} else {
			l.pass(h.frame)
		}
	}
	l.held = kept
}

// pass gives the frame its time of arrival.
func (l *lane) pass(f *nicsim.Frame) {
	if l.size == 0 && l.imp.Delay == 0 && l.imp.Jitter == 0 && l.imp.RateBits == 0 {
		l.arrive(f)
		return
	}
	departs := l.clock.Now()
	if l.imp.RateBits > 0 {
		const second = int64(sim.Second)
		bits := int64(max(len(f.Data), minFrameBytes)+wireOverheadBytes) * 8
		if departs > l.busyUntil {
			l.remainder = 0
		}
		ns := bits*second + l.remainder
		departs = max(departs, l.busyUntil) + sim.Time(ns/l.imp.RateBits)
		l.remainder = ns % l.imp.RateBits
		l.busyUntil = departs
	}
	lands := departs + l.imp.Delay
	if l.imp.Jitter > 0 {
		lands += sim.Time(l.rng.Int64N(int64(l.imp.Jitter) + 1))
	}
	l.lastLands = max(l.lastLands, lands)
	l.push(flight{f, departs, l.lastLands})
}

func (l *lane) arrive(f *nicsim.Frame) {
	l.ready = append(l.ready, f)
	l.readyBytes += len(f.Data)
}

func (l *lane) push(f flight) {
	if l.size == len(l.ring) {
		grown := make([]flight, max(256, 2*len(l.ring)))
		for i := range l.size {
			grown[i] = *l.at(i)
		}
		l.ring, l.head = grown, 0
	}
	l.size++
	*l.at(l.size - 1) = f
}

// at returns the i-th frame of the ring.
func (l *lane) at(i int) *flight { return &l.ring[(l.head+i)&(len(l.ring)-1)] }

// depart notes which frames have left the sender.
func (l *lane) depart() {
	now := l.clock.Now()
	for l.departed < l.size && l.at(l.departed).departs <= now {
		l.departed++
		l.wanting = false
	}
}

// step delivers at most budget frames that have arrived.
func (l *lane) step(budget int) int {
	if l.size > 0 || len(l.held) > 0 {
		l.land()
	}
	n := min(budget, len(l.ready))
	if n == 0 {
		return 0
	}
	batch, bytes := l.ready[:n], l.readyBytes
	for _, f := range l.ready[n:] {
		bytes -= len(f.Data)
	}
	l.readyBytes -= bytes
	l.stats.DeliveredFrames += uint64(n)
	l.stats.DeliveredBytes += uint64(bytes)
	l.to.Deliver(batch)
	l.ready = l.ready[:copy(l.ready, l.ready[n:])]
	return n
}

// land moves what has arrived by now out of the ring.
func (l *lane) land() {
	now := l.clock.Now()
	for len(l.held) > 0 && l.held[0].until <= now {
		l.pass(l.held[0].frame)
		l.held = append(l.held[:0], l.held[1:]...)
	}
	l.depart()
	for l.size > 0 && l.at(0).lands <= now && len(l.ready) < waitingFrames {
		f := l.at(0)
		f.frame.At = f.lands
		l.arrive(f.frame)
		*f = flight{}
		l.head = (l.head + 1) & (len(l.ring) - 1)
		l.size--
		l.departed--
	}
	l.arm()
}

// arm makes the loop turn when the next frame arrives, when the longest held
// has waited enough, or when a port that found no room will find some.
func (l *lane) arm() {
	const never = sim.Time(1<<63 - 1)
	at := never
	if l.size > 0 {
		at = l.at(0).lands
		if l.wanting && l.departed < l.size {
			at = min(at, l.at(l.departed).departs)
		}
	}
	if len(l.held) > 0 {
		at = min(at, l.held[0].until)
	}
	switch {
	case at == never:
		l.clock.Cancel(&l.timer)
	case !l.timer.Pending() || l.timer.At() != at:
		l.clock.Schedule(&l.timer, at)
	}
}

// cut loses everything that is on the wire.
func (l *lane) cut() {
	for _, f := range l.ready {
		l.stats.LostLinkDown++
		l.drop(f)
	}
	for i := range l.size {
		l.stats.LostLinkDown++
		l.drop(l.at(i).frame)
		*l.at(i) = flight{}
	}
	for _, h := range l.held {
		l.stats.LostLinkDown++
		l.drop(h.frame)
	}
	l.ready, l.held, l.readyBytes = l.ready[:0], l.held[:0], 0
	l.head, l.size, l.departed = 0, 0, 0
	l.busyUntil, l.lastLands, l.remainder = 0, 0, 0
	l.arm()
}

func (l *lane) drop(f *nicsim.Frame) {
	if l.probe != nil {
		l.probe.Observe(&nicsim.Event{
			Kind: nicsim.PacketWire, At: l.clock.Now(), Device: l.name, Side: nicsim.Tx, Queue: -1,
			Data: f.Data, ID: f.ID, Flags: f.Flags, Drop: nicsim.DropWireLoss,
		})
	}
	l.pool.Put(f)
}
