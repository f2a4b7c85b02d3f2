package i82599

import "nicsim.dev/nicsim"

// Counters yields the adapter's counters under the kernel's names
// (Documentation/netlink/specs/netdev.yaml, qstats), the drops by reason, and
// those of each queue that was ever used.
func (d *Device) Counters(yield func(nicsim.Counter)) {
	put := func(name string, side nicsim.Side, queue int, v uint64) {
		yield(nicsim.Counter{Name: name, Side: side, Queue: queue, Value: v})
	}
	put("rx-packets", nicsim.Rx, -1, d.stats.rxFrames.n)
	put("rx-bytes", nicsim.Rx, -1, d.stats.rxOctets.n)
	put("tx-packets", nicsim.Tx, -1, d.stats.txFrames.n)
	put("tx-bytes", nicsim.Tx, -1, d.stats.txOctets.n)
	put("tx-csum-misplaced", nicsim.Tx, -1, d.stats.txMisplaced)
	put("tx-ipsec", nicsim.Tx, -1, d.ipsec.counts.sent)
	put("rx-ipsec", nicsim.Rx, -1, d.ipsec.counts.received)
	put("rx-ipsec-protocol-errors", nicsim.Rx, -1, d.ipsec.counts.badProtocol)
	put("rx-ipsec-length-errors", nicsim.Rx, -1, d.ipsec.counts.badLength)
	put("rx-ipsec-auth-errors", nicsim.Rx, -1, d.ipsec.counts.forgeries)
	for why, n := range d.drops {
		if n == 0 || nicsim.Drop(why) == nicsim.DropNone {
			continue
		}
		side := nicsim.Rx
		if nicsim.Drop(why).Transmit() {
			side = nicsim.Tx
		}
		put("drop-"+nicsim.Drop(why).String(), side, -1, n)
	}
	put("reg-unknown-reads", nicsim.Rx, -1, d.reg.UnknownReads)
	put("reg-unknown-writes", nicsim.Tx, -1, d.reg.UnknownWrites)
	for i := range d.rx.queues {
		if q := &d.rx.queues[i]; q.enabled || q.packets+q.dropped > 0 {
			q.counters(func(name string, v uint64) { put(name, nicsim.Rx, i, v) })
		}
	}
	for i := range d.tx.queues {
		if q := &d.tx.queues[i]; q.enabled || q.packets > 0 {
			q.counters(func(name string, v uint64) { put(name, nicsim.Tx, i, v) })
		}
	}
}

func (q *rxQueue) counters(put func(string, uint64)) {
	put("rx-packets", q.packets)
	put("rx-bytes", q.octets)
	put("rx-hw-drops", q.dropped)
	put("rx-hw-drop-overruns", q.dropped)
	put("rx-csum-unnecessary", q.checksums[2])
	put("rx-csum-none", q.checksums[0])
	put("rx-csum-bad", q.checksums[1])
	put("rx-hw-gro-packets", q.merged)
	put("rx-hw-gro-wire-packets", q.mergedWire)
}

func (q *txQueue) counters(put func(string, uint64)) {
	put("tx-packets", q.packets)
	put("tx-bytes", q.octets)
	put("tx-needs-csum", q.checksums)
	put("tx-hw-gso-packets", q.gso)
	put("tx-hw-gso-bytes", q.gsoBytes)
	put("tx-hw-gso-wire-packets", q.gsoWire)
	put("tx-hw-gso-wire-bytes", q.gsoWireBytes)
}
