package i82599

import (
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
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
	dropOn      bool // SRRCTL.Drop_En
	dropByPF    bool // PFQDE, which asks for the same
	strip       bool // RXDCTL.VME
	split       hdrsplit.Types

	lowWater uint32 // SRRCTL.RDMTS: so few free descriptors interrupt at once; 0 for never
	low      bool   // and they have

	rscDescriptors int // that a coalesced packet may use; 0 while RSCCTL.RSCEN is clear

	simple bool // takePlain may be tried
	// A batch of write-backs is published by its first, which is stored last.
	unpublished *[16]byte
	firstWord   uint64

	packets, octets, dropped uint64
	counted                  counted
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
	if d.mac.keepFCS && !p.fcs {
		p.f.AppendFCS()
		p.fcs = true // it may come again, when it waited for a descriptor
	}
	if q.rscDescriptors > 0 {
		return d.rx.rsc.accept(q, p)
	}
	return q.alone(p)
}

// alone takes a frame as a packet of its own.
func (q *rxQueue) alone(p *rxPacket) fate {
	q.d.observeArrival(p)
	w := rxWrite{frames: 1}
	q.describe(&w, p)
	if q.write(&w, p.f.Data, nil) == wait {
		return wait
	}
	q.d.pool.Put(p.f)
	return taken
}

// takePlain is accept for what most traffic is: an untagged good frame that fits
// one buffer. It leaves everything else to accept.
func (q *rxQueue) takePlain(p *rxPacket) bool {
	if p.odd {
		return false
	}
	status := p.c.status | p.sums
	words := [1]rxWords{{uint64(p.c.info) | uint64(p.c.param)<<32, uint64(status)}}
	if q.place([]*nicsim.Frame{p.f}, words[:]) == 0 {
		return false
	}
	q.checksums[sumClass(status)]++
	q.d.pool.Put(p.f)
	return true
}

// rxWords is what a receive descriptor says of a frame, less the bits and the
// length that place adds.
type rxWords struct{ first, second uint64 }

// place writes frames into the one buffer each of the next descriptors, and what
// the descriptors say of them. It ends at a frame with which that is not all
// there is to do, and returns how many it placed. It does not count checksums.
func (q *rxQueue) place(frames []*nicsim.Frame, words []rxWords) int {
	m := q.d.fn.Memory
	if !q.simple || !q.ready(m) {
		return 0
	}
	placed := 0
	for {
		placed += q.placeWithin(m.Window(dma.Write), frames[placed:], words[placed:])
		if placed == len(frames) || q.head == q.tail || len(frames[placed].Data) > q.packetBytes {
			break
		}
		// The buffer is outside the window: move that there, or give up.
		addr := binary.LittleEndian.Uint64(q.at(q.head)[:])
		if m.Bytes(dma.Addr(addr), len(frames[placed].Data), dma.Write) == nil {
			break
		}
	}
	if placed > 0 {
		q.d.rx.raise[q.index/64] |= 1 << (q.index % 64)
		q.packets += uint64(placed)
	}
	return placed
}

// placeWithin is place for buffers within a window, at most a batch of them.
func (q *rxQueue) placeWithin(window dma.Window, frames []*nicsim.Frame, words []rxWords) int {
	var at [rxBatchFrames]dma.Offset
	octets, placed, limit, head, slots := 0, 0, q.packetBytes, int(q.head), q.slots
	n := min(len(frames), len(at), len(words), int(q.room()))
	words = words[:n]
	for i, f := range frames[:n] {
		desc := &slots[head]
		size := len(f.Data)
		off, ok := window.Offset(dma.Addr(binary.LittleEndian.Uint64(desc[:])), size)
		if !ok || size > limit {
			break
		}
		at[i] = off
		octets += size
		placed++
		binary.LittleEndian.PutUint64(desc[:], words[i].first)
		second := words[i].second | uint64(ixgbe.RxDD|ixgbe.RxEOP) | uint64(size)<<32
		if q.unpublished == nil {
			q.unpublished, q.firstWord = desc, second
		} else {
			binary.LittleEndian.PutUint64(desc[8:], second)
		}
		if head++; head == len(slots) {
			head = 0
		}
	}
	for i, f := range frames[:placed] {
		window.Write(at[i], f.Data)
	}
	q.head = uint32(head)
	q.octets += uint64(octets)
	return placed
}

// runsLow says whether free descriptors have just become few (7.3.2.2).
func (q *rxQueue) runsLow() bool {
	was := q.low
	q.low = q.lowWater > 0 && q.room() <= q.lowWater
	return q.low && !was
}

// publish makes the write-backs of a batch the driver's.
func (q *rxQueue) publish() {
	if q.unpublished != nil {
		ixgbe.PublishRx(q.unpublished, q.firstWord)
		q.unpublished = nil
	}
}
