package i82599

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel/craft"
)

// joined returns a packet's bytes and how many frames it says that it is made
// of, 0 for one that was not coalesced.
func joined(parts []rxPart) (frame []byte, frames int) {
	for _, p := range parts {
		frame = append(append(frame, p.head...), p.data...)
		if c := p.wb.Info.RSCCNT(); c > 0 {
			frames += c - 1
		}
	}
	return frame, frames
}

// segments are n frames of a flow in order.
func segments(flow, n, payload int, change ...func(*craft.Packet)) (frames [][]byte) {
	for i := range n {
		p := craft.Packet{Proto: craft.TCP, SrcPort: uint16(1000 + flow), DstPort: 2000, Seq: uint32(1 + i*payload), Ack: uint32(i), Flags: 0x10, Payload: bytes.Repeat([]byte{byte(i + 1)}, payload)}
		for _, f := range change {
			f(&p)
		}
		frames = append(frames, p.Frame())
	}
	return frames
}

func (h *hands) arrive(frames ...[]byte) {
	for _, b := range frames {
		h.deliver(1, b)
	}
}

// frames returns how many frames each packet of the ring was made of.
func (r *rxRing) frames() (counts []int) {
	for {
		parts := r.take()
		if parts == nil {
			return counts
		}
		_, n := joined(parts)
		counts = append(counts, n)
	}
}

// TestDescriptorsOfACoalescedPacket looks at each descriptor of a packet that
// goes around the end of the ring (7.1.6.2): where frames start, which comes
// next, and that all that is said of the packet is said in the last.
func TestDescriptorsOfACoalescedPacket(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 8, start: 5, packetKB: 2, maxDesc: 3})
	r.give(7)
	frames := segments(0, 10, 1000)
	h.arrive(frames...)
	h.settle()
	require.Nil(t, r.take(), "the packet is still open")
	h.pass(4 * sim.Microsecond)

	parts := r.take()
	require.Len(t, parts, 5)
	// The payload of frame i starts at 54 + 1000i, the first frame at 0.
	starts := []int{2, 3, 2, 2, 1}
	for k, p := range parts {
		require.Equal(t, (5+k)%8, p.at)
		require.Equal(t, starts[k]+1, p.wb.Info.RSCCNT(), "descriptor %d", k)
		if k < 4 {
			require.EqualValues(t, 2048, p.wb.PKTLEN)
			require.EqualValues(t, (5+k+1)%8, p.wb.Status.NEXTP())
			require.Zero(t, p.wb.Status&ixgbe.RxEOP)
			continue
		}
		require.EqualValues(t, 54+10000-4*2048, p.wb.PKTLEN)
		require.Equal(t, ixgbe.RxDD|ixgbe.RxEOP|ixgbe.RxL4I|ixgbe.RxIPCS, p.wb.Status)
	}
	require.Equal(t, ixgbe.PacketIPv4|ixgbe.PacketTCP, parts[0].wb.Info.PacketType())
	frame, n := joined(parts)
	require.Equal(t, 10, n)
	var payload []byte
	for _, f := range frames {
		payload = append(payload, f[54:]...)
	}
	require.Equal(t, payload, frame[54:])
	require.EqualValues(t, 10040, header.IPv4(frame[14:]).TotalLength())
	require.EqualValues(t, 9, header.TCP(frame[34:]).AckNumber())
	require.Zero(t, h.pool.Out())
	require.EqualValues(t, (5+5)%8, h.getAt("RDH", 0))

	// Counted before they were coalesced (7.1.7.1).
	q := &h.d.rx.queues[0]
	require.EqualValues(t, []uint64{10, 10 * 1054, 1, 10}, []uint64{q.packets, q.octets, q.merged, q.mergedWire})
}

