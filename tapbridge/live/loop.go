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
	// timerSlackNS is how late the kernel may wake a sleeper. The loop polls through
	// this time before an event.
	timerSlackNS = 100_000
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
	tasks    *Tasks
	sleepers []Sleeper
	rest     Rest
	bed      *Bed
	sleeping atomic.Bool
	stopping atomic.Bool
}

// New returns a loop whose clock begins at 0 now.
func New() *Loop {
	l := &Loop{start: time.Now(), bed: NewBed()}
	l.Sim = sim.NewLoop(sim.NewLive(l.now))
	l.simTurn = func() { l.work = l.Sim.Turn() }
	l.tasks = NewTasks(l.Wake)
	return l
}

func (l *Loop) now() sim.Time { return sim.Time(time.Since(l.start)) }

// Sleeper is a part that looks for work by itself while the loop is awake, and has
// to be told of it while the loop sleeps.
type Sleeper interface {
	// Rest is called on the owner's goroutine ahead of the last turn before the loop
	// sleeps. From then on whoever has work for the part must Wake the loop, unless
	// one of the sockets that the part appends is made ready, or the patience that it
	// has ends.
	Rest(r *Rest)
	// Awake is called there when the loop turns again.
	Awake()
	// Answers is how many it has given so far to others that did nothing but wait.
	Answers() int
}

// AddSleeper adds a part that is told when the loop sleeps. The owner calls it.
func (l *Loop) AddSleeper(s Sleeper) { l.sleepers = append(l.sleepers, s) }

// Wake makes a sleeping loop turn. Any goroutine may call it; it costs next to
// nothing when the loop is awake.
func (l *Loop) Wake() {
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		l.bed.Wake()
	}
}

// Do runs f on the owner's goroutine, between turns, and waits for it. It must
// not be called there. The error is ErrStopped, and then f did not run.
func (l *Loop) Do(f func()) error { return l.tasks.Do(f) }

// Run turns the loop until ctx is done. It can be called once.
func (l *Loop) Run(ctx context.Context) {
	defer l.tasks.End()
	defer context.AfterFunc(ctx, func() { l.stopping.Store(true); l.Wake() })()

	alone := runtime.GOMAXPROCS(0) == 1 // other goroutines have no thread but this one
	idleSince := sim.Time(-1)
	var others crowd
	for !l.stopping.Load() {
		work := l.turn()
		if others.late {
			others.turned(l.answers())
		}
		if work > 0 {
			idleSince = -1
			continue
		}
		now := l.now()
		if idleSince < 0 {
			idleSince = now
		}
		next, timed := l.Sim.Clock.Next()
		spin, early := sim.Time(spinNS), sim.Time(timerSlackNS)
		if others.present(now) {
			spin, early = 0, 0
		}
		if now-idleSince < spin || timed && next-now < early {
			if alone {
				runtime.Gosched()
			}
			yield()
			others.gaveUp(now, l.now(), l.answers())
			continue
		}
		// Whoever hands over work from here on sees that the loop sleeps; what
		// came before is found by one more turn.
		l.sleeping.Store(true)
		l.rest.Begin()
		for _, s := range l.sleepers {
			s.Rest(&l.rest)
		}
		if l.turn() == 0 && !l.stopping.Load() {
			l.sleep(early)
		}
		l.sleeping.Store(false)
		for _, s := range l.sleepers {
			s.Awake()
		}
		idleSince = -1
	}
}

func (l *Loop) answers() (n int) {
	for _, s := range l.sleepers {
		n += s.Answers()
	}
	return n
}

// sleep waits for what ends a rest, or until so early before the next event.
func (l *Loop) sleep(early sim.Time) {
	if next, ok := l.Sim.Clock.Next(); ok {
		l.rest.AtMost(time.Duration(next - early - l.now()))
	}
	l.bed.Sleep(&l.rest)
}

func (l *Loop) turn() int {
	n := l.tasks.Run()
	l.work = 1 // for a turn that did not come to its end
	if l.Guard != nil {
		l.Guard(l.simTurn)
	} else {
		l.simTurn()
	}
	return n + l.work
}
