package i82599

import (
	"errors"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/ipsec"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/segment"
)

const (
	protoESP = 50
	protoAH  = 51

	ipv4HeaderBytes = 20
	ipv6HeaderBytes = 40
)

// protect seals a packet that asks for IPsec, once its checksums are in (7.12), and says
// whether it may go on. What is no packet that IPsec can be applied to is dropped: in
// clear it would be a secret told. While the engine is disabled nothing is done.
func (d *Device) protect(f *nicsim.Frame, ask *txAsk) bool {
	if !d.ipsec.txOn {
		return true
	}
	if ask.do&doDone == 0 {
		d.insertChecksum(f.Data, ask)
		ask.do |= doDone
	}
	if d.ipsec.seal(f.Data, ask) != nil {
		d.dropTx(f, nicsim.DropTxIPsec)
		return false
	}
	d.ipsec.counts.sent++
	return true
}

var errNotIPsec = errors.New("i82599: the packet has no header of the protocol that its context names")

// seal protects the packet in a frame. Its headers, ESP trailer and the room for its ICV
// are there.
func (e *ipsecEngine) seal(frame []byte, ask *txAsk) error {
	packet := frame[min(int(ask.l3), len(frame)):]
	header, proto, end := ipsecHeader(packet)
	if end == 0 {
		return errNotIPsec
	}
	t := e.tx[ask.sa].transform(ask.do&(doESP|doEncrypt) == doESP|doEncrypt)
	switch {
	case ask.do&doESP != 0 && proto == protoESP:
		return t.SealESP(packet[header:end], 0)
	case ask.do&doESP == 0 && proto == protoAH:
		return t.SealAH(packet[:end], header, 0)
	}
	return errNotIPsec
}

// ipsecHeader returns where the header behind the IP header is, which protocol it is of,
// and where the IP packet ends; that is 0 if they are not all there.
func ipsecHeader(packet []byte) (header int, proto uint8, end int) {
	switch {
	case len(packet) >= ipv4HeaderBytes && packet[0]>>4 == 4:
		header, proto, end = int(packet[0]&15)*4, packet[9], int(be16(packet[2:]))
	case len(packet) >= ipv6HeaderBytes && packet[0]>>4 == 6:
		header, proto, end = ipv6HeaderBytes, packet[6], ipv6HeaderBytes+int(be16(packet[4:]))
	}
	if header < ipv4HeaderBytes || header > end || end > len(packet) {
		return 0, 0, 0
	}
	return header, proto, end
}

// ipsecLayout says where segmentation finds the header of IPsec: right ahead of the upper
// layer.
func (a *txAsk) ipsecLayout(ipv6 bool) (l segment.IPsec) {
	switch {
	case a.do&doIPsec == 0:
	case a.do&doESP != 0:
		l.Header, l.ICVBytes = int(a.l4)-ipsec.ESPHeaderBytes-ipsec.IVBytes, 16
	default:
		l.Header, l.AH = int(a.l4)-ipsec.AHBytes(ipv6), true
	}
	return l
}

// Frames shorter than these, their frame check sequence left out, are too short for
// IPsec, and are handed on as they are (7.1.6.2, SECP).
const (
	minIPv4IPsec = 70
	minIPv6ESP   = 90
	minIPv6AH    = 94
)

// open opens the packets for which there is an association (7.12), and lets others pass
// as they are: fragments, packets with IPv4 options or IPv6 extension headers, those that
// are both ESP and AH, and those that no association is for.
func (d *Device) open(b *rxBatch) {
	if !d.ipsec.rxOn {
		return
	}
	for i := range b.n {
		p := &b.p[i]
		if p.drop == nicsim.DropNone && !p.bad && p.h.Kind&(parse.ESP|parse.AH) != 0 && p.sums&ixgbe.RxSECERR == 0 {
			d.openPacket(p)
		}
	}
}

func (d *Device) openPacket(p *rxPacket) {
	const never = parse.IPv4Options | parse.Fragment | parse.Truncated | parse.SNAP
	h, b := &p.h, p.f.Data
	esp, ipv6 := h.Kind&parse.ESP != 0, h.Kind&parse.IPv6 != 0
	at := int(h.L3) + ipv4HeaderBytes // of the header
	least := minIPv4IPsec
	k := rxKey{ipv6: ipv6}
	switch {
	case h.Kind&never != 0, esp && h.Kind&(parse.AH|parse.IPv6Ext) != 0:
		return
	case !ipv6:
		copy(k.address[12:], b[h.L3+16:])
	default:
		at = int(h.L3) + ipv6HeaderBytes
		copy(k.address[:], b[h.L3+24:])
		if least = minIPv6AH; esp {
			least = minIPv6ESP
		} else if b[h.L3+6] != protoAH || int(h.L3End) != at+ipsecAHBytes(b[at:]) {
			return // there are other extension headers
		}
	}
	if len(b) < least {
		return
	}
	spi := b[at:]
	if !esp {
		spi = b[at+4:]
	}
	copy(k.spi[:], spi)
	sa, ok := d.ipsec.find(&k)
	if !ok {
		return
	}
	if d.probe != nil {
		p.c.queue = 0 // not known yet
		d.observeArrival(p)
	}
	var bad ixgbe.RxStatus
	switch {
	case esp != (sa.mode&rxModESP != 0):
		bad = ixgbe.RxIPsecProtocol
	case esp:
		bad = secErr(openESP(sa.transform, h, b))
	case ipsecAHBytes(b[at:]) != ipsec.AHBytes(ipv6):
		bad = ixgbe.RxIPsecLength
	default:
		l3 := int(h.L3)
		bad = secErr(sa.transform.OpenAH(b[l3:h.End], at-l3, 0))
	}
	p.sums |= ixgbe.RxSECP | bad
	d.ipsec.counts.count(bad)
}

// openESP opens a packet where it lies. What filters, checksums and header split see from
// then on is what it holds; header, IV, trailer and ICV stay where they are.
func openESP(t *ipsec.Transform, h *parse.Headers, b []byte) error {
	packet := b[h.L4:h.End]
	if err := t.OpenESP(packet, 0); err != nil {
		return err
	}
	if payload, next, err := t.Inner(packet); err == nil {
		parse.Inner(h, b, int(h.L4)+ipsec.ESPHeaderBytes+ipsec.IVBytes, len(payload), next)
	}
	return nil
}

// secErr is what a descriptor says of why a packet was not opened (7.1.6.2).
func secErr(err error) ixgbe.RxStatus {
	switch err {
	case nil:
		return 0
	case ipsec.ErrAuth:
		return ixgbe.RxIPsecAuth
	}
	return ixgbe.RxIPsecLength
}

// ipsecAHBytes is what an AH header says of its own length (RFC 4302 2.2).
func ipsecAHBytes(header []byte) int { return (int(header[1]) + 2) * 4 }
