package i82599

import (
	"encoding/binary"

	"nicsim.dev/nicsim"
)

const (
	fcsBytes       = 4
	macHeaderBytes = 14
	minFrameBytes  = 64 - fcsBytes // 802.3 4A.2.3.2.4, without the FCS
	// defaultMaxBytes is the longest untagged frame, FCS included, while
	// HLREG0.JUMBOEN is clear (8.2.3.22.13).
	defaultMaxBytes = 1518
	vlanTagBytes    = 4

	// fifoFrames bounds the receive packet buffer in frames: all of its 512 KiB
	// (1.3) filled with the shortest.
	fifoFrames = (512 << 10) / 64
)

// mac is the port: the Ethernet MAC and the receive packet buffer behind it.
type mac struct {
	d       *Device
	wire    nicsim.Wire
	carrier bool // the other end is there

	// The receive packet buffer.
	fifo       []*nicsim.Frame // a ring
	head, held int
	bytes      int // in the buffer
	room       int // bytes that the buffer holds

	maxBytes int // longest untagged frame, FCS included
	padTx    bool
	storeBad bool // FCTRL.SBP
	loopback bool
	keepFCS  bool // HLREG0.RXCRCSTRP is clear: software gets the FCS too

	flow flowControl

	doubleVLAN bool   // CTRL_EXT.EXTENDED_VLAN
	outerTPID  uint16 // EXVET
	txTPID     uint16 // of inserted tags, DMATXCTL.VT
	parseTPID  uint16 // outerTPID in double VLAN mode, else 0
}

func (m *mac) init(d *Device) {
	m.d = d
	m.fifo = make([]*nicsim.Frame, fifoFrames)
}

// reset empties the receive packet buffer and forgets what software set.
func (m *mac) reset() {
	for ; m.held > 0; m.held-- {
		m.d.drop(m.fifo[m.head], nicsim.DropRxReset)
		if m.head++; m.head == len(m.fifo) {
			m.head = 0
		}
	}
	m.bytes = 0
	m.flow.reset(m.d)
	m.room = 512 << 10
	m.storeBad, m.txTPID = false, etherVLAN
	m.d.configureMAC()
}

const etherVLAN = 0x8100

// tagsIn counts the tags by which a frame may exceed the limit: one, or two in
// double VLAN mode whatever the frame holds (8.2.3.22.13).
func (m *mac) tagsIn(b []byte) int {
	switch {
	case m.doubleVLAN:
		return 2
	case be16(b[12:]) == etherVLAN:
		return 1
	}
	return 0
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// Attach connects the port to a wire.
func (m *mac) Attach(w nicsim.Wire) {
	m.wire = w
	m.d.tellSignal()
}

// SetCarrier tells the port whether the other end is up.
func (m *mac) SetCarrier(up bool) {
	if m.carrier != up {
		m.carrier = up
		m.d.linkChanged()
	}
}

// Deliver puts frames that arrived into the receive packet buffer.
func (m *mac) Deliver(frames []*nicsim.Frame) {
	now, open := m.d.clock.Now(), m.d.rx.enabled && m.d.linkUp()
	at := m.head + m.held
	if at >= len(m.fifo) {
		at -= len(m.fifo)
	}
	missed := false
	for _, f := range frames {
		f.At = now
		if !open {
			m.d.drop(f, nicsim.DropRxDisabled)
			continue
		}
		if m.bytes+len(f.Data) > m.room || m.held == len(m.fifo) {
			m.d.stats.missed[0].n++
			m.d.drop(f, nicsim.DropRxBufferFull)
			missed = true
			continue
		}
		m.fifo[at] = f
		m.held++
		m.bytes += len(f.Data)
		if at++; at == len(m.fifo) {
			at = 0
		}
	}
	if missed {
		m.d.interrupts.other(causeRxMiss)
	}
	m.levelChanged()
}

// take moves up to len(out) frames out of the receive packet buffer.
func (m *mac) take(out []rxPacket) int {
	n := min(len(out), m.held)
	for i := range n {
		f := m.fifo[m.head]
		out[i].f = f
		m.bytes -= len(f.Data)
		if m.head++; m.head == len(m.fifo) {
			m.head = 0
		}
	}
	m.held -= n
	if n > 0 {
		m.levelChanged()
	}
	return n
}

// address is the station's own, RAL0 and RAH0.
func (m *mac) address() (a [6]byte) {
	binary.LittleEndian.PutUint32(a[:], m.d.reg.Get(atRAL0))
	binary.LittleEndian.PutUint16(a[4:], uint16(m.d.reg.Get(atRAL0+4)))
	return a
}
