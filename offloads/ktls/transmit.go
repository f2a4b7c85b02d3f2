package ktls

import (
	"errors"
	"fmt"
)

// ErrSequence says that bytes are not those that come next.
var ErrSequence = errors.New("ktls: not the sequence number that comes next")

// TxStats are a transmitter's counters, by the names that tls-offload.rst gives them.
type TxStats struct {
	EncryptedPackets uint64 // tx_tls_encrypted_packets
	EncryptedBytes   uint64 // tx_tls_encrypted_bytes, of TCP payload
	OutOfOrder       uint64 // tx_tls_ooo: packets that did not come next
	Resumes          uint64 // times that the state was built anew
	Replayed         uint64 // bytes that had to be handled again for that
	Errors           uint64 // packets that had to be dropped
}

// Transmitter encrypts the records of one connection as its segments pass. It has one
// owner.
type Transmitter struct {
	c       cursor
	next    uint32 // the sequence number that is expected
	lost    bool   // what comes next is not known
	scratch []byte
	stats   TxStats
}

// NewTransmitter returns the transmitter of a connection whose record of this number begins
// at a sequence number of TCP.
func NewTransmitter(k Key, seq uint32, number uint64) (*Transmitter, error) {
	c, err := newCursor(k, true)
	if err != nil {
		return nil, err
	}
	c.reset(number)
	return &Transmitter{c: c, next: seq}, nil
}

// Format names no secret.
func (t *Transmitter) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "TLS transmitter at %d", t.next) }

// Stats returns the counters.
func (t *Transmitter) Stats() TxStats { return t.stats }

// Transmit encrypts the payload of a segment where it is: records, or parts of them, in plain,
// with room for tags. If the error is ErrSequence nothing has happened, and Resume helps; if
// it is ErrFraming the segment must be dropped (tls-offload.rst, "Error handling").
func (t *Transmitter) Transmit(seq uint32, payload []byte) error {
	if t.lost || seq != t.next {
		t.stats.OutOfOrder++
		return ErrSequence
	}
	if err := t.handle(payload); err != nil {
		t.stats.Errors++
		return err
	}
	if len(payload) > 0 {
		t.stats.EncryptedPackets++
		t.stats.EncryptedBytes += uint64(len(payload))
	}
	return nil
}

// Resume makes ready for bytes other than those that come next, such as those of a
// retransmission: it builds the state anew from the record in which they lie, of which it gets
// where it begins, its number, and its bytes that precede them, in plain (tls-offload.rst,
// "Crypto state rebuilding"). What follows those bytes is expected from then on.
func (t *Transmitter) Resume(start uint32, number uint64, before []byte) error {
	t.stats.Resumes++
	t.stats.Replayed += uint64(len(before))
	t.c.reset(number)
	t.next, t.lost = start, false
	if len(before) > t.c.maxBytes() {
		t.lost = true
		return ErrFraming
	}
	t.scratch = append(t.scratch[:0], before...)
	if err := t.handle(t.scratch); err != nil {
		return err
	}
	if t.c.number != number {
		t.lost = true
		return ErrFraming
	}
	return nil
}

// handle encrypts what comes next.
func (t *Transmitter) handle(b []byte) error {
	t.next += uint32(len(b))
	for len(b) > 0 {
		n, err := t.c.step(b)
		if err != nil {
			t.lost = true
			return err
		}
		b = b[n:]
	}
	return nil
}
