package frame

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
)

// maxDumpBytes bounds the bytes that a Mismatch prints.
const maxDumpBytes = 160

// Mismatch is how a frame differs from what was expected of it.
type Mismatch struct {
	Want  []Layer
	Got   []Layer
	Data  []byte
	Notes []string // one a difference
}

func (m *Mismatch) Error() string {
	var b strings.Builder
	b.WriteString("the frame is not the expected one\n")
	fmt.Fprintf(&b, "  want  %s\n  got   %s\n", Format(m.Want), Format(m.Got))
	for _, n := range m.Notes {
		fmt.Fprintf(&b, "  %s\n", n)
	}
	shown := m.Data[:min(len(m.Data), maxDumpBytes)]
	for _, line := range strings.SplitAfter(strings.TrimSuffix(hex.Dump(shown), "\n"), "\n") {
		b.WriteString("    " + line)
	}
	if len(shown) < len(m.Data) {
		fmt.Fprintf(&b, "\n    and %d bytes more", len(m.Data)-len(shown))
	}
	return b.String()
}

// Match holds a frame against a pattern. Layers must be those of the pattern,
// in order; more may follow the pattern's last. It returns nil or a *Mismatch.
func Match(pattern []Layer, data []byte) error {
	if len(pattern) > 0 && pattern[0].Kind == "hex" {
		want := pattern[0].bytes("data")
		if len(pattern) == 1 && bytes.Equal(want, data) {
			return nil
		}
		return &Mismatch{Want: pattern, Got: Read(data), Data: data, Notes: []string{diffBytes(want, data)}}
	}
	m := &Mismatch{Want: pattern, Got: Read(data), Data: data}
	for i, w := range pattern {
		if i >= len(m.Got) {
			m.Notes = append(m.Notes, fmt.Sprintf("layer %s is missing", w.Kind))
			continue
		}
		g := m.Got[i]
		switch {
		case w.Kind == "payload":
			m.payload(w, data, g.off)
		case w.Kind == "hex" && g.Kind == "payload":
			m.hex(w, data, g.off)
		case w.Kind != g.Kind:
			m.Notes = append(m.Notes, fmt.Sprintf("layer %d is %s, want %s", i+1, g.Kind, w.Kind))
		default:
			m.fields(w, g)
		}
		if len(m.Notes) > 0 && w.Kind != g.Kind {
			break
		}
	}
	for _, g := range m.Got[min(len(pattern), len(m.Got)):] {
		m.fields(Layer{Kind: g.Kind}, g)
	}
	if len(m.Notes) == 0 {
		return nil
	}
	return m
}

// fields compares what w mentions, and the state of the checksum in any case.
func (m *Mismatch) fields(w, g Layer) {
	for _, f := range kinds[w.Kind].fields {
		want, mentioned := w.Fields[f.key]
		if f.key == "badcsum" && !mentioned {
			want, mentioned = "0", g.has(f.key)
		}
		if !mentioned || g.Fields[f.key] == want {
			continue
		}
		if f.key == "badcsum" {
			state := map[string]string{"0": "good", "1": "bad"}
			m.Notes = append(m.Notes, fmt.Sprintf("%s: the checksum %s is %s, want a %s one",
				w.Kind, g.get("csum"), state[g.get(f.key)], state[want]))
			continue
		}
		m.Notes = append(m.Notes, fmt.Sprintf("%s: %s is %s, want %s", w.Kind, f.key, orNone(g.Fields[f.key]), orNone(want)))
	}
}

func orNone(v string) string {
	if v == "" {
		return "none"
	}
	return v
}

// payload compares data, which starts at offset at of the frame, with what the
// layer would have built.
func (m *Mismatch) payload(w Layer, data []byte, at int) {
	got := m.rest(data, at)
	if !w.has("len") && !w.has("at") && !w.has("fill") && !w.has("data") {
		return
	}
	if w.has("len") && int(w.num("len")) != len(got) {
		m.Notes = append(m.Notes, fmt.Sprintf("payload: %d bytes, want %d", len(got), w.num("len")))
		return
	}
	if !w.has("len") {
		w = Layer{Kind: "payload", Fields: maps.Clone(w.Fields)}
		w.set("len", len(got))
	}
	want, err := payloadKind.build(nil, w, nil)
	if err != nil || !bytes.Equal(want, got) {
		m.Notes = append(m.Notes, "payload: "+diffBytes(want, got))
	}
}

func (m *Mismatch) hex(w Layer, data []byte, at int) {
	if want, got := w.bytes("data"), m.rest(data, at); !bytes.Equal(want, got) {
		m.Notes = append(m.Notes, diffBytes(want, got))
	}
}

// rest is what lies between offset at and the padding.
func (m *Mismatch) rest(data []byte, at int) []byte {
	end := len(data)
	if last := m.Got[len(m.Got)-1]; last.Kind == "pad" {
		end -= int(last.num("len"))
	}
	return data[min(at, end):end]
}

func diffBytes(want, got []byte) string {
	if len(want) != len(got) {
		return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
	}
	i := 0
	for i < len(want)-1 && want[i] == got[i] {
		i++
	}
	return fmt.Sprintf("byte %d is %#02x, want %#02x", i, got[i], want[i])
}
