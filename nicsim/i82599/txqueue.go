package i82599

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/segment"
)

const (
	// txOnDie is the number of descriptors a queue holds on die; a packet spans
	// at most that many, less WTHRESH and 2 (7.2.1.1).
	txOnDie = 40
	// txFetchLimit bounds the descriptors that one turn reads, so that a ring
	// full of contexts cannot hold up the others.
	txFetchLimit = 256
	// maxTSOBytes bounds a segmented packet's payload: PAYLEN has 18 bits.
	maxTSOBytes = 1 << 18
	minTxBytes  = 17               // PAYLEN's least value (7.2.3.2.4)
	maxTxBytes  = 31<<9 - fcsBytes // 15.5 KiB, tags that the adapter inserts apart (1.3)
)

// txQueue is a transmit queue: a ring of descriptors and the packet that is
// being put together from them (7.2.3).
type txQueue struct {
	d     *Device
	index int

	ring
	enabled   bool
	hung      bool     // until the port is reset: see HangTx
	threshold int      // TXDCTL.WTHRESH
	headWB    dma.Addr // where to write the head back
	headWBOn  bool
	contexts  [2]ixgbe.AdvContext

	// The packet in assembly. Its first descriptor decides.
	pieces  [][]byte
	bytes   int
	parts   int // descriptors so far
	first   ixgbe.AdvData
	legacy  ixgbe.LegacyTx
	old     bool // it came in legacy descriptors
	fault   nicsim.Drop
	firstAt uint32
	mapped  uint64 // dma.Space.Changes when its pieces were looked up

	// The packet in segmentation.
	cutter   *segment.Segmenter
	cutting  bool
	cutAsk   txAsk
	cutID    uint64
	cutBytes int // of the longest segment
	cutFlags ixgbe.TxFlags
	cutIndex uint32

	pace pace

	done     [128]uint32 // descriptors to be written back
	waiting  int
	flushing sim.Event
	raise    bool // a write-back asked for an interrupt

	packets, octets uint64
	counted         counted
	checksums       uint64 // packets that asked for one

	// Packets that asked for segmentation, and what was made of them.
	gso, gsoBytes, gsoWire, gsoWireBytes uint64
}

// ring is a descriptor ring in guest memory.
type ring struct {
	base       dma.Addr
	count      uint32 // descriptors
	head, tail uint32
	slots      [][16]byte // count descriptors, or nil when not mapped
	changes    uint64     // dma.Space.Changes when mem was looked up
	usable     bool       // it lies in memory and the tail in it; false also asks to look again
	stopped    bool       // its place or its tail made no sense
}

// ready says whether the ring can be used.
func (r *ring) ready(m *dma.Space) bool {
	return r.usable && r.changes == m.Changes() || r.find(m)
}

// find looks the ring up in memory.
func (r *ring) find(m *dma.Space) bool {
	r.changes, r.slots = m.Changes(), nil
	if mem := m.Bytes(r.base, int(r.count)*ixgbe.Size, dma.Read|dma.Write); len(mem) > 0 {
		r.slots = unsafe.Slice((*[16]byte)(unsafe.Pointer(&mem[0])), r.count)
	}
	r.usable = r.slots != nil && r.tail < r.count && r.head < r.count && !r.stopped
	return r.usable
}

func (r *ring) at(i uint32) *[16]byte { return &r.slots[i] }

// room is the number of descriptors that the driver has given to the adapter.
func (r *ring) room() uint32 {
	if r.tail >= r.head {
		return r.tail - r.head
	}
	return r.count - r.head + r.tail
}

func (q *txQueue) idle() { q.d.tx.work[q.index/64] &^= 1 << (q.index % 64) }

