// Package live runs a simulation on the host's monotonic clock and hands work
// over to it from other goroutines. What runs on it cannot be replayed.
package live

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"nicsim.dev/nicsim/sim"
)

const (
	// spinNS is how long an idle loop polls before it sleeps: a few times what a
	// wake-up across cores costs, which it saves when something comes. Others have
	// the core meanwhile if they want it.
	spinNS = 200_000
	// timerSlackNS is how late a timer may ring: the Go runtime waits for them in
	// whole milliseconds. The loop polls through the last one before an event.
	timerSlackNS = 1_000_000
	// maxTasks bounds the functions that wait for the owner.
	maxTasks = 256
)

// ErrStopped is returned when the loop has ended.
var ErrStopped = errors.New("live: the loop has stopped")

// Loop turns a sim.Loop until told to stop: it polls while there is work, spins
// for a moment when there is none, then sleeps until it is woken or the clock's
// next event is due. The goroutine that calls Run owns Sim and all its parts;
// before Run, the one that made the Loop does.
type Loop struct {
	Sim *sim.Loop
	// Guard, if there is one, runs each turn of Sim: what can go wrong in it that is
	// somebody else's fault ends there.
	Guard func(turn func()) bool

	work     int    // of the last turn
	simTurn  func() // Sim.Turn into work
	start    time.Time
	tasks    *Mailbox[func()]
	sleepers []Sleeper
	sleeping atomic.Bool
	stopping atomic.Bool
	wake     chan struct{}
	stopped  chan struct{}
}

// New returns a loop whose clock begins at 0 now.
func New() *Loop {
	l := &Loop{start: time.Now(), wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	l.Sim = sim.NewLoop(sim.NewLive(l.now))
	l.simTurn = func() { l.work = l.Sim.Turn() }
	l.tasks = NewMailbox[func()](maxTasks, l.Wake)
	return l
}

func (l *Loop) now() sim.Time { return sim.Time(time.Since(l.start)) }

// Sleeper is a part that looks for work by itself while the loop is awake, and has
// to be told of it while the loop sleeps.
type Sleeper interface {
	// Sleep is called on the owner's goroutine ahead of the last turn before the
	// loop sleeps. From then on whoever has work for the part must Wake the loop.
	Sleep()
	// Awake is called there when the loop turns again.
	Awake()
}

// AddSleeper adds a part that is told when the loop sleeps. The owner calls it.
func (l *Loop) AddSleeper(s Sleeper) { l.sleepers = append(l.sleepers, s) }

// Wake makes a sleeping loop turn. Any goroutine may call it; it costs next to
// nothing when the loop is awake.
func (l *Loop) Wake() {
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Do runs f on the owner's goroutine, between turns, and waits for it. It must
// not be called there. The error is ErrStopped, and then f did not run.
func (l *Loop) Do(f func()) error {
	done := make(chan struct{})
	l.tasks.Put(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-l.stopped:
	}
	select {
	case <-done:
		return nil
	default:
		return ErrStopped
	}
}

// Run turns the loop until ctx is done. It can be called once.
func (l *Loop) Run(ctx context.Context) {
	defer close(l.stopped)
	defer l.tasks.Close()
	defer context.AfterFunc(ctx, func() { l.stopping.Store(true); l.Wake() })()

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	idleSince := sim.Time(-1)
	for !l.stopping.Load() {
		if l.turn() > 0 {
			idleSince = -1
			continue
		}
		now := l.now()
		if idleSince < 0 {
			idleSince = now
		}
		next, timed := l.Sim.Clock.Next()
		if now-idleSince < spinNS || timed && next-now < timerSlackNS {
			runtime.Gosched()
			yield()
			continue
		}
		// Whoever hands over work from here on sees that the loop sleeps; what
		// came before is found by one more turn.
		l.sleeping.Store(true)
		for _, s := range l.sleepers {
			s.Sleep()
		}
		if l.turn() == 0 && !l.stopping.Load() {
			l.sleep(timer)
		}
		l.sleeping.Store(false)
		for _, s := range l.sleepers {
			s.Awake()
		}
		idleSince = -1
	}
}

func (l *Loop) sleep(timer *time.Timer) {
	var due <-chan time.Time
	if next, ok := l.Sim.Clock.Next(); ok {
		timer.Reset(time.Duration(next - timerSlackNS - l.now()))
		due = timer.C
	}
	select {
	case <-l.wake:
	case <-due:
	}
}

func (l *Loop) turn() int {
	n := 0
	var batch [16]func()
	for l.tasks.Len() > 0 && n < maxTasks {
		k := l.tasks.Take(batch[:])
		for _, f := range batch[:k] {
			f()
		}
		n += k
	}
	l.work = 1 // for a turn that did not come to its end
	if l.Guard != nil {
		l.Guard(l.simTurn)
	} else {
		l.simTurn()
	}
	return n + l.work
}
