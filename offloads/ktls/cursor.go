package ktls

import "errors"

// Why bytes cannot be handled.
var (
	// ErrFraming says that a record was expected and what came is the begin of none.
	ErrFraming = errors.New("ktls: no record of the connection begins like this")
	// ErrAuth says that a record is not authentic.
	ErrAuth = errors.New("ktls: the record is not authentic")
)

// cursor is a place in a stream of records, and what has to be known of the record there: the
// state that Linux wants of a device (tls-offload.rst, "Normal operation").
type cursor struct {
	format
	stream  *stream
	iv      [nonceBytes]byte
	sealing bool

	number uint64             // of the record
	at     int                // its bytes that have passed
	size   int                // its bytes; 0 until its header has passed
	blind  bool               // it is passed over: not all of it was there, or its number is not known
	head   [headMaxBytes]byte // its first bytes
	tag    [TagBytes]byte     // its tag, when all of the text has passed
	differ byte               // in what the tag differs from the one that came
	aad    [aadMaxBytes]byte
}

func newCursor(k Key, sealing bool) (cursor, error) {
	s, err := newStream(k)
	return cursor{format: k.format(), stream: s, iv: k.IV, sealing: sealing}, err
}

// reset moves it to the begin of a record.
func (c *cursor) reset(number uint64) { c.number, c.at, c.size, c.blind = number, 0, 0, false }

// left is how many bytes of the record are to come, when that is known.
func (c *cursor) left() (n int, known bool) { return c.size - c.at, c.size > 0 }

// pass passes over the next n bytes, at most what is left of the record, without looking.
func (c *cursor) pass(n int) {
	c.blind = true
	c.at += n
	c.end()
}

// step handles bytes at the begin of b, where they are, and returns how many: those of one
// part of a record. The error is ErrFraming, and then the cursor has no place, or ErrAuth, and
// then it is at the begin of the next record.
func (c *cursor) step(b []byte) (n int, err error) {
	text := c.size - TagBytes // where it ends
	switch {
	case c.at < HeaderBytes:
		n = copy(c.head[c.at:HeaderBytes], b)
		c.at += n
		if c.at < HeaderBytes {
			return n, nil
		}
		size, ok := c.parse(c.head[:])
		if !ok {
			return n, ErrFraming
		}
		c.size = size
		c.begin()
	case c.blind:
		n = min(len(b), c.size-c.at)
		c.at += n
		c.end()
	case c.at < c.headBytes:
		n = copy(c.head[c.at:c.headBytes], b)
		c.at += n
		c.begin()
	case c.at < text:
		n = min(len(b), text-c.at)
		c.at += n
		if c.sealing {
			c.stream.seal(b[:n])
		} else {
			c.stream.open(b[:n])
		}
		c.finish()
	default:
		n = min(len(b), c.size-c.at)
		for i, want := range c.tag[c.at-text:][:n] {
			if c.sealing {
				b[i] = want
			}
			c.differ |= b[i] ^ want
		}
		c.at += n
		if c.at == c.size && c.differ != 0 {
			err = ErrAuth
		}
		c.end()
	}
	return n, err
}

// begin starts the text when all that precedes it has passed.
func (c *cursor) begin() {
	if c.at < c.headBytes || c.blind {
		return
	}
	text := c.size - c.headBytes - TagBytes
	c.stream.begin(c.nonce(&c.iv, c.head[:], c.number), c.format.aad(&c.aad, c.head[:], c.number, text), text)
	c.finish()
}

// finish makes the tag when all of the text has passed.
func (c *cursor) finish() {
	if c.at == c.size-TagBytes {
		c.tag, c.differ = c.stream.tag(), 0
	}
}

// end goes on to the next record at the end of one.
func (c *cursor) end() {
	if c.at == c.size {
		c.reset(c.number + 1)
	}
}
