package i82599

// This file is what the MAC's registers do when software writes them. Each
// method is the behaviour of the row of that name.

const (
	hlregAddCRC   = 1 << 0  // HLREG0.TXCRCEN (8.2.3.22.8)
	hlregStripCRC = 1 << 1  // HLREG0.RXCRCSTRP
	hlregJumbo    = 1 << 2  // HLREG0.JUMBOEN
	hlregPad      = 1 << 10 // HLREG0.TXPADEN
	hlregLoopback = 1 << 15 // HLREG0.LPBK
	hlregLengths  = 1 << 27 // HLREG0.RXLNGTHERREN

	ctrlExtDoubleVLAN = 1 << 26 // CTRL_EXT.EXTENDED_VLAN (8.2.3.1.3)
)

func (d *Device) wroteHLREG0(_ int, _, v uint32) { d.configureMAC() }
func (d *Device) wroteMAXFRS(_ int, _, v uint32) { d.configureMAC() }

func (d *Device) wroteCTRLEXT(_ int, _, v uint32) { d.configureMAC() }
func (d *Device) wroteEXVET(_ int, _, v uint32)   { d.configureMAC() }

// configureMAC reads what the registers say of frames into the MAC's own terms.
func (d *Device) configureMAC() {
	m, h := &d.mac, d.reg.Get(atHLREG0)
	m.padTx = h&hlregPad != 0
	m.appendFCS = h&hlregAddCRC != 0
	m.keepFCS = h&hlregStripCRC == 0
	m.checkLength = h&hlregLengths != 0
	if loopback := h&hlregLoopback != 0; loopback != m.loopback {
		m.loopback = loopback
		d.linkChanged()
	}
	m.maxBytes = defaultMaxBytes
	if h&hlregJumbo != 0 {
		m.maxBytes = int(d.reg.Get(atMAXFRS) >> 16)
	}
	m.doubleVLAN = d.reg.Get(atCTRLEXT)&ctrlExtDoubleVLAN != 0
	m.outerTPID = uint16(d.reg.Get(atEXVET) >> 16)
	m.parseTPID = 0
	if m.doubleVLAN {
		m.parseTPID = m.outerTPID
	}
}
