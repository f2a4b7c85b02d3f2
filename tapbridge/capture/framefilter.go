package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"nicsim.dev/offloads/parse"
)

// FrameFilter picks frames by what is in them. It is written in the language of
// pcap-filter(7), of which it knows
//
//	arp, ip, ip6, tcp, udp, sctp, icmp, icmp6, esp, vlan, vlan ID
//	[src|dst] host ADDRESS, [src|dst] net PREFIX, ether [src|dst] host MAC
//	[tcp|udp|sctp] [src|dst] port N
//	broadcast, multicast, less BYTES, greater BYTES
//
// joined by and, or, not and parentheses; as there, and binds no tighter than
// or. Differs: VLAN tags are passed over, so that "tcp" finds tagged frames too
// and "vlan" changes nothing for what follows it. It belongs to one goroutine.
type FrameFilter struct {
	match    matcher
	view     viewed // reused
	gathered [headerBytes]byte
}

type matcher = func(*viewed) bool

// viewed is a frame as a filter looks at it.
type viewed struct {
	b     []byte // at least the headers
	bytes int    // of the frame
	parse.Headers
}

// headerBytes is how much of a frame in pieces a filter looks at: all headers
// that an adapter parses fit.
const headerBytes = 512

// Match says whether the filter picks a frame of one or more pieces.
func (f *FrameFilter) Match(first []byte, more [][]byte) bool {
	v := &f.view
	v.b, v.bytes = first, len(first)
	gather := len(more) > 0 && len(first) < headerBytes
	if gather {
		v.b = append(f.gathered[:0], first...)
	}
	for _, piece := range more {
		v.bytes += len(piece)
		if gather {
			v.b = append(v.b, piece[:min(headerBytes-len(v.b), len(piece))]...)
		}
	}
	parse.Frame(&v.Headers, v.b, etherServiceTag)
	match := f.match(v)
	v.b = nil // the caller's
	return match
}

const (
	etherServiceTag = 0x88A8 // IEEE 802.1Q 9.5: the outer tag
	// maxFilterBytes bounds a filter, and with it how deep it nests.
	maxFilterBytes = 1024
)

// ParseFrameFilter understands a filter. An empty one picks every frame. The
// error says what was expected.
func ParseFrameFilter(s string) (*FrameFilter, error) {
	if len(s) > maxFilterBytes {
		return nil, fmt.Errorf("filter: expected at most %d characters, found %d", maxFilterBytes, len(s))
	}
	spaced := strings.NewReplacer("(", " ( ", ")", " ) ", "!", " ! ", "&&", " and ", "||", " or ").Replace(s)
	p := &filterParser{words: strings.Fields(spaced)}
	if len(p.words) == 0 {
		return &FrameFilter{match: func(*viewed) bool { return true }}, nil
	}
	match, err := p.expression()
	if err == nil && len(p.words) > 0 {
		err = p.expected(`"and" or "or"`)
	}
	if err != nil {
		return nil, err
	}
	return &FrameFilter{match: match}, nil
}

type filterParser struct {
	words []string // not parsed yet
}

func (p *filterParser) expected(what string) error {
	if len(p.words) == 0 {
		return fmt.Errorf("filter: expected %s at the end", what)
	}
	return fmt.Errorf("filter: expected %s, found %q", what, p.words[0])
}

// accept takes the next word if it is one of these.
func (p *filterParser) accept(words ...string) (string, bool) {
	for _, w := range words {
		if len(p.words) > 0 && p.words[0] == w {
			p.words = p.words[1:]
			return w, true
		}
	}
	return "", false
}

func (p *filterParser) expression() (matcher, error) {
	left, err := p.factor()
	for err == nil {
		op, ok := p.accept("and", "or")
		if !ok {
			return left, nil
		}
		var right matcher
		if right, err = p.factor(); err != nil {
			break
		}
		a := left
		if op == "and" {
			left = func(v *viewed) bool { return a(v) && right(v) }
		} else {
			left = func(v *viewed) bool { return a(v) || right(v) }
		}
	}
	return nil, err
}

func (p *filterParser) factor() (matcher, error) {
	if _, ok := p.accept("not", "!"); ok {
		m, err := p.factor()
		return func(v *viewed) bool { return !m(v) }, err
	}
	if _, ok := p.accept("("); ok {
		m, err := p.expression()
		if err != nil {
			return nil, err
		}
		if _, ok := p.accept(")"); !ok {
			return nil, p.expected(`")"`)
		}
		return m, nil
	}
	return p.primitive()
}

// protocols are the words for what a frame is.
var protocols = map[string]matcher{
	"arp":       func(v *viewed) bool { return v.Is(parse.ARP) },
	"ip":        func(v *viewed) bool { return v.Is(parse.IPv4) },
	"ip6":       func(v *viewed) bool { return v.Is(parse.IPv6) },
	"tcp":       upper(6),
	"udp":       upper(17),
	"sctp":      upper(132),
	"esp":       upper(50),
	"icmp":      func(v *viewed) bool { return v.Is(parse.IPv4) && v.Proto == 1 },
	"icmp6":     func(v *viewed) bool { return v.Is(parse.IPv6) && v.Proto == 58 },
	"vlan":      func(v *viewed) bool { return v.Is(parse.Tagged) },
	"broadcast": func(v *viewed) bool { return len(v.b) >= 6 && string(v.b[:6]) == "\xff\xff\xff\xff\xff\xff" },
	"multicast": func(v *viewed) bool { return len(v.b) >= 6 && v.b[0]&1 != 0 },
}

func upper(proto uint8) matcher {
	return func(v *viewed) bool { return v.Any(parse.IPv4|parse.IPv6) && v.Proto == proto }
}

