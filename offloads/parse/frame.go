package parse

import "encoding/binary"

// Frame overwrites *h with what b is. A frame may begin with one tag of type
// 0x8100, or, when outerTPID is not 0, with a tag of that type and then one of
// type 0x8100 (82599 datasheet 7.4.5, EXVET).
func Frame(h *Headers, b []byte, outerTPID uint16) {
	if len(b) > maxFrameBytes {
		b = b[:maxFrameBytes]
	}
	if plainIPv4(h, b, outerTPID) {
		return
	}
	*h = Headers{End: uint16(len(b))}
	if len(b) < 14 {
		h.Kind = Truncated
		return
	}
	if !linkLayer(h, b, outerTPID) {
		return
	}
	switch h.EtherType {
	case etherIPv4:
		ipv4(h, b)
	case etherIPv6:
		ipv6(h, b)
	case etherARP:
		h.Kind |= ARP
	}
}

// plainIPv4 is the shortcut for most frames: untagged, IPv4 without options,
// not a fragment, TCP or UDP, every length as it should be. It leaves all else
// to the general path, which would give the same result.
func plainIPv4(h *Headers, b []byte, outerTPID uint16) bool {
	const l3, l4 = 14, 34
	if len(b) < l4+8 || outerTPID == etherIPv4 {
		return false
	}
	first := binary.BigEndian.Uint64(b[12:20]) // EtherType, version, TOS, length, identification
	if first>>40 != etherIPv4<<8|0x45 {
		return false
	}
	second := binary.BigEndian.Uint32(b[20:24]) // fragment word, TTL, protocol
	end := l3 + int(uint16(first>>16))
	if second>>16&0x3FFF != 0 || end > len(b) {
		return false
	}
	var kind Kind
	payload := l4
	switch uint8(second) {
	case protoUDP:
		kind, payload = IPv4|UDP, l4+8
	case protoTCP:
		if len(b) < l4+20 || b[l4+12] < 5<<4 {
			return false
		}
		kind, payload = IPv4|TCP, l4+int(b[l4+12]>>4)*4
	default:
		return false
	}
	if payload > end {
		return false
	}
	// Field by field: a composite literal would be built beside *h and copied.
	h.Kind = kind
	h.EtherType, h.Proto, h.L2Bytes = etherIPv4, uint8(second), l3
	h.L3, h.L3End, h.L4 = l3, l4, l4
	h.Payload, h.End = uint16(payload), uint16(end)
	h.OuterTCI, h.InnerTCI = 0, 0
	return true
}

// linkLayer reads tags, EtherType and SNAP header, and reports whether all of
// them are there. b has at least 14 bytes.
func linkLayer(h *Headers, b []byte, outerTPID uint16) bool {
	at := 12 // of the EtherType, or of the tag in its place
	next := binary.BigEndian.Uint16(b[at:])
	if outerTPID != 0 && next == outerTPID {
		if len(b) < at+6 {
			h.Kind |= Truncated
			h.EtherType, h.L2Bytes = next, uint8(at+2)
			return false
		}
		h.Kind |= Tagged | ExtendedVLAN
		h.InnerTCI = binary.BigEndian.Uint16(b[at+2:])
		at += 4
		next = binary.BigEndian.Uint16(b[at:])
	}
	if next == etherVLAN {
		if len(b) < at+6 {
			h.Kind |= Truncated
			h.EtherType, h.L2Bytes = next, uint8(at+2)
			return false
		}
		if h.Kind&ExtendedVLAN != 0 {
			h.Kind |= DoubleTagged
			h.OuterTCI = h.InnerTCI
		}
		h.Kind |= Tagged
		h.InnerTCI = binary.BigEndian.Uint16(b[at+2:])
		at += 4
		next = binary.BigEndian.Uint16(b[at:])
	}
	// Up to 1500 it is a length (IEEE 802.3 3.2.6); a SNAP header with a zero
	// organisation code then holds the EtherType (RFC 1042).
	if next <= 1500 && len(b) >= at+10 &&
		binary.BigEndian.Uint32(b[at+2:]) == 0xAAAA0300 && b[at+6] == 0 && b[at+7] == 0 {
		h.Kind |= SNAP
		at += 8
		next = binary.BigEndian.Uint16(b[at:])
	}
	h.EtherType, h.L2Bytes = next, uint8(at+2)
	return true
}

