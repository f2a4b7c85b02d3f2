package bench

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The two ends of every flow.
var (
	macA = [6]byte{2, 0, 0, 0, 0, 1}
	macB = [6]byte{2, 0, 0, 0, 0, 2}
	ipA  = tcpip.AddrFrom4([4]byte{192, 0, 2, 1})
	ipB  = tcpip.AddrFrom4([4]byte{192, 0, 2, 2})
)

const (
	l3 = header.EthernetMinimumSize
	l4 = l3 + header.IPv4MinimumSize
	// tcpHeaderBytes is a TCP header with the time stamp option, as every stack
	// of today sends it (RFC 7323 3).
	tcpHeaderBytes = header.TCPMinimumSize + 12
	headerBytes    = l4 + tcpHeaderBytes
)

// ipv4 writes Ethernet and IPv4 headers from A to B into b, which is as long as
// the frame.
func ipv4(b []byte, proto tcpip.TransportProtocolNumber) {
	header.Ethernet(b).Encode(&header.EthernetFields{
		SrcAddr: tcpip.LinkAddress(macA[:]), DstAddr: tcpip.LinkAddress(macB[:]), Type: header.IPv4ProtocolNumber,
	})
	ip := header.IPv4(b[l3:])
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(min(len(b)-l3, 0xFFFF)), TTL: 64, Protocol: uint8(proto), SrcAddr: ipA, DstAddr: ipB, ID: 1})
	ip.SetChecksum(^ip.CalculateChecksum())
}

// udpFrame is a UDP datagram of a frame of n bytes, frame check sequence not
// included.
func udpFrame(n int, from, to uint16) []byte {
	b := make([]byte, n)
	fill(b[l4+header.UDPMinimumSize:], from)
	ipv4(b, header.UDPProtocolNumber)
	u := header.UDP(b[l4:])
	u.Encode(&header.UDPFields{SrcPort: from, DstPort: to, Length: uint16(len(u))})
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, ipA, ipB, uint16(len(u)))
	u.SetChecksum(^u.CalculateChecksum(checksum.Checksum(u.Payload(), sum)))
	return b
}

// tcpFrame is a TCP segment with the time stamp option and n bytes of payload.
func tcpFrame(n int, from uint16, seq uint32, flags header.TCPFlags) []byte {
	b := make([]byte, headerBytes+n)
	fill(b[headerBytes:], uint16(seq))
	ipv4(b, header.TCPProtocolNumber)
	t := header.TCP(b[l4:])
	t.Encode(&header.TCPFields{
		SrcPort: from, DstPort: 80, SeqNum: seq, AckNum: 1, DataOffset: tcpHeaderBytes, Flags: flags, WindowSize: 512,
	})
	copy(t[header.TCPMinimumSize:], []byte{1, 1, header.TCPOptionTS, header.TCPOptionTSLength, 0, 0, 0, 7, 0, 0, 0, 9})
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, ipA, ipB, uint16(len(t)))
	t.SetChecksum(^t.CalculateChecksum(checksum.Checksum(t.Payload(), sum)))
	return b
}

// fill writes bytes that differ from one another and from those of other seeds.
func fill(b []byte, seed uint16) {
	v := uint32(seed)*2654435761 + 1
	for i := range b {
		v = v*1664525 + 1013904223
		b[i] = byte(v >> 24)
	}
}

// rssKey is the key of Microsoft's verification suite for RSS.
var rssKey = [40]byte{
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
}
