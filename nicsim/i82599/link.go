package i82599

import "nicsim.dev/nicsim"

// Bits of AUTOC, AUTOC2 and of what tells of the link (8.2.3.22.19 to
// 8.2.3.22.23).
const (
	autocForceUp  = 1 << 0 // FLU
	autocModeAt   = 13     // LMS, three bits
	autocRestart  = 1 << 12
	autocKR       = 1 << 16
	autocKX       = 1 << 30
	autocKX4      = 1 << 31
	autoc2SFI     = 2 << 16 // of 10G_PMA_PMD_Serial, two bits
	autoc2Serial  = 3 << 16
	linksAutoneg  = 1 << 31 // KX/KX4/KR backplane negotiation is complete
	linksUp       = 1 << 30 // and was since the last read
	links10G      = 3 << 28
	links1G       = 2 << 28
	linksUpNow    = 1 << 7
	links2Partner = 1 << 6 // the partner negotiates
	anlp1Selector = 1
	anlp1Pause    = 3 << 10 // symmetric and asymmetric
	anlp1Done     = 9 << 16 // arbitration state: link is good
)

// Link modes, AUTOC.LMS.
const (
	mode1GForced = iota
	mode10GParallel
	mode1GNegotiated
	mode10GSerial
	modeBackplane
	modeSGMII
	modeBackplane1G // with clause 37 negotiation at 1 Gb/s
	modeBackplaneSGMII
)

// linkSpeed is in Gb/s; zero is no link.
type linkSpeed uint8

func (s linkSpeed) String() string {
	switch s {
	case 1:
		return "link up, 1 Gb/s"
	case 10:
		return "link up, 10 Gb/s"
	}
	return "link down"
}

// link is the state of the port's link (3.7.4).
//
// Differs: negotiation takes no time, and the partner agrees to the best that
// the port offers, so that a script need not wait for link.
type link struct {
	speed      linkSpeed
	dropped    bool // went down since LINKS was read
	negotiated bool // by backplane negotiation
	started    bool // negotiation has left its idle state
	signal     bool // what the wire was last told
}

// linkUp says whether frames pass.
func (d *Device) linkUp() bool { return d.link.speed != 0 }

// linkChanged looks at everything that the link depends on, tells the wire
// whether there is a signal, and interrupts if link came or went.
func (d *Device) linkChanged() {
	l := &d.link
	speed, negotiated := d.negotiate()
	l.negotiated = negotiated
	if signal := d.cfg.Variant != deviceSFP || d.module.lit(); signal != l.signal {
		l.signal = signal
		d.tellSignal()
	}
	d.setSpeed(speed)
}

func (d *Device) setSpeed(s linkSpeed) {
	l := &d.link
	if s == l.speed {
		return
	}
	l.dropped = l.dropped || l.speed != 0
	l.speed = s
	d.time.setSpeed(d.clock.Now(), s)
	d.interrupts.other(causeLink)
	if d.probe != nil {
		d.observe(&nicsim.Event{Kind: nicsim.Note, Name: s.String(), Queue: -1})
	}
	d.ledsChanged()
}

// tellSignal lets the wire know whether the port sends a signal.
func (d *Device) tellSignal() {
	if w, ok := d.mac.wire.(nicsim.SignalWire); ok {
		w.SetSignal(d.link.signal)
	}
}

// negotiate returns the speed at which the port has link, and whether backplane
// negotiation found it.
func (d *Device) negotiate() (s linkSpeed, negotiated bool) {
	autoc, serial := d.reg.Get(atAUTOC), d.reg.Get(atAUTOC2)&autoc2Serial
	sfp := d.cfg.Variant == deviceSFP
	mode := autoc >> autocModeAt & 7
	if d.mac.loopback || autoc&autocForceUp != 0 {
		if mode == mode1GForced || mode == mode1GNegotiated {
			return 1, false
		}
		return 10, false
	}
	if !d.mac.carrier || sfp && !d.module.lit() {
		return 0, false
	}
	switch mode {
	case mode10GSerial: // SFI on the one kind of board, KR on the other
		if sfp == (serial == autoc2SFI) {
			return 10, false
		}
	case mode10GParallel:
		if !sfp {
			return 10, false
		}
	case mode1GForced, mode1GNegotiated: // the module knows 10 Gb/s only
		if !sfp {
			return 1, false
		}
	case modeBackplane, modeBackplane1G, modeBackplaneSGMII:
		switch {
		case sfp:
		case autoc&(autocKX4|autocKR) != 0:
			return 10, true
		case autoc&autocKX != 0:
			return 1, true
		}
	}
	return 0, false
}

