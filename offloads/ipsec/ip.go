package ipsec

import (
	"encoding/binary"

	"nicsim.dev/offloads/checksum"
)

const (
	protoIPv4     = 4
	protoUDP      = 17
	protoIPv6     = 41
	protoNoNext   = 59
	extensionFrag = 44

	udpBytes        = 8
	defaultHopLimit = 64
)

// ip is where things are in an IP packet.
type ip struct {
	v6       bool
	fragment bool
	next     int // the byte that says what follows the headers
	end      int // of the headers, where ESP and AH have their place
	total    int // of the packet
	// The same behind all extension headers: options for the destination alone may lie
	// between.
	upperNext, upper int
}

// parseIP reads an IP packet's own headers: of IPv6 those that are for each node on the way
// too, behind which ESP and AH have their place (RFC 4303 3.1.1).
func parseIP(b []byte) (p ip, ok bool) {
	switch {
	case len(b) >= ipv4Bytes && b[0]>>4 == 4:
		p = ip{next: 9, end: int(b[0]&15) * 4, total: int(binary.BigEndian.Uint16(b[2:]))}
		p.fragment = binary.BigEndian.Uint16(b[6:])&0x3FFF != 0
		p.upperNext, p.upper = p.next, p.end
		return p, p.end >= ipv4Bytes && p.end <= p.total && p.total <= len(b)
	case len(b) >= ipv6Bytes && b[0]>>4 == 6:
		p = ip{v6: true, next: 6, end: ipv6Bytes, total: ipv6Bytes + int(binary.BigEndian.Uint16(b[4:]))}
		return p, p.total <= len(b) && p.extensions(b[:p.total])
	}
	return ip{}, false
}

// extensions moves end behind the extension headers ahead of the place for ESP and AH.
func (p *ip) extensions(b []byte) bool {
	next, end := p.next, p.end
	for {
		kind := b[next]
		switch kind {
		case extensionHop, extensionRouting, extensionFrag, extensionDestination:
		default:
			p.upperNext, p.upper = next, end
			return true
		}
		if end+8 > len(b) {
			return false
		}
		n := 8
		if kind == extensionFrag {
			p.fragment = true
		} else {
			n = (int(b[end+1]) + 1) * 8
		}
		if end+n > len(b) {
			return false
		}
		next, end = end, end+n
		// Destination options are for each router only when there is a route behind them.
		if kind != extensionDestination {
			p.next, p.end = next, end
		}
	}
}

// resize makes a packet's header say how long it is, and what follows its headers.
func (p *ip) resize(b []byte, proto uint8) {
	b[p.next] = proto
	if p.v6 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Bytes))
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	sumIPv4(b[:p.end])
}

// sumIPv4 writes the checksum of an IPv4 header.
func sumIPv4(header []byte) {
	clear(header[10:12])
	checksum.FillIPv4(header, 0, len(header))
}

// sumUDP6 writes the checksum of the UDP datagram at byte at of an IPv6 packet, where it
// may not be left out (RFC 8200 8.1).
func sumUDP6(packet []byte, at int) {
	n := len(packet) - at
	binary.BigEndian.PutUint16(packet[at+6:], checksum.PseudoIPv6(packet, 0, protoUDP, n))
	checksum.FillUDP(packet, at, at+6, len(packet))
}

// trafficClass is a packet's type of service or traffic class.
func trafficClass(b []byte) uint8 {
	if b[0]>>4 == 4 {
		return b[1]
	}
	return b[0]<<4 | b[1]>>4
}

// setTrafficClass changes it, with the checksum of an IPv4 header.
func setTrafficClass(b []byte, v uint8) {
	if b[0]>>4 == 4 {
		b[1] = v
		sumIPv4(b[:int(b[0]&15)*4])
		return
	}
	b[0] = b[0]&0xF0 | v>>4
	b[1] = b[1]&0x0F | v<<4
}
