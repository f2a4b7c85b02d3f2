package sim

import "errors"

// Stepper is a part that an owner's loop drives: an adapter, a wire, a driver.
type Stepper interface {
	// Step does at most about budget units of work, never blocks, and returns
	// how much it did; 0 means that it waits for others or for the clock.
	Step(budget int) int
}

// StepFunc is a function as a Stepper.
type StepFunc func(budget int) int

// Step calls f.
func (f StepFunc) Step(budget int) int { return f(budget) }

// StepBudget is the work a part does before the next one has its turn: large
// enough to batch, small enough that nobody starves.
const StepBudget = 256

// Loop steps the parts of one simulation in a fixed order. One goroutine owns
// the loop and everything in it.
type Loop struct {
	Clock *Clock
	parts []Stepper
}

// NewLoop returns a loop on clock.
func NewLoop(clock *Clock) *Loop { return &Loop{Clock: clock} }

// Add appends parts, which are stepped in this order.
func (l *Loop) Add(parts ...Stepper) { l.parts = append(l.parts, parts...) }

// Turn gives every part and the due events one turn and returns the work done.
func (l *Loop) Turn() int {
	l.Clock.Sync()
	n := l.Clock.RunDue(StepBudget)
	for _, p := range l.parts {
		n += p.Step(StepBudget)
	}
	return n
}

// ErrNeverIdle is returned when a simulation does not come to rest in time.
var ErrNeverIdle = errors.New("sim: the simulation did not come to rest within its turns")

// Settle turns until nothing has work and no event is due, without letting
// virtual time pass.
func (l *Loop) Settle(turns int) error {
	for range turns {
		if l.Turn() == 0 {
			return nil
		}
	}
	return ErrNeverIdle
}

// Run settles and lets virtual time pass from event to event up to until.
func (l *Loop) Run(until Time, turns int) error {
	for {
		if err := l.Settle(turns); err != nil {
			return err
		}
		next, ok := l.Clock.Next()
		if !ok || next > until {
			l.Clock.AdvanceTo(until)
			return nil
		}
		l.Clock.AdvanceTo(next)
	}
}
