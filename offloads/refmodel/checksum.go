package refmodel

import "nicsim.dev/offloads/parse"

// Sum is the ones' complement sum of RFC 1071, a word at a time.
func Sum(b []byte) uint16 {
	sum := 0
	for i, v := range b {
		if i%2 == 0 {
			sum += int(v) << 8
		} else {
			sum += int(v)
		}
		if sum > 0xFFFF {
			sum -= 0xFFFF
		}
	}
	return uint16(sum)
}

// CRC32c is the checksum of RFC 9260 Appendix A, a bit at a time.
func CRC32c(b []byte) uint32 {
	crc := ^uint32(0)
	for _, v := range b {
		crc ^= uint32(v)
		for range 8 {
			bit := crc & 1
			crc >>= 1
			if bit == 1 {
				crc ^= 0x82F63B78
			}
		}
	}
	return ^crc
}

// PseudoHeader spells out what a checksum covers besides the upper layer:
// RFC 9293 3.1 for IPv4, RFC 8200 8.1 for IPv6.
func PseudoHeader(b []byte, h *parse.Headers, l4Bytes int) []byte {
	length := []byte{byte(l4Bytes >> 24), byte(l4Bytes >> 16), byte(l4Bytes >> 8), byte(l4Bytes)}
	var p []byte
	if h.Kind&parse.IPv4 != 0 {
		p = append(p, b[h.L3+12:h.L3+20]...)
		p = append(p, 0, h.Proto)
		return append(p, length[2:]...)
	}
	p = append(p, b[h.L3+8:h.L3+40]...)
	p = append(p, length...)
	return append(p, 0, 0, 0, h.Proto)
}

// GoodIPv4 reports whether the header checksum is right.
func GoodIPv4(b []byte, h *parse.Headers) bool {
	headerBytes := int(b[h.L3]&15) * 4
	return Sum(b[int(h.L3):int(h.L3)+headerBytes]) == 0xFFFF
}

// GoodL4 reports whether the checksum of a whole TCP, UDP or SCTP packet is
// right.
func GoodL4(b []byte, h *parse.Headers) bool {
	l4 := append([]byte(nil), b[h.L4:h.End]...)
	if h.Kind&parse.SCTP != 0 {
		stored := uint32(l4[8]) | uint32(l4[9])<<8 | uint32(l4[10])<<16 | uint32(l4[11])<<24
		copy(l4[8:12], []byte{0, 0, 0, 0})
		return CRC32c(l4) == stored
	}
	if h.Kind&parse.UDP != 0 {
		n := int(l4[4])<<8 | int(l4[5])
		if n < 8 || n > len(l4) {
			return false
		}
		l4 = l4[:n]
	}
	return Sum(append(PseudoHeader(b, h, len(l4)), l4...)) == 0xFFFF
}