// fetch reads descriptors and turns them into frames until the batch holds
// limit of them or nothing is left. It returns the work done.
func (q *txQueue) fetch(b *txBatch, limit int) int {
	d := q.d
	if q.hung || !q.enabled || !q.ready(d.fn.Memory) {
		if !q.hung && q.enabled && !q.stopped {
			q.stop()
		}
		q.idle()
		return 0
	}
	if (q.parts > 0 || q.cutting) && q.mapped != d.fn.Memory.Changes() {
		q.abandon()
	}
	n := 0
	for ; b.n < limit && n < txFetchLimit; n++ {
		if q.cutting {
			q.cut(b, limit)
			continue
		}
		if q.head == q.tail {
			break
		}
		if q.parts == 0 && d.probe == nil {
			if k := q.takePlain(b, limit); k > 0 {
				n += k - 1
				continue
			}
		}
		q.take(b)
	}
	if q.waiting >= q.threshold {
		q.writeBack()
	} else if q.waiting > 0 {
		d.flushLater(q)
	}
	if q.head == q.tail && !q.cutting {
		q.idle()
	}
	return n
}

// plain are the bits by which a packet in one advanced data descriptor is known
// that asks for nothing but its frame check sequence; RS and PAYLEN may differ.
const (
	plainBits = 0x3FFF_FFFF_0000 &^ uint64(ixgbe.TxRS)
	plainWant = 0x2030_0000 | uint64(ixgbe.TxEOP|ixgbe.TxIFCS)
)

// takePlain is take for what most traffic is: packets of one descriptor without
// offloads. It leaves everything else to take, and returns how many it took.
func (q *txQueue) takePlain(b *txBatch, limit int) int {
	room := q.count - q.head
	if q.tail >= q.head {
		room = q.tail - q.head
	}
	n := min(limit-b.n, int(room), len(q.done)-q.waiting)
	ring := q.slots[q.head : int(q.head)+n]
	if n == 0 || plainBytes(&ring[0]) == 0 {
		return 0
	}
	d := q.d
	window := d.fn.Memory.Window(dma.Read)
	at, sizes := &d.tx.at, &d.tx.sizes
	every := q.threshold > 0 // with WTHRESH descriptors are written back whether they ask for it or not
	taken, octets, waiting := 0, 0, q.waiting
	ring = ring[:min(len(ring), len(at))]
	for i := range ring {
		desc := &ring[i]
		size := plainBytes(desc)
		off, ok := window.Offset(dma.Addr(binary.LittleEndian.Uint64(desc[:])), size)
		if size == 0 || !ok {
			break
		}
		at[i], sizes[i] = off, size
		octets += size
		taken++
		if every || desc[11]&uint8(ixgbe.TxRS>>24) != 0 {
			q.done[waiting] = q.head + uint32(i)
			waiting++
		}
	}
	frames, asks := b.frames[b.n:b.n+taken], b.asks[b.n:b.n+taken]
	d.pool.GetSmall(frames)
	for i, f := range frames {
		f.Size(sizes[i])
		window.Read(f.Data, at[i])
		asks[i].do = doFCS
	}
	q.waiting = waiting
	b.n += taken
	if q.head += uint32(taken); q.head == q.count {
		q.head = 0
	}
	q.packets += uint64(taken)
	q.octets += uint64(octets)
	return taken
}

// plainBytes returns the length of a packet that takePlain takes, and 0 for
// every other descriptor.
func plainBytes(desc *[16]byte) int {
	w := binary.LittleEndian.Uint64(desc[8:])
	n := int(w & 0xFFFF)
	if w&plainBits != plainWant || n < minFrameBytes || n > nicsim.SmallFrameBytes || n != int(w>>46) {
		return 0
	}
	return n
}

// stop ends the use of a ring whose place or tail makes no sense, until the
// driver enables the queue again.
func (q *txQueue) stop() {
	q.stopped = true
	q.d.drops[nicsim.DropTxBadRing]++
	if q.d.probe != nil {
		q.d.observe(&nicsim.Event{Kind: nicsim.Note, Side: nicsim.Tx, Queue: q.index, Name: "transmit ring stopped: " + nicsim.DropTxBadRing.String()})
	}
}

