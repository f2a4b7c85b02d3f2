package checksum

import (
	"encoding/binary"
	"math/bits"

	"nicsim.dev/offloads/parse"
)

// Plain says in one pass what parse.Frame, IPv4Header and L4 say of most frames:
// it returns the kind of an untagged frame that holds IPv4 without options and
// is no fragment, TCP or UDP with a checksum, all lengths as they should be and
// both checksums right. It returns 0 for every other frame, for one that is
// shorter than Ethernet's shortest, and for one without room behind it.
func Plain(b []byte) parse.Kind {
	if len(b) > plainShort {
		return plainLarge(b)
	}
	if len(b) < 60 || cap(b) < plainWindow {
		return 0
	}
	p := (*[plainWindow]byte)(b[:plainWindow])
	end := 14 + int(binary.BigEndian.Uint16(p[16:]))
	if binary.LittleEndian.Uint32(p[12:])&0xFFFFFF != 0x45_0008 || binary.LittleEndian.Uint16(p[20:])&0xFF3F != 0 ||
		end > len(b) || end < plainL4+udpBytes {
		return 0
	}
	length := bits.ReverseBytes16(uint16(end - plainL4))
	kind, pseudo := parse.IPv4|parse.UDP, protoUDP<<8+uint64(length)
	if p[23] == protoUDP {
		if binary.LittleEndian.Uint16(p[38:]) != length || binary.LittleEndian.Uint16(p[40:]) == 0 {
			return 0
		}
	} else {
		kind, pseudo = parse.IPv4|parse.TCP, protoTCP<<8+uint64(length)
		if headerBytes := int(p[46] >> 4 * 4); p[23] != protoTCP || headerBytes < tcpBytes || headerBytes > end-plainL4 {
			return 0
		}
	}
	mask, addresses := &tails[end&31], binary.LittleEndian.Uint64(p[26:])
	ip, carry := bits.Add64(binary.LittleEndian.Uint64(p[14:]), addresses, 0)
	ip, carry = bits.Add64(ip, uint64(binary.LittleEndian.Uint32(p[22:])), carry)
	ip += carry
	sum, carry := bits.Add64(addresses, pseudo, 0)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(p[plainL4:]), carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(p[plainL4+8:])&mask[0], carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(p[plainL4+16:])&mask[1], carry)
	sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(p[plainL4+24:])&mask[2], carry)
	sum += carry
	// A sum is right if 0xFFFF divides it and it is not 0, which would be one
	// that carried once more than it can hold: the protocol is in both.
	if ip%0xFFFF != 0 || sum%0xFFFF != 0 || ip == 0 || sum == 0 {
		return 0
	}
	return kind
}

const (
	// plainShort is the longest frame that is looked at in one piece, and
	// plainWindow that piece: what is beyond the frame does not count.
	plainShort, plainWindow = 64, 66

	plainL4, udpBytes, tcpBytes = 34, 8, 20
)

// tails are, for each end of a datagram from byte 42 to 64, modulo 32, the bytes
// that belong to it of the three words from byte 42 on.
var tails = func() (t [32][3]uint64) {
	const first = plainL4 + udpBytes
	for end := first; end <= plainShort; end++ {
		for at := first; at < end; at++ {
			t[end&31][(at-first)/8] |= 0xFF << (8 * ((at - first) % 8))
		}
	}
	return t
}()

// plainLarge is Plain for a longer frame.
func plainLarge(b []byte) parse.Kind {
	var h parse.Headers
	parse.Frame(&h, b, 0)
	switch h.Kind {
	case parse.IPv4 | parse.TCP:
	case parse.IPv4 | parse.UDP:
		if binary.BigEndian.Uint16(b[h.L4+4:]) != h.End-h.L4 {
			return 0
		}
	default:
		return 0
	}
	if IPv4Header(b, &h) != Good || L4(b, &h) != Good {
		return 0
	}
	return h.Kind
}

const protoTCP = 6
