package ktls

import "fmt"

// Status is what became of a packet that was received.
type Status uint8

// All but Decrypted say why a packet is as it was on the wire.
const (
	Empty     Status = iota // it has no payload
	Decrypted               // all of it was handled, and each record that ends in it is authentic
	Old                     // some of its bytes had come before
	Ahead                   // a header may be in what is missing ahead of it
	Partial                 // some of its bytes are of a record that was not seen from its begin on
	Searching               // where records begin, or their numbers, are not known
	Forged                  // a record that ends in it is not authentic
	numStatuses
)

func (s Status) String() string {
	if s < numStatuses {
		return [numStatuses]string{"empty", "decrypted", "old", "ahead", "partial", "searching", "forged"}[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Result is what the driver is told of a packet.
type Result struct {
	Status Status
	// Ask says that a record seems to begin at sequence number At, in this packet or with its
	// first bytes in the one before. Software is to say by Resync whether that is so and which.
	Ask bool
	At  uint32
}

// RxStats are a receiver's counters, by the names that tls-offload.rst gives them.
type RxStats struct {
	Packets        [numStatuses]uint64 // by what became of them; rx_tls_decrypted_packets
	DecryptedBytes uint64              // rx_tls_decrypted_bytes, of TCP payload
	Searches       uint64              // rx_tls_resync_req_start: times that the place was lost
	Asked          uint64              // rx_tls_resync_req_pkt
	Resynced       uint64              // rx_tls_resync_res_ok
	ResyncSkipped  uint64              // rx_tls_resync_res_skip: answers that came too late
	Errors         uint64              // rx_tls_err: records that are not authentic, or begin as none does
}

// Receiver decrypts the records of one connection as its segments pass. It has one owner.
//
// A packet is decrypted or it is what came from the wire, never something between. It is
// decrypted before the end of its last record is seen, as adapters hold no packet back. If
// that end turns out to be wrong, or missing, the packet that holds it goes up untouched,
// and software finds the record mixed: it has to encrypt again what was decrypted, and to
// decrypt, and check, the whole (Reader does).
type Receiver struct {
	c       cursor
	next    uint32 // the sequence number that is expected
	place   place
	guess   uint32 // where the guessed record begins
	window  uint64 // while searching, the last bytes; no header has a zero among its first
	scratch []byte
	stats   RxStats
}

// place is what a receiver knows of its place in the stream.
type place uint8

const (
	inSync    place = iota // the cursor's
	guessed                // the cursor's, but for the number, if a record began where it was guessed
	searching              // nothing
)

// NewReceiver returns the receiver of a connection whose record of this number begins at a
// sequence number of TCP.
func NewReceiver(k Key, seq uint32, number uint64) (*Receiver, error) {
	c, err := newCursor(k, false)
	if err != nil {
		return nil, err
	}
	c.reset(number)
	return &Receiver{c: c, next: seq}, nil
}

// Format names no secret.
func (r *Receiver) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "TLS receiver at %d", r.next) }

// Stats returns the counters.
func (r *Receiver) Stats() RxStats { return r.stats }

// Receive handles the payload of a segment, with a good checksum, where it is.
func (r *Receiver) Receive(seq uint32, payload []byte) Result {
	asked := r.stats.Asked
	res := Result{Status: r.receive(seq, payload)}
	if r.stats.Asked != asked && r.place == guessed {
		res.Ask, res.At = true, r.guess
	}
	r.stats.Packets[res.Status]++
	if res.Status == Decrypted {
		r.stats.DecryptedBytes += uint64(len(payload))
	}
	return res
}

func (r *Receiver) receive(seq uint32, payload []byte) Status {
	if len(payload) == 0 {
		return Empty
	}
	gap := int(int32(seq - r.next))
	if gap < 0 {
		// What is new in it is taken note of, so that the place is kept.
		if -gap < len(payload) {
			r.handle(payload[-gap:])
			clear(r.scratch)
		}
		return Old
	}
	if gap > 0 && !r.jump(gap, len(payload)) {
		return Ahead
	}
	status := r.handle(payload)
	if status == Decrypted {
		copy(payload, r.scratch)
	}
	clear(r.scratch)
	return status
}

// jump goes on after a gap. If the next header is known to lie behind it, that is what is
// waited for. If not, the packet that is missing may still come, until more came than a
// record can hold: then the search begins (tls-offload.rst, "Resync handling").
func (r *Receiver) jump(gap, bytes int) bool {
	left, known := r.c.left()
	switch {
	case r.place == searching:
		r.search()
	case known && gap <= left:
		r.c.pass(gap)
	case gap+bytes <= r.c.maxBytes():
		return false
	default:
		r.stats.Searches++
		r.search()
	}
	r.next += uint32(gap)
	return true
}

// search forgets the place.
func (r *Receiver) search() { r.place, r.window = searching, 0 }

// handle decrypts what comes next, in scratch memory, and says what became of it.
func (r *Receiver) handle(payload []byte) Status {
	r.scratch = append(r.scratch[:0], payload...)
	status := Decrypted
	for b := r.scratch; len(b) > 0; {
		if r.place == searching {
			n := r.scan(b)
			r.next += uint32(n)
			b = b[n:]
			status = max(status, Searching)
			continue
		}
		if r.place == guessed {
			r.c.blind = true
			status = max(status, Searching)
		} else if r.c.blind {
			status = max(status, Partial)
		}
		n, err := r.c.step(b)
		r.next += uint32(n)
		b = b[n:]
		switch err {
		case ErrAuth:
			r.stats.Errors++
			status = Forged
		case ErrFraming:
			r.misled()
			status = max(status, Searching)
		}
	}
	return status
}

// misled goes on where a header was expected and none was: at its second byte.
func (r *Receiver) misled() {
	if r.place == inSync {
		r.stats.Errors++
	}
	r.stats.Searches++
	r.search()
	for _, v := range r.c.head[1:HeaderBytes] {
		r.window = r.window<<8 | uint64(v)
	}
}

// scan looks for what may be the header of a record, up to its end, and makes it the guess.
func (r *Receiver) scan(b []byte) (n int) {
	for i, v := range b {
		r.window = r.window<<8 | uint64(v)
		if r.window>>16&0xffff != recordVersion {
			continue
		}
		var h [HeaderBytes]byte
		for k := range h {
			h[k] = byte(r.window >> (8 * (HeaderBytes - 1 - k)))
		}
		if size, ok := r.c.parse(h[:]); ok {
			r.c.reset(0)
			r.c.at, r.c.size = HeaderBytes, size
			r.place, r.guess = guessed, r.next+uint32(i+1-HeaderBytes)
			r.stats.Asked++
			return i + 1
		}
	}
	return len(b)
}

// Resync tells where a record of this number begins: the one that was asked for, or any that
// did not pass yet. Decryption goes on with the next record. It is false for an answer
// that comes too late.
func (r *Receiver) Resync(seq uint32, number uint64) bool {
	ahead := int(int32(seq - r.next))
	left, _ := r.c.left()
	switch {
	case r.place == guessed && seq == r.guess:
		// The cursor has counted the records since.
		r.c.number += number
		r.place = inSync
	case ahead < 0:
		r.stats.ResyncSkipped++
		return false
	case r.place == inSync && ahead == left && r.c.number+uint64(min(r.c.at, 1)) == number:
		// It is known.
	case ahead == 0:
		r.c.reset(number)
		r.place = inSync
	default:
		r.c.reset(number - 1)
		r.c.at, r.c.size, r.c.blind = HeaderBytes, HeaderBytes+ahead, true
		r.place = inSync
	}
	r.stats.Resynced++
	return true
}
