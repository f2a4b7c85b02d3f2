//go:build linux

package timetravel

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxGuests bounds the participants.
	maxGuests = 64
	// spinNS is for how long the next word of a guest is polled for before the thread
	// sleeps: it is some microseconds away, and a wake-up across cores costs as much.
	spinNS = 50_000
)

// await waits for a word from outside: it polls for a moment, then sleeps.
func (s *Scheduler) await() {
	for begin := time.Now(); time.Since(begin) < spinNS; {
		if s.poll(0) > 0 {
			return
		}
	}
	s.poll(-1)
}

// poll looks for words from outside, for at most a number of milliseconds or, if that
// is negative, until there is one. It acts upon those to the scheduler; those to the
// loop's parts are left to them. It returns how many there were.
func (s *Scheduler) poll(milliseconds int) int {
	fds := append(s.fds[:0], pollIn(s.listener), pollIn(s.wake))
	for _, g := range s.guests {
		fds = append(fds, pollIn(g.fd))
	}
	for _, socket := range s.resting.Sockets {
		fds = append(fds, socket.Poll())
	}
	s.fds = fds
	n, err := unix.Poll(fds, milliseconds)
	if err != nil || n == 0 {
		return 0
	}
	if fds[1].Revents != 0 {
		var b [8]byte
		unix.Read(s.wake, b[:])
	}
	for i, g := range slices.Clone(s.guests) {
		if fds[2+i].Revents != 0 {
			s.hear(g)
		}
	}
	if fds[0].Revents != 0 {
		s.accept()
	}
	for _, g := range s.lost {
		s.drop(g, errLeft)
	}
	s.lost = nil
	s.resting.Begin() // some may be gone at the next rest
	return n
}

func pollIn(fd int) unix.PollFd { return unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} }

// accept lets a guest in, who has to say START.
func (s *Scheduler) accept() {
	fd, _, err := unix.Accept4(s.listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	switch {
	case err != nil:
	case len(s.guests) == maxGuests:
		unix.Close(fd)
		s.log.Warn("a guest was turned away: there are too many in the simulation")
	default:
		s.guests = append(s.guests, &participant{fd: fd, wanted: never})
	}
}

func (s *Scheduler) hear(g *participant) {
	m, ok, err := g.receive()
	if ok {
		err = s.handle(g, m)
	}
	if err != nil {
		s.drop(g, err)
	}
}

// drop ends a guest's part in the simulation.
func (s *Scheduler) drop(g *participant, why error) {
	i := slices.Index(s.guests, g)
	if i < 0 {
		return
	}
	s.guests = slices.Delete(s.guests, i, i+1)
	unix.Close(g.fd)
	if s.running == g {
		s.running = nil
	}
	log := s.log.With("guest", g.id, "time", s.Sim.Clock.Now())
	if why == errLeft {
		log.Info("guest has left the simulation")
	} else {
		log.Warn("guest was dropped from the simulation", "reason", why)
	}
}
