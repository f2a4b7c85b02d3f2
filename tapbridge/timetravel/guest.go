package timetravel

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"nicsim.dev/nicsim/sim"
)

// never is when a guest asks to run that has nothing to do (S64_MAX).
const never = sim.Time(math.MaxInt64)

// writePatience bounds how long a guest that does not read its 16 bytes is waited for.
const writePatience = 10 * time.Second

// guest is a participant.
type guest struct {
	conn net.Conn

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

// arrival is a guest's connection, a message from it, or why there will be none any
// more.
type arrival struct {
	from  *guest
	first bool
	message
	err error
}

// read hands the guest's messages over. It runs on a goroutine of its own.
func (g *guest) read(put func(arrival)) {
	for {
		var b [messageBytes]byte
		if _, err := io.ReadFull(g.conn, b[:]); err != nil {
			put(arrival{from: g, err: err})
			return
		}
		put(arrival{from: g, message: parse(&b)})
	}
}

func (g *guest) send(m message) error {
	var b [messageBytes]byte
	m.put(&b)
	if err := g.conn.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return err
	}
	_, err := g.conn.Write(b[:])
	return err
}

func (g *guest) acknowledge(m message, value uint64) error {
	return g.send(message{opAck, m.sequence, value})
}

// tell sends a message of ours. Its acknowledgement says nothing new.
func (g *guest) tell(op uint32, value uint64) error {
	g.sequence++
	return g.send(message{op, g.sequence, value})
}

// handle acts upon a message.
func (s *Scheduler) handle(g *guest, m message) error {
	if g.started == (m.op == opStart) {
		return fmt.Errorf("%v is out of order", m)
	}
	now := s.Sim.Clock.Now()
	switch m.op {
	case opAck:
		return nil
	case opStart:
		g.started, g.id, g.start = true, m.time, m.sequence
		return nil // it is admitted when its turn has come
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
		// Guests never run ahead: nobody told them until when they might.
		if at := sim.Time(m.time) + g.offset; s.running == g && at != now {
			return fmt.Errorf("%v, when its time is %d", m, now-g.offset)
		}
		return g.acknowledge(m, 0)
	case opTimeOfDay:
		return g.acknowledge(m, uint64(s.epochNS+now))
	case opBroadcast:
		return errors.Join(g.acknowledge(m, 0), s.broadcast(g, m.time))
	}
	return fmt.Errorf("%v is not known", m)
}

// broadcast passes a guest's word on to those who wait: only they read what they did
// not ask for.
func (s *Scheduler) broadcast(from *guest, word uint64) error {
	for _, g := range s.guests {
		if g != from && g.waiting {
			if err := g.tell(opBroadcast, word); err != nil {
				s.drop(g, err)
			}
		}
	}
	return nil
}
