package checksum

import (
	"encoding/binary"

	"nicsim.dev/offloads/parse"
)

// Verdict is what verification found.
type Verdict uint8

const (
	NotChecked Verdict = iota // no such header, a fragment, or one that hardware leaves alone
	Good
	Bad
	Absent // UDP with checksum 0: the sender computed none
)

func (v Verdict) String() string {
	switch v {
	case NotChecked:
		return "not checked"
	case Good:
		return "good"
	case Bad:
		return "bad"
	case Absent:
		return "absent"
	}
	return "unknown"
}

// IPv4Header verifies the header checksum of an IPv4 packet (82599 datasheet
// 7.1.11). h is what parse.Frame said of b.
func IPv4Header(b []byte, h *parse.Headers) Verdict {
	if h.Kind&parse.IPv4 == 0 {
		return NotChecked
	}
	header := b[h.L3:]
	if h.Kind&parse.IPv4Options == 0 {
		return verdict(fold(sum20(header)))
	}
	return verdict(Sum(header[:int(header[0]&15)*4], 0))
}

// L4 verifies the checksum of a TCP, UDP or SCTP packet (82599 datasheet
// 7.1.11). Fragments, truncated packets, and IPv6 packets whose pseudo-header
// has other addresses than their header, are not checked. h is what parse.Frame
// said of b, or parse.Inner of a packet of ESP that was opened.
func L4(b []byte, h *parse.Headers) Verdict {
	const unchecked = parse.Fragment | parse.Truncated | parse.Rerouted
	if h.Kind&unchecked != 0 {
		return NotChecked
	}
	l4, end := int(h.L4), int(h.End)
	switch h.Kind & (parse.TCP | parse.UDP | parse.SCTP) {
	case parse.UDP:
		lengthAndSum := binary.BigEndian.Uint32(b[l4+4:])
		n := int(lengthAndSum >> 16)
		switch {
		case uint16(lengthAndSum) == 0:
			if h.Kind&parse.IPv6 != 0 {
				return Bad // RFC 8200 8.1: it may not be left out
			}
			return Absent
		case n < 8 || n > end-l4:
			return Bad
		}
		end = l4 + n
	case parse.TCP:
	case parse.SCTP:
		return sctp(b[l4:end])
	default:
		return NotChecked
	}
	addresses := int(h.L3) + 12
	if h.Kind&parse.IPv6 != 0 {
		addresses = int(h.L3) + 8
	}
	sum := words(h.Proto, end-l4)
	if h.Kind&(parse.IPv4Options|parse.IPv6Ext|parse.AH|parse.ESP) == 0 {
		// The addresses border on the upper layer: one pass takes both.
		return verdict(Sum(b[addresses:end], sum))
	}
	addressesEnd := int(h.L3) + 20
	if h.Kind&parse.IPv6 != 0 {
		addressesEnd = int(h.L3) + 40
	}
	return verdict(Sum(b[l4:end], Sum(b[addresses:addressesEnd], sum)))
}

func verdict(sum uint16) Verdict {
	if sum == 0xFFFF {
		return Good
	}
	return Bad
}

func sctp(b []byte) Verdict {
	if binary.LittleEndian.Uint32(b[sctpField:]) == crc32c(b) {
		return Good
	}
	return Bad
}

// FragmentSum is the sum, not inverted and without pseudo-header, of the IP
// payload of an IPv4 fragment that carries UDP; with all fragments' sums
// software verifies the datagram (82599 datasheet 7.1.11, RXCSUM.IPPCSE with
// RXCSUM.PCSD clear). It is 0 for other frames. h is what parse.Frame said of b.
func FragmentSum(b []byte, h *parse.Headers) uint16 {
	if !h.Is(parse.IPv4|parse.Fragment) || h.Proto != protoUDP {
		return 0
	}
	return Sum(b[h.L3End:h.End], 0)
}

const protoUDP = 17
