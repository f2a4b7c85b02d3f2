package frame

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// etherTypes announce the layers that may follow a MAC header or a tag. What is
// not listed gets the type that IEEE 802 reserves for experiments.
var etherTypes = map[string]uint16{
	"ip4": 0x0800, "ip6": 0x86DD, "arp": 0x0806, "vlan": 0x8100, "qinq": 0x88A8,
	"pause": 0x8808, "pfc": 0x8808, "ptp": 0x88F7, "lldp": 0x88CC,
	"": 0x88B5, "payload": 0x88B5, "hex": 0x88B5, "pad": 0x88B5,
}

func kindOfType(t uint16, rest []byte) string {
	if t == 0x8808 && len(rest) >= 2 {
		switch binary.BigEndian.Uint16(rest) {
		case opPause:
			return "pause"
		case opPFC:
			return "pfc"
		}
		return ""
	}
	for _, name := range []string{"ip4", "ip6", "arp", "vlan", "qinq", "ptp"} {
		if etherTypes[name] == t {
			return name
		}
	}
	return ""
}

// Opcodes of MAC control frames (IEEE 802.3 31A, IEEE 802.1Q 36.1.3).
const (
	opPause = 0x0001
	opPFC   = 0x0101
)

// reserved are the destination addresses that protocols have of their own.
var reserved = map[string]string{
	"pause": "01:80:c2:00:00:01", "pfc": "01:80:c2:00:00:01", "ptp": "01:1b:19:00:00:00",
	"lldp": "01:80:c2:00:00:0e", "arp": "ff:ff:ff:ff:ff:ff",
}

var kinds map[string]*kind

func init() {
	kinds = map[string]*kind{
		"eth":     ethKind,
		"vlan":    tagKind("vlan", "IEEE 802.1Q tag"),
		"qinq":    tagKind("qinq", "IEEE 802.1ad outer tag"),
		"arp":     arpKind,
		"pause":   pauseKind,
		"pfc":     pfcKind,
		"ptp":     ptpKind,
		"ip4":     ip4Kind,
		"ip6":     ip6Kind,
		"hopopts": optionsKind("hopopts", "IPv6 hop-by-hop options (padding)"),
		"dstopts": optionsKind("dstopts", "IPv6 destination options (padding)"),
		"routing": optionsKind("routing", "IPv6 routing header with no segments left"),
		"frag":    fragKind,
		"tcp":     tcpKind,
		"udp":     udpKind,
		"sctp":    sctpKind,
		"icmp4":   icmpKind("icmp4", "ICMPv4", "8"),
		"icmp6":   icmpKind("icmp6", "ICMPv6", "128"),
		"vxlan":   vxlanKind,
		"gre":     greKind,
		"payload": payloadKind,
		"hex":     hexKind,
		"pad":     padKind,
	}
}

var ethKind = &kind{
	what: "MAC header",
	fields: []field{
		{key: "src", form: mac, def: "02:00:00:00:00:01"},
		{key: "dst", form: mac, def: "02:00:00:00:00:02"},
		{key: "type", form: hexa, bits: 16, quiet: true},
	},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		if own, ok := reserved[b.next()]; ok && !l.has("dst") {
			l.set("dst", own)
		}
		out := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+len(inner))
		header.Ethernet(out).Encode(&header.EthernetFields{
			SrcAddr: tcpip.LinkAddress(l.bytes("src")),
			DstAddr: tcpip.LinkAddress(l.bytes("dst")),
			Type:    tcpip.NetworkProtocolNumber(b.etherType(l)),
		})
		return append(out, inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "eth", Fields: map[string]string{}}
		if len(b) < header.EthernetMinimumSize {
			return l, 0, "", false
		}
		h := header.Ethernet(b)
		l.set("src", []byte(h.SourceAddress()))
		l.set("dst", []byte(h.DestinationAddress()))
		t := uint16(h.Type())
		l.set("type", t)
		if t < 0x600 && int(t) < len(b)-header.EthernetMinimumSize { // a length (IEEE 802.3 3.2.6)
			p.end = header.EthernetMinimumSize + int(t)
		}
		return l, header.EthernetMinimumSize, kindOfType(t, b[header.EthernetMinimumSize:]), true
	},
}

