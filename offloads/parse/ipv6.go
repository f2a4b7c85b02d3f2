package parse

import "encoding/binary"

// ipv6 reads an IPv6 header (RFC 8200 3), walks its extension headers and goes
// on to the upper layer.
func ipv6(h *Headers, b []byte) {
	l3 := int(h.L2Bytes)
	if len(b) < l3+40 || b[l3]>>4 != 6 {
		h.Kind |= Truncated
		return
	}
	h.Kind |= IPv6
	h.L3 = uint16(l3)
	h.L3End = uint16(l3 + 40)
	h.Proto = b[l3+6]
	end := l3 + 40 + int(binary.BigEndian.Uint16(b[l3+4:]))
	if end <= len(b) {
		h.End = uint16(end)
	} else {
		h.Kind |= Truncated
	}
	if extensions(h, b) {
		upper(h, b, int(h.L3End))
	}
}

// extensions moves L3End and Proto past the extension headers and reports
// whether an upper-layer header may follow.
func extensions(h *Headers, b []byte) bool {
	for range maxExtensions {
		rest := b[h.L3End:h.End]
		next, n := uint8(0), 0
		switch h.Proto {
		case protoHopByHop, protoRouting, protoDestination, protoMobility:
			next, n = extension(rest)
		case protoFragment:
			if len(rest) >= 8 {
				next, n = rest[0], 8
			}
		case protoAH:
			h.Kind |= AH
			next, n = authentication(rest)
		default:
			return true
		}
		if n == 0 {
			h.Kind |= IPv6Ext
			missing(h)
			return false
		}
		switch h.Proto {
		case protoRouting:
			if n > 8 {
				h.Kind |= Rerouted
			}
		case protoDestination:
			if homeAddress(rest[2:n]) {
				h.Kind |= Rerouted
			}
		}
		fragment := h.Proto == protoFragment
		h.Kind |= IPv6Ext
		h.Proto = next
		h.L3End += uint16(n)
		if fragment {
			h.Kind |= Fragment
			if binary.BigEndian.Uint16(rest[2:])&0xFFF8 != 0 {
				return false
			}
			h.Kind |= FirstFragment
		}
	}
	h.Kind |= Truncated
	return false
}

// extension returns the length of the extension header that b starts with
// (RFC 8200 4.3: in 8-byte units, the first not counted) and what follows it.
// The length is 0 if the header is not all there.
func extension(b []byte) (next uint8, headerBytes int) {
	if len(b) < 8 {
		return 0, 0
	}
	n := (int(b[1]) + 1) * 8
	if n > len(b) {
		return 0, 0
	}
	return b[0], n
}

// homeAddress reports whether the options of a destination header hold the Home
// Address option (RFC 6275 6.3), in whose place the pseudo-header has the
// source address.
func homeAddress(options []byte) bool {
	for range maxOptions {
		switch {
		case len(options) == 0:
			return false
		case options[0] == 0: // Pad1
			options = options[1:]
		case options[0] == 0xC9:
			return true
		case len(options) < 2 || len(options) < 2+int(options[1]):
			return false
		default:
			options = options[2+int(options[1]):]
		}
	}
	return false
}
