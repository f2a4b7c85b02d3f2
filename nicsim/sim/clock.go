// Package sim is the time and the chance of a simulation: a clock whose time
// is virtual or supplied from outside, an ordered queue of events, and seeded
// randomness. Nothing in it is safe for use by two goroutines: the owner of an
// adapter owns its clock.
package sim

import (
	"fmt"
	"math/rand/v2"
)

// Time is nanoseconds since the simulation began.
type Time int64

const (
	Nanosecond  Time = 1
	Microsecond      = 1000 * Nanosecond
	Millisecond      = 1000 * Microsecond
	Second           = 1000 * Millisecond
)

func (t Time) String() string { return fmt.Sprintf("%d.%09ds", t/Second, t%Second) }

// Event is a callback at a point in time. Its zero value with Run set is ready
// to use; it is reused, not copied.
type Event struct {
	Run func()

	at    Time
	order uint64
	pos   int // place in the heap plus one; 0 when not scheduled
}

// Pending says whether the event is scheduled.
func (e *Event) Pending() bool { return e.pos > 0 }

// At returns when a pending event runs.
func (e *Event) At() Time { return e.at }

// Clock tells the time and runs events in order of time, and events of equal
// time in the order in which they were scheduled.
type Clock struct {
	now    Time
	live   func() Time
	heap   []*Event
	orders uint64
}

// NewVirtual returns a clock that stands still until it is advanced.
func NewVirtual() *Clock { return &Clock{} }

// NewLive returns a clock that reads its time from now, which must not go back.
// What runs on it cannot be replayed.
func NewLive(now func() Time) *Clock { return &Clock{live: now} }

// Live says whether time comes from outside, so that runs cannot be replayed.
func (c *Clock) Live() bool { return c.live != nil }

// Now returns the time. On a live clock it is the time of the last Sync.
func (c *Clock) Now() Time { return c.now }

// Sync reads the outside time of a live clock; it does nothing on a virtual one.
func (c *Clock) Sync() {
	if c.live != nil {
		c.now = max(c.now, c.live())
	}
}

// Schedule runs e at time at, or as soon as possible if that has passed. A
// pending event is moved.
func (c *Clock) Schedule(e *Event, at Time) {
	c.Cancel(e)
	c.orders++
	e.at, e.order = max(at, c.now), c.orders
	c.heap = append(c.heap, e)
	e.pos = len(c.heap)
	c.up(len(c.heap) - 1)
}

// After runs e once delay has passed.
func (c *Clock) After(e *Event, delay Time) { c.Schedule(e, c.now+delay) }

// Cancel forgets a pending event; it does nothing for one that is not.
func (c *Clock) Cancel(e *Event) {
	if e.pos == 0 {
		return
	}
	i := e.pos - 1
	last := len(c.heap) - 1
	c.swap(i, last)
	c.heap[last] = nil
	c.heap = c.heap[:last]
	e.pos = 0
	if i < last {
		c.down(i)
		c.up(i)
	}
}

// Next returns when the next event is due.
func (c *Clock) Next() (Time, bool) {
	if len(c.heap) == 0 {
		return 0, false
	}
	return c.heap[0].at, true
}

// RunDue runs what is due now, and what that schedules for now, but no more
// than limit events, and returns how many ran.
func (c *Clock) RunDue(limit int) int {
	n := 0
	for n < limit && len(c.heap) > 0 && c.heap[0].at <= c.now {
		e := c.heap[0]
		c.Cancel(e)
		e.Run()
		n++
	}
	return n
}

// AdvanceTo moves a virtual clock forward to t. It runs nothing.
func (c *Clock) AdvanceTo(t Time) {
	if c.live == nil {
		c.now = max(c.now, t)
	}
}

func (c *Clock) less(i, j int) bool {
	a, b := c.heap[i], c.heap[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (c *Clock) swap(i, j int) {
	c.heap[i], c.heap[j] = c.heap[j], c.heap[i]
	c.heap[i].pos, c.heap[j].pos = i+1, j+1
}

func (c *Clock) up(i int) {
	for i > 0 && c.less(i, (i-1)/2) {
		c.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (c *Clock) down(i int) {
	for {
		kid := 2*i + 1
		if kid >= len(c.heap) {
			return
		}
		if kid+1 < len(c.heap) && c.less(kid+1, kid) {
			kid++
		}
		if !c.less(kid, i) {
			return
		}
		c.swap(i, kid)
		i = kid
	}
}

// Rand returns the source of chance for the part of a simulation that has this
// name: parts do not disturb each other, and a seed gives the same run.
func Rand(seed uint64, name string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}
