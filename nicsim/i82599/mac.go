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
)

// mac is the port: the Ethernet MAC and the receive packet buffers behind it.
type mac struct {
	d       *Device
	wire    nicsim.Wire
	carrier bool // the other end is there

	buffers [numClasses]packetBuffer
	filled  uint8 // buffers with something in them

	maxBytes    int // longest untagged frame, FCS included
	padTx       bool
	appendFCS   bool // HLREG0.TXCRCEN: else every packet brings its own
	checkLength bool // HLREG0.RXLNGTHERREN
	storeBad    bool // FCTRL.SBP
	loopback    bool
	keepFCS     bool // HLREG0.RXCRCSTRP is clear: software gets the FCS too

	flow flowControl

	doubleVLAN bool   // CTRL_EXT.EXTENDED_VLAN
	outerTPID  uint16 // EXVET
	txTPID     uint16 // of inserted tags, DMATXCTL.VT
	parseTPID  uint16 // outerTPID in double VLAN mode, else 0
}

func (m *mac) init(d *Device) {
	m.d = d
}

// reset empties the receive packet buffers and forgets what software set.
func (m *mac) reset() {
	m.flow.reset(m.d)
	m.emptyBuffers()
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

// address is the station's own, RAL0 and RAH0.
func (m *mac) address() (a [6]byte) {
	binary.LittleEndian.PutUint32(a[:], m.d.reg.Get(atRAL0))
	binary.LittleEndian.PutUint16(a[4:], uint16(m.d.reg.Get(atRAL0+4)))
	return a
}
