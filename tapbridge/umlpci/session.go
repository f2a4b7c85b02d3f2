//go:build linux

package umlpci

import (
	"errors"

	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/live"
)

// lookEvery is how many turns of an awake loop pass between looks at the socket
// while the rings are polled: there is little to come by it, and a look is a system
// call.
const lookEvery = 64

var errNoInterruptBuffer = errors.New("a buffer for interrupts is too short, or to be read")

// session is one guest's time with the function.
type session struct {
	conn *guest.Conn
	fn   *pci.Function

	owned              bool
	features, protocol uint64 // agreed on; 0 until then
	regions            []region
	channel            *channel
	rings              [numRings]ring

	asleep      bool
	looked      int   // turns since the socket was looked at
	kicked      int   // work that kicks have done
	calls       uint8 // a bit for each ring of whose used entries the guest is to be told
	starved     bool  // an interrupt waits for a buffer
	linePending bool  // the pin's does
	failed      error // what went wrong amid the function's work

	nudge nudge
	order *order // nil unless guest and loop take turns

	scratch [maxCommandBytes]byte
}

// newSession begins as if the loop slept: then the guest kicks, which is never
// wrong.
func newSession(c *guest.Conn, fn *pci.Function, ordered bool) *session {
	s := &session{conn: c, fn: fn, asleep: true}
	if ordered {
		s.order = new(order)
	}
	return s
}

// Step does what the guest has asked for by its rings and its socket. It tells the
// guest whether to kick before it looks, so that nothing is missed.
func (s *session) Step(budget int) (int, error) {
	s.hush()
	waits, err := s.takeTurns()
	if err != nil {
		return 0, err
	}
	work, err := s.commands(budget)
	work += waits
	if err != nil {
		return work, err
	}
	if s.looked++; s.asleep || s.looked >= lookEvery || !s.rings[commandRing].enabled {
		s.looked = 0
		n, err := s.messages(budget)
		work += n
		if err != nil {
			return work, err
		}
	}
	if err := s.refilled(); err != nil {
		return work, err
	}
	if s.failed != nil {
		return work, s.failed
	}
	n, err := s.sendCalls()
	if err == nil {
		err = s.callAgain()
	}
	return work + n, err
}

// callAgain calls a guest that seems to have missed an interrupt.
func (s *session) callAgain() error {
	r := &s.rings[interruptRing]
	if s.order != nil || !r.enabled {
		return nil
	}
	n, err := r.waiting()
	if err != nil || !s.nudge.due(n) {
		return err
	}
	return s.channel.call(false, interruptRing)
}

// sendCalls tells the guest of used entries, once for all that have gathered.
func (s *session) sendCalls() (work int, err error) {
	if s.calls == 0 {
		return 0, nil
	}
	interrupts := s.calls&(1<<interruptRing) != 0 && s.rings[interruptRing].wantsCall()
	if interrupts && s.order == nil && s.rings[commandRing].unreaped() >= callWithInterrupt {
		s.showCommands()
	}
	rings := make([]int, 0, numRings)
	if s.calls&(1<<commandRing) != 0 && s.rings[commandRing].wantsCall() {
		rings = append(rings, commandRing)
	}
	if interrupts {
		rings = append(rings, interruptRing)
		s.nudge.told()
	}
	s.calls = 0
	for range rings {
		s.order.called()
	}
	return len(rings), s.channel.call(s.order != nil, rings...)
}

// Sleep makes the guest kick, from the next step on: memory is touched by steps only.
func (s *session) Sleep(r *live.Rest) {
	s.asleep = true
	s.order.atRest()
	if wait, any := s.nudge.next(); any {
		r.AtMost(wait)
	}
}

// Awake ends that. A kick may be on its way.
func (s *session) Awake() { s.asleep, s.looked = false, lookEvery }

// hush tells the guest which kicks are wanted: none while the loop is awake, else
// those of commands, and those of interrupt buffers when one is waited for.
func (s *session) hush() {
	s.rings[commandRing].hush(!s.asleep)
	s.rings[interruptRing].hush(!s.asleep || !s.starved)
}

// fail keeps the first error that came up where none can be returned.
func (s *session) fail(err error) {
	if s.failed == nil {
		s.failed = err
	}
}

// Close takes the function back. Its memory goes first: a reset finds none to
// write to.
func (s *session) Close() {
	s.fn.SetInterrupter(nil)
	s.unmap()
	s.fn.Reset(pci.TransportReset)
	s.closeChannel()
}
