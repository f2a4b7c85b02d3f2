// Package craft builds the frames that tests of the offloads use, with gVisor's
// header encoders, so that a misreading of a header cannot hide on both sides.
package craft

import (
	"encoding/binary"
	"hash/crc32"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Tag is a VLAN tag.
type Tag struct{ TPID, TCI uint16 }

// VLAN is a tag of type 0x8100.
func VLAN(tci uint16) Tag { return Tag{0x8100, tci} }

// Outer is a tag of type 0x88A8 (IEEE 802.1ad).
func Outer(tci uint16) Tag { return Tag{0x88A8, tci} }

// Extension is an IPv6 extension header: its protocol number, and its bytes
// with the first, the next header, left to be filled in.
type Extension struct {
	Proto uint8
	Bytes []byte
}

// Extension headers of the usual kinds.
var (
	HopByHop     = Extension{0, []byte{0, 0, 5, 2, 0, 0, 1, 0}}                                                     // router alert
	Destination  = Extension{60, []byte{0, 0, 1, 4, 0, 0, 0, 0}}                                                    // padding
	HomeAddress  = Extension{60, []byte{0, 2, 1, 2, 0, 0, 201, 16, 0x20, 1, 0xD, 0xB8, 15: 0, 23: 9}}               // RFC 6275 6.3
	Routing      = Extension{43, []byte{0, 0, 0, 0, 0, 0, 0, 0}}                                                    // no addresses
	RoutingVia   = Extension{43, []byte{0, 2, 2, 1, 0, 0, 0, 0, 0x20, 1, 0xD, 0xB8, 23: 7}}                         // RFC 6275 6.4
	AH           = Extension{51, []byte{0, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}} // 96 bits of check value
	Mobility     = Extension{135, []byte{0, 0, 0, 0, 0, 0, 0, 0}}
	AtomicMarker = Extension{44, []byte{0, 0, 0, 0, 0, 0, 0, 1}} // offset 0, no more
)

// Fragment6 is an IPv6 fragment header; offset is in units of 8 bytes.
func Fragment6(offset uint16, more bool) Extension {
	word := offset << 3
	if more {
		word |= 1
	}
	return Extension{44, []byte{0, 0, byte(word >> 8), byte(word), 0, 0, 0, 1}}
}

// Packet says what a frame is to be. The zero value is an empty UDP datagram
// over IPv4, from 192.0.2.1 port 1000 to 198.51.100.2 port 2000, all checksums
// right.
type Packet struct {
	Tags       []Tag // outermost first
	SNAP       bool
	IPv6       bool
	Src, Dst   []byte // addresses, if not the usual ones
	TOS        uint8
	TTL        uint8
	ID         uint16
	Options    []byte      // of IPv4, a multiple of 4 bytes
	Extensions []Extension // of IPv6; of IPv4, AH alone
	Fragment   uint16      // IPv4 fragment word

	Proto            uint8 // 0 means UDP
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            uint8 // of TCP
	Window           uint16
	Urgent           uint16
	TCPOptions       []byte // a multiple of 4 bytes
	NoChecksum       bool   // of UDP
	Payload          []byte

	Padding int // bytes after the datagram
}

const (
	TCP  = uint8(header.TCPProtocolNumber)
	UDP  = uint8(header.UDPProtocolNumber)
	SCTP = 132
)

var (
	src4 = []byte{192, 0, 2, 1}
	dst4 = []byte{198, 51, 100, 2}
	src6 = []byte{0x20, 1, 0xD, 0xB8, 0, 1, 15: 1}
	dst6 = []byte{0x20, 1, 0xD, 0xB8, 0, 2, 15: 2}
)

// Frame encodes the packet.
func (p Packet) Frame() []byte {
	if p.Proto == 0 {
		p.Proto = UDP
	}
	if p.SrcPort == 0 && p.DstPort == 0 {
		p.SrcPort, p.DstPort = 1000, 2000
	}
	if p.Src == nil {
		p.Src, p.Dst = src4, dst4
		if p.IPv6 {
			p.Src, p.Dst = src6, dst6
		}
	}
	datagram := p.network(p.transport())
	b := p.ethernet(len(datagram))
	b = append(b, datagram...)
	return append(b, make([]byte, p.Padding)...)
}

func (p Packet) ethernet(datagramBytes int) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}
	for _, t := range p.Tags {
		b = binary.BigEndian.AppendUint16(b, t.TPID)
		b = binary.BigEndian.AppendUint16(b, t.TCI)
	}
	if p.SNAP {
		b = binary.BigEndian.AppendUint16(b, uint16(8+datagramBytes))
		b = append(b, 0xAA, 0xAA, 3, 0, 0, 0)
	}
	etherType := uint16(header.IPv4ProtocolNumber)
	if p.IPv6 {
		etherType = uint16(header.IPv6ProtocolNumber)
	}
	return binary.BigEndian.AppendUint16(b, etherType)
}