func (p *filterParser) primitive() (matcher, error) {
	if _, ok := p.accept("ether"); ok {
		return p.ether()
	}
	if op, ok := p.accept("less", "greater"); ok {
		n, err := p.number("a number of bytes", 1<<30)
		if op == "less" {
			return func(v *viewed) bool { return v.bytes <= n }, err
		}
		return func(v *viewed) bool { return v.bytes >= n }, err
	}
	if len(p.words) > 0 && protocols[p.words[0]] != nil {
		return p.protocol()
	}
	return p.addressed()
}

func (p *filterParser) protocol() (matcher, error) {
	word := p.words[0]
	p.words = p.words[1:]
	m := protocols[word]
	switch {
	case word == "vlan" && len(p.words) > 0 && p.words[0][0] >= '0' && p.words[0][0] <= '9':
		id, err := p.number("a VLAN", 4095)
		return func(v *viewed) bool {
			return v.Is(parse.Tagged) && int(v.InnerTCI&4095) == id ||
				v.Is(parse.DoubleTagged) && int(v.OuterTCI&4095) == id
		}, err
	case (word == "tcp" || word == "udp" || word == "sctp") && len(p.words) > 0:
		switch p.words[0] {
		case "port", "src", "dst":
			port, err := p.addressed()
			return func(v *viewed) bool { return m(v) && port(v) }, err
		}
	}
	return m, nil
}

// ends says which end of a frame's way is asked for.
type ends struct{ src, dst bool }

func (p *filterParser) ends() ends {
	switch word, _ := p.accept("src", "dst"); word {
	case "src":
		return ends{src: true}
	case "dst":
		return ends{dst: true}
	}
	return ends{true, true}
}

func (p *filterParser) ether() (matcher, error) {
	e := p.ends()
	if _, ok := p.accept("host"); !ok && e.src && e.dst {
		return nil, p.expected(`"host", "src" or "dst"`)
	}
	if len(p.words) == 0 {
		return nil, p.expected("a MAC address")
	}
	mac, err := net.ParseMAC(p.words[0])
	if err != nil || len(mac) != 6 {
		return nil, p.expected("a MAC address")
	}
	p.words = p.words[1:]
	want := string(mac)
	return func(v *viewed) bool {
		return len(v.b) >= 12 && (e.dst && string(v.b[:6]) == want || e.src && string(v.b[6:12]) == want)
	}, nil
}

// addressed parses what may begin with src or dst.
func (p *filterParser) addressed() (matcher, error) {
	e := p.ends()
	kind, ok := p.accept("host", "net", "port")
	switch {
	case !ok && e.src && e.dst:
		return nil, p.expected("a protocol, host, net, port, ether, less or greater")
	case !ok:
		kind = "host"
	}
	switch kind {
	case "port":
		n, err := p.number("a port", 65535)
		return e.port(uint16(n)), err
	case "net":
		if len(p.words) == 0 {
			return nil, p.expected("a network such as 192.0.2.0/24")
		}
		prefix, err := netip.ParsePrefix(p.words[0])
		if err != nil {
			return nil, p.expected("a network such as 192.0.2.0/24")
		}
		p.words = p.words[1:]
		return e.within(prefix), nil
	default:
		if len(p.words) == 0 {
			return nil, p.expected("an IP address")
		}
		addr, err := netip.ParseAddr(p.words[0])
		if err != nil || addr.Zone() != "" {
			return nil, p.expected("an IP address")
		}
		p.words = p.words[1:]
		return e.within(netip.PrefixFrom(addr, addr.BitLen())), nil
	}
}

func (p *filterParser) number(what string, most int) (int, error) {
	if len(p.words) == 0 {
		return 0, p.expected(what)
	}
	n, err := strconv.Atoi(p.words[0])
	if err != nil || n < 0 || n > most {
		return 0, p.expected(what)
	}
	p.words = p.words[1:]
	return n, nil
}

func (e ends) port(n uint16) matcher {
	return func(v *viewed) bool {
		at := int(v.L4)
		if at == 0 || at+4 > len(v.b) || v.Proto != 6 && v.Proto != 17 && v.Proto != 132 {
			return false
		}
		return e.src && binary.BigEndian.Uint16(v.b[at:]) == n ||
			e.dst && binary.BigEndian.Uint16(v.b[at+2:]) == n
	}
}

func (e ends) within(prefix netip.Prefix) matcher {
	prefix = prefix.Masked()
	return func(v *viewed) bool {
		src, dst, ok := v.addresses()
		return ok && (e.src && prefix.Contains(src) || e.dst && prefix.Contains(dst))
	}
}

// addresses returns those of IP and of ARP for IPv4 (RFC 826).
func (v *viewed) addresses() (src, dst netip.Addr, ok bool) {
	l3 := int(v.L3)
	switch {
	case v.Is(parse.IPv4):
		return netip.AddrFrom4([4]byte(v.b[l3+12:])), netip.AddrFrom4([4]byte(v.b[l3+16:])), true
	case v.Is(parse.IPv6):
		return netip.AddrFrom16([16]byte(v.b[l3+8:])), netip.AddrFrom16([16]byte(v.b[l3+24:])), true
	case v.Is(parse.ARP) && len(v.b) >= int(v.L2Bytes)+28:
		arp := v.b[v.L2Bytes:]
		if binary.BigEndian.Uint16(arp[2:]) != 0x0800 || arp[4] != 6 || arp[5] != 4 {
			return src, dst, false
		}
		return netip.AddrFrom4([4]byte(arp[14:])), netip.AddrFrom4([4]byte(arp[24:])), true
	}
	return src, dst, false
}
