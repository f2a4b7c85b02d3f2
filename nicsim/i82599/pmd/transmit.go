package pmd

import (
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
)

// txQueue is a transmit ring and a ring of bytes that its buffers come from.
type txQueue struct {
	ringAt  dma.Addr
	ring    []byte
	arenaAt dma.Addr
	arena   []byte

	next, clean int // descriptors: to be written, to be reclaimed
	at, free    int // bytes: where the next packet goes, how many are free
	posted      []posted
	context     ixgbe.AdvContext // the last one written
	hasContext  bool
}

// posted is what the last descriptor of a packet leads back to.
type posted struct {
	descs int // descriptors of the packet, set at its first
	bytes int // of the arena
}

func (t *txQueue) desc(i int) *[16]byte { return (*[16]byte)(t.ring[i*ixgbe.Size:]) }

// Transmit posts packets on queue q and rings the doorbell once.
func (p *PMD) Transmit(q int, packets []driver.TxPacket) int {
	t := &p.tx[q]
	t.reclaim()
	n := 0
	for n < len(packets) && p.post(t, &packets[n]) {
		n++
	}
	if n < len(packets) {
		p.stats.TxRingFull++
	}
	if n > 0 {
		p.write(txReg(q, txTDT), uint32(t.next))
	}
	return n
}

// reclaim takes back packets whose last descriptor is done.
func (t *txQueue) reclaim() {
	for t.clean != t.next {
		b := t.posted[t.clean]
		last := (t.clean + b.descs - 1) % len(t.posted)
		if !ixgbe.TxDone(t.desc(last)) {
			return
		}
		t.clean = (t.clean + b.descs) % len(t.posted)
		t.free += b.bytes
	}
	t.at, t.free = 0, len(t.arena)
}

// room is the number of descriptors that can be written: one stays unused, so
// that a full ring differs from an empty one.
func (t *txQueue) room() int {
	return (t.clean - t.next - 1 + len(t.posted)) % len(t.posted)
}

// take reserves n contiguous bytes. What is skipped at the end of the arena
// belongs to the packet too.
func (t *txQueue) take(n int) (at, cost int, ok bool) {
	at, cost = t.at, n
	if at+n > len(t.arena) {
		cost += len(t.arena) - at
		at = 0
	}
	if cost > t.free {
		return 0, 0, false
	}
	t.at = at + n
	t.free -= cost
	return at, cost, true
}

// post writes the descriptors of one packet; it returns false when there is no
// room, and skips a packet that the hardware has no way to express.
func (p *PMD) post(t *txQueue, pkt *driver.TxPacket) bool {
	n := driver.Bytes(pkt.Pieces)
	chunks := (n + chunkBytes - 1) / chunkBytes
	if n == 0 || n > maxPacketBytes {
		p.stats.TxUnsupported++
		return true
	}
	if t.room() < chunks+1 {
		return false
	}
	was := t.at
	at, cost, ok := t.take(n)
	if !ok {
		return false
	}
	frame := t.arena[at : at+n]
	k := 0
	for _, b := range pkt.Pieces {
		k += copy(frame[k:], b)
	}
	first := t.next
	flags, payload, ok := p.offload(t, pkt, frame)
	if !ok {
		p.stats.TxUnsupported++
		t.next = first
	} else {
		p.chain(t, at, n, flags, payload)
		p.stats.TxPackets++
		p.stats.TxBytes += uint64(n)
	}
	descs := (t.next - first + len(t.posted)) % len(t.posted)
	if descs == 0 {
		t.free += cost
		t.at = was
		return true
	}
	t.posted[first] = posted{descs, cost}
	return true
}

// chain writes the data descriptors.
func (p *PMD) chain(t *txQueue, at, n int, flags ixgbe.TxFlags, payload int) {
	for left := n; left > 0; {
		k := min(left, chunkBytes)
		d := ixgbe.AdvData{Addr: uint64(t.arenaAt) + uint64(at), DTALEN: uint16(k), PAYLEN: uint32(payload), Flags: flags | ixgbe.TxIFCS}
		if left == k {
			d.Flags |= ixgbe.TxEOP | ixgbe.TxRS
		}
		d.Put(t.desc(t.next))
		t.next = (t.next + 1) % len(t.posted)
		at += k
		left -= k
	}
}