// TestPacketsAreOfLimitedLength: RSCCTL.MAXDESC descriptors of the buffer size,
// and 14 frames that start in one of them.
func TestPacketsAreOfLimitedLength(t *testing.T) {
	for _, c := range []struct {
		name     string
		packetKB int
		maxDesc  uint32
		payload  int
		want     []int // frames of each packet
	}{
		{"one descriptor", 1, 0, 300, []int{3, 3, 3, 3, 3, 3, 3, 3, 3, 3}},
		{"four", 1, 1, 1000, []int{4, 4, 4, 4, 4, 4, 4, 2}},
		{"eight", 1, 2, 1000, []int{8, 8, 8, 6}},
		{"sixteen", 1, 3, 1000, []int{16, 14}},
		{"more than starts can be counted", 16, 0, 100, []int{14, 14, 2}},
		{"more than starts can be counted in small buffers", 1, 3, 60, []int{14, 14, 2}},
		{"longer than the limit from the start", 1, 0, 1400, make([]int, 30)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHands(t)
			r := h.openRSC(ringSetup{count: 128, packetKB: c.packetKB, maxDesc: c.maxDesc})
			r.give(127)
			h.arrive(segments(0, 30, c.payload)...)
			h.pass(sim.Millisecond)
			require.Equal(t, c.want, r.frames())
			require.Zero(t, h.pool.Out())
		})
	}
}

// TestCoalescedHeadersAreSplitOff: one header, which is the packet's, and the
// payload of all frames in packet buffers, which alone count for MAXDESC.
func TestCoalescedHeadersAreSplitOff(t *testing.T) {
	h := newHands(t)
	h.set("PSRTYPE", 1<<4)
	r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 1, srrctl: descSplit<<25 | 2<<8}) // header buffers of 128 bytes
	r.give(60)
	h.arrive(segments(0, 9, 1024)...)
	h.pass(sim.Millisecond)

	parts := r.take()
	require.Len(t, parts, 4)
	frame, n := joined(parts)
	require.Equal(t, 8, n)
	require.Len(t, parts[0].head, 54)
	require.EqualValues(t, 8*1024+40, header.IPv4(parts[0].head[14:]).TotalLength())
	require.Len(t, frame, 54+8*1024)
	for _, p := range parts {
		require.EqualValues(t, 2048, p.wb.PKTLEN)
		require.Equal(t, 3, p.wb.Info.RSCCNT(), "two start in each")
	}
	parts = r.take()
	require.Len(t, parts, 1)
	frame, n = joined(parts)
	require.Equal(t, 0, n, "a frame alone is not coalesced")
	require.Len(t, frame, 54+1024)
	require.Equal(t, 54, parts[0].wb.Info.HDRLEN())
}

// TestPacketsWaitForDescriptors: a packet that closes without descriptors waits,
// and with it what follows in its queue; other queues go on.
func TestPacketsWaitForDescriptors(t *testing.T) {
	h := newHands(t)
	// EtherType 0x88B5 goes to queue 1.
	h.set("ETQF", 1<<31|0x88B5)
	h.set("ETQS", 1<<31|1<<16)
	r, other := h.openRSC(ringSetup{count: 16, packetKB: 2, maxDesc: 3}), h.openRSC(ringSetup{queue: 1, count: 16, packetKB: 2})
	r.give(2)
	other.give(15)
	elsewhere := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xB5}, make([]byte, 46)...)

	h.arrive(segments(0, 6, 1000)...)
	h.pass(sim.Millisecond)
	require.Nil(t, r.take(), "three buffers are needed")
	h.arrive(elsewhere)
	h.settle()
	require.Equal(t, []int{0}, other.frames())
	follow := segments(0, 8, 1000)[6:]
	h.arrive(append(follow, elsewhere)...)
	h.settle()
	require.Nil(t, r.take())
	require.Nil(t, other.take(), "what is behind in the packet buffer waits too (7.1.9)")

	r.give(1)
	h.pass(sim.Millisecond)
	require.Equal(t, []int{6}, r.frames())
	require.Equal(t, []int{0}, other.frames())
	r.give(5)
	h.pass(sim.Millisecond)
	require.Equal(t, []int{2}, r.frames())
	require.Zero(t, h.pool.Out())
	require.Zero(t, h.d.drops[nicsim.DropRxNoDescriptor])
}

