package i82599

import (
	"encoding/binary"
	"math"
	"math/bits"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/macsec"
)

// linkSec is MACsec by the adapter (7.8): one channel to send by and one to receive by, with
// two associations each, of which registers hold everything (8.2.3.13). The engines are made
// from these when they have changed.
//
// Differs: whether IPsec and LinkSec may be on together the registers do not say, and here
// nothing keeps them from it: a packet is sealed, and then its frame.
type linkSec struct {
	stale    bool
	sender   *macsec.Sender // nil while LSECTXCTRL.LSTXEN says no
	receiver *macsec.Receiver
	mode     uint32 // LSECRXCTRL.LSRXEN
	keepTag  bool   // LSECRXCTRL.PLSH
	sci      macsec.SCI
	places   [4]int // of the receive association of a number; -1 for none
	sent     int    // frames since the packet number was written
	over     bool   // it has come to its end

	counts linkSecCounts
}

// linkSecCounts are the counters of 8.2.3.14 to 8.2.3.17.
type linkSecCounts struct {
	txUntagged, txEncrypted, txProtected, txEncryptedOctets, txProtectedOctets tally

	rxUntagged, rxDecryptedOctets, rxValidatedOctets tally
	rxBadTag, rxNoSCI, rxUnknownSCI                  tally
	rxUnchecked, rxDelayed, rxLate                   tally
	rxOK, rxInvalid, rxNotValid                      [2]tally
	rxUnusedSA, rxNotUsingSA                         tally
}

// Bits of LinkSec registers (8.2.3.13).
const (
	lsecTxEncrypt = 2      // LSECTXCTRL.LSTXEN: authenticate and encrypt; 1 authenticates
	lsecTxEnable  = 3      // its mask
	lsecTxSCI     = 1 << 5 // LSECTXCTRL.AISCI
	lsecTxSelect  = 1 << 4 // LSECTXSA.SelSA

	lsecRxCheck  = 1 // LSECRXCTRL.LSRXEN
	lsecRxStrict = 2
	lsecRxDrop   = 3
	lsecRxTag    = 1 << 6 // LSECRXCTRL.PLSH
	lsecRxReplay = 1 << 7 // LSECRXCTRL.RP
	lsecRxValid  = 1 << 2 // LSECRXSA.SAV
	lsecTagSCI   = 1 << 5 // SC in a SecTAG's TCI: it holds the SCI

	// lsecLastPN is the packet number at which the hardware stops (8.2.3.13, LSECTXCTRL).
	lsecLastPN = 0xFFFFFFF0
	// lsecPipeline is how many frames are on the way already when it would: of real hardware
	// that began at 0xFFFFFFED or later three arrived.
	lsecPipeline = 3
)

func (d *Device) wroteLinkSec(int, uint32, uint32) { d.linkSec.stale = true }

// wroteLSECTXPN begins anew to count towards the end of packet numbers, if they are those of
// the association in use.
func wroteLSECTXPN(i uint32) func(*Device, int, uint32, uint32) {
	return func(d *Device, _ int, _, _ uint32) {
		if d.reg.Get(atLSECTXSA)&lsecTxSelect>>4 == i {
			d.linkSec.sent, d.linkSec.over = 0, false
		}
	}
}

// wroteLSECTXSA chooses the association in use.
func (d *Device) wroteLSECTXSA(_ int, old, v uint32) {
	d.linkSec.stale = true
	if (old^v)&lsecTxSelect != 0 {
		d.linkSec.sent, d.linkSec.over = 0, false
	}
}

// readLSECTXSA shows which association is active: the one selected.
func (d *Device) readLSECTXSA(int) uint32 {
	v := d.reg.Get(atLSECTXSA)
	return v | v&lsecTxSelect<<1
}

