package i82599

import (
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/parse"
)

const (
	// bufferFrames bounds a receive packet buffer in frames: all of the memory
	// of 512 KiB (1.3) filled with the shortest.
	bufferFrames = (512 << 10) / 64
	// bufferStart is how many frames the first ring of a buffer holds.
	bufferStart = 256

	pbsizeBytes = 0xFFC00 // RXPBSIZE.SIZE (8.2.3.8.9)
	atRXPBSIZE  = 0x03C00
)

// packetBuffer is a receive packet buffer: frames that wait for DMA. There is
// one for each traffic class; without classes the first takes everything.
type packetBuffer struct {
	ring       []*nicsim.Frame // a power of two long
	head, held int
	bytes      int // of these, and of those of a batch that have not reached memory
	room       int // bytes, RXPBSIZE
}

// push adds a frame and reports false if there is no room for it.
func (p *packetBuffer) push(f *nicsim.Frame) bool {
	if p.bytes+len(f.Data) > p.room || p.held == bufferFrames {
		return false
	}
	if p.held == len(p.ring) {
		p.grow()
	}
	p.ring[(p.head+p.held)&(len(p.ring)-1)] = f
	p.held++
	p.bytes += len(f.Data)
	return true
}

func (p *packetBuffer) grow() {
	bigger := make([]*nicsim.Frame, max(2*len(p.ring), bufferStart))
	for i := range p.held {
		bigger[i] = p.ring[(p.head+i)&(len(p.ring)-1)]
	}
	p.ring, p.head = bigger, 0
}

// pop removes the oldest frame, of which there is one.
func (p *packetBuffer) pop() *nicsim.Frame {
	f := p.ring[p.head]
	p.head = (p.head + 1) & (len(p.ring) - 1)
	p.held--
	return f
}

// front returns at most n of the oldest frames, and leaves them there. There may
// be more, further on in the ring.
func (p *packetBuffer) front(n int) []*nicsim.Frame {
	return p.ring[p.head:min(len(p.ring), p.head+min(n, p.held))]
}

// remove takes the n oldest frames of a class out, with the room that they need.
func (m *mac) remove(class, n, bytes int) {
	p := &m.buffers[class]
	if n == 0 {
		return
	}
	p.head = (p.head + n) & (len(p.ring) - 1)
	p.bytes -= bytes
	if p.held -= n; p.held == 0 {
		m.filled &^= 1 << class
	}
	m.levelsChanged(1 << class)
}

// Deliver takes frames that arrived on the wire. In loopback mode the MAC hears its
// own transmitter and nothing else (3.7.6).
func (m *mac) Deliver(frames []*nicsim.Frame) {
	if m.loopback {
		for _, f := range frames {
			m.d.drop(f, nicsim.DropRxDisabled)
		}
		return
	}
	m.accept(frames)
}

// accept puts frames into the receive packet buffers.
func (m *mac) accept(frames []*nicsim.Frame) {
	if !m.d.rx.enabled || !m.d.linkUp() {
		for _, f := range frames {
			m.d.drop(f, nicsim.DropRxDisabled)
		}
		return
	}
	n := 0
	if !m.d.rx.filters.mode.dcb {
		n = m.buffers[0].pushPlain(frames, m.d.clock.Now())
	}
	missed, filled := false, uint8(min(n, 1))
	for _, f := range frames[n:] {
		f.At = m.d.clock.Now()
		if len(f.Data) >= minFrameBytes && be16(f.Data[12:]) == macControl && f.Flags == 0 && m.control(f) {
			continue
		}
		class := 0
		if m.d.rx.filters.mode.dcb {
			class = m.classOf(f.Data)
		}
		if !m.buffers[class].push(f) {
			m.d.stats.missed[class].n++
			m.d.drop(f, nicsim.DropRxBufferFull)
			missed = true
			continue
		}
		filled |= 1 << class
	}
	m.filled |= filled
	if missed {
		m.d.interrupts.other(causeRxMiss)
	}
	m.levelsChanged(filled)
}

// pushPlain adds frames as long as there is room and they are no MAC control
// frames, and returns how many.
func (p *packetBuffer) pushPlain(frames []*nicsim.Frame, now sim.Time) int {
	for len(p.ring)-p.held < len(frames) && len(p.ring) < bufferFrames {
		p.grow()
	}
	bytes, n := p.bytes, 0
	for _, f := range frames[:min(len(frames), len(p.ring)-p.held)] {
		b := f.Data
		if len(b) < minFrameBytes || be16(b[12:]) == macControl || bytes+len(b) > p.room {
			break
		}
		f.At = now
		bytes += len(b)
		n++
	}
	at := (p.head + p.held) & (len(p.ring) - 1)
	copied := copy(p.ring[at:], frames[:n])
	copy(p.ring, frames[copied:n])
	p.bytes = bytes
	p.held += n
	return n
}

// classOf maps a frame to its traffic class by the priority in its tag, the
// inner one in double VLAN mode (7.7.1.1).
func (m *mac) classOf(b []byte) int {
	f := &m.d.rx.filters
	at := 12
	if m.doubleVLAN && len(b) >= 18 && be16(b[12:]) == m.outerTPID {
		at = 16
	}
	h := parse.Headers{}
	if len(b) >= at+4 && be16(b[at:]) == etherVLAN {
		h.Kind, h.InnerTCI = parse.Tagged, be16(b[at+2:])
	}
	return int(f.trafficClass(&h) & f.mode.classes)
}

// take moves up to len(out) frames out of the buffer of a class, and returns
// how many, and their bytes on the wire. They need their room until release.
func (m *mac) take(out []rxPacket, class int) (n, wire int) {
	p := &m.buffers[class]
	n = min(len(out), p.held)
	for i := range n {
		f := p.pop()
		out[i].f, out[i].bytes = f, len(f.Data)
		wire += len(f.Data) + fcsBytes
	}
	if p.held == 0 {
		m.filled &^= 1 << class
	}
	return n, wire
}

// release makes room of what a batch has brought to its queues.
func (m *mac) release(b *rxBatch, class int) {
	before := m.buffers[class].bytes
	for ; b.freed < b.next; b.freed++ {
		m.buffers[class].bytes -= b.p[b.freed].bytes
	}
	if m.buffers[class].bytes != before {
		m.levelsChanged(1 << class)
	}
}

// emptyBuffers drops what waits, and takes the sizes from the registers.
func (m *mac) emptyBuffers() {
	for i := range m.buffers {
		p := &m.buffers[i]
		for p.held > 0 {
			m.d.drop(p.pop(), nicsim.DropRxReset)
		}
		p.bytes = 0
		p.room = int(m.d.reg.Get(atRXPBSIZE+4*uint32(i)) & pbsizeBytes)
	}
	m.filled = 0
}

// wroteRXPBSIZE sizes a buffer. What no longer fits stays until it is taken.
func (d *Device) wroteRXPBSIZE(i int, _, v uint32) { d.mac.buffers[i].room = int(v & pbsizeBytes) }

// wroteRTRPCS chooses how the buffers share the way to memory.
func (d *Device) wroteRTRPCS(_ int, _, v uint32) { d.rx.arbiter.weighted = v&rtrpcsWeighted != 0 }

func (d *Device) wroteRTRPT4C(i int, _, v uint32) { d.rx.arbiter.set(i, v) }

// rtrpcsWeighted is RTRPCS.RAC (8.2.3.10.1).
const rtrpcsWeighted = 1 << 2
