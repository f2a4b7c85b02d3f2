package i82599

import (
	"math/bits"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/vlan"
)

// txBatchFrames is how many frames go through the pipeline together: enough to
// spread the cost of a stage, few enough to stay in the first-level cache.
const txBatchFrames = 64

// transmitter is the transmit side of the adapter.
type transmitter struct {
	queues  [numQueues]txQueue
	work    [numQueues / 64]uint64 // queues with something to fetch
	next    int                    // where the round robin goes on
	enabled bool                   // DMATXCTL.TE
	flags   [3]uint16              // TCP flag masks: first, middle, last segment
	batch   txBatch
	classes txClasses

	// Where takePlain finds packets, between two looks at a batch.
	at    [txBatchFrames]dma.Offset
	sizes [txBatchFrames]int
}

// txBatch is frames on their way from a queue to the wire.
type txBatch struct {
	queue  int
	n      int
	frames [txBatchFrames]*nicsim.Frame
	asks   [txBatchFrames]txAsk
	some   txDo // what at least one frame asks for, of what takePlain does not do
}

// txAsk is what a packet's descriptors ask for.
type txAsk struct {
	do   txDo
	l4   uint16 // where the L4 header starts
	l3   uint8  // where the IP header starts
	cso  uint8  // legacy: where the checksum goes, and from where on
	css  uint8
	vlan uint16
	sa   uint16 // IPsec association
	tail uint16 // ESP trailer and ICV, which are no part of the upper layer
}

type txDo uint16

const (
	doIPv4Checksum txDo = 1 << iota
	doTCPChecksum
	doUDPChecksum
	doSCTPChecksum
	doLegacyChecksum
	doVLAN
	doFCS // append the frame check sequence; else the packet brings its own
	doStamp
	doCheck // the MAC has to look at the frame: it may be too short
	doDone  // checksums are in: by the segmentation, or ahead of IPsec
	doIPsec
	doESP     // with doIPsec: ESP, else AH
	doEncrypt // with doESP
	doLinkSec

	doChecksums = doIPv4Checksum | doTCPChecksum | doUDPChecksum | doSCTPChecksum | doLegacyChecksum
)

func (t *transmitter) init(d *Device) {
	for i := range t.queues {
		t.queues[i].d, t.queues[i].index = d, i
	}
}

// kick says that queue i may have work.
func (t *transmitter) kick(i int) { t.work[i/64] |= 1 << (i % 64) }

// pick returns the next queue with work, in turn.
func (t *transmitter) pick() (*txQueue, bool) {
	for range 2 {
		for w := t.next / 64; w < len(t.work); w++ {
			m := t.work[w]
			if w == t.next/64 {
				m &= ^uint64(0) << (t.next % 64)
			}
			if m != 0 {
				i := w*64 + bits.TrailingZeros64(m)
				t.next = (i + 1) % numQueues
				return &t.queues[i], true
			}
		}
		t.next = 0
	}
	return nil, false
}

// transmit moves packets from the rings to the wire until nothing is left to
// do, the wire has no room, or the budget is spent.
func (d *Device) transmit(budget int) int {
	if d.tx.work == [numQueues / 64]uint64{} || !d.txOpen() {
		return 0
	}
	if d.tx.classes.on {
		return d.transmitClasses(budget)
	}
	done := 0
	for done < budget {
		room := min(txBatchFrames, d.txRoom())
		q, ok := d.tx.pick()
		if room == 0 || !ok {
			break
		}
		b := &d.tx.batch
		b.n, b.queue, b.some = 0, q.index, 0
		n := q.fetch(b, room)
		if b.n > 0 {
			d.send(b)
		}
		q.report()
		done += max(n, 1)
	}
	return done
}

// txOpen says whether the transmit path takes descriptors at all.
func (d *Device) txOpen() bool {
	return d.tx.enabled && !d.tx.classes.off && d.masterEnabled() && !d.txPaused()
}

// txRoom is how many frames the wire takes now. Without a link there is none:
// the hardware stops reading descriptors, and goes on when the link comes back
// unless its driver, as Linux's does, resets it to get rid of them.
func (d *Device) txRoom() int {
	switch {
	case d.mac.loopback:
		return txBatchFrames
	case d.mac.wire == nil || !d.linkUp():
		return 0
	}
	return d.mac.wire.Room()
}

