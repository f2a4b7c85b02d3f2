package control

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// Event is a line of a trace: a nicsim.Event without the bytes of packets. Kind
// says which fields mean something. A line with nothing but Lost says how many
// events found no room.
type Event struct {
	At     sim.Time `json:"t"` // ns
	Device string   `json:"device"`
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Side   string   `json:"side"`
	Queue  int      `json:"queue"`
	Index  int      `json:"index"`
	Offset uint32   `json:"offset"`
	Value  uint64   `json:"value"`
	Data   string   `json:"data"` // a descriptor in hexadecimal, as it lies in memory
	Bytes  int      `json:"bytes"`
	ID     uint64   `json:"id"`
	Drop   string   `json:"drop"`
	Lost   uint64   `json:"lost"`
}

// The fields that an event kind has, after nicsim.EventKind.
const (
	hasName = 1 << iota
	hasSide
	hasQueue
	hasIndex
	hasOffset
	hasValue
	hasDescriptor
	hasPacket
)

var fieldsOf = [nicsim.NumEventKinds]uint8{
	nicsim.RegisterRead:    hasName | hasOffset | hasValue,
	nicsim.RegisterWrite:   hasName | hasOffset | hasValue,
	nicsim.Doorbell:        hasName | hasSide | hasQueue | hasValue,
	nicsim.DescriptorFetch: hasName | hasSide | hasQueue | hasIndex | hasDescriptor,
	nicsim.DescriptorWrite: hasName | hasSide | hasQueue | hasIndex | hasDescriptor,
	nicsim.Interrupt:       hasName | hasQueue | hasValue,
	nicsim.PacketQueue:     hasSide | hasQueue | hasPacket,
	nicsim.PacketWire:      hasSide | hasPacket,
	nicsim.Note:            hasName,
}

// maxDescriptorBytes bounds what a line shows of a descriptor.
const maxDescriptorBytes = 256

// appendEvent appends the line of an event. It allocates nothing, for it runs
// on the adapter's goroutine.
func appendEvent(b []byte, e *nicsim.Event) []byte {
	has := fieldsOf[e.Kind]
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, int64(e.At), 10)
	b = appendText(b, `,"device":`, e.Device)
	b = appendText(b, `,"kind":`, e.Kind.String())
	if has&hasName != 0 {
		b = appendText(b, `,"name":`, e.Name)
	}
	if has&hasSide != 0 {
		b = appendText(b, `,"side":`, e.Side.String())
	}
	if has&hasQueue != 0 {
		b = appendNumber(b, `,"queue":`, uint64(max(e.Queue, 0)))
	}
	if has&hasIndex != 0 {
		b = appendNumber(b, `,"index":`, uint64(max(e.Index, 0)))
	}
	if has&hasOffset != 0 {
		b = appendNumber(b, `,"offset":`, uint64(e.Offset))
	}
	if has&hasValue != 0 {
		b = appendNumber(b, `,"value":`, e.Value)
	}
	if has&hasDescriptor != 0 {
		b = append(b, `,"data":"`...)
		b = hex.AppendEncode(b, e.Data[:min(len(e.Data), maxDescriptorBytes)])
		b = append(b, '"')
	}
	if has&hasPacket != 0 {
		n := len(e.Data)
		for _, piece := range e.More {
			n += len(piece)
		}
		b = appendNumber(b, `,"bytes":`, uint64(n))
		b = appendNumber(b, `,"id":`, e.ID)
	}
	if e.Drop != nicsim.DropNone {
		b = appendText(b, `,"drop":`, e.Drop.String())
	}
	return append(b, "}\n"...)
}

func appendNumber(b []byte, key string, v uint64) []byte {
	return strconv.AppendUint(append(b, key...), v, 10)
}

// appendText appends a key and a JSON string.
func appendText(b []byte, key, s string) []byte {
	b = append(b, key...)
	b = append(b, '"')
	for _, r := range s { // what is not UTF-8 comes as utf8.RuneError
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// parseEvent reads a line of a trace.
func parseEvent(line []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, fmt.Errorf("control: a line of the trace: %w", err)
	}
	if e.Kind == "" && e.Lost == 0 {
		if why := refusal(line); why != nil {
			return Event{}, why
		}
	}
	return e, nil
}

// String returns the event as one line for people.
func (e Event) String() string {
	if e.Lost > 0 {
		return fmt.Sprintf("(%d events lost: the reader was too slow)", e.Lost)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s %-9s", e.At, e.Device, e.Kind)
	queue := e.Side + " " + strconv.Itoa(e.Queue)
	switch e.Kind {
	case nicsim.RegisterRead.String(), nicsim.RegisterWrite.String():
		fmt.Fprintf(&s, " %s [0x%05x] 0x%08x", e.Name, e.Offset, e.Value)
	case nicsim.Doorbell.String():
		fmt.Fprintf(&s, " %s %s to %d", queue, e.Name, e.Value)
	case nicsim.DescriptorFetch.String(), nicsim.DescriptorWrite.String():
		fmt.Fprintf(&s, " %s descriptor %d %s %s", queue, e.Index, e.Name, e.Data)
	case nicsim.Interrupt.String():
		fmt.Fprintf(&s, " %s vector %d cause 0x%08x", e.Name, e.Queue, e.Value)
	case nicsim.PacketQueue.String():
		fmt.Fprintf(&s, " %s %d bytes id %d", queue, e.Bytes, e.ID)
	case nicsim.PacketWire.String():
		fmt.Fprintf(&s, " %s %d bytes id %d", e.Side, e.Bytes, e.ID)
	default:
		fmt.Fprintf(&s, " %s", e.Name)
	}
	if e.Drop != "" {
		fmt.Fprintf(&s, " dropped: %s", e.Drop)
	}
	return s.String()
}