func TestPacketsAreDroppedWithoutDescriptors(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 16, packetKB: 2, maxDesc: 3, srrctl: 1 << 28})
	r.give(2)
	h.arrive(segments(0, 6, 1000)...)
	h.pass(sim.Millisecond)
	require.Nil(t, r.take())
	require.EqualValues(t, 6, h.d.drops[nicsim.DropRxNoDescriptor])
	require.EqualValues(t, 6, h.getAt("QPRDC", 0))
	h.arrive(segments(1, 3, 1000)...)
	h.pass(sim.Millisecond)
	require.Equal(t, []int{3}, r.frames())
	require.Zero(t, h.pool.Out())
}

// TestOpenPacketsEndWithTheirQueue: aborted, as software is told (7.11).
func TestOpenPacketsEndWithTheirQueue(t *testing.T) {
	for _, how := range []struct {
		name string
		end  func(h *hands)
	}{
		{"queue disable", func(h *hands) { h.write(0x1028, 0) }},
		{"software reset", func(h *hands) { h.set("CTRL", ctrlReset) }},
		{"link reset", func(h *hands) { h.set("CTRL", ctrlLinkReset) }},
	} {
		for _, stuck := range []bool{false, true} {
			h := newHands(t)
			r := h.openRSC(ringSetup{count: 16, packetKB: 2, maxDesc: 3})
			if !stuck {
				r.give(15)
			}
			h.arrive(segments(0, 6, 1000)...)
			h.arrive(segments(1, 2, 1000)...)
			h.settle()
			if stuck {
				h.pass(sim.Millisecond)
			}
			require.Equal(t, 8, h.pool.Out())
			how.end(h)
			require.Zero(t, h.pool.Out(), how.name)
			require.EqualValues(t, 8, h.d.drops[nicsim.DropRxReset])
			h.pass(sim.Millisecond)
			require.Nil(t, r.take())
			require.Zero(t, h.d.rx.rsc.waiting)
		}
	}
}

// TestPacketsCloseWhenTheInterruptIsDue is 7.3.2.1.1: a frame that comes when no
// interrupt was lately does not wait; those that follow wait for the interval
// less the delay, in which the packet is written.
func TestPacketsCloseWhenTheInterruptIsDue(t *testing.T) {
	h := newHands(t)
	h.set("GPIE", gpieMultiple|1<<11) // RSC_Delay: 8 microseconds
	h.set("IVAR", ivarValid|3)
	h.setAt("EITR", 3, 49<<3) // 100.352 microseconds
	r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3})
	r.give(63)
	frames := segments(0, 12, 1000)
	h.arrive(frames[:4]...)
	h.settle()
	require.Equal(t, []int{0}, r.frames(), "the first is there at once")
	h.pass(100352 - 1)
	h.arrive(frames[4])
	h.settle()
	require.Nil(t, r.take())
	h.pass(1)
	require.Equal(t, []int{4}, r.frames())
	h.pass(sim.Millisecond)
	h.arrive(frames[5])
	h.settle()
	require.Equal(t, []int{0}, r.frames(), "after a pause the first is there at once again")

	// With an interrupt in between, its interval counts.
	h.write(0xAA0, 1<<3) // EIMS(1)
	h.pass(sim.Millisecond)
	h.arrive(frames[6])
	h.settle()
	require.Equal(t, []int{0}, r.frames())
	fired := h.clock.Now()
	require.Equal(t, fired+100352, h.d.interrupts.moderators[3].open)
	h.arrive(frames[7:]...)
	h.pass(100352 - 1)
	require.Nil(t, r.take())
	h.pass(1)
	require.Equal(t, []int{5}, r.frames())
	require.Zero(t, h.pool.Out())
}

// TestWithoutModerationNothingIsCoalesced: every frame is due at once.
func TestWithoutModerationNothingIsCoalesced(t *testing.T) {
	h := newHands(t)
	h.set("IVAR", ivarValid)
	r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3})
	r.give(63)
	h.arrive(segments(0, 3, 1000)...)
	h.settle()
	require.Equal(t, []int{0, 0, 0}, r.frames())
}