// take reads one descriptor.
func (q *txQueue) take(b *txBatch) {
	i := q.head
	desc := q.at(i)
	if q.head++; q.head == q.count {
		q.head = 0
	}
	if q.d.probe != nil {
		q.d.observe(&nicsim.Event{Kind: nicsim.DescriptorFetch, Side: nicsim.Tx, Queue: q.index, Index: int(i), Data: desc[:], Name: ixgbe.TxKind(desc).String()})
	}
	if q.parts == 0 {
		q.firstAt, q.mapped = i, q.d.fn.Memory.Changes()
	}
	if data, err := ixgbe.ParseAdvData(desc); err == nil {
		if q.parts == 0 {
			q.first, q.old = data, false
		} else if q.old {
			q.spoil(nicsim.DropTxBadDescriptor)
		}
		q.add(b, i, dma.Addr(data.Addr), int(data.DTALEN), data.Flags)
		return
	}
	switch ixgbe.TxKind(desc) {
	case ixgbe.KindContext:
		ctx, _ := ixgbe.ParseAdvContext(desc)
		q.contexts[ctx.Flags.IDX()] = ctx
	case ixgbe.KindLegacy:
		data, _ := ixgbe.ParseLegacyTx(desc)
		if q.parts == 0 {
			q.legacy, q.old = data, true
		} else if !q.old {
			q.spoil(nicsim.DropTxBadDescriptor)
		}
		q.add(b, i, dma.Addr(data.Addr), int(data.Length), data.Flags)
	default:
		q.spoil(nicsim.DropTxBadDescriptor)
		q.add(b, i, 0, 0, ixgbe.TxFlags(desc[11])<<24)
	}
}

// spoil marks the packet in assembly as one that will be dropped, with the
// first reason found.
func (q *txQueue) spoil(why nicsim.Drop) {
	if q.fault == nicsim.DropNone {
		q.fault = why
	}
}

// add adds the buffer of descriptor i to the packet in assembly and, if it is
// the last one, finishes the packet.
func (q *txQueue) add(b *txBatch, i uint32, addr dma.Addr, n int, flags ixgbe.TxFlags) {
	d := q.d
	eop := flags&ixgbe.TxEOP != 0
	if eop && q.parts == 0 && !q.old && q.first.Flags&ixgbe.TxTSE == 0 && q.fault == 0 && n >= minTxBytes && n <= maxTxBytes {
		// A packet in one buffer: straight into its frame.
		if mem := d.fn.Memory.Bytes(addr, n, dma.Read); mem != nil && n == int(q.first.PAYLEN) {
			f := d.pool.Get(n)
			copy(f.Data, mem)
			q.finish(b, f)
			q.complete(i, flags)
			return
		}
	}
	if eop && q.parts == 0 && n == 0 && q.fault == nicsim.DropNone {
		// A null descriptor. Differs: 7.2.3.2.4 says that its DD is not written;
		// drivers that empty a queue wait for just that (4.6.8.1).
		q.complete(i, flags)
		return
	}
	q.parts++
	q.bytes += n
	switch {
	case q.parts > txOnDie-q.threshold-2:
		q.spoil(nicsim.DropTxChainTooLong)
	case q.fault == nicsim.DropNone && n > 0:
		pieces, err := d.fn.Memory.Pieces(q.pieces, addr, n, dma.Read)
		if err != nil {
			q.spoil(nicsim.DropTxDMAFault)
		}
		q.pieces = pieces
	}
	if !eop {
		return
	}
	if q.fault == nicsim.DropNone {
		q.whole(b, i, flags)
	}
	if q.fault != nicsim.DropNone {
		q.lose()
	}
	if !q.cutting {
		q.complete(i, flags)
	}
	q.parts, q.bytes, q.fault = 0, 0, nicsim.DropNone
	if !q.cutting {
		q.pieces = q.pieces[:0]
	}
}

