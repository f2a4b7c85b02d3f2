package pmd

import (
	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/offloads/parse"
)

type rxQueue struct {
	ringAt      dma.Addr
	ring        []byte
	buffersAt   dma.Addr
	buffers     []byte
	headersAt   dma.Addr
	headers     []byte
	bufferBytes int
	split       bool
	count       int
	next        int // descriptor that the adapter writes next
	lent        int // descriptors whose buffers the last Receive handed out
	pieces      [][]byte
}

func (r *rxQueue) desc(i int) *[16]byte { return (*[16]byte)(r.ring[i*ixgbe.Size:]) }

// post gives descriptor i to the adapter, short of the tail.
func (r *rxQueue) post(i int) {
	d := ixgbe.AdvRx{Addr: uint64(r.buffersAt) + uint64(i*r.bufferBytes)}
	if r.split {
		d.Header = uint64(r.headersAt) + uint64(i*headerBuffer)
	}
	d.Put(r.desc(i))
}

// Pending says whether the adapter has written the next descriptor back.
func (p *PMD) Pending(q int) bool {
	r := &p.rx[q]
	return ixgbe.AdvRxDone(r.desc(r.next))
}

// Receive harvests up to len(out) packets of queue q. Their bytes are valid
// until the next call for that queue.
func (p *PMD) Receive(q int, out []driver.RxPacket) int {
	r := &p.rx[q]
	p.giveBack(q)
	r.pieces = r.pieces[:0]
	n := 0
	for n < len(out) && r.lent < r.count/2 {
		found, good := p.harvest(r, &out[n])
		if !found {
			break
		}
		if good {
			n++
		}
	}
	return n
}

// giveBack posts again what the last Receive handed out.
func (p *PMD) giveBack(q int) {
	r := &p.rx[q]
	if r.lent == 0 {
		return
	}
	first := r.next - r.lent
	if first < 0 {
		first += r.count
	}
	for i := first; i != r.next; {
		r.post(i)
		if i++; i == r.count {
			i = 0
		}
	}
	r.lent = 0
	// The tail stays one short of the head: equal means that the ring is empty.
	tail := r.next - 1
	if tail < 0 {
		tail += r.count
	}
	p.write(rxReg(q, rxRDT), uint32(tail))
}

// harvest takes the next packet off the ring, if all of it is there. A damaged
// one is nobody's.
func (p *PMD) harvest(r *rxQueue, out *driver.RxPacket) (found, good bool) {
	i, need := r.next, 1
	for {
		d := r.desc(i)
		if !ixgbe.AdvRxDone(d) {
			return false, false
		}
		if ixgbe.ParseAdvRxWB(d).Status&ixgbe.RxEOP != 0 {
			break
		}
		if i++; i == r.count {
			i = 0
		}
		if need++; need > r.count {
			return false, false
		}
	}
	from := len(r.pieces)
	*out = driver.RxPacket{}
	var wb ixgbe.AdvRxWB
	for k := range need {
		wb = ixgbe.ParseAdvRxWB(r.desc(r.next))
		if n := wb.Info.HDRLEN(); k == 0 && r.split && wb.Info&ixgbe.RxSPH != 0 && n <= headerBuffer {
			out.HeaderBytes = n
			at := r.next * headerBuffer
			r.pieces = append(r.pieces, r.headers[at:at+out.HeaderBytes])
		}
		out.Merged += max(wb.Info.RSCCNT()-1, 0) // 0 for what was not coalesced (7.1.6.2)
		if wb.PKTLEN > 0 {
			at := r.next * r.bufferBytes
			r.pieces = append(r.pieces, r.buffers[at:at+min(int(wb.PKTLEN), r.bufferBytes)])
		}
		r.lent++
		if r.next++; r.next == r.count {
			r.next = 0
		}
	}
	if wb.Status&ixgbe.RxRXE != 0 {
		r.pieces = r.pieces[:from]
		p.stats.RxErrors++
		return true, false
	}
	out.Merged = max(out.Merged, 1)
	out.Pieces = r.pieces[from:len(r.pieces):len(r.pieces)]
	p.describe(out, wb)
	return true, true
}

// describe reads what the last descriptor says of the packet.
func (p *PMD) describe(out *driver.RxPacket, wb ixgbe.AdvRxWB) {
	out.HashType = uint8(wb.Info.RSSType())
	if out.HashType != 0 {
		out.Hash = wb.Param
	}
	switch {
	case out.Merged > 1: // each part was verified, and the field is that of the first
		out.Checksum = driver.ChecksumUnnecessary
	case p.cfg.Offloads&driver.RxChecksum == 0:
	case wb.Status&(ixgbe.RxIPE|ixgbe.RxL4E) != 0:
		out.Checksum = driver.ChecksumBad
		p.stats.RxChecksumBad++
	case wb.Status&ixgbe.RxL4I != 0:
		out.Checksum = driver.ChecksumUnnecessary
	}
	if wb.Status&ixgbe.RxVP != 0 {
		out.VLAN, out.VLANTCI = true, wb.VLAN
	}
	n := driver.Bytes(out.Pieces)
	p.stats.RxPackets++
	p.stats.RxBytes += uint64(n)
	if out.Merged > 1 {
		p.segmentation(out, n)
	}
}

// segmentation says how a stack would undo the coalescing.
func (p *PMD) segmentation(out *driver.RxPacket, n int) {
	p.stats.RxMerged += uint64(out.Merged)
	var h parse.Headers
	parse.Frame(&h, out.Pieces[0], 0)
	if h.Kind&parse.TCP == 0 {
		return
	}
	out.GSO = driver.TCPv4
	if h.Kind&parse.IPv6 != 0 {
		out.GSO = driver.TCPv6
	}
	payload := n - int(h.Payload)
	out.GSOBytes = (payload + out.Merged - 1) / out.Merged
}