func (p Packet) network(l4 []byte) []byte {
	var extensions []byte
	for i, e := range p.Extensions {
		e.Bytes = append([]byte(nil), e.Bytes...)
		e.Bytes[0] = p.Proto
		if i+1 < len(p.Extensions) {
			e.Bytes[0] = p.Extensions[i+1].Proto
		}
		extensions = append(extensions, e.Bytes...)
	}
	first := p.Proto
	if len(p.Extensions) > 0 {
		first = p.Extensions[0].Proto
	}
	if p.TTL == 0 {
		p.TTL = 64
	}
	payload := append(extensions, l4...)
	if p.IPv6 {
		ip := header.IPv6(make([]byte, header.IPv6MinimumSize))
		ip.Encode(&header.IPv6Fields{
			TrafficClass: p.TOS, PayloadLength: uint16(len(payload)), HopLimit: p.TTL,
			TransportProtocol: tcpip.TransportProtocolNumber(first),
			SrcAddr:           tcpip.AddrFromSlice(p.Src), DstAddr: tcpip.AddrFromSlice(p.Dst),
		})
		return append(ip, payload...)
	}
	n := header.IPv4MinimumSize + len(p.Options)
	ip := header.IPv4(make([]byte, n))
	ip.Encode(&header.IPv4Fields{
		TOS: p.TOS, TotalLength: uint16(n + len(payload)), ID: p.ID, TTL: p.TTL, Protocol: first,
		SrcAddr: tcpip.AddrFromSlice(p.Src), DstAddr: tcpip.AddrFromSlice(p.Dst),
	})
	binary.BigEndian.PutUint16(ip[6:], p.Fragment)
	ip.SetHeaderLength(uint8(n))
	copy(ip[header.IPv4MinimumSize:], p.Options)
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(ip, payload...)
}

func (p Packet) transport() []byte {
	sum := func(l4 []byte) uint16 {
		pseudo := header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(p.Proto),
			tcpip.AddrFromSlice(p.Src), tcpip.AddrFromSlice(p.Dst), uint16(len(l4)))
		return ^checksum.Checksum(l4, pseudo)
	}
	switch p.Proto {
	case TCP:
		n := header.TCPMinimumSize + len(p.TCPOptions)
		tcp := header.TCP(make([]byte, n, n+len(p.Payload)))
		tcp.Encode(&header.TCPFields{
			SrcPort: p.SrcPort, DstPort: p.DstPort, SeqNum: p.Seq, AckNum: p.Ack, DataOffset: uint8(n),
			Flags: header.TCPFlags(p.Flags), WindowSize: p.Window, UrgentPointer: p.Urgent,
		})
		copy(tcp[header.TCPMinimumSize:], p.TCPOptions)
		tcp = append(tcp, p.Payload...)
		tcp.SetChecksum(sum(tcp))
		return tcp
	case UDP:
		udp := header.UDP(make([]byte, header.UDPMinimumSize))
		udp.Encode(&header.UDPFields{
			SrcPort: p.SrcPort, DstPort: p.DstPort, Length: uint16(header.UDPMinimumSize + len(p.Payload)),
		})
		udp = append(udp, p.Payload...)
		if !p.NoChecksum {
			v := sum(udp)
			if v == 0 {
				v = 0xFFFF
			}
			udp.SetChecksum(v)
		}
		return udp
	case SCTP:
		sctp := make([]byte, 12)
		binary.BigEndian.PutUint16(sctp, p.SrcPort)
		binary.BigEndian.PutUint16(sctp[2:], p.DstPort)
		sctp = append(sctp, p.Payload...)
		binary.LittleEndian.PutUint32(sctp[8:], crc32.Checksum(sctp, crc32.MakeTable(crc32.Castagnoli)))
		return sctp
	}
	return p.Payload
}

// Payload returns n bytes, each different from its neighbours.
func Payload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}
