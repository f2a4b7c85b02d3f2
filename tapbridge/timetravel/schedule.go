//go:build linux

package timetravel

// advance lets happen what comes next, when the loop is at rest and no guest runs. It
// returns whether there was anything.
//
// One guest runs at a time, from when it was told to until it waits. Of what is due
// at the same time, the loop's events come first, then guests in order of their
// number.
func (s *Scheduler) advance() bool {
	if s.running != nil || !s.complete() {
		return false
	}
	if g := s.newcomer(); g != nil {
		s.admit(g)
		return true
	}
	event, ok := s.Sim.Clock.Next()
	if !ok {
		event = never
	}
	g := s.first()
	switch {
	case g != nil && g.wanted < event:
		s.run(g)
	case ok:
		s.Sim.Clock.AdvanceTo(event)
	default:
		return false
	}
	return true
}

// complete says whether all guests have come that time waits for. Those that leave
// later are not waited for again.
func (s *Scheduler) complete() bool {
	started := 0
	for _, g := range s.guests {
		if g.started {
			started++
		}
	}
	if started >= s.expected {
		s.expected = 0
	}
	return s.expected == 0
}

// newcomer returns the guest with the lowest number that has not been admitted.
func (s *Scheduler) newcomer() (first *participant) {
	for _, g := range s.guests {
		if g.started && !g.admitted && (first == nil || g.id < first.id) {
			first = g
		}
	}
	return first
}

// first returns the guest that is to run next, if any ever is.
func (s *Scheduler) first() (first *participant) {
	for _, g := range s.guests {
		if g.waiting && g.wanted < never && (first == nil || g.wanted < first.wanted || g.wanted == first.wanted && g.id < first.id) {
			first = g
		}
	}
	return first
}

// admit lets a guest begin, with its clock at 0.
func (s *Scheduler) admit(g *participant) {
	g.admitted, g.offset = true, s.Sim.Clock.Now()
	s.running = g
	if err := g.acknowledge(message{sequence: g.start}, 0); err != nil {
		s.drop(g, err)
	}
}

// run lets a guest run at the time that it asked for.
func (s *Scheduler) run(g *participant) {
	s.Sim.Clock.AdvanceTo(g.wanted)
	at := g.wanted - g.offset
	g.waiting, g.wanted = false, never
	s.running = g
	if err := g.tell(opRun, uint64(at)); err != nil {
		s.drop(g, err)
	}
}