// refreshLinkSec makes the engines that registers describe. What these cannot describe
// leaves an engine without associations.
func (d *Device) refreshLinkSec() {
	l := &d.linkSec
	l.stale, l.sender, l.receiver = false, nil, nil
	ctrl := d.reg.Get(atLSECTXCTRL)
	if ctrl&lsecTxEnable != 0 && d.reg.Get(atSECTXCTRL)&secDisable == 0 {
		sa := d.reg.Get(atLSECTXSA)
		an, key := uint8(sa&3), uint32(atLSECTXKEY)
		if sa&lsecTxSelect != 0 {
			an, key = uint8(sa>>2&3), atLSECTXKEY+16
		}
		l.sender, _ = macsec.NewSender(macsec.SenderConfig{
			SCI: d.linkSecSCI(atLSECTXSCL), IncludeSCI: ctrl&lsecTxSCI != 0, Encrypt: ctrl&lsecTxEnable >= lsecTxEncrypt,
		})
		l.sender.Install(an, d.linkSecKey(key), 1)
		l.sender.Use(an)
	}
	ctrl = d.reg.Get(atLSECRXCTRL)
	l.mode, l.keepTag = ctrl>>2&3, ctrl&lsecRxTag != 0
	l.places = [4]int{-1, -1, -1, -1}
	if l.mode != 0 && d.reg.Get(atSECRXCTRL)&secDisable == 0 {
		config := macsec.ReceiverConfig{ReplayProtect: ctrl&lsecRxReplay != 0}
		if l.mode == lsecRxCheck {
			config.Validation = macsec.Check
		}
		l.receiver, _ = macsec.NewReceiver(config)
		l.sci = d.linkSecSCI(atLSECRXSCL)
		for _, i := range []int{1, 0} {
			sa := d.reg.Get(atLSECRXSA + 4*uint32(i))
			if sa&lsecRxValid == 0 {
				continue
			}
			an, pn := uint8(sa&3), bits.ReverseBytes32(d.reg.Get(atLSECRXSAPN+4*uint32(i)))
			l.receiver.Install(l.sci, an, d.linkSecKey(atLSECRXKEY+16*uint32(i)), uint64(pn))
			l.places[an] = i
		}
	}
}

// linkSecSCI reads an SCI: its bytes are in the order of the wire, lowest first.
func (d *Device) linkSecSCI(at uint32) macsec.SCI {
	return macsec.SCI(bits.ReverseBytes64(uint64(d.reg.Get(at)) | uint64(d.reg.Get(at+4))<<32))
}

// linkSecKey reads a key, in the same order.
func (d *Device) linkSecKey(at uint32) macsec.Key {
	secret := make([]byte, 16)
	for i := range 4 {
		binary.LittleEndian.PutUint32(secret[4*i:], d.reg.Get(at+4*uint32(i)))
	}
	return macsec.Key{Suite: macsec.GCMAES128, Secret: secret}
}

// protectLink protects the frames that ask for it, as long as LSECTXCTRL.LSTXEN is set:
// after that, which the hardware clears at the last packet number, they leave as they are.
func (d *Device) protectLink(b *txBatch) {
	l := &d.linkSec
	if l.stale {
		d.refreshLinkSec()
	}
	if l.sender == nil {
		return
	}
	kept := 0
	for i := range b.n {
		f, ask := b.frames[i], b.asks[i]
		if ask.do&doLinkSec == 0 || l.sender == nil {
			l.counts.txUntagged.n++
		} else if !d.protectFrame(f) {
			d.dropTx(f, nicsim.DropTxBadLength)
			continue
		}
		b.frames[kept], b.asks[kept] = f, ask
		kept++
	}
	b.n = kept
}

// protectFrame protects one, with the packet number in a register, and says whether that
// could be done.
func (d *Device) protectFrame(f *nicsim.Frame) bool {
	l := &d.linkSec
	at := uint32(atLSECTXPN)
	if d.reg.Get(atLSECTXSA)&lsecTxSelect != 0 {
		at += 4
	}
	pn := bits.ReverseBytes32(d.reg.Get(at))
	text := uint64(len(f.Data) - 12)
	f.Push(l.sender.TagBytes())
	f.Data = f.Data[:len(f.Data)+macsec.ICVBytes]
	if l.sender.ProtectAs(f.Data, uint64(pn)) != nil {
		return false
	}
	ctrl := d.reg.Get(atLSECTXCTRL)
	if c := &l.counts; ctrl&lsecTxEnable >= lsecTxEncrypt {
		c.txEncrypted.n++
		c.txEncryptedOctets.n += text
	} else {
		c.txProtected.n++
		c.txProtectedOctets.n += text
	}
	next := pn + 1
	d.reg.Set(at, bits.ReverseBytes32(next))
	l.sent++
	if pn>>8 < ctrl>>8 && next>>8 >= ctrl>>8 { // LSECTXCTRL.PNTHRSH
		d.interrupts.other(causeLinkSec)
	}
	l.over = l.over || next >= lsecLastPN || next < pn
	if l.over && l.sent >= lsecPipeline {
		d.reg.Set(atLSECTXCTRL, ctrl&^lsecTxEnable)
		l.sender = nil
	}
	return true
}

