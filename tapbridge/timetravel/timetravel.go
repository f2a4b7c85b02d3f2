// Package timetravel runs guests of User Mode Linux and a simulation on one virtual
// clock: it is the scheduler at the other end of time-travel=ext:NUMBER:SOCKET (Linux
// include/uapi/linux/um_timetravel.h, arch/um/kernel/time.c). Guests and adapters
// take turns in order of time, no two at once, and what they do takes none of it.
//
// The loop has the same shape as live.Loop, whose place it takes.
package timetravel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nicsim.dev/nicsim/sim"
	"nicsim.dev/tapbridge/live"
)

const (
	// maxGuests bounds the participants.
	maxGuests = 64
	// maxArrivals bounds their messages that wait; each guest waits for an answer.
	maxArrivals = 2 * maxGuests
	// maxTasks bounds the functions that wait for the owner.
	maxTasks = 256
	// spinTurns is how many turns an idle loop makes before it sleeps: a guest's
	// next word is usually some microseconds away.
	spinTurns = 200
)

// Config is what a person chooses about a simulation's time.
type Config struct {
	// Path is where guests connect. The folder is the caller's, who sees to it that
	// nobody else can reach it.
	Path string
	// Guests is how many must have come before time passes. Those that come later
	// have clocks that begin then.
	Guests int
	// Epoch is what guests' wall clocks show at time 0.
	Epoch time.Time
}

// Scheduler owns a simulation's loop and the time of its guests. The goroutine that
// calls Run owns Sim and all its parts; before Run, the one that made it does.
type Scheduler struct {
	Sim *sim.Loop

	log      *slog.Logger
	epochNS  sim.Time
	expected int
	seen     bool // all that were expected have come

	listener net.Listener
	readers  sync.WaitGroup
	arrivals *live.Mailbox[arrival]
	guests   []*guest
	running  *guest // nil when all wait

	tasks    *live.Mailbox[func()]
	sleepers []live.Sleeper
	sleeping atomic.Bool
	stopping atomic.Bool
	wake     chan struct{}
	stopped  chan struct{}
}

// New returns a scheduler with a virtual clock at 0, to which guests may connect.
func New(cfg Config, log *slog.Logger) (*Scheduler, error) {
	l, err := net.Listen("unix", cfg.Path)
	if err != nil {
		return nil, err
	}
	s := &Scheduler{
		Sim: sim.NewLoop(sim.NewVirtual()), log: log, epochNS: sim.Time(cfg.Epoch.UnixNano()), expected: cfg.Guests, listener: l,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	s.arrivals = live.NewMailbox[arrival](maxArrivals, s.Wake)
	s.tasks = live.NewMailbox[func()](maxTasks, s.Wake)
	s.readers.Go(s.accept)
	return s, nil
}

func (s *Scheduler) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		g := &guest{conn: c, wanted: never}
		if s.arrivals.Put(arrival{from: g, first: true}) == 0 {
			c.Close() // the simulation is over
			return
		}
		s.readers.Go(func() { g.read(func(a arrival) { s.arrivals.Put(a) }) })
	}
}

// AddSleeper adds a part that is told when the loop has come to rest. It is never told
// that it is awake again: guests always tell of what they have to say.
func (s *Scheduler) AddSleeper(p live.Sleeper) { s.sleepers = append(s.sleepers, p) }

// Wake makes a sleeping loop turn. Any goroutine may call it.
func (s *Scheduler) Wake() {
	if s.sleeping.Load() && s.sleeping.CompareAndSwap(true, false) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Do runs f on the owner's goroutine, between turns, and waits for it. It must not be
// called there. The error is live.ErrStopped, and then f did not run.
func (s *Scheduler) Do(f func()) error {
	done := make(chan struct{})
	s.tasks.Put(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-s.stopped:
	}
	select {
	case <-done:
		return nil
	default:
		return live.ErrStopped
	}
}

// Run runs the simulation until ctx is done. It can be called once.
func (s *Scheduler) Run(ctx context.Context) {
	defer close(s.stopped)
	defer s.tasks.Close()
	defer s.close()
	defer context.AfterFunc(ctx, func() { s.stopping.Store(true); s.Wake() })()
	for idle := 0; !s.stopping.Load(); {
		if s.turn() > 0 || s.rest() > 0 || s.advance() {
			idle = 0
		} else if idle++; idle < spinTurns {
			runtime.Gosched()
		} else {
			s.sleep()
			idle = 0
		}
	}
}

// rest tells the parts that the loop has come to rest, which may be what they wait
// for, and looks once more.
func (s *Scheduler) rest() int {
	for _, p := range s.sleepers {
		p.Sleep()
	}
	return s.turn()
}

// sleep waits for a guest or a task. What came before the loop was said to sleep is
// found by one more turn.
func (s *Scheduler) sleep() {
	s.sleeping.Store(true)
	defer s.sleeping.Store(false)
	if s.turn() == 0 && s.rest() == 0 && !s.stopping.Load() {
		<-s.wake
	}
}

func (s *Scheduler) turn() int {
	n := s.messages()
	var batch [16]func()
	for s.tasks.Len() > 0 && n < maxTasks {
		k := s.tasks.Take(batch[:])
		for _, f := range batch[:k] {
			f()
		}
		n += k
	}
	return n + s.Sim.Turn()
}

// messages acts upon what guests have sent.
func (s *Scheduler) messages() (n int) {
	var batch [16]arrival
	for s.arrivals.Len() > 0 && n < maxArrivals {
		k := s.arrivals.Take(batch[:])
		n += k
		for _, a := range batch[:k] {
			if err := s.arrived(a); err != nil {
				s.drop(a.from, err)
			}
		}
	}
	return n
}

func (s *Scheduler) arrived(a arrival) error {
	switch {
	case a.first && len(s.guests) == maxGuests:
		a.from.conn.Close()
		s.log.Warn("a guest was turned away: there are too many in the simulation")
		return nil
	case a.first:
		s.guests = append(s.guests, a.from)
		return nil
	case !slices.Contains(s.guests, a.from):
		return nil // it was dropped
	case a.err != nil:
		return a.err
	}
	return s.handle(a.from, a.message)
}

// drop ends a guest's part in the simulation.
func (s *Scheduler) drop(g *guest, why error) {
	g.conn.Close()
	s.guests = slices.DeleteFunc(s.guests, func(o *guest) bool { return o == g })
	if s.running == g {
		s.running = nil
	}
	log := s.log.With("guest", g.id, "time", s.Now())
	if errors.Is(why, io.EOF) {
		log.Info("guest has left the simulation")
	} else {
		log.Warn("guest was dropped from the simulation", "reason", why)
	}
}

func (s *Scheduler) close() {
	s.listener.Close()
	s.arrivals.Close()
	for _, g := range slices.Clone(s.guests) {
		s.drop(g, io.EOF)
	}
}
