//go:build linux

package timetravel

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/sim"
)

// never is when a guest asks to run that has nothing to do (S64_MAX).
const never = sim.Time(math.MaxInt64)

// errLeft is the end of a guest that closed its connection.
var errLeft = errors.New("it closed the connection")

// participant is a guest: one kernel.
type participant struct {
	fd   int
	in   [messageBytes]byte
	have int

	started bool
	id      uint64
	start   uint32 // sequence number of START, whose acknowledgement lets the guest go
	// admitted says that it was let go. Its clock began then, at offset.
	admitted bool
	offset   sim.Time

	waiting bool     // for wanted
	wanted  sim.Time // never if it has not asked

	sequence uint32 // of our messages
}

// receive returns the next message, if it has come whole.
func (g *participant) receive() (m message, ok bool, err error) {
	n, _, err := unix.Recvfrom(g.fd, g.in[g.have:], unix.MSG_DONTWAIT)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return m, false, nil
	case err == unix.ECONNRESET || err == nil && n == 0 && g.have == 0:
		return m, false, errLeft
	case err != nil:
		return m, false, err
	case n == 0:
		return m, false, errors.New("the connection ended amid a message")
	}
	if g.have += n; g.have < messageBytes {
		return m, false, nil
	}
	g.have = 0
	return parse(&g.in), true, nil
}

// send never finds a socket full whose reader waits for each answer.
func (g *participant) send(m message) error {
	var b [messageBytes]byte
	m.put(&b)
	n, err := unix.SendmsgN(g.fd, b[:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	switch {
	case err == unix.EPIPE || err == unix.ECONNRESET:
		return errLeft
	case err == unix.EAGAIN || err == nil && n < len(b):
		return errors.New("it does not read its messages")
	}
	return err
}

func (g *participant) acknowledge(m message, value uint64) error {
	return g.send(message{opAck, m.sequence, value})
}

// tell sends a message of ours. Its acknowledgement says nothing new.
func (g *participant) tell(op uint32, value uint64) error {
	g.sequence++
	return g.send(message{op, g.sequence, value})
}

// handle acts upon a message.
func (s *Scheduler) handle(g *participant, m message) error {
	if m.op == opStart && !g.started {
		g.started, g.id, g.start = true, m.time, m.sequence
		return nil // it is admitted when its turn has come
	}
	if !g.admitted || m.op == opStart {
		return fmt.Errorf("%v is out of order", m)
	}
	now := s.Sim.Clock.Now()
	switch m.op {
	case opAck:
		return nil
	case opRequest:
		g.wanted = never
		if at := sim.Time(m.time); at >= 0 && at < never-g.offset {
			g.wanted = max(at+g.offset, now)
		}
		return g.acknowledge(m, 0)
	case opWait:
		if s.running == g {
			s.running = nil
		}
		g.waiting = true
		return g.acknowledge(m, 0)
	case opGet:
		return g.acknowledge(m, uint64(now-g.offset))
	case opUpdate:
		// A guest runs ahead only until when it was told that it may, and none is.
		if at := sim.Time(m.time) + g.offset; at != now {
			return fmt.Errorf("%v, when its time is %d", m, now-g.offset)
		}
		return g.acknowledge(m, 0)
	case opTimeOfDay:
		return g.acknowledge(m, uint64(s.epochNS+now))
	case opBroadcast:
		s.broadcast(g, m.time)
		return g.acknowledge(m, 0)
	}
	return fmt.Errorf("%v is not known", m)
}

// broadcast passes a guest's word on to those who wait: only they read what they did
// not ask for.
func (s *Scheduler) broadcast(from *participant, word uint64) {
	for _, g := range s.guests {
		if g != from && g.waiting && g.tell(opBroadcast, word) != nil {
			s.lost = append(s.lost, g)
		}
	}
}
