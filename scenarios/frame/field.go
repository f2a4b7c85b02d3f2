package frame

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// form is how a field's value is written.
type form uint8

const (
	num  form = iota // decimal or 0x...; kept as decimal
	hexa             // the same; kept as 0x...
	mac
	ip4
	ip6
	tcpFlags // letters of FSRPAUEC, or - for none
	blob     // bytes in hexadecimal
	flag     // present or absent
)

// tcpFlagLetters are FIN, SYN, RST, PSH, ACK, URG, ECE and CWR, bit 0 first.
const tcpFlagLetters = "FSRPAUEC"

func (f form) want() string {
	switch f {
	case mac:
		return "a MAC address or an adapter's name"
	case ip4:
		return "an IPv4 address"
	case ip6:
		return "an IPv6 address"
	case tcpFlags:
		return "letters of " + tcpFlagLetters + ", or - for none"
	case blob:
		return "bytes in hexadecimal"
	case flag:
		return "0 or 1"
	}
	return "a number"
}

// normal returns the one way in which a value is written.
func (f form) normal(v string) (string, bool) {
	switch f {
	case num, hexa:
		n, err := strconv.ParseUint(v, 0, 64)
		if f == hexa {
			return fmt.Sprintf("0x%x", n), err == nil
		}
		return strconv.FormatUint(n, 10), err == nil
	case mac:
		m, err := net.ParseMAC(v)
		return m.String(), err == nil && len(m) == 6
	case ip4, ip6:
		a, err := netip.ParseAddr(v)
		return a.String(), err == nil && a.Is4() == (f == ip4) && a.Zone() == ""
	case tcpFlags:
		bits, ok := flagBits(v)
		return flagText(bits), ok
	case blob:
		b, err := hex.DecodeString(v)
		return hex.EncodeToString(b), err == nil
	case flag:
		if v == "" {
			v = "1"
		}
		return v, v == "0" || v == "1"
	}
	return v, false
}

func flagBits(letters string) (bits uint8, ok bool) {
	if letters == "-" {
		return 0, true
	}
	for _, c := range letters {
		i := strings.IndexRune(tcpFlagLetters, c)
		if i < 0 {
			return 0, false
		}
		bits |= 1 << i
	}
	return bits, letters != ""
}

func flagText(bits uint8) string {
	var text strings.Builder
	for i := range len(tcpFlagLetters) {
		if bits>>i&1 != 0 {
			text.WriteString(tcpFlagLetters[i : i+1])
		}
	}
	if text.String() == "" {
		return "-"
	}
	return text.String()
}

// field is a named part of a layer.
type field struct {
	key   string
	form  form
	bits  int    // width of a number
	def   string // what it is when nothing is said; empty: worked out
	quiet bool   // not printed, though it can be asked for
}

// kind is what there is to know about a sort of layer.
type kind struct {
	what   string
	short  string // the field whose name may be left out
	fields []field
	// build puts the header ahead of inner, which it may still change.
	build func(b *builder, l Layer, inner []byte) ([]byte, error)
	// parse reads a header, says how many bytes it took and what kind follows;
	// "" when the rest is payload.
	parse func(p *parser, b []byte) (l Layer, n int, next string, ok bool)
}

func (k *kind) field(key string) *field {
	for i := range k.fields {
		if k.fields[i].key == key {
			return &k.fields[i]
		}
	}
	return nil
}

func (k *kind) keys() []string {
	keys := make([]string, len(k.fields))
	for i, f := range k.fields {
		keys[i] = f.key
	}
	return keys
}

// get returns the field's value, or its default.
func (l Layer) get(key string) string {
	if v, ok := l.Fields[key]; ok {
		return v
	}
	return kinds[l.Kind].field(key).def
}

func (l Layer) has(key string) bool { _, ok := l.Fields[key]; return ok }
func (l Layer) on(key string) bool  { return l.Fields[key] == "1" }

func (l Layer) num(key string) uint64 {
	n, _ := strconv.ParseUint(l.get(key), 0, 64)
	return n
}

func (l Layer) bytes(key string) []byte {
	v := l.get(key)
	switch kinds[l.Kind].field(key).form {
	case mac:
		m, _ := net.ParseMAC(v)
		return m
	case ip4, ip6:
		a, _ := netip.ParseAddr(v)
		return a.AsSlice()
	}
	b, _ := hex.DecodeString(v)
	return b
}

// check refuses numbers that do not fit their field.
func (l Layer) check() error {
	for _, f := range kinds[l.Kind].fields {
		if (f.form == num || f.form == hexa) && f.bits > 0 && f.bits < 64 && l.num(f.key)>>f.bits != 0 {
			return &SyntaxError{l.Kind + "(" + f.key + "=" + l.get(f.key) + ")", fmt.Sprintf("at most %d bits", f.bits)}
		}
	}
	return nil
}

func (l Layer) set(key string, value any) {
	switch v := value.(type) {
	case []byte:
		switch kinds[l.Kind].field(key).form {
		case mac:
			l.Fields[key] = net.HardwareAddr(v).String()
		case ip4, ip6:
			a, _ := netip.AddrFromSlice(v)
			l.Fields[key] = a.String()
		default:
			l.Fields[key] = hex.EncodeToString(v)
		}
	case bool:
		l.Fields[key] = "0"
		if v {
			l.Fields[key] = "1"
		}
	case string:
		l.Fields[key] = v
	default:
		l.Fields[key], _ = kinds[l.Kind].field(key).form.normal(fmt.Sprint(v))
	}
}
