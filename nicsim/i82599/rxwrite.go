package i82599

import (
	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/offloads/hdrsplit"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/vlan"
)

// rxWrite is a packet on its way into descriptors, with what they say of it.
type rxWrite struct {
	h      *parse.Headers
	info   ixgbe.RxInfo
	param  uint32
	status ixgbe.RxStatus
	tag    uint16
	frames int                      // coalesced into the packet, at least 1
	starts [maxRSCDescriptors]uint8 // how many of these start in each descriptor, if more than 1
	id     uint64

	header int // bytes for the header buffer
}

// describe fills in what the last descriptor says of a frame (7.1.6.2), and
// takes the tag out of the frame if the queue strips tags (7.4.4).
func (q *rxQueue) describe(w *rxWrite, p *rxPacket) {
	w.h, w.id = &p.h, p.f.ID
	w.info, w.param = p.c.info, p.c.param
	w.status = p.c.status | p.sums
	if p.h.Kind&parse.Tagged != 0 && q.strip {
		q.stripTag(p)
	}
	if p.stripped {
		w.tag = p.tag
		w.status |= ixgbe.RxVP
	}
	if p.h.Kind&parse.ExtendedVLAN != 0 {
		w.status |= ixgbe.RxVEXT
	}
	if p.bad {
		w.status |= ixgbe.RxRXE
	}
}

// stripTag takes the inner tag out of a frame and keeps it for the descriptor.
func (q *rxQueue) stripTag(p *rxPacket) {
	if p.stripped {
		return // it waited for a descriptor
	}
	at := vlan.First
	if p.h.Kind&parse.ExtendedVLAN != 0 {
		if p.h.Kind&parse.DoubleTagged == 0 {
			return // the only tag is an outer one, which stays (7.4.5)
		}
		at = vlan.Second
	}
	p.stripped = true
	p.tag, _ = vlan.Pop(p.f.Data, 0, at)
	p.f.Pull(vlan.TagBytes)
	p.h.Shift(-vlan.TagBytes)
}

// plan decides how many bytes go to the header buffer (7.1.10).
func (q *rxQueue) plan(w *rxWrite, total int) {
	mode := hdrsplit.Split
	switch q.descType {
	case descSplit:
	case descSplitAlways:
		mode = hdrsplit.Always
	default:
		return
	}
	boundary, found := hdrsplit.Boundary(w.h, q.split)
	place := hdrsplit.Place(mode, boundary, found, total, q.headerBytes)
	w.header = place.HeaderBytes
	w.info |= ixgbe.HDRLEN(place.HeaderLength)
	if place.SPH {
		w.info |= ixgbe.RxSPH
	}
	if place.HBO {
		w.status |= ixgbe.RxHBO
	}
}

// write puts a packet into buffers and writes the descriptors back. The packet
// is its first piece and the payloads that were coalesced with it.
func (q *rxQueue) write(w *rxWrite, first []byte, more [][]byte) fate {
	d := q.d
	if !q.ready(d.fn.Memory) {
		if !q.stopped {
			q.stop()
		}
		q.lose(w, first, more, nicsim.DropRxBadRing)
		return taken
	}
	total := len(first)
	for _, p := range more {
		total += len(p)
	}
	q.plan(w, total)
	need := 1
	if body := total - w.header; body > q.packetBytes {
		need = (body + q.packetBytes - 1) / q.packetBytes
	}
	if uint32(need) > q.room() {
		return q.starve(w, first, more, need)
	}
	q.publish()
	q.scatter(w, first, more, total, need)
	return taken
}

// countPacket notes a packet that went to the driver, by the frames of which it
// was made (7.1.7.1).
func (q *rxQueue) countPacket(w *rxWrite, total int) {
	n := uint64(w.frames)
	q.packets += n
	q.octets += uint64(total)
	q.checksums[sumClass(w.status)] += n
	if n > 1 {
		q.octets += (n - 1) * uint64(w.h.Payload)
		q.merged++
		q.mergedWire += n
	}
}

