package ktls

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Why a Writer cannot have a segment encrypted.
var (
	// ErrEarly says that a segment is of before the first record, and goes out as it is.
	ErrEarly = errors.New("ktls: of before the first record")
	// ErrNoRecord says that a segment must be dropped: its record is not known, or it begins
	// ahead of the first record and ends in it (tls-offload.rst, "Statistics").
	ErrNoRecord = errors.New("ktls: of no record that is remembered")
)

// Writer is the stack's part of sending: it frames records, in plain, and remembers them until
// they are acknowledged, so that segments can be sent again.
type Writer struct {
	format  format
	number  uint64   // of the next record
	end     uint32   // where it will begin
	records []record // oldest first
	early   bool     // what precedes the oldest is not of records
}

type record struct {
	start  uint32
	number uint64
	bytes  []byte
}

// NewWriter returns the writer of a connection whose next record, of this number, begins at a
// sequence number of TCP.
func NewWriter(k Key, seq uint32, number uint64) *Writer {
	return &Writer{format: k.format(), number: number, end: seq, early: true}
}

// Frame returns the next record with some content, at most MaxContentBytes, as a Transmitter
// takes it. It must not be changed.
func (w *Writer) Frame(typ uint8, content []byte) []byte {
	if len(content) > MaxContentBytes {
		panic("ktls: no record holds that much")
	}
	f := w.format
	b := make([]byte, f.headBytes+len(content)+f.innerBytes+TagBytes)
	b[0] = typ
	binary.BigEndian.PutUint16(b[1:], recordVersion)
	binary.BigEndian.PutUint16(b[3:], uint16(len(b)-HeaderBytes))
	if f.headBytes > HeaderBytes {
		// Any nonce that does not come twice will do (RFC 5288 3).
		binary.BigEndian.PutUint64(b[HeaderBytes:], w.number)
	}
	copy(b[f.headBytes:], content)
	if f.innerBytes > 0 {
		b[0], b[f.headBytes+len(content)] = ApplicationData, typ
	}
	w.records = append(w.records, record{w.end, w.number, b})
	w.number++
	w.end += uint32(len(b))
	return b
}

// Acked forgets the records that end before a sequence number or at it.
func (w *Writer) Acked(seq uint32) {
	n := 0
	for n < len(w.records) && int32(w.records[n].start+uint32(len(w.records[n].bytes))-seq) <= 0 {
		n++
	}
	if n > 0 {
		w.early = false
		w.records = slices.Delete(w.records, 0, n)
	}
}

// Unacked is the number of records that are remembered.
func (w *Writer) Unacked() int { return len(w.records) }

// Transmit is what a driver does with a segment: it has t encrypt it, from the record in
// which it begins if that is not where t is. If there is an error the segment has to be
// dropped, unless that is ErrEarly.
func (w *Writer) Transmit(t *Transmitter, seq uint32, payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	err := t.Transmit(seq, payload)
	if err != ErrSequence {
		return err
	}
	r, err := w.find(seq, len(payload))
	if err != nil {
		return err
	}
	if err := t.Resume(r.start, r.number, r.bytes[:seq-r.start]); err != nil {
		return err
	}
	return t.Transmit(seq, payload)
}

// find returns the record in which a segment begins.
func (w *Writer) find(seq uint32, bytes int) (record, error) {
	first := w.end
	if len(w.records) > 0 {
		first = w.records[0].start
	}
	if ahead := int32(first - seq); ahead > 0 {
		if w.early && bytes <= int(ahead) {
			return record{}, ErrEarly
		}
		return record{}, ErrNoRecord
	}
	i, found := slices.BinarySearchFunc(w.records, seq-first, func(r record, at uint32) int {
		return int(r.start-first) - int(at)
	})
	if !found {
		i--
	}
	if i < 0 || seq-w.records[i].start >= uint32(len(w.records[i].bytes)) {
		return record{}, ErrNoRecord
	}
	return w.records[i], nil
}
