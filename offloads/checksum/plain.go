package checksum

import (
	"encoding/binary"
	"math/bits"

	"nicsim.dev/offloads/parse"
)

// Plain says in one pass what parse.Frame, IPv4Header and L4 say of most frames:
// it returns the kind of an untagged frame that holds IPv4 without options and
// is no fragment, TCP or UDP with a checksum, all lengths as they should be and
// both checksums right. It returns 0 for every other frame, and for one that is
// shorter than Ethernet's shortest.
func Plain(b []byte) parse.Kind {
	const l4, udpBytes, tcpBytes = 34, 8, 20
	if len(b) < 60 || cap(b) < plainWindow {
		return 0
	}
	p := (*[plainWindow]byte)(b[:plainWindow]) // what is beyond b does not count
	end := 14 + int(binary.BigEndian.Uint16(p[16:]))
	if binary.LittleEndian.Uint32(p[12:])&0xFFFFFF != 0x45_0008 || binary.LittleEndian.Uint16(p[20:])&0xFF3F != 0 ||
		end > len(b) || end < l4+udpBytes {
		return 0
	}
	addresses := binary.LittleEndian.Uint64(p[26:])
	acc, carry := bits.Add64(binary.LittleEndian.Uint64(p[14:]), addresses, 0)
	acc, carry = bits.Add64(acc, uint64(binary.LittleEndian.Uint32(p[22:])), carry)
	if !right(acc, carry) {
		return 0
	}
	kind := parse.IPv4 | parse.UDP
	length := bits.ReverseBytes16(uint16(end - l4))
	switch p[23] {
	case protoUDP:
		if binary.LittleEndian.Uint16(p[38:]) != length || binary.LittleEndian.Uint16(p[40:]) == 0 {
			return 0
		}
	case protoTCP:
		if headerBytes := int(p[46] >> 4 * 4); headerBytes < tcpBytes || headerBytes > end-l4 {
			return 0
		}
		kind = parse.IPv4 | parse.TCP
	default:
		return 0
	}
	pseudo := uint64(p[23])<<8 + uint64(length)
	if end > plainWindow-8 {
		rest := uint64(bits.ReverseBytes16(Sum(b[l4:end], 0)))
		acc, carry = bits.Add64(addresses, rest+pseudo, 0)
	} else {
		// Two words of 64 bits behind the ports, if they are there, and the rest.
		n := uint(end - (l4 + 8))
		var second, third uint64
		if n >= 8 {
			second = binary.LittleEndian.Uint64(p[l4+8:])
		}
		if n >= 16 {
			third = binary.LittleEndian.Uint64(p[l4+16:])
		}
		rest := binary.LittleEndian.Uint64(p[l4+8+n&^7:]) & (1<<(8*(n&7)) - 1)
		acc, carry = bits.Add64(addresses, binary.LittleEndian.Uint64(p[l4:]), 0)
		acc, carry = bits.Add64(acc, second, carry)
		acc, carry = bits.Add64(acc, third, carry)
		acc, carry = bits.Add64(acc, rest+pseudo, carry)
	}
	if !right(acc, carry) {
		return 0
	}
	return kind
}

// plainWindow is what Plain looks at of a frame without a call.
const plainWindow = 72

// right says whether a sum that is not zero is that of bytes with a right
// checksum: whether 0xFFFF divides it.
func right(acc, carry uint64) bool {
	acc += carry
	return acc%0xFFFF == 0 && acc != 0
}

const protoTCP = 6
