package frame

import (
	"encoding/binary"
	"errors"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// protocols announce the layers that may follow an IP header.
var protocols = map[string]uint8{
	"icmp4": 1, "ip4": 4, "tcp": 6, "udp": 17, "ip6": 41, "gre": 47, "icmp6": 58, "sctp": 132,
	"hopopts": 0, "routing": 43, "frag": 44, "dstopts": 60,
}

const (
	protoNoNext = 59  // RFC 8200 4.7
	protoTest   = 253 // RFC 3692
)

func kindOfProtocol(proto uint8) string {
	for name, p := range protocols {
		if p == proto {
			return name
		}
	}
	return ""
}

var ip4Kind = &kind{
	what: "IPv4 header (RFC 791); frag counts 8 bytes, opt is options in hexadecimal",
	fields: []field{
		{key: "src", form: ip4, def: "10.0.0.1"},
		{key: "dst", form: ip4, def: "10.0.0.2"},
		{key: "id", bits: 16, def: "0"},
		{key: "ttl", bits: 8, def: "64"},
		{key: "tos", form: hexa, bits: 8, def: "0x0"},
		{key: "df", form: flag, def: "0"},
		{key: "mf", form: flag, def: "0"},
		{key: "frag", bits: 13, def: "0"},
		{key: "opt", form: blob, def: ""},
		{key: "badcsum", form: flag, def: "0"},
		{key: "len", bits: 16, quiet: true},
		{key: "proto", bits: 8, quiet: true},
		{key: "csum", form: hexa, bits: 16, quiet: true},
	},
	build: buildIP4,
	parse: parseIP4,
}

func buildIP4(b *builder, l Layer, inner []byte) ([]byte, error) {
	opt := l.bytes("opt")
	if len(opt)%4 != 0 || len(opt) > 40 {
		return nil, errors.New("options come in words of 4 bytes, at most 10")
	}
	n := header.IPv4MinimumSize + len(opt)
	total := n + len(inner)
	if l.has("len") {
		total = int(l.num("len"))
	} else if total > 0xFFFF { // to be segmented
		total = 0
	}
	h := make(header.IPv4, n, n+len(inner))
	h.Encode(&header.IPv4Fields{
		TOS: uint8(l.num("tos")), TotalLength: uint16(total), ID: uint16(l.num("id")),
		Flags:          uint8(l.num("df")<<1 | l.num("mf")),
		FragmentOffset: uint16(l.num("frag")) * 8,
		TTL:            uint8(l.num("ttl")), Protocol: b.protocol(l, "proto"),
		SrcAddr: tcpip.AddrFromSlice(l.bytes("src")), DstAddr: tcpip.AddrFromSlice(l.bytes("dst")),
	})
	h.SetHeaderLength(uint8(n))
	copy(h[header.IPv4MinimumSize:], opt)
	h.SetChecksum(adjusted(l, ^h.CalculateChecksum()))
	return append(h, inner...), nil
}

func parseIP4(p *parser, b []byte) (Layer, int, string, bool) {
	l := Layer{Kind: "ip4", Fields: map[string]string{}}
	h := header.IPv4(b)
	if len(b) < header.IPv4MinimumSize || b[0]>>4 != 4 {
		return l, 0, "", false
	}
	n := int(h.HeaderLength())
	if n < header.IPv4MinimumSize || n > len(b) {
		return l, 0, "", false
	}
	if total := int(h.TotalLength()); total >= n && total < len(b) {
		p.end = total
	}
	p.src, p.dst = h.SourceAddressSlice(), h.DestinationAddressSlice()
	p.fragment = h.More() || h.FragmentOffset() != 0
	l.set("src", p.src)
	l.set("dst", p.dst)
	l.set("id", h.ID())
	l.set("ttl", h.TTL())
	tos, _ := h.TOS()
	l.set("tos", tos)
	l.set("df", h.Flags()&header.IPv4FlagDontFragment != 0)
	l.set("mf", h.More())
	l.set("frag", h.FragmentOffset()/8)
	l.set("opt", b[header.IPv4MinimumSize:n])
	l.set("badcsum", h.CalculateChecksum() != 0xFFFF)
	l.set("len", h.TotalLength())
	l.set("proto", h.Protocol())
	l.set("csum", h.Checksum())
	next := kindOfProtocol(h.Protocol())
	if p.fragment {
		next = ""
	}
	return l, n, next, true
}

var ip6Kind = &kind{
	what: "IPv6 header (RFC 8200)",
	fields: []field{
		{key: "src", form: ip6, def: "fd00::1"},
		{key: "dst", form: ip6, def: "fd00::2"},
		{key: "hop", bits: 8, def: "64"},
		{key: "tc", form: hexa, bits: 8, def: "0x0"},
		{key: "flow", form: hexa, bits: 20, def: "0x0"},
		{key: "len", bits: 16, quiet: true},
		{key: "next", bits: 8, quiet: true},
	},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		n := len(inner)
		if l.has("len") {
			n = int(l.num("len"))
		} else if n > 0xFFFF { // to be segmented
			n = 0
		}
		h := make(header.IPv6, header.IPv6MinimumSize, header.IPv6MinimumSize+len(inner))
		h.Encode(&header.IPv6Fields{
			TrafficClass: uint8(l.num("tc")), FlowLabel: uint32(l.num("flow")), PayloadLength: uint16(n),
			TransportProtocol: tcpip.TransportProtocolNumber(b.protocol(l, "next")), HopLimit: uint8(l.num("hop")),
			SrcAddr: tcpip.AddrFromSlice(l.bytes("src")), DstAddr: tcpip.AddrFromSlice(l.bytes("dst")),
		})
		return append(h, inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "ip6", Fields: map[string]string{}}
		if len(b) < header.IPv6MinimumSize || b[0]>>4 != 6 {
			return l, 0, "", false
		}
		h := header.IPv6(b)
		if end := header.IPv6MinimumSize + int(h.PayloadLength()); end < len(b) {
			p.end = end
		}
		p.src, p.dst, p.fragment = b[8:24], b[24:40], false
		l.set("src", p.src)
		l.set("dst", p.dst)
		l.set("hop", h.HopLimit())
		tc, flow := h.TOS()
		l.set("tc", tc)
		l.set("flow", flow)
		l.set("len", h.PayloadLength())
		l.set("next", h.NextHeader())
		return l, header.IPv6MinimumSize, kindOfProtocol(h.NextHeader()), true
	},
}

