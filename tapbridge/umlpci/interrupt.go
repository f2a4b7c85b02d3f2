//go:build linux

package umlpci

// An interrupt is a command in the other direction: a message carries the address
// and the data that a bus would write, the pin its number.
const interruptDataBytes = 4

const offPin = 0x3D // of configuration space: 1 to 4 for INTA to INTD

// Message sends a message-signalled interrupt, if the guest has given a buffer for
// it. It has ten.
func (s *session) Message(_ int, addr uint64, data uint32) bool {
	return s.send(message, addr, data)
}

// Line sends the pin's interrupt when it is asserted. The guest's bus knows no
// level: its handler finds the cause gone or is called again at the next.
func (s *session) Line(asserted bool) {
	s.linePending = asserted && !s.sendPin()
}

func (s *session) sendPin() bool {
	var pin [1]byte
	s.fn.ConfigRead(pin[:], offPin)
	return s.send(legacyPin, uint64(pin[0]), 0)
}

// send fills a buffer of the interrupt ring. It returns false when there is none; the
// steps look for their return.
func (s *session) send(op byte, addr uint64, data uint32) bool {
	r := &s.rings[interruptRing]
	n, err := r.waiting()
	if err != nil || s.failed != nil {
		s.fail(err)
		return false
	}
	if n == 0 {
		s.starved = true
		return false
	}
	head, err := r.take(s.fn.Memory)
	if err != nil {
		s.fail(err)
		return false
	}
	var m [commandHeaderBytes + interruptDataBytes]byte
	m[0] = op
	le.PutUint32(m[4:], interruptDataBytes)
	le.PutUint64(m[8:], addr)
	le.PutUint32(m[16:], data)
	rest := m[:]
	for _, b := range r.in {
		rest = rest[copy(b, rest):]
	}
	if len(rest) > 0 || len(r.out) > 0 {
		s.fail(errNoInterruptBuffer)
		return false
	}
	r.give(head, len(m))
	s.calls |= 1 << interruptRing
	return true
}

// refilled sends what waited for buffers once there are some.
func (s *session) refilled() error {
	if !s.starved {
		return nil
	}
	n, err := s.rings[interruptRing].waiting()
	if err != nil || n == 0 {
		return err
	}
	s.starved = false
	if s.linePending {
		s.linePending = !s.sendPin()
	}
	s.fn.Retry()
	s.hush()
	return s.failed
}