// whole turns the assembled packet into a frame, or starts to segment it.
func (q *txQueue) whole(b *txBatch, i uint32, flags ixgbe.TxFlags) {
	switch {
	case !q.old && q.first.Flags&ixgbe.TxTSE != 0:
		q.startCut(i, flags)
	case q.bytes > maxTxBytes || q.bytes < minTxBytes:
		q.spoil(nicsim.DropTxBadLength)
	case !q.old && q.bytes != int(q.first.PAYLEN):
		// 7.2.3.2.4: PAYLEN is the whole packet when TSE is clear.
		q.spoil(nicsim.DropTxBadLength)
	default:
		f := q.d.pool.Get(q.bytes)
		at := 0
		for _, p := range q.pieces {
			at += copy(f.Data[at:], p)
		}
		q.finish(b, f)
	}
}

// finish puts the frame into the batch with what its descriptors ask for.
func (q *txQueue) finish(b *txBatch, f *nicsim.Frame) {
	ask := q.ask()
	q.packets++
	q.octets += uint64(len(f.Data))
	if ask.do&doChecksums != 0 {
		q.checksums++
	}
	if q.d.probe != nil {
		f.ID = q.d.pool.NextID()
		e := nicsim.Event{Kind: nicsim.PacketQueue, Side: nicsim.Tx, Queue: q.index, Data: f.Data, ID: f.ID}
		if ask.do&doChecksums != 0 {
			e.Checksum = nicsim.ChecksumNotReady
		}
		q.d.observe(&e)
	}
	if ask.do&doIPsec == 0 || q.d.protect(f, &ask) {
		b.push(f, ask)
	}
}

// lose drops the packet in assembly.
func (q *txQueue) lose() {
	q.d.drops[q.fault]++
	if q.d.probe == nil {
		return
	}
	e := nicsim.Event{Kind: nicsim.PacketQueue, Side: nicsim.Tx, Queue: q.index, Index: int(q.firstAt), Drop: q.fault}
	if len(q.pieces) > 0 {
		e.Data, e.More = q.pieces[0], q.pieces[1:]
	}
	q.d.observe(&e)
}

// ask reads what the first descriptor and its context ask for (7.2.3.2.3 and
// 7.2.3.2.4).
func (q *txQueue) ask() (a txAsk) {
	if q.old {
		return q.askLegacy()
	}
	if q.first.Flags&ixgbe.TxIFCS != 0 {
		a.do = doFCS
	}
	if q.first.Flags&ixgbe.Tx1588 != 0 {
		a.do |= doStamp
	}
	if q.first.Flags&ixgbe.TxILinkSec != 0 {
		a.do |= doLinkSec
	}
	if q.first.Flags&(ixgbe.TxVLE|ixgbe.TxIXSM|ixgbe.TxTXSM|ixgbe.TxTSE|ixgbe.TxIPSEC) == 0 {
		return a
	}
	ctx := &q.contexts[q.first.Flags.IDX()&1]
	if q.first.Flags&ixgbe.TxVLE != 0 {
		a.do |= doVLAN
		a.vlan = ctx.VLAN
	}
	a.l3 = ctx.MACLEN
	a.l4 = uint16(ctx.MACLEN) + ctx.IPLEN
	if q.first.Flags&ixgbe.TxIXSM != 0 && ctx.Flags&ixgbe.ContextIPv4 != 0 {
		a.do |= doIPv4Checksum
	}
	if q.first.Flags&ixgbe.TxTXSM != 0 {
		switch ctx.Flags & ixgbe.ContextL4T {
		case ixgbe.ContextTCP:
			a.do |= doTCPChecksum
		case ixgbe.ContextUDP:
			a.do |= doUDPChecksum
		case ixgbe.ContextSCTP:
			a.do |= doSCTPChecksum
		}
	}
	if q.first.Flags&ixgbe.TxIPSEC != 0 {
		a.do |= doIPsec
		a.sa = ctx.SAIndex
		if ctx.Flags&ixgbe.ContextESP != 0 {
			a.do |= doESP
			a.tail = ctx.ESPLEN
		}
		if ctx.Flags&ixgbe.ContextEncryption != 0 {
			a.do |= doEncrypt
		}
	}
	return a
}

