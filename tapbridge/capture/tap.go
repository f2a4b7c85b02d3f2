package capture

import (
	"fmt"
	"strings"

	"nicsim.dev/nicsim"
)

// Filter picks what a Tap records. The zero Filter picks everything.
type Filter struct {
	At        Endpoint
	Direction Flags // Inbound, Outbound, or zero for both
	DropsOnly bool
	Frames    *FrameFilter // nil for all
}

// Picks says whether a packet event is to be recorded.
func (f *Filter) Picks(e *nicsim.Event) bool {
	return f.At.Includes(endpointOf(e)) &&
		(f.Direction == 0 || f.Direction == directionOf(e)) &&
		(!f.DropsOnly || e.Drop != nicsim.DropNone) &&
		(f.Frames == nil || f.Frames.Match(e.Data, e.More))
}

// TapConfig is what a Tap records.
type TapConfig struct {
	Filter Filter
	// EpochNS is added to each time: the Unix time at which a live clock began,
	// zero for runs that are to be replayed byte for byte.
	EpochNS int64
}

// Tap records what adapters do with packets: a nicsim.Probe that writes to a
// Writer, an interface per wire and queue, each from its first packet on. All
// adapters of a capture, and the wires between them, share one Tap.
//
// A frame that is dropped is recorded with a comment that says why, and counts
// in its own DropCount; drops of which no bytes were shown are counted and
// explained on the next packet of the interface.
type Tap struct {
	w     *Writer
	cfg   TapConfig
	known map[Endpoint]*tapped
	about map[string]hardware // by adapter

	packet   Packet   // reused
	comments []string // of packet
}

// hardware is what an adapter's interfaces say of it.
type hardware struct {
	model    string
	speedBPS uint64
}

// tapped is one interface of a Tap.
type tapped struct {
	iface  int
	unseen map[nicsim.Drop]uint64 // drops without bytes since the last packet
}

// NewTap returns a Tap that writes to w, which from now on is the Tap's.
func NewTap(w *Writer, cfg TapConfig) *Tap {
	return &Tap{w: w, cfg: cfg, known: map[Endpoint]*tapped{}, about: map[string]hardware{}}
}

// Describe says what an adapter is, ahead of its first packet. If the filter
// picks one interface only and it is this adapter's, that is in the capture
// even if it sees no packet.
func (t *Tap) Describe(device, model string, speedBPS uint64) {
	t.about[device] = hardware{model, speedBPS}
	if at := t.cfg.Filter.At; at.single() && at.Device == device {
		t.at(at)
	}
}

// Observe implements nicsim.Probe.
func (t *Tap) Observe(e *nicsim.Event) {
	if e.Kind != nicsim.PacketQueue && e.Kind != nicsim.PacketWire || !t.cfg.Filter.Picks(e) {
		return
	}
	i := t.at(endpointOf(e))
	if e.Drop != nicsim.DropNone && len(e.Data) == 0 {
		t.w.Drop(i.iface, 1)
		if i.unseen == nil {
			i.unseen = map[nicsim.Drop]uint64{}
		}
		i.unseen[e.Drop]++
		return
	}

	t.comments = t.comments[:0]
	if len(i.unseen) > 0 {
		t.comments = append(t.comments, "lost ahead of this packet: "+i.takeUnseen())
	}
	flags, drops := flagsOf(e), uint64(0)
	if e.Drop != nicsim.DropNone {
		drops = 1
		t.comments = append(t.comments, dropComments[min(e.Drop, nicsim.NumDrops)])
	}
	if e.Checksum == nicsim.ChecksumBad {
		t.comments = append(t.comments, "the adapter found a wrong checksum")
	}
	t.packet = Packet{
		Interface: i.iface,
		TimeNS:    t.cfg.EpochNS + int64(e.At),
		Data:      e.Data,
		More:      e.More,
		Flags:     flags,
		DropCount: drops,
		PacketID:  e.ID,
		Comments:  t.comments,
	}
	if e.Kind == nicsim.PacketQueue {
		t.packet.Queue, t.packet.HasQueue = uint32(e.Queue), true
	}
	t.w.WritePacket(&t.packet)
}

// Close puts drops that no packet followed into the statistics, closes the
// Writer and returns its first error.
func (t *Tap) Close() error {
	for _, i := range t.known {
		if len(i.unseen) > 0 {
			t.w.Comment(i.iface, "lost after the last packet: "+i.takeUnseen())
		}
	}
	return t.w.Close()
}

func (t *Tap) at(e Endpoint) *tapped {
	i := t.known[e]
	if i == nil {
		i = &tapped{iface: t.w.AddInterface(Interface{
			Name:        e.String(),
			Description: e.describe(),
			Hardware:    t.about[e.Device].model,
			SpeedBPS:    t.about[e.Device].speedBPS,
		})}
		t.known[e] = i
	}
	return i
}

// takeUnseen returns the drops by reason, such as "2 tail_drop, 1 rx_dma_fault".
func (i *tapped) takeUnseen() string {
	var reasons []string
	for d := range nicsim.NumDrops {
		if n := i.unseen[d]; n > 0 {
			reasons = append(reasons, fmt.Sprintf("%d %s", n, d))
		}
	}
	clear(i.unseen)
	return strings.Join(reasons, ", ")
}

func directionOf(e *nicsim.Event) Flags {
	if e.Side == nicsim.Tx {
		return Outbound
	}
	return Inbound
}

func flagsOf(e *nicsim.Event) Flags {
	f := directionOf(e)
	switch e.Checksum {
	case nicsim.ChecksumNotReady:
		f |= ChecksumNotReady
	case nicsim.ChecksumValid:
		f |= ChecksumValid
	}
	if e.TSO {
		f |= SegmentOffload
	}
	if e.Flags&nicsim.BadFCS != 0 {
		f |= CRCError
	}
	switch e.Drop {
	case nicsim.DropRxCRC:
		f |= CRCError
	case nicsim.DropRxTooShort:
		f |= TooShort
	case nicsim.DropRxTooLong:
		f |= TooLong
	}
	return f
}

// dropComments are made once: a frame may be dropped on a hot path.
var dropComments = func() (c [nicsim.NumDrops + 1]string) {
	for d := range c {
		c[d] = "dropped: " + nicsim.Drop(d).String() + ": " + nicsim.Drop(d).Why()
	}
	return c
}()
