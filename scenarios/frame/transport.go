package frame

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var ports = []field{
	{key: "sport", bits: 16, def: "1000"},
	{key: "dport", bits: 16, def: "2000"},
}

// summedBytes is the length in the pseudo-header: none in a packet whose segments
// get their own.
func summedBytes(l Layer, n int) int {
	if l.on("tso") {
		return 0
	}
	return n
}

var tcpKind = &kind{
	what: "TCP header (RFC 9293); opt is options in hexadecimal, partial leaves the checksum to an adapter, tso to one that segments",
	fields: append(ports[:2:2],
		field{key: "seq", bits: 32, def: "1"},
		field{key: "ack", bits: 32, def: "1"},
		field{key: "flags", form: tcpFlags, def: "A"},
		field{key: "win", bits: 16, def: "65535"},
		field{key: "urg", bits: 16, def: "0"},
		field{key: "opt", form: blob, def: ""},
		field{key: "badcsum", form: flag, def: "0"},
		field{key: "partial", form: flag, quiet: true},
		field{key: "tso", form: flag, quiet: true},
		field{key: "csum", form: hexa, bits: 16, quiet: true},
	),
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		opt := l.bytes("opt")
		if len(opt)%4 != 0 || len(opt) > 40 {
			return nil, errors.New("options come in words of 4 bytes, at most 10")
		}
		n := header.TCPMinimumSize + len(opt)
		initial, err := b.pseudo(uint8(header.TCPProtocolNumber), summedBytes(l, n+len(inner)))
		if err != nil {
			return nil, err
		}
		flags, _ := flagBits(l.get("flags"))
		h := make(header.TCP, n, n+len(inner))
		h.Encode(&header.TCPFields{
			SrcPort: uint16(l.num("sport")), DstPort: uint16(l.num("dport")),
			SeqNum: uint32(l.num("seq")), AckNum: uint32(l.num("ack")),
			DataOffset: uint8(n), Flags: header.TCPFlags(flags),
			WindowSize: uint16(l.num("win")), UrgentPointer: uint16(l.num("urg")),
		})
		copy(h[header.TCPMinimumSize:], opt)
		out := append(h, inner...)
		sum(l, out, out[header.TCPChecksumOffset:], initial, false)
		return out, nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "tcp", Fields: map[string]string{}}
		if len(b) < header.TCPMinimumSize {
			return l, 0, "", false
		}
		h := header.TCP(b)
		n := int(h.DataOffset())
		if n < header.TCPMinimumSize || n > len(b) {
			return l, 0, "", false
		}
		l.set("sport", h.SourcePort())
		l.set("dport", h.DestinationPort())
		l.set("seq", h.SequenceNumber())
		l.set("ack", h.AckNumber())
		l.set("flags", flagText(uint8(h.Flags())))
		l.set("win", h.WindowSize())
		l.set("urg", h.UrgentPointer())
		l.set("opt", b[header.TCPMinimumSize:n])
		l.set("badcsum", !good(b, pseudo(uint8(header.TCPProtocolNumber), p.src, p.dst, len(b))))
		l.set("csum", h.Checksum())
		return l, n, "", true
	},
}

// vxlanPort announces VXLAN (RFC 7348 5), ptpPort PTP event messages (IEEE 1588-2008 D.2).
const (
	vxlanPort = 4789
	ptpPort   = 319
)

var udpKind = &kind{
	what: "UDP header (RFC 768); nocsum sends no checksum, partial leaves it to an adapter, tso to one that segments",
	fields: append(ports[:2:2],
		field{key: "badcsum", form: flag, def: "0"},
		field{key: "nocsum", form: flag, def: "0"},
		field{key: "partial", form: flag, quiet: true},
		field{key: "tso", form: flag, quiet: true},
		field{key: "len", bits: 16, quiet: true},
		field{key: "csum", form: hexa, bits: 16, quiet: true},
	),
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		n := header.UDPMinimumSize + len(inner)
		initial, err := b.pseudo(uint8(header.UDPProtocolNumber), summedBytes(l, n))
		if err != nil {
			return nil, err
		}
		if !l.has("dport") {
			switch b.next() {
			case "vxlan":
				l.set("dport", vxlanPort)
			case "ptp":
				l.set("dport", ptpPort)
			}
		}
		length := n
		if l.has("len") {
			length = int(l.num("len"))
		} else if n > 0xFFFF { // to be segmented
			length = 0
		}
		h := make(header.UDP, header.UDPMinimumSize, n)
		h.Encode(&header.UDPFields{
			SrcPort: uint16(l.num("sport")), DstPort: uint16(l.num("dport")), Length: uint16(length),
		})
		out := append(h, inner...)
		if !l.on("nocsum") {
			sum(l, out, out[6:], initial, true)
		}
		return out, nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "udp", Fields: map[string]string{}}
		if len(b) < header.UDPMinimumSize {
			return l, 0, "", false
		}
		h := header.UDP(b)
		whole := b
		if n := int(h.Length()); n >= header.UDPMinimumSize && n < len(b) {
			whole, p.end = b[:n], n
		}
		l.set("sport", h.SourcePort())
		l.set("dport", h.DestinationPort())
		l.set("nocsum", h.Checksum() == 0)
		l.set("badcsum", h.Checksum() != 0 && !good(whole, pseudo(uint8(header.UDPProtocolNumber), p.src, p.dst, len(whole))))
		l.set("len", h.Length())
		l.set("csum", h.Checksum())
		next := ""
		switch h.DestinationPort() {
		case vxlanPort:
			next = "vxlan"
		case ptpPort:
			next = "ptp"
		}
		return l, header.UDPMinimumSize, next, true
	},
}

