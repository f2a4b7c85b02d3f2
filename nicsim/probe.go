package nicsim

import "nicsim.dev/nicsim/sim"

// Probe sees what an adapter does, as it does it. An adapter without one pays a
// branch a batch. Neither the event nor its bytes may be kept after the call.
type Probe interface {
	Observe(e *Event)
}

// EventKind says which fields of an Event mean something.
type EventKind uint8

const (
	RegisterRead    EventKind = iota // Name, Offset, Value
	RegisterWrite                    // Name, Offset, Value
	Doorbell                         // Name, Side, Queue, Value: a tail register moved
	DescriptorFetch                  // Side, Queue, Index, Data, Name (for Model.Describe): read by the adapter
	DescriptorWrite                  // Side, Queue, Index, Data, Name: written back
	Interrupt                        // Name, Queue: vector; Value: cause bits
	PacketQueue                      // a packet as the driver sees it: Side, Queue, Data, ID, Drop...
	PacketWire                       // a frame as the wire sees it: Side, Data, ID, Drop...
	Note                             // Name: anything else worth a line (reset, link)

	NumEventKinds
)

var eventKindNames = [NumEventKinds]string{
	"read", "write", "doorbell", "fetch", "writeback", "interrupt", "packet", "frame", "note",
}

func (k EventKind) String() string {
	if k < NumEventKinds {
		return eventKindNames[k]
	}
	return "unknown"
}

// Side is the direction of a packet or queue, from the driver's point of view.
type Side uint8

const (
	Tx Side = iota
	Rx
)

func (s Side) String() string {
	if s == Tx {
		return "tx"
	}
	return "rx"
}

// ChecksumState is what is known of the checksums of a packet.
type ChecksumState uint8

const (
	ChecksumUnknown  ChecksumState = iota
	ChecksumNotReady               // the adapter is to fill it in
	ChecksumValid
	ChecksumBad
)

// Event is one thing that an adapter did.
type Event struct {
	Kind   EventKind
	At     sim.Time
	Device string // the adapter's name
	Name   string // register, descriptor kind or note
	Side   Side
	Queue  int
	Index  int // place in the ring
	Offset uint32
	Value  uint64
	Data   []byte   // descriptor or packet; the first piece of a packet
	More   [][]byte // further pieces of a packet

	// Packets only.
	ID       uint64 // joins a super-frame and its segments
	Checksum ChecksumState
	TSO      bool // a super-frame to be segmented, or one that was coalesced
	Flags    FrameFlags
	Drop     Drop
}
