//go:build linux

// Package timetravel runs guests of User Mode Linux and a simulation on one virtual
// clock: it is the scheduler at the other end of time-travel=ext:NUMBER:SOCKET (Linux
// include/uapi/linux/um_timetravel.h, arch/um/kernel/time.c). Guests and adapters
// take turns in order of time, no two at once, and what they do takes none of it.
package timetravel

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/sim"
	"nicsim.dev/tapbridge/live"
)

// Config is what a person chooses about a simulation's time.
type Config struct {
	// Path is the socket to which guests connect. Its folder is the caller's, who
	// sees to it that nobody else can reach it.
	Path string
	// Guests is how many must have come before anything happens. One that comes
	// later has a clock that begins then.
	Guests int
	// Epoch is what guests' wall clocks show at time 0.
	Epoch time.Time
}

// Part is what guests reach by sockets of their own, a guest.Host.
type Part interface {
	// Rest says that the loop has come to rest, and is told of the sockets that may
	// have something to say.
	Rest(r *live.Rest)
}

// Scheduler owns a simulation's loop and the time of its guests. The goroutine that
// calls Run owns Sim and all its parts; before Run, the one that made it does.
type Scheduler struct {
	Sim *sim.Loop
	// Guard, if there is one, runs each turn of Sim, as in live.Loop.
	Guard func(turn func()) bool

	work     int // of the last turn
	log      *slog.Logger
	path     string
	epochNS  sim.Time
	expected int // guests that time waits for
	parts    []Part

	listener int // a socket
	bound    bool
	wake     int      // an eventfd
	waker    *os.File // the same, for other goroutines
	guests   []*participant
	lost     []*participant // could not be told
	running  *participant   // nil when all wait
	resting  live.Rest      // the last one
	fds      []unix.PollFd

	tasks    *live.Tasks
	stopping atomic.Bool
}

// New returns a scheduler with a virtual clock at 0, to which guests may connect.
func New(cfg Config, log *slog.Logger) (*Scheduler, error) {
	s := &Scheduler{
		Sim: sim.NewLoop(sim.NewVirtual()), log: log, path: cfg.Path, epochNS: sim.Time(cfg.Epoch.UnixNano()), expected: cfg.Guests,
		listener: -1,
	}
	if err := s.open(); err != nil {
		s.close()
		return nil, fmt.Errorf("timetravel: %s: %w", cfg.Path, err)
	}
	s.tasks = live.NewTasks(s.Wake)
	return s, nil
}

func (s *Scheduler) open() (err error) {
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	s.waker = os.NewFile(uintptr(s.wake), "eventfd")
	if s.listener, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return err
	}
	if err := unix.Bind(s.listener, &unix.SockaddrUnix{Name: s.path}); err != nil {
		return err
	}
	s.bound = true
	return unix.Listen(s.listener, maxGuests)
}

// Attend makes p a part that is told when the loop has come to rest. Its servers must
// be ordered. It steps with the loop as any other: s.Sim.Add.
func (s *Scheduler) Attend(p Part) { s.parts = append(s.parts, p) }

// Wake makes a waiting loop turn. Any goroutine may call it.
func (s *Scheduler) Wake() { s.waker.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// Do runs f on the owner's goroutine, between turns, and waits for it. It must not be
// called there. The error is live.ErrStopped, and then f did not run.
func (s *Scheduler) Do(f func()) error { return s.tasks.Do(f) }

// Run runs the simulation until ctx is done. It can be called once.
//
// The thread sleeps in a system call while a guest runs: nothing else is to be done
// then, and guests are answered soonest so.
func (s *Scheduler) Run(ctx context.Context) {
	defer s.tasks.End()
	defer s.close()
	defer context.AfterFunc(ctx, func() { s.stopping.Store(true); s.Wake() })()
	for !s.stopping.Load() {
		// Guests are listened to in any case: a part may wait for one to go on.
		if s.turn()+s.poll(0) == 0 && s.rest() == 0 && !s.advance() {
			s.await()
		}
	}
}

// rest tells the parts that the loop has come to rest, which may be what they wait
// for, and looks once more.
func (s *Scheduler) rest() int {
	s.resting.Begin()
	for _, p := range s.parts {
		p.Rest(&s.resting)
	}
	return s.turn()
}

func (s *Scheduler) turn() int {
	n := s.tasks.Run()
	s.work = 1 // for a turn that did not come to its end
	if s.Guard != nil {
		s.Guard(s.simTurn)
	} else {
		s.simTurn()
	}
	return n + s.work
}

func (s *Scheduler) simTurn() { s.work = s.Sim.Turn() }

func (s *Scheduler) close() {
	for len(s.guests) > 0 {
		s.drop(s.guests[0], errLeft)
	}
	if s.listener >= 0 {
		unix.Close(s.listener)
	}
	if s.bound {
		os.Remove(s.path)
	}
	if s.waker != nil {
		s.waker.Close()
	}
}
