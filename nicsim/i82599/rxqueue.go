package i82599

import (
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/hdrsplit"
)

// Descriptor types of SRRCTL.DESCTYPE (8.2.3.8.7).
const (
	descLegacy      = 0
	descOneBuffer   = 1
	descSplit       = 2
	descSplitAlways = 5
)

// rxQueue is a receive queue: a ring of descriptors that await frames (7.1.9).
type rxQueue struct {
	d     *Device
	index int

	ring
	enabled     bool
	descType    uint8
	packetBytes int  // of a packet buffer, SRRCTL.BSIZEPACKET
	headerBytes int  // of a header buffer, SRRCTL.BSIZEHEADER
	dropOn      bool // SRRCTL.Drop_En or the queue's bit elsewhere
	strip       bool // RXDCTL.VME
	maxBytes    int  // RXDCTL.RLPML, 0 when it is not enabled
	split       hdrsplit.Types

	packets, octets, dropped uint64
	merged, mergedWire       uint64
	checksums                [3]uint64 // of packets: none, bad, unnecessary
}

// fate is what became of a frame that was offered to a queue.
type fate bool

const (
	taken fate = false
	wait  fate = true // no descriptor, and the queue does not drop
)

// accept takes a frame, or drops it with a reason, or lets it wait.
func (q *rxQueue) accept(p *rxPacket) fate {
	d := q.d
	if !q.enabled {
		d.drop(p.f, nicsim.DropRxQueueDisabled)
		return taken
	}
	if q.maxBytes != 0 && p.f.WireBytes() > q.maxBytes {
		d.drop(p.f, nicsim.DropRxTooLong)
		return taken
	}
	w := rxWrite{frames: 1}
	q.describe(&w, p)
	if q.write(&w, p.f.Data, nil) == wait {
		return wait
	}
	d.pool.Put(p.f)
	return taken
}