// offload turns what the packet asks for into a context and flags. The packet's
// checksum field is made what the hardware wants.
func (p *PMD) offload(t *txQueue, pkt *driver.TxPacket, frame []byte) (flags ixgbe.TxFlags, payload int, ok bool) {
	if !pkt.NeedsChecksum && pkt.GSO == driver.NoGSO && !pkt.VLAN {
		return 0, len(frame), true
	}
	var ctx ixgbe.AdvContext
	var h parse.Headers
	parse.Frame(&h, frame, 0)
	payload = len(frame)
	ctx.MACLEN = h.L2Bytes
	if pkt.VLAN {
		ctx.VLAN = pkt.VLANTCI
		flags |= ixgbe.TxVLE
	}
	if pkt.NeedsChecksum || pkt.GSO != driver.NoGSO {
		f, known := p.l4(&ctx, pkt, frame, &h)
		switch {
		case known:
			flags |= f
		case !p.inSoftware(pkt, frame):
			return 0, 0, false
		}
	}
	if flags == 0 {
		return 0, payload, true
	}
	if pkt.GSO != driver.NoGSO {
		if payload = len(frame) - pkt.HeaderBytes; !p.gso(&ctx, pkt, frame, &h) {
			return 0, 0, false
		}
		flags |= ixgbe.TxTSE
		p.stats.TxGSOPackets++
	}
	if !t.hasContext || t.context != ctx {
		ctx.Put(t.desc(t.next))
		t.next = (t.next + 1) % len(t.posted)
		t.context, t.hasContext = ctx, true
	}
	return flags | ixgbe.TxCC, payload, true
}

const maxIPBytes = 511 // IPLEN has 9 bits (7.2.3.2.3)

// l4 describes the headers to the hardware; it does not know protocols other
// than TCP, UDP and SCTP over IP.
func (p *PMD) l4(ctx *ixgbe.AdvContext, pkt *driver.TxPacket, frame []byte, h *parse.Headers) (ixgbe.TxFlags, bool) {
	flags, field := ixgbe.TxTXSM, 0
	if h.L3 == 0 || h.L4 == 0 || h.L4-h.L3 > maxIPBytes || (pkt.NeedsChecksum && pkt.ChecksumStart != int(h.L4)) {
		return 0, false
	}
	ctx.IPLEN = h.L4 - h.L3
	if h.Kind&parse.IPv4 != 0 {
		ctx.Flags |= ixgbe.ContextIPv4
		flags |= ixgbe.TxIXSM
	}
	switch {
	case h.Kind&parse.TCP != 0:
		ctx.Flags |= ixgbe.ContextTCP
		ctx.L4LEN, field = uint8(h.Payload-h.L4), 16
	case h.Kind&parse.UDP != 0:
		ctx.Flags |= ixgbe.ContextUDP
		ctx.L4LEN, field = 8, 6
	case h.Kind&parse.SCTP != 0:
		ctx.Flags |= ixgbe.ContextSCTP
		ctx.L4LEN, field = 12, 8
	default:
		return 0, false
	}
	return flags, !pkt.NeedsChecksum || pkt.ChecksumOffset == field
}

// inSoftware computes a checksum that the hardware has no words for.
func (p *PMD) inSoftware(pkt *driver.TxPacket, frame []byte) bool {
	at := pkt.ChecksumStart + pkt.ChecksumOffset
	return pkt.GSO == driver.NoGSO && checksum.Fill(frame, pkt.ChecksumStart, at, len(frame))
}

// gso describes the segmentation. The hardware adds each segment's length to
// the pseudo-header sum, so the field starts without one (7.2.4.4).
func (p *PMD) gso(ctx *ixgbe.AdvContext, pkt *driver.TxPacket, frame []byte, h *parse.Headers) bool {
	want := int(h.L4) + int(ctx.L4LEN)
	if pkt.GSOBytes <= 0 || pkt.GSOBytes > 0xFFFF || pkt.HeaderBytes != want || len(frame) <= want {
		return false
	}
	ctx.MSS = uint16(pkt.GSOBytes)
	var field int
	switch {
	case h.Kind&parse.TCP != 0:
		field = int(h.L4) + 16
	case h.Kind&parse.UDP != 0:
		field = int(h.L4) + 6
	default:
		return false
	}
	sum := checksum.PseudoIPv4
	if h.Kind&parse.IPv6 != 0 {
		sum = checksum.PseudoIPv6
	} else {
		clear(frame[h.L3+10 : h.L3+12]) // what the field holds is added up as well
	}
	binary.BigEndian.PutUint16(frame[field:], sum(frame, int(h.L3), h.Proto, 0))
	return true
}