// Classes of rxQueue.checksums.
const (
	sumNone = iota
	sumBad
	sumGood
)

// sumClass tells what a driver makes of the checksums of a packet.
func sumClass(status ixgbe.RxStatus) int {
	switch {
	case status&(ixgbe.RxL4E|ixgbe.RxIPE) != 0:
		return sumBad
	case status&ixgbe.RxL4I != 0:
		return sumGood
	}
	return sumNone
}

// starve is what happens without enough descriptors (7.1.9): the frame waits
// at the head of the packet buffer, or is dropped where
// drop enable is set or the whole ring would not hold it.
func (q *rxQueue) starve(w *rxWrite, first []byte, more [][]byte, need int) fate {
	if !q.dropOn && !q.dropByPF && uint32(need) < q.count {
		return wait
	}
	q.dropped += uint64(w.frames)
	q.lose(w, first, more, nicsim.DropRxNoDescriptor)
	return taken
}

// lose drops a packet.
func (q *rxQueue) lose(w *rxWrite, first []byte, more [][]byte, why nicsim.Drop) {
	q.d.drops[why] += uint64(w.frames)
	if q.d.probe != nil {
		q.d.observe(&nicsim.Event{Kind: nicsim.PacketQueue, Side: nicsim.Rx, Queue: q.index, Data: first, More: more, ID: w.id, TSO: w.frames > 1, Drop: why})
	}
}

// scatter writes a packet over need descriptors. The first is published last,
// because a driver looks at them in order.
func (q *rxQueue) scatter(w *rxWrite, first []byte, more [][]byte, total, need int) {
	d := q.d
	w.countStarts(len(first), more, q.packetBytes)
	src := reader{piece: first, more: more}
	at, head := q.head, q.head
	ok := true
	left := total
	for k := range need {
		desc := q.at(at)
		posted := ixgbe.ParseAdvRx(desc)
		if k == 0 && w.header > 0 {
			ok = src.copyTo(d.fn.Memory, dma.Addr(posted.Header), w.header) && ok
			left -= w.header
		}
		n := min(left, q.packetBytes)
		ok = src.copyTo(d.fn.Memory, dma.Addr(posted.Addr), n) && ok
		left -= n
		next := at + 1
		if next == q.count {
			next = 0
		}
		last := k == need-1
		if k > 0 || last {
			q.putBack(w, k, at, next, n, last, ok)
		}
		at = next
	}
	if need > 1 {
		next := head + 1
		if next == q.count {
			next = 0
		}
		q.putBack(w, 0, head, next, min(total-w.header, q.packetBytes), false, ok)
	}
	if ok {
		q.countPacket(w, total)
	} else {
		d.drops[nicsim.DropRxDMAFault] += uint64(w.frames)
	}
	if d.probe != nil {
		q.observe(w, first, more, head, need, ok)
	}
	q.advance(uint32(need))
}

// countStarts finds out how many of a coalesced packet's frames start in each
// descriptor. RSCCNT says one more (7.1.6.2).
func (w *rxWrite) countStarts(at int, more [][]byte, packetBytes int) {
	if w.frames < 2 {
		return
	}
	clear(w.starts[:])
	w.starts[0] = 1
	for _, p := range more {
		k := &w.starts[min(max(at-w.header, 0)/packetBytes, len(w.starts)-1)]
		*k = min(*k+1, maxRSCStarts)
		at += len(p)
	}
}

// putBack writes descriptor at back, the k-th of its packet. Without EOP its
// status holds the place of the next one (NEXTP), as coalesced packets need it.
func (q *rxQueue) putBack(w *rxWrite, k int, at, next uint32, n int, last, ok bool) {
	wb := ixgbe.AdvRxWB{Info: w.info, Status: ixgbe.RxDD, RxData: ixgbe.RxData{PKTLEN: uint16(n)}}
	if last {
		wb.Param, wb.VLAN = w.param, w.tag
		wb.Status |= w.status | ixgbe.RxEOP
		if !ok {
			wb.Status |= ixgbe.RxRXE
		}
	} else {
		wb.Status |= ixgbe.RxNext(uint16(next))
	}
	if w.frames > 1 {
		wb.Info |= ixgbe.RSCCNT(int(w.starts[min(k, len(w.starts)-1)]) + 1)
	}
	desc := q.at(at)
	switch {
	case q.descType == descLegacy:
		legacyWB(wb).Publish(desc)
	case k == 0:
		wb.Publish(desc)
	default:
		wb.Put(desc)
	}
}