// openLink opens the frames that have a SecTAG. In strict mode what is wrong with them ends
// them; in check mode software is told. Frames without a tag pass in both: real hardware
// does not what the standard says of strict validation.
func (d *Device) openLink(b *rxBatch) {
	l := &d.linkSec
	if l.stale {
		d.refreshLinkSec()
	}
	if l.receiver == nil {
		return
	}
	for i := range b.n {
		p := &b.p[i]
		switch {
		case p.drop != nicsim.DropNone || p.bad:
		case be16(p.f.Data[12:]) != macsec.EtherType:
			l.counts.rxUntagged.n++
		case l.mode == lsecRxDrop:
			p.drop = nicsim.DropRxLinkSec
		default:
			d.openFrame(p)
		}
	}
}

func (d *Device) openFrame(p *rxPacket) {
	l := &d.linkSec
	if d.probe != nil {
		p.c.queue = 0 // not known yet
		d.observeArrival(p)
	}
	frame := p.f.Data
	an := frame[14] & 3
	var store [12 + 16]byte // addresses and the longest tag
	head := store[:12+8]
	if frame[14]&lsecTagSCI != 0 {
		head = store[:]
	}
	copy(head, frame)
	before := l.receiver.Stats
	inner, verdict := l.receiver.Open(frame)
	after := &l.receiver.Stats
	place := max(0, l.places[an])
	l.counts.add(&before, after, place)
	if l.places[an] >= 0 {
		next := min(l.receiver.Next(l.sci, an), math.MaxUint32) // there is none behind the last
		d.reg.Set(atLSECRXSAPN+4*uint32(place), bits.ReverseBytes32(uint32(next)))
	}
	p.sums |= ixgbe.RxSECP
	switch {
	case verdict.Drops() && l.mode == lsecRxStrict, !verdict.Drops() && len(inner) < macHeaderBytes:
		p.drop = nicsim.DropRxLinkSec
		return
	case verdict == macsec.DropReplay:
		p.sums |= ixgbe.RxLinkSecReplay
	case verdict == macsec.DropNoSA, after.InPktsUnusedSA > before.InPktsUnusedSA, after.InPktsNoSA > before.InPktsNoSA:
		p.sums |= ixgbe.RxLinkSecNoSA
	case verdict.Drops(), after.InPktsInvalid > before.InPktsInvalid:
		p.sums |= ixgbe.RxLinkSecBadSig
	}
	switch {
	case verdict.Drops():
	case l.keepTag:
		copy(frame, head)
	default:
		p.f.Data = inner
	}
}

// add counts what became of a frame of the association at a place.
func (c *linkSecCounts) add(before, after *macsec.ReceiverStats, place int) {
	for _, k := range [...]struct {
		t         *tally
		then, now uint64
	}{
		{&c.rxDecryptedOctets, before.InOctetsDecrypted, after.InOctetsDecrypted},
		{&c.rxValidatedOctets, before.InOctetsValidated, after.InOctetsValidated},
		{&c.rxBadTag, before.InPktsBadTag, after.InPktsBadTag},
		{&c.rxNoSCI, before.InPktsNoSAError, after.InPktsNoSAError},
		{&c.rxUnknownSCI, before.InPktsNoSA, after.InPktsNoSA},
		{&c.rxUnchecked, before.InPktsUnchecked, after.InPktsUnchecked},
		{&c.rxDelayed, before.InPktsDelayed, after.InPktsDelayed},
		{&c.rxLate, before.InPktsLate, after.InPktsLate},
		{&c.rxOK[place], before.InPktsOK, after.InPktsOK},
		{&c.rxInvalid[place], before.InPktsInvalid, after.InPktsInvalid},
		{&c.rxNotValid[place], before.InPktsNotValid, after.InPktsNotValid},
		{&c.rxUnusedSA, before.InPktsUnusedSA, after.InPktsUnusedSA},
		{&c.rxNotUsingSA, before.InPktsNotUsingSA, after.InPktsNotUsingSA},
	} {
		k.t.n += k.now - k.then
	}
}

// linkSecTally shows a counter.
func linkSecTally(of func(c *linkSecCounts, i int) *tally) func(*Device, int) uint32 {
	return show(func(d *Device, i int) *tally { return of(&d.linkSec.counts, i) })
}