// Types of IPv6 options (RFC 8200 4.2).
const optPadN = 1

// optionsKind is an extension header of a length that can be chosen, filled
// with padding.
func optionsKind(name, what string) *kind {
	return &kind{
		what:   what,
		short:  "len",
		fields: []field{{key: "len", bits: 9, def: "8"}, {key: "next", bits: 8, quiet: true}},
		build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
			n := int(l.num("len"))
			if n < 8 || n > 256 || n%8 != 0 {
				return nil, errors.New("extension headers come in steps of 8 bytes, 8 to 256")
			}
			h := make([]byte, n, n+len(inner))
			h[0], h[1] = b.protocol(l, "next"), byte(n/8-1)
			if name != "routing" {
				h[2], h[3] = optPadN, byte(n-4)
			}
			return append(h, inner...), nil
		},
		parse: func(p *parser, b []byte) (Layer, int, string, bool) {
			l := Layer{Kind: name, Fields: map[string]string{}}
			if len(b) < 8 {
				return l, 0, "", false
			}
			n := (int(b[1]) + 1) * 8
			if n > len(b) {
				return l, 0, "", false
			}
			l.set("len", n)
			l.set("next", b[0])
			next := kindOfProtocol(b[0])
			if p.fragment {
				next = ""
			}
			return l, n, next, true
		},
	}
}

var fragKind = &kind{
	what: "IPv6 fragment header (RFC 8200 4.5); off counts 8 bytes",
	fields: []field{
		{key: "off", bits: 13, def: "0"},
		{key: "more", form: flag, def: "0"},
		{key: "id", form: hexa, bits: 32, def: "0x1"},
		{key: "next", bits: 8, quiet: true},
	},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		h := []byte{b.protocol(l, "next"), 0}
		h = binary.BigEndian.AppendUint16(h, uint16(l.num("off")<<3|l.num("more")))
		h = binary.BigEndian.AppendUint32(h, uint32(l.num("id")))
		return append(h, inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "frag", Fields: map[string]string{}}
		if len(b) < 8 {
			return l, 0, "", false
		}
		v := binary.BigEndian.Uint16(b[2:])
		l.set("off", v>>3)
		l.set("more", v&1 != 0)
		l.set("id", binary.BigEndian.Uint32(b[4:]))
		l.set("next", b[0])
		next := kindOfProtocol(b[0])
		if p.fragment = v&^6 != 0; p.fragment {
			next = ""
		}
		return l, 8, next, true
	},
}

var greKind = &kind{
	what:   "GRE header without options (RFC 2784)",
	fields: []field{{key: "type", form: hexa, bits: 16, quiet: true}},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		h := binary.BigEndian.AppendUint16([]byte{0, 0}, b.etherType(l))
		return append(h, inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "gre", Fields: map[string]string{}}
		if len(b) < 4 || binary.BigEndian.Uint16(b) != 0 {
			return l, 0, "", false
		}
		t := binary.BigEndian.Uint16(b[2:])
		l.set("type", t)
		return l, 4, kindOfType(t, b[4:]), true
	},
}
