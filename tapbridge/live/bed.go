package live

import "time"

// Forever is a patience without end.
const Forever = time.Duration(-1)

// Socket is a descriptor that a sleeper waits for until there is something to read
// or, if it is Full, room to write.
type Socket struct {
	FD   int
	Full bool
}
