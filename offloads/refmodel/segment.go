package refmodel

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"nicsim.dev/offloads/segment"
)

// Segments cuts frame as spec says: it copies the prototype header ahead of each
// share of the payload, then sets each field that changes by gVisor's names, and
// computes checksums over the finished segment.
func Segments(spec segment.Spec, frame []byte) [][]byte {
	prototype := frame[:spec.HeaderBytes]
	payload := frame[spec.HeaderBytes : spec.HeaderBytes+spec.PayloadBytes]
	var shares [][]byte
	for len(payload) > spec.MSS {
		shares = append(shares, payload[:spec.MSS])
		payload = payload[spec.MSS:]
	}
	shares = append(shares, payload)

	var segments [][]byte
	sent := 0
	for i, share := range shares {
		b := append(append([]byte(nil), prototype...), share...)
		if spec.SNAP {
			binary.BigEndian.PutUint16(b[spec.L3-10:], uint16(len(b)-spec.L3+8))
		}
		if spec.UDP {
			setUDP(spec, b)
		} else {
			setTCP(spec, b, sent, flagMask(spec, i, len(shares)))
		}
		if spec.IPsec.Header > 0 {
			b = setIPsec(spec, b, i)
		}
		setIP(spec, b, i)
		segments = append(segments, b)
		sent += len(share)
	}
	return segments
}

func flagMask(spec segment.Spec, i, of int) uint16 {
	switch {
	case of == 1:
		return 0xFFF
	case i == 0:
		return spec.FirstFlags
	case i == of-1:
		return spec.LastFlags
	}
	return spec.MiddleFlags
}

func setIP(spec segment.Spec, b []byte, i int) {
	if spec.IPv6 {
		header.IPv6(b[spec.L3:]).SetPayloadLength(uint16(len(b) - spec.L3 - header.IPv6MinimumSize))
		return
	}
	ip := header.IPv4(b[spec.L3:])
	ip.SetTotalLength(uint16(len(ip)))
	ip.SetID(ip.ID() + uint16(i))
	if spec.IPv4Checksum {
		headers := ip[:spec.L4-spec.L3]
		if spec.IPsec.Header > 0 {
			headers = ip[:spec.IPsec.Header-spec.L3]
		}
		ip.SetChecksum(^Sum(headers))
	}
}

// setIPsec counts segment i in the ESP or AH header and appends the trailer of ESP, with
// room for the ICV.
func setIPsec(spec segment.Spec, b []byte, i int) []byte {
	sequence, iv := b[spec.IPsec.Header+4:], b[spec.IPsec.Header+8:]
	if spec.IPsec.AH {
		sequence, iv = b[spec.IPsec.Header+8:], b[spec.IPsec.Header+12:]
	}
	for range i {
		binary.BigEndian.PutUint32(sequence, binary.BigEndian.Uint32(sequence)+1)
		binary.BigEndian.PutUint64(iv, binary.BigEndian.Uint64(iv)+1)
	}
	if spec.IPsec.AH {
		return b
	}
	padding := byte(0)
	for ; (len(b)-spec.L4+2)%4 != 0; padding++ {
		b = append(b, padding+1)
	}
	next := byte(header.TCPProtocolNumber)
	if spec.UDP {
		next = byte(header.UDPProtocolNumber)
	}
	return append(append(b, padding, next), make([]byte, spec.IPsec.ICVBytes)...)
}

func setTCP(spec segment.Spec, b []byte, sent int, mask uint16) {
	tcp := header.TCP(b[spec.L4:])
	tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(sent))
	word := binary.BigEndian.Uint16(tcp[header.TCPDataOffset:])
	binary.BigEndian.PutUint16(tcp[header.TCPDataOffset:], word&0xF000|word&mask&0xFFF)
	if spec.L4Checksum {
		tcp.SetChecksum(^withLength(tcp))
	}
}

func setUDP(spec segment.Spec, b []byte) {
	udp := header.UDP(b[spec.L4:])
	udp.SetLength(uint16(len(udp)))
	if spec.L4Checksum {
		sum := ^withLength(udp)
		if sum == 0 {
			sum = 0xFFFF
		}
		udp.SetChecksum(sum)
	}
}

// withLength sums an upper-layer packet, its seed and its length.
func withLength(l4 []byte) uint16 {
	sum := uint32(Sum(l4)) + uint32(len(l4))
	return uint16(sum>>16 + sum&0xFFFF)
}

// Seed stores what software leaves in the checksum fields of a super-frame: the
// sum of the pseudo-header with length 0, and zero in an IPv4 header.
func Seed(b []byte, l3, l4 int, proto uint8) {
	var src, dst tcpip.Address
	if b[l3]>>4 == 4 {
		header.IPv4(b[l3:]).SetChecksum(0)
		src, dst = header.IPv4(b[l3:]).SourceAddress(), header.IPv4(b[l3:]).DestinationAddress()
	} else {
		src, dst = header.IPv6(b[l3:]).SourceAddress(), header.IPv6(b[l3:]).DestinationAddress()
	}
	sum := header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(proto), src, dst, 0)
	if proto == uint8(header.TCPProtocolNumber) {
		header.TCP(b[l4:]).SetChecksum(sum)
	} else {
		header.UDP(b[l4:]).SetChecksum(sum)
	}
}