// TestWhatIsNotIntactIsNotCoalesced is the part of 7.11.1 that headers do not
// show.
func TestWhatIsNotIntactIsNotCoalesced(t *testing.T) {
	damage := map[string]func(b []byte){
		"TCP checksum":     func(b []byte) { b[len(b)-1] ^= 1 },
		"IP checksum":      func(b []byte) { b[24] ^= 1 },
		"multicast":        func(b []byte) { copy(b, []byte{1, 0, 0x5E, 0, 0, 1}) },
		"broadcast":        func(b []byte) { copy(b, []byte{255, 255, 255, 255, 255, 255}) },
		"TCP checksum off": func(b []byte) { b[50], b[51] = 0, 0 },
	}
	for name, spoil := range damage {
		h := newHands(t)
		h.set("FCTRL", 1<<8|1<<10)
		r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3})
		r.give(63)
		frames := segments(0, 4, 1000)
		spoil(frames[1])
		h.arrive(frames...)
		h.pass(sim.Millisecond)
		got := r.frames()
		require.Equal(t, []int{0, 0, 2}, got, name) // the odd one passes; the first is alone, as a gap follows
	}
}

func TestCoalescingIsTurnedOff(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3})
	r.give(63)
	frames := segments(0, 6, 1000)
	h.arrive(frames[:3]...)
	h.settle()
	h.set("RFCTL", 1<<5) // RSC_DIS: what is open closes
	require.Equal(t, []int{3}, r.frames())
	h.arrive(frames[3:]...)
	h.settle()
	require.Equal(t, []int{0, 0, 0}, r.frames())

	// Legacy descriptors cannot say what was coalesced.
	h = newHands(t)
	r = h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3})
	h.write(0x1014, 2)
	r.give(63)
	h.arrive(frames...)
	h.settle()
	require.EqualValues(t, 6, h.d.rx.queues[0].packets)
	require.Zero(t, h.d.rx.queues[0].merged)
}

// TestBuffersShrinkUnderAnOpenPacket: no driver may do that, and one that does
// gets a packet of more descriptors than MAXDESC.
func TestBuffersShrinkUnderAnOpenPacket(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 128, packetKB: 16, maxDesc: 1})
	h.arrive(segments(0, 40, 1400)...)
	h.pass(sim.Millisecond)
	require.Positive(t, h.d.rx.rsc.waiting)
	h.write(0x1014, descOneBuffer<<25|1)
	r.give(127)
	h.settle()
	parts := r.take()
	require.Greater(t, len(parts), maxRSCDescriptors)
	frame, _ := joined(parts)
	require.EqualValues(t, len(frame)-14, header.IPv4(frame[14:]).TotalLength())
}

// TestNothingIsWrittenWithoutBusMastering: a packet whose time has come waits.
func TestNothingIsWrittenWithoutBusMastering(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3})
	r.give(63)
	h.arrive(segments(0, 4, 1000)...)
	h.settle()
	h.d.fn.ConfigWrite([]byte{2, 0}, 4)
	h.pass(sim.Millisecond)
	require.Nil(t, r.take())
	h.d.fn.ConfigWrite([]byte{6, 0}, 4)
	h.settle()
	require.Equal(t, []int{4}, r.frames())
}

// TestTagsOfCoalescedFrames: stripped from each, reported once.
func TestTagsOfCoalescedFrames(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3, rxdctl: rxVLANStrip})
	r.give(63)
	h.arrive(segments(0, 4, 1000, func(p *craft.Packet) { p.Tags = []craft.Tag{craft.VLAN(0x2007)} })...)
	h.pass(sim.Millisecond)
	parts := r.take()
	frame, n := joined(parts)
	require.Equal(t, 4, n)
	last := parts[len(parts)-1].wb
	require.EqualValues(t, 0x2007, last.VLAN)
	require.NotZero(t, last.Status&ixgbe.RxVP)
	require.Len(t, frame, 54+4000)
	require.EqualValues(t, 4040, header.IPv4(frame[14:]).TotalLength())
}

