//go:build linux

package umlpci

import (
	"errors"
	"fmt"

	"nicsim.dev/nicsim/sim"
)

// The rings: the guest's accesses, and our interrupts.
const (
	commandRing   = 0
	interruptRing = 1
	numRings      = 2
)

// ringOf returns the ring that a message names by its first word. Ring parameters
// may be set while it is not enabled.
func (s *session) ringOf(p []byte, stopped bool) (*ring, error) {
	i := le.Uint32(p)
	switch {
	case i >= numRings:
		return nil, fmt.Errorf("ring %d of %d", i, numRings)
	case s.features == 0:
		return nil, errors.New("ahead of SET_FEATURES")
	case stopped && s.rings[i].enabled:
		return nil, fmt.Errorf("ring %d is enabled", i)
	}
	return &s.rings[i], nil
}

func (s *session) setVringNum(p []byte, _ []int) error {
	r, err := s.ringOf(p, true)
	if err != nil {
		return err
	}
	n := le.Uint32(p[4:])
	if n == 0 || n > maxRing || n&(n-1) != 0 {
		return fmt.Errorf("%d entries, not a power of two up to %d", n, maxRing)
	}
	r.num = uint16(n)
	return nil
}

func (s *session) setVringBase(p []byte, _ []int) error {
	r, err := s.ringOf(p, true)
	if err != nil {
		return err
	}
	v := le.Uint32(p[4:])
	if v > 0xFFFF {
		return fmt.Errorf("entry %d, beyond 16 bits", v)
	}
	r.next = uint16(v)
	return nil
}

// setVringAddr takes the ring's number, flags, and the addresses of its
// descriptors, used ring, available ring and log, which nobody keeps.
func (s *session) setVringAddr(p []byte, _ []int) error {
	r, err := s.ringOf(p, true)
	if err != nil {
		return err
	}
	if flags := le.Uint32(p[4:]); flags != 0 {
		return fmt.Errorf("flags %#x: writes are not logged", flags)
	}
	r.descAddr, r.usedAddr, r.availAddr = le.Uint64(p[8:]), le.Uint64(p[16:]), le.Uint64(p[24:])
	r.placed = true
	return nil
}

func (s *session) setVringEnable(p []byte, _ []int) error {
	r, err := s.ringOf(p, false)
	if err != nil {
		return err
	}
	switch on := le.Uint32(p[4:]); {
	case on > 1:
		return fmt.Errorf("%d is neither on nor off", on)
	case on == 0:
		s.stop(r)
		return nil
	case r.enabled:
		return errors.New("the ring is enabled")
	case r.num == 0 || !r.placed:
		return errors.New("the ring has no size or no place yet")
	case s.channel == nil:
		return errors.New("ahead of SET_SLAVE_REQ_FD")
	}
	r.done = r.next
	r.reaped = r.next
	for i := range r.usedAt {
		r.usedAt[i] = r.next
	}
	if err := s.locate(r); err != nil {
		return err
	}
	r.enabled = true
	if r == &s.rings[interruptRing] {
		s.fn.SetInterrupter(s)
	}
	return nil
}

// stop ends a ring. What it had at the guest's disposal is void.
func (s *session) stop(r *ring) {
	if r == &s.rings[interruptRing] && r.enabled {
		s.fn.SetInterrupter(nil)
		s.starved, s.linePending = false, false
	}
	r.enabled, r.placed = false, false
	r.forget()
}

func (s *session) running() bool {
	return s.rings[commandRing].enabled || s.rings[interruptRing].enabled
}

// vringKick does what the guest has made available, and only then lets the kick be
// acknowledged: a guest in time travel sees the answer when it is back.
func (s *session) vringKick(p []byte, _ []int) error {
	r, err := s.ringOf(p, false)
	if err != nil {
		return err
	}
	if !r.enabled {
		return errors.New("the ring is not enabled")
	}
	if r == &s.rings[commandRing] {
		s.kicked, err = s.commands(sim.StepBudget)
		return err
	}
	return s.refilled()
}