// tagKind is a VLAN tag. The type that announces it is the outer layer's, the
// type that it carries announces the next.
func tagKind(name, what string) *kind {
	return &kind{
		what:  what,
		short: "id",
		fields: []field{
			{key: "id", bits: 12, def: "1"},
			{key: "prio", bits: 3, def: "0"},
			{key: "dei", form: flag, def: "0"},
			{key: "type", form: hexa, bits: 16, quiet: true},
		},
		build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
			out := binary.BigEndian.AppendUint16(nil, uint16(l.num("prio")<<13|l.num("dei")<<12|l.num("id")))
			out = binary.BigEndian.AppendUint16(out, b.etherType(l))
			return append(out, inner...), nil
		},
		parse: func(p *parser, b []byte) (Layer, int, string, bool) {
			l := Layer{Kind: name, Fields: map[string]string{}}
			if len(b) < 4 {
				return l, 0, "", false
			}
			tci, t := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
			l.set("id", tci&0xFFF)
			l.set("prio", tci>>13)
			l.set("dei", tci&0x1000 != 0)
			l.set("type", t)
			return l, 4, kindOfType(t, b[4:]), true
		},
	}
}

var arpKind = &kind{
	what: "ARP for IPv4 over Ethernet (RFC 826)",
	fields: []field{
		{key: "op", bits: 16, def: "1"},
		{key: "sha", form: mac, def: "02:00:00:00:00:01"},
		{key: "spa", form: ip4, def: "10.0.0.1"},
		{key: "tha", form: mac, def: "00:00:00:00:00:00"},
		{key: "tpa", form: ip4, def: "10.0.0.2"},
	},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		h := make(header.ARP, header.ARPSize)
		h.SetIPv4OverEthernet()
		h.SetOp(header.ARPOp(l.num("op")))
		copy(h.HardwareAddressSender(), l.bytes("sha"))
		copy(h.ProtocolAddressSender(), l.bytes("spa"))
		copy(h.HardwareAddressTarget(), l.bytes("tha"))
		copy(h.ProtocolAddressTarget(), l.bytes("tpa"))
		return append(h, inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "arp", Fields: map[string]string{}}
		h := header.ARP(b)
		if !h.IsValid() {
			return l, 0, "", false
		}
		p.end = header.ARPSize
		l.set("op", uint16(h.Op()))
		l.set("sha", h.HardwareAddressSender())
		l.set("spa", h.ProtocolAddressSender())
		l.set("tha", h.HardwareAddressTarget())
		l.set("tpa", h.ProtocolAddressTarget())
		return l, header.ARPSize, "", true
	},
}

var pauseKind = &kind{
	what:   "link flow control (IEEE 802.3 31B)",
	short:  "quanta",
	fields: []field{{key: "quanta", bits: 16, def: "65535"}},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		out := binary.BigEndian.AppendUint16(nil, opPause)
		return append(binary.BigEndian.AppendUint16(out, uint16(l.num("quanta"))), inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "pause", Fields: map[string]string{}}
		if len(b) < 4 {
			return l, 0, "", false
		}
		p.end = 4
		l.set("quanta", binary.BigEndian.Uint16(b[2:]))
		return l, 4, "", true
	},
}

var pfcKind = &kind{
	what: "priority flow control (IEEE 802.1Q 36): times is 8 pairs of bytes",
	fields: []field{
		{key: "enable", form: hexa, bits: 8, def: "0xff"},
		{key: "times", form: blob, def: "ffffffffffffffffffffffffffffffff"},
	},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		out := binary.BigEndian.AppendUint16(nil, opPFC)
		out = binary.BigEndian.AppendUint16(out, uint16(l.num("enable")))
		times := make([]byte, 16)
		copy(times, l.bytes("times"))
		return append(append(out, times...), inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "pfc", Fields: map[string]string{}}
		if len(b) < 20 {
			return l, 0, "", false
		}
		p.end = 20
		l.set("enable", binary.BigEndian.Uint16(b[2:]))
		l.set("times", b[4:20])
		return l, 20, "", true
	},
}

// ptpBytes is the length of a Sync or Delay_Req message (IEEE 1588-2008 13.6).
const ptpBytes = 44

var ptpKind = &kind{
	what: "IEEE 1588-2008 message; type 0 is Sync, 1 Delay_Req",
	fields: []field{
		{key: "type", bits: 4, def: "0"},
		{key: "version", bits: 4, def: "2"},
		{key: "seq", bits: 16, def: "1"},
		{key: "control", bits: 8, def: "0"},
	},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		out := make([]byte, ptpBytes, ptpBytes+len(inner))
		out[0], out[1] = byte(l.num("type")), byte(l.num("version"))
		binary.BigEndian.PutUint16(out[2:], ptpBytes)
		binary.BigEndian.PutUint16(out[30:], uint16(l.num("seq")))
		out[32] = byte(l.num("control"))
		return append(out, inner...), nil
	},
	parse: func(p *parser, b []byte) (Layer, int, string, bool) {
		l := Layer{Kind: "ptp", Fields: map[string]string{}}
		if len(b) < ptpBytes {
			return l, 0, "", false
		}
		l.set("type", b[0]&0xF)
		l.set("version", b[1]&0xF)
		l.set("seq", binary.BigEndian.Uint16(b[30:]))
		l.set("control", b[32])
		return l, ptpBytes, "", true
	},
}