// crc32c is the checksum of SCTP (RFC 9260 6.8, appendix A).
var crc32c = crc32.MakeTable(crc32.Castagnoli)

const sctpBytes = 12

var sctpKind = &kind{
	what: "SCTP common header (RFC 9260 3.1)",
	fields: append(ports[:2:2],
		field{key: "tag", form: hexa, bits: 32, def: "0x0"},
		field{key: "badcsum", form: flag, def: "0"},
		field{key: "csum", form: hexa, bits: 32, quiet: true},
	),
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		out := binary.BigEndian.AppendUint16(nil, uint16(l.num("sport")))
		out = binary.BigEndian.AppendUint16(out, uint16(l.num("dport")))
		out = binary.BigEndian.AppendUint32(out, uint32(l.num("tag")))
		out = append(append(out, 0, 0, 0, 0), inner...)
		v := crc32.Checksum(out, crc32c)
		switch {
		case l.has("csum"):
			v = uint32(l.num("csum"))
		case l.on("badcsum"):
			v ^= 0x55555555
		}
		binary.LittleEndian.PutUint32(out[8:], v)
		return out, nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "sctp", Fields: map[string]string{}}
		if len(b) < sctpBytes {
			return l, 0, "", false
		}
		l.set("sport", binary.BigEndian.Uint16(b))
		l.set("dport", binary.BigEndian.Uint16(b[2:]))
		l.set("tag", binary.BigEndian.Uint32(b[4:]))
		stored := binary.LittleEndian.Uint32(b[8:])
		v := crc32.Update(0, crc32c, b[:8])
		v = crc32.Update(v, crc32c, []byte{0, 0, 0, 0})
		l.set("badcsum", crc32.Update(v, crc32c, b[sctpBytes:]) != stored)
		l.set("csum", stored)
		return l, sctpBytes, "", true
	},
}

const icmpBytes = 8

func icmpKind(name, what, echo string) *kind {
	v4 := name == "icmp4"
	return &kind{
		what: what + " message, an echo request unless it says otherwise",
		fields: []field{
			{key: "type", bits: 8, def: echo},
			{key: "code", bits: 8, def: "0"},
			{key: "id", bits: 16, def: "1"},
			{key: "seq", bits: 16, def: "1"},
			{key: "badcsum", form: flag, def: "0"},
			{key: "csum", form: hexa, bits: 16, quiet: true},
		},
		build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
			out := []byte{byte(l.num("type")), byte(l.num("code")), 0, 0}
			out = binary.BigEndian.AppendUint16(out, uint16(l.num("id")))
			out = binary.BigEndian.AppendUint16(out, uint16(l.num("seq")))
			out = append(out, inner...)
			initial := uint16(0)
			if !v4 {
				var err error
				if initial, err = b.pseudo(uint8(header.ICMPv6ProtocolNumber), len(out)); err != nil {
					return nil, err
				}
			}
			sum(l, out, out[2:], initial, false)
			return out, nil
		},
		parse: func(p *parser, b []byte) (Layer, int, string, bool) {
			l := Layer{Kind: name, Fields: map[string]string{}}
			if len(b) < icmpBytes {
				return l, 0, "", false
			}
			initial := uint16(0)
			if !v4 {
				initial = pseudo(uint8(header.ICMPv6ProtocolNumber), p.src, p.dst, len(b))
			}
			l.set("type", b[0])
			l.set("code", b[1])
			l.set("id", binary.BigEndian.Uint16(b[4:]))
			l.set("seq", binary.BigEndian.Uint16(b[6:]))
			l.set("badcsum", !good(b, initial))
			l.set("csum", binary.BigEndian.Uint16(b[2:]))
			return l, icmpBytes, "", true
		},
	}
}

var vxlanKind = &kind{
	what:   "VXLAN header (RFC 7348)",
	short:  "vni",
	fields: []field{{key: "vni", bits: 24, def: "1"}},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		h := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, uint32(l.num("vni"))<<8)
		return append(h, inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "vxlan", Fields: map[string]string{}}
		if len(b) < 8 || b[0] != 8 {
			return l, 0, "", false
		}
		l.set("vni", binary.BigEndian.Uint32(b[4:])>>8)
		return l, 8, "eth", true
	},
}
