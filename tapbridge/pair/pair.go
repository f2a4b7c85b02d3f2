// Package pair is a cable between two ports, with seeded impairment. It belongs
// to the goroutine that owns both adapters, and is best stepped before them: a
// PAUSE frame that an event has just sent then arrives before its receiver goes
// on.
package pair

import (
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// Direction picks one of the two ways along the wire.
type Direction int

const (
	AtoB Direction = iota
	BtoA
)

// Pair is a wire with a port at either end.
type Pair struct {
	lanes [2]lane
	ports [2]nicsim.Port
}

// New joins the ports a and b and brings the link up. The same seed and the
// same frames at the same times give the same results. Frames that are lost go
// back to pool, the source of all frames that the ports send. The error is a
// BadImpairment.
func New(clock *sim.Clock, pool *nicsim.Pool, a, b nicsim.Port, ab, ba Impairment, seed uint64) (*Pair, error) {
	for _, imp := range []Impairment{ab, ba} {
		if err := imp.check(); err != nil {
			return nil, err
		}
	}
	p := &Pair{ports: [2]nicsim.Port{a, b}}
	p.lanes[AtoB].init(clock, pool, b, ab, sim.Rand(seed, "pair a to b"))
	p.lanes[BtoA].init(clock, pool, a, ba, sim.Rand(seed, "pair b to a"))
	a.Attach(&p.lanes[AtoB])
	b.Attach(&p.lanes[BtoA])
	p.SetLink(true)
	return p, nil
}

// Step delivers at most budget frames each way.
func (p *Pair) Step(budget int) int {
	return p.lanes[AtoB].step(budget) + p.lanes[BtoA].step(budget)
}

// Impair changes what direction d does to frames sent from now on. The error is
// a BadImpairment.
func (p *Pair) Impair(d Direction, imp Impairment) error {
	if err := imp.check(); err != nil {
		return err
	}
	p.lanes[d].imp = imp
	return nil
}

// SetLink plugs the cable in or pulls it. Pulling it loses what is on it.
func (p *Pair) SetLink(up bool) {
	for i := range p.lanes {
		p.lanes[i].down = !up
		if !up {
			p.lanes[i].cut()
		}
	}
	for i := range p.lanes {
		p.lanes[i].carry()
	}
}

// SetProbe lets probe see each frame that the wire loses, as a frame of the
// sender, which is named a or b.
func (p *Pair) SetProbe(probe nicsim.Probe, a, b string) {
	for i, name := range []string{a, b} {
		p.lanes[i].probe, p.lanes[i].name = probe, name
	}
}

// Stats returns the counters of direction d.
func (p *Pair) Stats(d Direction) Stats { return p.lanes[d].stats }