func (b *txBatch) push(f *nicsim.Frame, ask txAsk) {
	b.frames[b.n], b.asks[b.n] = f, ask
	b.some |= ask.do | doCheck
	b.n++
}

// insertChecksums fills in what non-segmented packets ask for (7.2.5). What
// does not fit into the packet is left out, and counted.
func (d *Device) insertChecksums(b *txBatch) {
	if b.some&doChecksums == 0 {
		return
	}
	for i := range b.n {
		ask := &b.asks[i]
		if ask.do&doChecksums != 0 && ask.do&doDone == 0 {
			d.insertChecksum(b.frames[i].Data, ask)
		}
	}
}

func (d *Device) insertChecksum(p []byte, ask *txAsk) {
	ok := true
	if ask.do&doIPv4Checksum != 0 {
		n := int(ask.l4) - int(ask.l3)
		if ask.do&doIPsec != 0 && int(ask.l3) < len(p) {
			n = int(p[ask.l3]&15) * 4 // IPLEN has the header of IPsec in it
		}
		ok = checksum.FillIPv4(p, int(ask.l3), n)
	}
	l4, end := int(ask.l4), max(0, len(p)-int(ask.tail))
	switch {
	case ask.do&doTCPChecksum != 0:
		ok = checksum.Fill(p, l4, l4+16, end) && ok
	case ask.do&doUDPChecksum != 0:
		ok = checksum.FillUDP(p, l4, l4+6, end) && ok
	case ask.do&doSCTPChecksum != 0:
		ok = checksum.FillSCTP(p, l4, end) && ok
	case ask.do&doLegacyChecksum != 0:
		ok = checksum.Fill(p, int(ask.css), int(ask.cso), len(p)) && ok
	}
	if !ok {
		d.stats.txMisplaced++
	}
}

// insertTags inserts the VLAN tag, inside an outer tag in double VLAN mode
// (7.4.3, 7.4.5).
func (d *Device) insertTags(b *txBatch) {
	if b.some&doVLAN == 0 {
		return
	}
	for i := range b.n {
		if b.asks[i].do&doVLAN == 0 {
			continue
		}
		f := b.frames[i]
		at := vlan.First
		if d.mac.doubleVLAN && len(f.Data) >= 18 && be16(f.Data[12:]) == d.mac.outerTPID {
			at = vlan.Second
		}
		if len(f.Data) < at+2 {
			continue
		}
		f.Push(vlan.TagBytes)
		vlan.Push(f.Data, vlan.TagBytes, at, d.mac.txTPID, b.asks[i].vlan)
	}
}

// padAndCheck does the MAC's share: padding (HLREG0.TXPADEN), the frame check
// sequence that a packet may bring along, and frames that no MAC sends.
func (d *Device) padAndCheck(b *txBatch) {
	if b.some&doCheck == 0 && d.mac.appendFCS {
		return
	}
	kept := 0
	for i := range b.n {
		f, ask := b.frames[i], b.asks[i]
		if ask.do&doFCS == 0 || !d.mac.appendFCS {
			f.OwnFCS()
		}
		if len(f.Data) < minFrameBytes && d.mac.padTx {
			f.Pad(minFrameBytes)
		}
		if len(f.Data) < macHeaderBytes {
			d.dropTx(f, nicsim.DropTxBadLength)
			continue
		}
		b.frames[kept], b.asks[kept] = f, ask
		kept++
	}
	b.n = kept
}

// toWire counts the frames and hands them over.
func (d *Device) toWire(b *txBatch) {
	frames := b.frames[:b.n]
	if d.mac.loopback {
		d.countTx(b)
		d.mac.accept(frames)
		return
	}
	d.countTx(b)
	if d.probe != nil {
		d.observeSent(b)
	}
	d.mac.wire.Send(frames)
}

// dropTx is drop for a frame that came from a queue.
func (d *Device) dropTx(f *nicsim.Frame, why nicsim.Drop) {
	d.drops[why]++
	if d.probe != nil {
		d.observe(&nicsim.Event{Kind: nicsim.PacketWire, Side: nicsim.Tx, Data: f.Data, ID: f.ID, Drop: why})
	}
	d.pool.Put(f)
}