// TestMoreFlowsThanContexts: more flows than contexts; the oldest packet
// makes room for the next.
func TestMoreFlowsThanContexts(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 128, packetKB: 2, maxDesc: 3})
	r.give(127)
	for flow := range 40 {
		h.arrive(segments(flow, 2, 500)...)
	}
	h.settle()
	require.Equal(t, []int{2, 2, 2, 2, 2, 2, 2, 2}, r.frames())
	h.pass(sim.Millisecond)
	require.Len(t, r.frames(), 32)
	require.Zero(t, h.pool.Out())
}

// TestStuckPacketsDoNotStopOtherQueues: the packet that should make room has no
// descriptors.
func TestStuckPacketsDoNotStopOtherQueues(t *testing.T) {
	h := newHands(t)
	h.set("ETQF", 1<<31|0x86DD) // IPv6 goes to queue 1
	h.set("ETQS", 1<<31|1<<16)
	stuck, r := h.openRSC(ringSetup{count: 128, packetKB: 2, maxDesc: 3}), h.openRSC(ringSetup{queue: 1, count: 16, packetKB: 2, maxDesc: 3})
	r.give(15)
	for flow := range 32 {
		h.arrive(segments(flow, 1, 500)...)
	}
	h.settle()
	h.arrive(segments(50, 2, 500, func(p *craft.Packet) { p.IPv6 = true })...)
	h.settle()
	require.Equal(t, []int{0, 0}, r.frames(), "no context is free, and none can be made free")
	stuck.give(100)
	h.pass(sim.Millisecond)
	require.Len(t, stuck.frames(), 32)
	h.arrive(segments(50, 2, 500, func(p *craft.Packet) { p.IPv6 = true })...)
	h.pass(sim.Millisecond)
	require.Equal(t, []int{2}, r.frames())
	require.Zero(t, h.pool.Out())
}

// watcher keeps what a probe sees of packets.
type watcher struct{ events []nicsim.Event }

func (w *watcher) Observe(e *nicsim.Event) {
	if e.Kind == nicsim.PacketWire || e.Kind == nicsim.PacketQueue {
		w.events = append(w.events, *e)
	}
}

// TestWhatAProbeSeesOfACoalescedPacket: the frames and their packet have one
// identity, another flow's another.
func TestWhatAProbeSeesOfACoalescedPacket(t *testing.T) {
	h := newHands(t)
	var w watcher
	h.d.SetProbe(&w)
	r := h.openRSC(ringSetup{count: 64, packetKB: 2, maxDesc: 3})
	r.give(63)
	a, b := segments(0, 2, 500), segments(1, 2, 500)
	h.arrive(a[0], b[0], a[1], b[1])
	h.pass(sim.Millisecond)
	require.Len(t, w.events, 6)
	first, second := w.events[0].ID, w.events[1].ID
	require.NotZero(t, first)
	require.NotZero(t, second)
	require.NotEqual(t, first, second)
	for i, want := range []uint64{first, second, first, second, first, second} {
		e := w.events[i]
		require.Equal(t, want, e.ID, "event %d", i)
		require.Equal(t, i >= 4, e.Kind == nicsim.PacketQueue)
		require.Equal(t, i >= 4, e.TSO)
	}
}

// TestCoalescingAllocatesNothing once its lists have their size.
func TestCoalescingAllocatesNothing(t *testing.T) {
	h := newHands(t)
	r := h.openRSC(ringSetup{count: 64, packetKB: 16, maxDesc: 0})
	frames := append(segments(0, 10, 1000), segments(1, 10, 1000)...)
	arriving := make([]*nicsim.Frame, len(frames))
	loop := func() {
		r.give(2)
		for i, b := range frames {
			arriving[i] = h.pool.Get(len(b))
			copy(arriving[i].Data, b)
		}
		h.d.Port().Deliver(arriving)
		h.pass(4 * sim.Microsecond)
	}
	require.Zero(t, testing.AllocsPerRun(40, loop))
	require.EqualValues(t, 2*41, h.d.rx.queues[0].merged)
	require.EqualValues(t, 20*41, h.d.rx.queues[0].mergedWire)
}
