package control

import (
	"strconv"
	"sync"

	"nicsim.dev/nicsim"
	"nicsim.dev/tapbridge/capture"
)

// queue holds bytes between an adapter and a client's socket. Neither side
// waits for the other: what does not fit is refused.
type queue struct {
	limit int
	ready chan struct{} // holds a token while there may be something to take

	mu  sync.Mutex
	buf []byte
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, ready: make(chan struct{}, 1)}
}

// Write takes all of b or, with capture.ErrFull, nothing.
func (q *queue) Write(b []byte) (int, error) {
	q.mu.Lock()
	if len(q.buf)+len(b) > q.limit {
		q.mu.Unlock()
		return 0, capture.ErrFull
	}
	q.buf = append(q.buf, b...)
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return len(b), nil
}

// take returns what is in the queue, in exchange for a buffer to go on with.
func (q *queue) take(spare []byte) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := q.buf
	q.buf = spare[:0]
	return full
}

// watcher is a client's part in what adapters do.
type watcher interface {
	nicsim.Probe
	stop()   // observes nothing from now on
	finish() // writes what is left to say; after stop
}

// captor is a watcher that gets packets.
type captor struct {
	mu   sync.Mutex
	tap  *capture.Tap
	done bool
}

func (c *captor) Observe(e *nicsim.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.tap.Observe(e)
	}
}

func (c *captor) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
}

func (c *captor) finish() {
	_ = c.tap.Close() // the queue has no errors but being full
}

// tracer is a watcher that gets lines.
type tracer struct {
	pick picker
	out  *queue

	mu   sync.Mutex
	line []byte // reused
	lost uint64
	done bool
}

func (t *tracer) Observe(e *nicsim.Event) {
	if !t.pick.picks(e) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return
	}
	t.line = appendEvent(t.tellLost(t.line[:0]), e)
	if _, err := t.out.Write(t.line); err != nil {
		t.lost++
		return
	}
	t.lost = 0
}

func (t *tracer) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = true
}

func (t *tracer) finish() {
	_, _ = t.out.Write(t.tellLost(t.line[:0])) // the queue has no errors but being full
}

func (t *tracer) tellLost(b []byte) []byte {
	if t.lost == 0 {
		return b
	}
	b = strconv.AppendUint(append(b, `{"lost":`...), t.lost, 10)
	return append(b, "}\n"...)
}
