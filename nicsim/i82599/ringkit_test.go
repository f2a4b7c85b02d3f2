package i82599

import (
	"bytes"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim/dma"
)

// rxRing is a receive queue played by hand: every descriptor has buffers of its
// own, between guard bytes.
type rxRing struct {
	*hands
	q       int
	count   int // descriptors
	next    int // that the adapter writes next
	tail    int
	buffers []byte

	always      bool // SRRCTL.DESCTYPE
	headerBytes int
}

const (
	ringIOVA   = 0x9000_0000
	ringBuffer = 20 << 10 // room for a buffer, guard bytes and a header buffer
	ringHeader = 17 << 10 // where the header buffer is
	guard      = 0xA5
)

type ringSetup struct {
	queue    int
	count    int // descriptors, a multiple of 8
	start    int // where the head is in the beginning
	packetKB int
	coalesce bool
	maxDesc  uint32 // RSCCTL.MAXDESC
	srrctl   uint32 // more of SRRCTL
	rxdctl   uint32 // more of RXDCTL
}

func (h *hands) openRSC(s ringSetup) *rxRing {
	s.coalesce = true
	return h.openRing(s)
}

func (h *hands) openRing(s ringSetup) *rxRing {
	r := &rxRing{hands: h, q: s.queue, count: s.count, next: s.start, tail: s.start}
	r.always, r.headerBytes = s.srrctl>>25&7 == descSplitAlways, int(s.srrctl>>8&0x3F)*64
	r.buffers = bytes.Repeat([]byte{guard}, s.count*ringBuffer)
	require.NoError(h.t, h.d.fn.Memory.Map(dma.Addr(ringIOVA+s.queue<<24), r.buffers, dma.Read|dma.Write))
	reg := func(off uint32) uint32 { return rxQueueReg(0x1000+off, s.queue) }
	h.write(reg(0), handIOVA+uint32(s.queue)*handSlots)
	h.write(reg(8), uint32(s.count*ixgbe.Size))
	if s.srrctl>>25&7 == 0 {
		s.srrctl |= descOneBuffer << 25
	}
	h.write(reg(0x14), s.srrctl|uint32(s.packetKB))
	if s.coalesce {
		h.write(reg(0x2C), 1|s.maxDesc<<2)
	}
	h.write(reg(0x10), uint32(s.start))
	h.write(reg(0x28), 1<<25|s.rxdctl)
	return r
}

func (r *rxRing) desc(i int) *[16]byte {
	return (*[16]byte)(r.mem[r.q*handSlots+i*ixgbe.Size:])
}

// give posts n more descriptors.
func (r *rxRing) give(n int) {
	for range n {
		at := uint64(ringIOVA + r.q<<24 + r.tail*ringBuffer)
		ixgbe.AdvRx{Addr: at, Header: at + ringHeader}.Put(r.desc(r.tail))
		r.tail = (r.tail + 1) % r.count
	}
	r.write(rxQueueReg(0x1018, r.q), uint32(r.tail))
}

// rxPart is a descriptor that came back, with the bytes in its buffers.
type rxPart struct {
	at   int
	wb   ixgbe.AdvRxWB
	head []byte
	data []byte
}

// take returns the descriptors of the next packet, or none, and holds that
// nothing was written outside of their buffers.
func (r *rxRing) take() (parts []rxPart) {
	for i := r.next; ixgbe.AdvRxDone(r.desc(i)); i = (i + 1) % r.count {
		wb := ixgbe.ParseAdvRxWB(r.desc(i))
		parts = append(parts, rxPart{at: i, wb: wb})
		if wb.Status&ixgbe.RxEOP != 0 {
			for k := range parts {
				r.collect(&parts[k], k == 0, wb.Status&ixgbe.RxHBO != 0)
			}
			r.next = (i + 1) % r.count
			return parts
		}
	}
	require.Empty(r.t, parts, "a packet without end")
	return nil
}

// collect reads the buffers of a descriptor, and makes them as new.
func (r *rxRing) collect(p *rxPart, first, overflow bool) {
	room := r.buffers[p.at*ringBuffer:][:ringBuffer]
	p.data = bytes.Clone(room[:p.wb.PKTLEN])
	head := 0
	switch {
	case !first:
	case p.wb.Info&ixgbe.RxSPH == 0, !overflow:
		head = p.wb.Info.HDRLEN()
	case r.always:
		head = r.headerBytes
	}
	p.head = bytes.Clone(room[ringHeader:][:head])
	require.Equal(r.t, bytes.Repeat([]byte{guard}, ringHeader-len(p.data)), room[len(p.data):ringHeader], "behind the data of descriptor %d", p.at)
	require.Equal(r.t, bytes.Repeat([]byte{guard}, ringBuffer-ringHeader-head), room[ringHeader+head:], "behind the header of descriptor %d", p.at)
	copy(room, bytes.Repeat([]byte{guard}, ringBuffer))
	*r.desc(p.at) = [16]byte{}
}
