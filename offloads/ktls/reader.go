package ktls

import (
	"crypto/subtle"
	"errors"
	"fmt"
)

// ErrShort says that a record has not come whole.
var ErrShort = errors.New("ktls: more of the record is to come")

// How long the stack waits until it tells an adapter by itself where records begin: for so
// many records that came encrypted, then for twice as many (tls-offload.rst, "Stack-driven
// resynchronization").
const (
	hintAfter    = 2
	hintAfterMax = 128
)

// ReadStats are a reader's counters of records.
type ReadStats struct {
	Offloaded uint64 // that the adapter had decrypted
	Mixed     uint64 // of which it had decrypted a part
	Software  uint64 // that it had left alone
}

// Reader is the stack's part of receiving: it finds the records in the stream, opens those
// that the adapter has not decrypted or not as a whole, and knows what the adapter asks.
type Reader struct {
	format format
	stream *stream
	iv     [nonceBytes]byte
	aad    [aadMaxBytes]byte
	nonce  [nonceBytes]byte
	err    error // that ended the stream

	seq    uint32 // where the record at hand begins
	number uint64
	bytes  []byte
	size   int    // 0 until the header is there
	plain  []span // what of it came decrypted

	asked    bool
	ask      uint32
	answered bool
	answer   uint64

	failed int // records in a row that came encrypted
	target int // how many make a hint due

	stats ReadStats
}

// span is a part of a record.
type span struct{ from, to int }

// NewReader returns the reader of a connection whose record of this number begins at a
// sequence number of TCP.
func NewReader(k Key, seq uint32, number uint64) (*Reader, error) {
	s, err := newStream(k)
	if err != nil {
		return nil, err
	}
	return &Reader{format: k.format(), stream: s, iv: k.IV, seq: seq, number: number, target: hintAfter}, nil
}

// Format names no secret.
func (r *Reader) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "TLS reader at %d", r.seq) }

// Stats returns the counters.
func (r *Reader) Stats() ReadStats { return r.stats }

// Take takes what comes next in the stream, at most to the end of the record, and returns how
// much. All of b is of packets that were decrypted, or of none.
func (r *Reader) Take(b []byte, decrypted bool) (n int) {
	for r.err == nil && n < len(b) {
		want := HeaderBytes
		if r.size > 0 {
			want = r.size
		}
		had := len(r.bytes)
		k := min(len(b)-n, want-had)
		if k == 0 {
			break
		}
		r.bytes = append(r.bytes, b[n:n+k]...)
		n += k
		if decrypted {
			r.mark(had, had+k)
		}
		if r.size == 0 && len(r.bytes) == HeaderBytes {
			r.begin()
		}
	}
	return n
}

// mark notes that a part of the record came decrypted.
func (r *Reader) mark(from, to int) {
	if last := len(r.plain) - 1; last >= 0 && r.plain[last].to == from {
		r.plain[last].to = to
		return
	}
	r.plain = append(r.plain, span{from, to})
}

func (r *Reader) begin() {
	size, ok := r.format.parse(r.bytes)
	if !ok {
		r.err = ErrFraming
		return
	}
	r.size = size
	r.check()
}

// Next returns the type and the content of the record, which are valid until the next Take,
// and goes on to the one that follows. ErrShort says that the record is not whole; any other
// error is the end of the stream, and nothing of the record is left.
func (r *Reader) Next() (typ uint8, content []byte, err error) {
	if r.err != nil {
		return 0, nil, r.err
	}
	if r.size == 0 || len(r.bytes) < r.size {
		return 0, nil, ErrShort
	}
	rec := r.bytes
	text := rec[r.format.headBytes : r.size-TagBytes]
	if !r.open(rec, text) {
		clear(rec)
		r.err = ErrAuth
		return 0, nil, r.err
	}
	typ = rec[0]
	if r.format.innerBytes > 0 {
		n := len(text)
		for n > 0 && text[n-1] == 0 {
			n--
		}
		if n == 0 { // RFC 8446 5.4
			r.err = ErrFraming
			return 0, nil, r.err
		}
		typ, text = text[n-1], text[:n-1]
	}
	r.seq += uint32(r.size)
	r.number++
	r.size, r.bytes, r.plain = 0, r.bytes[:0], r.plain[:0]
	return typ, text, nil
}

// open decrypts what of a record came encrypted, and says whether it is authentic. What came
// decrypted altogether was found so by the adapter.
func (r *Reader) open(rec, text []byte) bool {
	if len(r.plain) == 1 && r.plain[0] == (span{0, r.size}) {
		r.stats.Offloaded++
		r.failed, r.target = 0, hintAfter
		return true
	}
	r.nonce = r.format.nonce(&r.iv, rec, r.number)
	aad := r.format.aad(&r.aad, rec, r.number, len(text))
	if len(r.plain) > 0 {
		r.stats.Mixed++
		r.failed, r.target = 0, hintAfter
		r.encrypt(text, aad)
	} else {
		r.stats.Software++
		r.failed++
	}
	_, err := r.stream.whole.Open(text[:0], r.nonce[:], rec[r.format.headBytes:], aad)
	return err == nil
}

// encrypt makes the record what it was on the wire.
func (r *Reader) encrypt(text, aad []byte) {
	r.stream.begin(r.nonce, aad, len(text))
	for _, p := range r.plain {
		from, to := max(p.from-r.format.headBytes, 0), min(p.to-r.format.headBytes, len(text))
		if from < to {
			subtle.XORBytes(text[from:to], text[from:to], r.stream.keys[from:])
		}
	}
}

// Ask notes that the adapter asks whether a record begins at a sequence number. It must be
// told before the bytes from there on are taken.
func (r *Reader) Ask(seq uint32) {
	r.asked, r.answered, r.ask = true, false, seq
	r.check()
}

// check answers what was asked, when the header of the record at hand is there.
func (r *Reader) check() {
	if r.asked && r.size > 0 && r.seq == r.ask {
		r.asked, r.answered, r.answer = false, true, r.number
	}
}

// Answer returns, once, what Receiver.Resync is to be told: that a record begins where the
// adapter has asked, and its number. Where none begins there is no answer (tls-offload.rst,
// "Stream scan resynchronization").
func (r *Reader) Answer() (seq uint32, number uint64, ok bool) {
	ok = r.answered
	r.answered = false
	return r.ask, r.answer, ok
}

// Hint returns what Receiver.Resync may be told by itself when all that was received has been
// taken: where the next record begins, and its number. It is due when several records in a row
// came encrypted, and then only when twice as many did.
func (r *Reader) Hint() (seq uint32, number uint64, due bool) {
	if r.err != nil || r.failed < r.target || len(r.bytes) > 0 && r.size == 0 {
		return 0, 0, false
	}
	r.failed = 0
	r.target = min(2*r.target, hintAfterMax)
	if r.size == 0 {
		return r.seq, r.number, true
	}
	return r.seq + uint32(r.size), r.number + 1, true
}