// wroteAUTOC takes effect at once; with Restart_AN the link goes down and comes
// again (8.2.3.22.19).
func (d *Device) wroteAUTOC(_ int, _, v uint32) {
	if v&autocRestart != 0 {
		d.link.started = true
		d.setSpeed(0)
	}
	d.linkChanged()
}

func (d *Device) wroteAUTOC2(int, uint32, uint32) { d.linkChanged() }

// readLINKS shows the link. Bit 30 stays clear for one read after a link that
// went down (8.2.3.22.20).
func (d *Device) readLINKS(int) uint32 {
	l := &d.link
	var v uint32
	switch l.speed {
	case 10:
		v = links10G | linksUpNow
	case 1:
		v = links1G | linksUpNow
	}
	if l.speed != 0 && !l.dropped {
		v |= linksUp
	}
	if l.negotiated && l.speed != 0 {
		v |= linksAutoneg
	}
	l.dropped = false
	return v
}

func (d *Device) readLINKS2(int) uint32 {
	if d.link.negotiated && d.link.speed != 0 {
		return links2Partner
	}
	return 0
}

// readANLP1 shows what the partner offers, which is every kind of pause, and how
// far negotiation is.
func (d *Device) readANLP1(int) uint32 {
	var v uint32
	if d.link.started {
		v = anlp1Done
	}
	if d.link.negotiated && d.link.speed != 0 {
		v |= anlp1Done | anlp1Pause | anlp1Selector
	}
	return v
}

// resetLink puts the link at what the EEPROM asks for (4.2.1.7, 6.3.7.1). The
// other end loses it for a moment.
func (d *Device) resetLink() {
	if d.link.signal {
		d.link.signal = false
		d.tellSignal()
	}
	if d.cfg.Variant == deviceKX4 {
		const lanes = 1<<9 | 1<<7 // KX, KX4
		d.reg.Set(atAUTOC, d.reg.Get(atAUTOC)&^(7<<autocModeAt)|modeBackplane<<autocModeAt|lanes)
		d.reg.Set(atAUTOC2, d.reg.Get(atAUTOC2)&^autoc2Serial)
	} else {
		d.reg.Set(atESDP, d.reg.Get(atESDP)|1<<(sdpDirection+sdpTxDisable))
	}
	d.link.started = false
	d.setSpeed(0)
}

// MDIO (8.2.3.22.11): no PHY answers, the data line stays high.
const (
	mdiCommand  = 1 << 30
	mdiIsRead   = 1 << 27
	mdiReadData = 0xFFFF0000
)

func (d *Device) wroteMSCA(_ int, _, v uint32) {
	if v&mdiCommand == 0 {
		return
	}
	if v&mdiIsRead != 0 {
		d.reg.Set(atMSRWD, d.reg.Get(atMSRWD)|mdiReadData)
	}
	d.reg.Set(atMSCA, v&^mdiCommand)
}

// analogLatch is CoreCTL's and SMADARCTL's address latch bit: the write only
// selects what the next read returns (8.2.3.22.32).
const analogLatch = 1 << 16

func (d *Device) wroteCoreCTL(_ int, _, v uint32) {
	d.reg.Set(atCoreCTL, d.analog[0].access(v))
}

func (d *Device) wroteSMADARCTL(_ int, _, v uint32) {
	d.reg.Set(atSMADARCTL, d.analog[1].access(v))
}

// analogCore is the settings of the SerDes, which this model has no use for.
type analogCore [256]byte

func (a *analogCore) access(v uint32) uint32 {
	at := byte(v >> 8)
	if v&analogLatch == 0 {
		a[at] = byte(v)
	}
	return uint32(at)<<8 | uint32(a[at])
}
