package i82599

import "nicsim.dev/nicsim"

// What the probe sees. These are called only when there is one.

func (d *Device) observe(e *nicsim.Event) {
	e.At, e.Device = d.clock.Now(), d.cfg.Name
	d.probe.Observe(e)
}

func (d *Device) observeDoorbell(name string, queue int, v uint32) {
	side := nicsim.Tx
	if name == "RDT" {
		side = nicsim.Rx
	}
	d.observe(&nicsim.Event{Kind: nicsim.Doorbell, Name: name, Side: side, Queue: queue, Value: uint64(v)})
}

// observeSent shows frames as they leave for the wire.
func (d *Device) observeSent(b *txBatch) {
	for i, f := range b.frames[:b.n] {
		e := nicsim.Event{Kind: nicsim.PacketWire, Side: nicsim.Tx, Queue: b.queue, Data: f.Data, ID: f.ID, Flags: f.Flags}
		if b.asks[i].do&doChecksums != 0 {
			e.Checksum = nicsim.ChecksumValid
		}
		d.observe(&e)
	}
}

// observeArrival shows a frame as it came from the wire, once. One that its
// sender did not give an identity gets one, by which its packet at the queue is
// found; frames that become one packet all have that of the first.
func (d *Device) observeArrival(p *rxPacket) {
	if d.probe == nil || p.seen {
		return
	}
	p.seen = true
	if p.f.ID == 0 {
		p.f.ID = d.pool.NextID()
	}
	d.observe(&nicsim.Event{Kind: nicsim.PacketWire, Side: nicsim.Rx, Queue: int(p.c.queue), Data: p.f.Data, ID: p.f.ID, Flags: p.f.Flags})
}