// ipv4 reads an IPv4 header (RFC 791 3.1) and goes on to the upper layer.
func ipv4(h *Headers, b []byte) {
	l3 := int(h.L2Bytes)
	if len(b) < l3+20 || b[l3]>>4 != 4 {
		h.Kind |= Truncated
		return
	}
	headerBytes := int(b[l3]&15) * 4
	if headerBytes < 20 || l3+headerBytes > len(b) {
		h.Kind |= Truncated
		return
	}
	h.Kind |= IPv4
	h.L3 = uint16(l3)
	h.L3End = uint16(l3 + headerBytes)
	h.Proto = b[l3+9]
	if headerBytes > 20 {
		h.Kind |= IPv4Options
	}
	total := int(binary.BigEndian.Uint16(b[l3+2:]))
	switch {
	case total < headerBytes || l3+total > len(b):
		h.Kind |= Truncated
	default:
		h.End = uint16(l3 + total)
	}
	if fragment := binary.BigEndian.Uint16(b[l3+6:]); fragment&0x3FFF != 0 {
		h.Kind |= Fragment
		if fragment&0x1FFF != 0 {
			return
		}
		h.Kind |= FirstFragment
	}
	at := int(h.L3End)
	if h.Proto == protoAH {
		next, n := authentication(b[at:h.End])
		h.Kind |= AH
		if n == 0 {
			missing(h)
			return
		}
		h.Proto = next
		at += n
		h.L3End = uint16(at)
	}
	upper(h, b, at)
}

// authentication returns the length of the authentication header that b starts
// with (RFC 4302 2.2: in 4-byte words, less two) and what follows it. The
// length is 0 if the header is not all there.
func authentication(b []byte) (next uint8, headerBytes int) {
	if len(b) < 12 {
		return 0, 0
	}
	n := (int(b[1]) + 2) * 4
	if n < 12 || n > len(b) {
		return 0, 0
	}
	return b[0], n
}

// missing notes that an upper-layer header is not all there. In a first
// fragment that is no contradiction.
func missing(h *Headers) {
	if h.Kind&Fragment == 0 {
		h.Kind |= Truncated
	}
}

// Inner goes on where Frame ends at ESP, once that was opened: a packet of protocol proto
// with n bytes lies at byte at of b, within what Frame found to be the datagram.
func Inner(h *Headers, b []byte, at, n int, proto uint8) {
	h.Proto, h.L3End, h.L4, h.End = proto, uint16(at), 0, uint16(at+n)
	if proto != protoESP {
		upper(h, b, at)
	}
}

// upper reads the upper-layer header at byte at of b.
func upper(h *Headers, b []byte, at int) {
	end := int(h.End)
	headerBytes := 0
	var kind Kind
	switch h.Proto {
	case protoTCP:
		kind, headerBytes = TCP, 20
		if at+20 <= end {
			headerBytes = int(b[at+12]>>4) * 4
			if headerBytes < 20 {
				h.Kind |= Truncated
				return
			}
		}
	case protoUDP:
		kind, headerBytes = UDP, 8
	case protoSCTP:
		kind, headerBytes = SCTP, 12
	case protoESP:
		h.Kind |= ESP
		if at+8 > end {
			missing(h)
			return
		}
		h.L4 = uint16(at)
		return
	case protoICMP, protoICMPv6:
		if (h.Proto == protoICMP) == (h.Kind&IPv4 != 0) {
			kind, headerBytes = ICMP, 8
			break
		}
		fallthrough
	default:
		if at < end {
			h.L4 = uint16(at)
		}
		return
	}
	if at+headerBytes > end {
		missing(h)
		return
	}
	h.L4, h.Payload = uint16(at), uint16(at+headerBytes)
	if h.Kind&Fragment == 0 {
		h.Kind |= kind
	}
}