// askLegacy reads a legacy descriptor (7.2.3.2.2).
func (q *txQueue) askLegacy() (a txAsk) {
	if q.legacy.Flags&ixgbe.TxIFCS != 0 {
		a.do = doFCS
	}
	if q.legacy.Flags&ixgbe.TxVLE != 0 {
		a.do |= doVLAN
		a.vlan = q.legacy.VLAN
	}
	if q.legacy.Flags&ixgbe.TxIC != 0 {
		a.do |= doLegacyChecksum
		a.cso, a.css = q.legacy.CSO, q.legacy.CSS
	}
	return a
}

// complete notes that the data of a packet, up to its last descriptor, has been
// read. With WTHRESH all its descriptors are written back, and otherwise the last
// if it has RS, which others may not have (7.2.3.2.2, 7.2.3.5.1). That happens at
// the end of the turn.
func (q *txQueue) complete(last uint32, flags ixgbe.TxFlags) {
	i := last
	switch {
	case max(q.firstAt, last) >= q.count:
		return // the ring has shrunk since
	case q.threshold > 0:
		i = q.firstAt
	case flags&ixgbe.TxRS == 0:
		return
	}
	for {
		q.done[q.waiting] = i
		if q.waiting++; q.waiting == len(q.done) {
			q.writeBack()
		}
		if i == last {
			return
		}
		if i++; i == q.count {
			i = 0
		}
	}
}

// abandon drops the packet in assembly or segmentation, whose pieces may have
// lost their place.
func (q *txQueue) abandon() {
	q.pieces = q.pieces[:0]
	q.spoil(nicsim.DropTxDMAFault)
	if q.cutting {
		q.lose()
		q.cutting, q.fault = false, nicsim.DropNone
		q.complete(q.cutIndex, q.cutFlags)
	}
}

// writeBack tells the driver about completed descriptors, by DD in each or by
// the head in memory (7.2.3.5).
func (q *txQueue) writeBack() {
	if q.waiting == 0 {
		return
	}
	if q.headWBOn {
		if mem := q.d.fn.Memory.Bytes(q.headWB, 4, dma.Write); mem != nil {
			head := q.done[q.waiting-1] + 1
			if head >= q.count {
				head = 0
			}
			storeHead(mem, head)
		} else {
			q.d.drops[nicsim.DropTxDMAFault]++
		}
	} else {
		// The first store is atomic, so that all data has been read before any
		// descriptor is the driver's again.
		ixgbe.PublishTx(q.at(q.done[0]))
		for _, i := range q.done[1:q.waiting] {
			q.at(i)[12] |= 1
		}
		if q.d.probe != nil {
			q.observeDone()
		}
	}
	q.waiting = 0
	q.raise = true
}

func (q *txQueue) observeDone() {
	for _, i := range q.done[:q.waiting] {
		desc := q.at(i)
		q.d.observe(&nicsim.Event{Kind: nicsim.DescriptorWrite, Side: nicsim.Tx, Queue: q.index, Index: int(i), Data: desc[:], Name: ixgbe.TxKind(desc).String()})
	}
}

// storeHead publishes the head. The address is a multiple of four (8.2.3.9.11).
func storeHead(mem []byte, head uint32) {
	var le [4]byte
	binary.LittleEndian.PutUint32(le[:], head)
	if uintptr(unsafe.Pointer(&mem[0]))&3 != 0 { // of a region that begins at an odd address
		copy(mem, le[:])
		return
	}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&mem[0])), binary.NativeEndian.Uint32(le[:]))
}

// report raises the queue's interrupt cause once for all write-backs of a turn.
func (q *txQueue) report() {
	if q.raise {
		q.raise = false
		q.d.interrupts.queue(nicsim.Tx, q.index)
	}
}
