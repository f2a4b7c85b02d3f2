package live

import "time"

// Forever is a patience without end.
const Forever = time.Duration(-1)

// Rest is what ends a sleep.
type Rest struct {
	Sockets  []Socket
	Patience time.Duration // Forever, or for how long it may last
}

// Begin makes it one that nothing ends.
func (r *Rest) Begin() { r.Sockets, r.Patience = r.Sockets[:0], Forever }

// AtMost bounds the patience.
func (r *Rest) AtMost(d time.Duration) {
	if r.Patience < 0 || d < r.Patience {
		r.Patience = max(0, d)
	}
}

// Socket is a descriptor that a sleeper waits for until there is something to read
// or, if it is Full, room to write.
type Socket struct {
	FD   int
	Full bool
}
