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
	d, n := q.d, len(p.f.Data)
	if !q.simple || p.odd || n > q.packetBytes || !q.ready(d.fn.Memory) || q.head == q.tail {
		return false
	}
	desc := q.at(q.head)
	mem := d.fn.Memory.Bytes(dma.Addr(binary.LittleEndian.Uint64(desc[:])), n, dma.Write)
	if mem == nil {
		return false
	}
	copy(mem, p.f.Data)
	d.pool.Put(p.f)
	q.packets++
	q.octets += uint64(n)
	status := p.c.status | p.sums
	q.checksums[sumClass(status)]++
	binary.LittleEndian.PutUint64(desc[:], uint64(p.c.info)|uint64(p.c.param)<<32)
	word := uint64(status|ixgbe.RxDD|ixgbe.RxEOP) | uint64(n)<<32
	if q.unpublished == nil {
		q.unpublished, q.firstWord = desc, word
		d.rx.raise[q.index/64] |= 1 << (q.index % 64)
	} else {
		binary.LittleEndian.PutUint64(desc[8:], word)
	}
	if q.head++; q.head == q.count {
		q.head = 0
	}
	return true
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
