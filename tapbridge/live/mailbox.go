package live

import (
	"sync"
	"sync/atomic"
)

// Mailbox is a bounded queue from any goroutines to the owner of a loop.
type Mailbox[T any] struct {
	wake func()
	size atomic.Int64

	limit int

	mu     sync.Mutex
	room   sync.Cond
	ring   []T // grows to limit
	head   int
	closed bool
}

// NewMailbox returns a mailbox of limit items, which calls wake whenever the
// first of them arrives.
func NewMailbox[T any](limit int, wake func()) *Mailbox[T] {
	m := &Mailbox[T]{wake: wake, limit: limit}
	m.room.L = &m.mu
	return m
}

// Len returns the number of items, without taking the lock.
func (m *Mailbox[T]) Len() int { return int(m.size.Load()) }

// TryPut hands over what there is room for and returns how many that were. It
// does not block.
func (m *Mailbox[T]) TryPut(items ...T) int {
	m.mu.Lock()
	n := m.put(items)
	m.mu.Unlock()
	return n
}

// Put hands over all items, waiting for room. It returns how many it handed
// over: fewer only when the mailbox was closed. The owner must not call it.
func (m *Mailbox[T]) Put(items ...T) int {
	n := 0
	m.mu.Lock()
	for {
		n += m.put(items[n:])
		if n == len(items) || m.closed {
			break
		}
		m.room.Wait()
	}
	m.mu.Unlock()
	return n
}

func (m *Mailbox[T]) put(items []T) int {
	size := m.Len()
	n := min(len(items), m.limit-size)
	if m.closed || n == 0 {
		return 0
	}
	if size+n > len(m.ring) {
		m.grow(size + n)
	}
	tail := (m.head + size) % len(m.ring)
	k := copy(m.ring[tail:], items[:n])
	copy(m.ring, items[k:n])
	m.size.Store(int64(size + n))
	if size == 0 {
		m.wake()
	}
	return n
}

func (m *Mailbox[T]) grow(need int) {
	const least = 64
	grown := make([]T, min(m.limit, max(least, need, 2*len(m.ring))))
	k := copy(grown, m.ring[m.head:])
	copy(grown[k:], m.ring[:m.head])
	m.ring, m.head = grown, 0
}

// Take moves up to len(out) items out and returns how many. Only the owner
// calls it.
func (m *Mailbox[T]) Take(out []T) int {
	size := m.Len()
	if size == 0 {
		return 0
	}
	m.mu.Lock()
	size = m.Len()
	n := min(len(out), size)
	k := copy(out[:n], m.ring[m.head:])
	copy(out[k:n], m.ring)
	clear(m.ring[m.head : m.head+k])
	clear(m.ring[:n-k])
	m.head = (m.head + n) % len(m.ring)
	m.size.Store(int64(size - n))
	if size == m.limit {
		m.room.Broadcast()
	}
	m.mu.Unlock()
	return n
}

// Close refuses further items and releases those who wait for room. What is
// in the mailbox can still be taken.
func (m *Mailbox[T]) Close() {
	m.mu.Lock()
	m.closed = true
	m.room.Broadcast()
	m.mu.Unlock()
}
