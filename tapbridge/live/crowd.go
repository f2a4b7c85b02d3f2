package live

import "nicsim.dev/nicsim/sim"

const (
	// crowdedNS is how long it takes until the loop has the processor again that it gave
	// up, when others want it all the time: the host lets each have it for milliseconds.
	crowdedNS = 1_000_000
	// shortestPauseNS and longestPauseNS are for how long it does not poll then.
	shortestPauseNS = 250_000
	longestPauseNS  = 8_000_000
)

// crowd is what a loop knows of others that want its processor. If one of them asks
// something and does nothing but wait for the answer, as a guest that reads a register, and
// has the processor to do so, it has it for as long as the host sees fit each time
// that the loop gives it up. A wake-up from a sleep takes it away at once. So when it
// happens again within a short time, polling is given up for a pause, which doubles with
// each time more.
//
// Those who wait for nothing lose by that: they are interrupted for each thing that they
// say, instead of being heard once for many.
type crowd struct {
	late      bool // the loop has just had its processor again late
	at, again sim.Time
	answers   int // there were by then

	until sim.Time // of the pause
	pause sim.Time // how long it was
}

// gaveUp tells that the loop gave up the processor at one time and had it again at another,
// and how many answers there are so far.
func (c *crowd) gaveUp(at, again sim.Time, answers int) {
	if again-at >= crowdedNS {
		c.late, c.at, c.again, c.answers = true, at, again, answers
	}
}

// turned tells how many answers there are after the turn that followed.
func (c *crowd) turned(answers int) {
	c.late = false
	if answers == c.answers {
		return
	}
	if c.at > c.until+longestPauseNS {
		c.pause = 0 // it may not happen again
	} else {
		c.pause = min(max(2*c.pause, shortestPauseNS), longestPauseNS)
	}
	c.until = c.again + c.pause
}

// present says whether others want the processor.
func (c *crowd) present(now sim.Time) bool { return now < c.until }
