// Package checksum computes, inserts and verifies the checksums of IPv4, TCP,
// UDP and SCTP.
//
// Sums are ones' complement sums of big-endian 16-bit words (RFC 1071), folded
// to 16 bits and not inverted, so that partial sums can be added with another
// call. Functions never panic and never allocate: one whose field or range lies
// outside the frame changes nothing and says so.
package checksum

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

// Sum adds the bytes of b to initial, which was computed on an even number of
// bytes.
func Sum(b []byte, initial uint16) uint16 {
	acc := uint64(bits.ReverseBytes16(initial))
	switch {
	case len(b) <= shortBytes:
		acc = short(b, acc)
	case vector:
		acc = sumVector(b, acc)
	default:
		return checksum.Checksum(b, initial)
	}
	return bits.ReverseBytes16(fold(acc))
}

// Copy copies src to dst, up to the shorter's length and without overlap, and
// adds the bytes copied to initial.
func Copy(dst, src []byte, initial uint16) uint16 {
	n := min(len(dst), len(src))
	if n <= shortBytes || !vector {
		copy(dst, src)
		return Sum(dst[:n], initial)
	}
	return bits.ReverseBytes16(fold(copyVector(dst[:n], src[:n], uint64(bits.ReverseBytes16(initial)))))
}

// Add adds two sums.
func Add(a, b uint16) uint16 { return checksum.Combine(a, b) }

// Fill sums bytes start to end of b, the 16-bit field at byte at included, and
// stores the complement in that field. Software seeds the field with the
// pseudo-header's sum (82599 datasheet 7.2.5). Fill reports whether start <= at
// and the field and the range lie inside b.
func Fill(b []byte, start, at, end int) bool {
	if !inside(b, start, at, 2, end) {
		return false
	}
	binary.BigEndian.PutUint16(b[at:], ^Sum(b[start:end], 0))
	return true
}

// FillUDP is Fill for UDP, where 0 would mean that there is no checksum and
// 0xFFFF is stored in its place (RFC 768).
func FillUDP(b []byte, start, at, end int) bool {
	if !inside(b, start, at, 2, end) {
		return false
	}
	sum := ^Sum(b[start:end], 0)
	if sum == 0 {
		sum = 0xFFFF
	}
	binary.BigEndian.PutUint16(b[at:], sum)
	return true
}

// FillIPv4 stores the checksum of the IPv4 header of headerBytes at byte l3 of
// b, whatever the field held (82599 datasheet 7.2.5.1).
func FillIPv4(b []byte, l3, headerBytes int) bool {
	if headerBytes < 20 || l3 < 0 || l3 > len(b) || headerBytes > len(b)-l3 {
		return false
	}
	header := b[l3 : l3+headerBytes]
	header[10], header[11] = 0, 0
	binary.BigEndian.PutUint16(header[10:], ^Sum(header, 0))
	return true
}

// FillSCTP stores the CRC32c of the SCTP packet from byte l4 to end of b,
// whatever the field held (RFC 9260 6.8, 82599 datasheet 7.2.5.3).
func FillSCTP(b []byte, l4, end int) bool {
	if !inside(b, l4, l4+sctpField, 4, end) {
		return false
	}
	binary.LittleEndian.PutUint32(b[l4+sctpField:], crc32c(b[l4:end]))
	return true
}

// inside reports whether a field of n bytes at byte at lies in the range start
// to end, and the range in b.
func inside(b []byte, start, at, n, end int) bool {
	return start >= 0 && start <= at && end <= len(b) && n <= end && at <= end-n
}

// sctpField is where the checksum is in an SCTP header.
const sctpField = 8

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	noChecksum [4]byte
)

// crc32c is the checksum of an SCTP packet of at least 12 bytes, its field
// taken as zero.
func crc32c(b []byte) uint32 {
	sum := crc32.Update(0, castagnoli, b[:sctpField])
	sum = crc32.Update(sum, castagnoli, noChecksum[:])
	return crc32.Update(sum, castagnoli, b[sctpField+4:])
}

// PseudoIPv4 is the sum of the pseudo-header (RFC 9293 3.1) of the IPv4 packet
// whose header is at byte l3 of b. It is 0 if b ends before the addresses do.
func PseudoIPv4(b []byte, l3 int, proto uint8, l4Bytes int) uint16 {
	return pseudo(b, l3, 12, 20, proto, l4Bytes)
}

// PseudoIPv6 is the sum of the pseudo-header (RFC 8200 8.1) of the IPv6 packet
// whose header is at byte l3 of b. It is 0 if b ends before the addresses do.
func PseudoIPv6(b []byte, l3 int, proto uint8, l4Bytes int) uint16 {
	return pseudo(b, l3, 8, 40, proto, l4Bytes)
}

func pseudo(b []byte, l3, from, to int, proto uint8, l4Bytes int) uint16 {
	if l3 < 0 || l3 > len(b) || to > len(b)-l3 {
		return 0
	}
	return Sum(b[l3+from:l3+to], words(proto, l4Bytes))
}

// words is the sum of the pseudo-header's protocol and length.
func words(proto uint8, l4Bytes int) uint16 {
	v := uint32(proto) + uint32(l4Bytes)
	v = v>>16 + v&0xFFFF
	return uint16(v>>16 + v)
}
