// Package frame is the language in which scenarios write Ethernet frames, one
// layer after another:
//
//	eth(src=A,dst=B)/vlan(5)/ip4(id=7)/tcp(seq=1,flags=PA)/payload(1000)
//
// A text is built into bytes, with lengths, next-protocol numbers and checksums
// filled in, or serves as a pattern that bytes are held against: what a pattern
// does not mention is not compared, except that checksums must be good. Bytes
// are printed in the same language. Headers are encoded by gVisor's header
// package, never by what a scenario tests.
package frame

import (
	"fmt"
	"slices"
	"strings"
)

// Layer is one header, or the payload, with its fields in normal form.
type Layer struct {
	Kind   string
	Fields map[string]string

	off int // where it starts, in a frame that was read
}

// Names are words that may stand for an address, such as an adapter's name for
// its MAC address.
type Names map[string]string

// SyntaxError says what is wrong with the text of a frame and what was expected.
type SyntaxError struct {
	Text string // the part that is wrong
	Want string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("frame: %q: expected %s", e.Text, e.Want) }

// Parse reads layers from text. Fields that text does not mention are absent.
func Parse(text string, names Names) ([]Layer, error) {
	var layers []Layer
	for _, part := range splitLayers(text) {
		l, err := parseLayer(part, names)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// splitLayers cuts text at the slashes outside parentheses.
func splitLayers(text string) []string {
	var parts []string
	depth, start := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '/':
			if depth == 0 {
				parts = append(parts, text[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, text[start:])
}

func parseLayer(text string, names Names) (Layer, error) {
	name, args, hasArgs := strings.Cut(text, "(")
	k := kinds[name]
	if k == nil {
		return Layer{}, &SyntaxError{name, "a layer: " + strings.Join(Kinds(), ", ")}
	}
	l := Layer{Kind: name, Fields: map[string]string{}}
	if !hasArgs {
		return l, nil
	}
	args, ok := strings.CutSuffix(args, ")")
	if !ok {
		return l, &SyntaxError{text, "a closing parenthesis"}
	}
	if args == "" {
		return l, nil
	}
	for i, arg := range strings.Split(args, ",") {
		key, value, hasValue := strings.Cut(arg, "=")
		if !hasValue && i == 0 && k.short != "" && k.field(key) == nil {
			key, value, hasValue = k.short, key, true
		}
		f := k.field(key)
		if f == nil {
			return l, &SyntaxError{arg, "a field of " + name + ": " + strings.Join(k.keys(), ", ")}
		}
		if _, twice := l.Fields[key]; twice {
			return l, &SyntaxError{arg, "each field once"}
		}
		if !hasValue && f.form != flag {
			return l, &SyntaxError{arg, key + "=" + f.form.want()}
		}
		if sub, ok := names[value]; ok && (f.form == mac || f.form == ip4 || f.form == ip6) {
			value = sub
		}
		normal, ok := f.form.normal(value)
		if !ok {
			return l, &SyntaxError{arg, key + "=" + f.form.want()}
		}
		l.Fields[key] = normal
	}
	return l, nil
}

// String prints the layer as it would be written, leaving out what has its
// default value.
func (l Layer) String() string {
	k := kinds[l.Kind]
	var args []string
	for _, f := range k.fields {
		v, ok := l.Fields[f.key]
		switch {
		case !ok || f.quiet || f.form != flag && v == f.def && f.key != k.short:
		case f.form == flag:
			if v == "1" {
				args = append(args, f.key)
			}
		case f.key == k.short && len(args) == 0:
			args = append(args, v)
		default:
			args = append(args, f.key+"="+v)
		}
	}
	if len(args) == 0 {
		return l.Kind
	}
	return l.Kind + "(" + strings.Join(args, ",") + ")"
}

// Format prints layers as a frame is written.
func Format(layers []Layer) string {
	parts := make([]string, len(layers))
	for i, l := range layers {
		parts[i] = l.String()
	}
	return strings.Join(parts, "/")
}

// Kinds returns the names of all layers.
func Kinds() []string {
	var names []string
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Describe prints one line about each layer and its fields.
func Describe() string {
	var b strings.Builder
	for _, name := range Kinds() {
		k := kinds[name]
		fmt.Fprintf(&b, "%-9s %s: %s\n", name, k.what, strings.Join(k.keys(), ", "))
	}
	return b.String()
}