// legacyWB says in legacy terms what wb says (7.1.5).
func legacyWB(wb ixgbe.AdvRxWB) ixgbe.LegacyRxWB {
	if wb.Status&ixgbe.RxEOP == 0 {
		return ixgbe.LegacyRxWB{Length: wb.PKTLEN, Status: ixgbe.LegacyDD}
	}
	out := ixgbe.LegacyRxWB{Length: wb.PKTLEN, VLAN: wb.VLAN, Status: ixgbe.LegacyStatus(wb.Status & 0xFF)}
	if wb.Info&ixgbe.RSSMask == 0 {
		out.Checksum = wb.FragmentChecksum()
	}
	for _, e := range [...]struct {
		adv    ixgbe.RxStatus
		legacy ixgbe.LegacyStatus
	}{{ixgbe.RxIPE, ixgbe.LegacyIPE}, {ixgbe.RxL4E, ixgbe.LegacyTCPE}, {ixgbe.RxRXE, ixgbe.LegacyRXE}} {
		if wb.Status&e.adv != 0 {
			out.Status |= e.legacy
		}
	}
	return out
}

// advance gives n descriptors back to the driver.
func (q *rxQueue) advance(n uint32) {
	if q.head += n; q.head >= q.count {
		q.head -= q.count
	}
	q.d.rx.raise[q.index/64] |= 1 << (q.index % 64)
}

func (q *rxQueue) stop() {
	q.stopped = true
	if q.d.probe != nil {
		q.d.observe(&nicsim.Event{Kind: nicsim.Note, Side: nicsim.Rx, Queue: q.index, Name: "receive ring stopped: " + nicsim.DropRxBadRing.String()})
	}
}

func (q *rxQueue) observe(w *rxWrite, first []byte, more [][]byte, head uint32, need int, ok bool) {
	e := nicsim.Event{Kind: nicsim.PacketQueue, Side: nicsim.Rx, Queue: q.index, Index: int(head), Data: first, More: more, ID: w.id, TSO: w.frames > 1}
	switch {
	case !ok:
		e.Drop = nicsim.DropRxDMAFault
	case w.status&(ixgbe.RxL4E|ixgbe.RxIPE) != 0:
		e.Checksum = nicsim.ChecksumBad
	case w.status&ixgbe.RxL4I != 0:
		e.Checksum = nicsim.ChecksumValid
	}
	q.d.observe(&e)
	name := "rx-done"
	if q.descType == descLegacy {
		name = "legacy-rx-done"
	}
	for i := head; need > 0; need-- {
		desc := q.at(i)
		q.d.observe(&nicsim.Event{Kind: nicsim.DescriptorWrite, Side: nicsim.Rx, Queue: q.index, Index: int(i), Data: desc[:], Name: name})
		if i++; i == q.count {
			i = 0
		}
	}
}

// reader reads the pieces of a packet one after another.
type reader struct {
	piece []byte
	more  [][]byte
}

// copyTo moves n bytes to guest memory; it says whether the device may write
// there. The bytes are consumed either way.
func (r *reader) copyTo(m *dma.Space, addr dma.Addr, n int) bool {
	ok := true
	for n > 0 {
		for len(r.piece) == 0 {
			r.piece, r.more = r.more[0], r.more[1:]
		}
		k := min(n, len(r.piece))
		if mem := m.Bytes(addr, k, dma.Write); mem != nil {
			copy(mem, r.piece)
		} else { // more than one region, or none
			ok = m.WriteAt(r.piece[:k], addr) == nil && ok
		}
		r.piece = r.piece[k:]
		addr += dma.Addr(k)
		n -= k
	}
	return ok
}
