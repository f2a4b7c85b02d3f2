package i82599

import (
	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/segment"
)

// startCut begins the segmentation of the assembled packet (7.2.4). Segments
// are made as the wire takes them; until the last one the descriptor is not
// done.
func (q *txQueue) startCut(i uint32, flags ixgbe.TxFlags) {
	ctx := &q.contexts[q.first.Flags.IDX()&1]
	ask := q.ask()
	header := int(ask.l4) + int(ctx.L4LEN)
	payload := q.bytes - header
	udp := ctx.Flags&ixgbe.ContextL4T == ixgbe.ContextUDP
	switch {
	case ctx.MSS == 0, payload <= 0, payload > maxTSOBytes, header+int(ctx.MSS) > maxTxBytes,
		!udp && ctx.Flags&ixgbe.ContextL4T != ixgbe.ContextTCP,
		ask.do&doIPsec != 0 && ask.ipsecLayout(ctx.Flags&ixgbe.ContextIPv4 == 0).Header <= 0,
		payload != int(q.first.PAYLEN): // 7.2.3.2.4: with TSE, PAYLEN leaves the header out
		q.spoil(nicsim.DropTxBadSegmentation)
		return
	}
	if q.cutter == nil {
		q.cutter = new(segment.Segmenter)
	}
	spec := segment.Spec{
		HeaderBytes: header, MSS: int(ctx.MSS), PayloadBytes: payload,
		L3: int(ask.l3), L4: int(ask.l4), IPsec: ask.ipsecLayout(ctx.Flags&ixgbe.ContextIPv4 == 0),
		IPv6: ctx.Flags&ixgbe.ContextIPv4 == 0, UDP: udp, SNAP: ctx.Flags&ixgbe.ContextSNAP != 0,
		IPv4Checksum: ask.do&doIPv4Checksum != 0, L4Checksum: q.first.Flags&ixgbe.TxTXSM != 0,
		FirstFlags: q.d.tx.flags[0], MiddleFlags: q.d.tx.flags[1], LastFlags: q.d.tx.flags[2],
	}
	if err := q.cutter.Start(&spec, q.pieces); err != nil {
		q.spoil(nicsim.DropTxBadSegmentation)
		return
	}
	q.cutting, q.cutAsk, q.cutFlags, q.cutIndex = true, ask, flags, i
	q.cutAsk.do |= doDone | doFCS        // 7.2.4: without IFCS there is none
	q.cutBytes = q.cutter.SegmentBytes() // no other is longer
	q.gso++
	q.gsoBytes += uint64(q.bytes)
	q.cutID = 0
	if q.d.probe != nil {
		q.cutID = q.d.pool.NextID()
		q.d.observe(&nicsim.Event{Kind: nicsim.PacketQueue, Side: nicsim.Tx, Queue: q.index, Data: q.pieces[0], More: q.pieces[1:],
			ID: q.cutID, TSO: true, Checksum: nicsim.ChecksumNotReady})
	}
}

// cut makes segments until the batch is full or the packet is done.
func (q *txQueue) cut(b *txBatch, limit int) {
	for b.n < limit {
		f := q.d.pool.Get(q.cutBytes)
		f.Data = f.Data[:q.cutter.Next(f.Data)]
		f.ID = q.cutID
		n := uint64(len(f.Data))
		q.packets++
		q.gsoWire++
		q.gsoWireBytes += n
		q.octets += n
		good := q.cutAsk.do&doIPsec == 0 || q.d.protect(f, &q.cutAsk)
		if good {
			b.push(f, q.cutAsk)
		}
		if !good || q.cutter.SegmentBytes() == 0 { // the others would be dropped too
			q.cutting = false
			q.pieces = q.pieces[:0]
			q.complete(q.cutIndex, q.cutFlags)
			return
		}
	}
}
