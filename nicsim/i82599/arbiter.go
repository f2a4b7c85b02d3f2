package i82599

import "math/bits"

const (
	numClasses = 8 // traffic classes

	// creditBytes is the unit of credits (7.7.2.2).
	creditBytes = 64
)

// arbiter shares out bandwidth among traffic classes, by round robin or by
// weighted strict priority (7.7.2.2): classes spend credits, which are refilled
// in proportion to their weights once nobody who wants to send has any left.
type arbiter struct {
	weighted bool
	next     int // where the round robin goes on
	class    [numClasses]share
}

// share is a class's part, from its T2 or T4 register (8.2.3.10.6, 8.2.3.10.9).
type share struct {
	refill, limit int // bytes
	credit        int // bytes; less than zero by at most one frame
	group         uint8
	link          bool // strict priority over every class without it
	within        bool // strict priority within its group, on the group's credits
}

func (a *arbiter) set(i int, v uint32) {
	s := &a.class[i]
	s.refill = int(v&0x1FF) * creditBytes
	s.limit = int(v>>12&0x1FF) * creditBytes
	s.group = uint8(v>>9) & 7
	s.within, s.link = v&(1<<30) != 0, v&(1<<31) != 0
	s.credit = min(s.credit, s.limit)
}

// pick returns the class that may send a frame next, out of a set that is not
// empty.
func (a *arbiter) pick(ready uint8) int {
	if !a.weighted {
		return a.turn(ready)
	}
	var strict, funded uint8
	for i := range a.class {
		if a.class[i].link {
			strict |= 1 << i
		}
	}
	if strict &= ready; strict != 0 {
		return bits.Len8(strict) - 1
	}
	if funded = a.funded(ready); funded == 0 {
		if !a.refill(ready) {
			return a.turn(ready)
		}
		funded = a.funded(ready)
	}
	chosen := a.turn(funded)
	for i := numClasses - 1; i >= 0; i-- {
		if s := &a.class[i]; ready>>i&1 != 0 && s.within && s.group == a.class[chosen].group {
			return i
		}
	}
	return chosen
}

// turn takes the next of a set in round robin.
func (a *arbiter) turn(set uint8) int {
	i := bits.TrailingZeros8(set &^ (1<<a.next - 1))
	if i == 8 {
		i = bits.TrailingZeros8(set)
	}
	a.next = (i + 1) % numClasses
	return i
}

// funded returns those of a set that have credits, or may use their group's.
func (a *arbiter) funded(set uint8) (out uint8) {
	for i := range a.class {
		if set>>i&1 != 0 && a.payer(i) >= 0 {
			out |= 1 << i
		}
	}
	return out
}

// payer returns the class whose credits class i may spend, or -1.
func (a *arbiter) payer(i int) int {
	s := &a.class[i]
	if s.credit > 0 {
		return i
	}
	if s.within {
		for k := range a.class {
			if a.class[k].group == s.group && a.class[k].credit > 0 {
				return k
			}
		}
	}
	return -1
}

// refill gives every class as many refills as it takes until one of a set has
// credits. It reports false if that never happens: no refill, or a limit of
// zero.
func (a *arbiter) refill(set uint8) bool {
	rounds := 0
	for i := range a.class {
		s := &a.class[i]
		if set>>i&1 == 0 || s.refill == 0 || s.limit == 0 {
			continue
		}
		if n := (s.refill - s.credit) / s.refill; rounds == 0 || n < rounds {
			rounds = max(n, 1)
		}
	}
	if rounds == 0 {
		return false
	}
	for i := range a.class {
		s := &a.class[i]
		s.credit = min(s.credit+rounds*s.refill, s.limit)
	}
	return true
}

// charge takes the bytes of a frame from the class that sent it.
func (a *arbiter) charge(i, bytes int) {
	if !a.weighted || a.class[i].link {
		return
	}
	if k := a.payer(i); k >= 0 {
		i = k
	}
	a.class[i].credit -= bytes
}
