package xdp

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"nicsim.dev/scenarios/frame"
)

// errLate says that packets took too long.
var errLate = fmt.Errorf("nothing more in %v", trafficPatience)

// until turns all rings until done says so, or gives up.
func (s *session) until(done func() (bool, error)) error {
	for deadline := time.Now().Add(trafficPatience); ; {
		for _, k := range s.sockets {
			k.reap()
			if err := k.restock(); err != nil {
				return err
			}
		}
		if ok, err := done(); ok || err != nil {
			return err
		}
		var polled []unix.PollFd
		for _, k := range s.sockets {
			if err := k.wake(); err != nil {
				return err
			}
			polled = append(polled, unix.PollFd{Fd: int32(k.fd), Events: unix.POLLIN})
		}
		if time.Now().After(deadline) {
			return errLate
		}
		if _, err := unix.Poll(polled, pollMS); err != nil && err != unix.EINTR {
			return err
		}
	}
}

// next waits for a packet on a socket. Its frame is the caller's, to give back or
// to send.
func (s *session) next(k *socket) (d unix.XDPDesc, err error) {
	err = s.until(func() (ok bool, _ error) {
		if d, ok = k.rx.take(); ok {
			k.filled--
			if end := d.Addr + uint64(d.Len); end > uint64(len(s.memory.memory)) {
				return false, fmt.Errorf("a packet of %d bytes at %#x is outside memory", d.Len, d.Addr)
			}
		}
		return ok, nil
	})
	return d, err
}

// post gives a packet to the kernel to be sent from a socket.
func (s *session) post(k *socket, d unix.XDPDesc) error {
	d.Options = 0
	err := s.until(func() (bool, error) { return k.tx.put(d), nil })
	if err == nil {
		k.sending++
	}
	return err
}

// sent waits until all that was posted has been sent.
func (s *session) sent(k *socket) error {
	return s.until(func() (bool, error) { return k.sending == 0, nil })
}

// receive holds the next packets against a pattern.
func (s *session) receive(pattern []frame.Layer, n int) error {
	k := s.sockets[0]
	for i := range n {
		d, err := s.next(k)
		if err != nil {
			return fmt.Errorf("packet %d: %w", i+1, err)
		}
		err = frame.Match(pattern, s.memory.data(d))
		s.memory.give(d.Addr)
		if err != nil {
			return fmt.Errorf("packet %d: %w", i+1, err)
		}
	}
	fmt.Fprintf(s.out, "%d received\n", n)
	return nil
}

// send sends a packet several times.
func (s *session) send(data []byte, n int) error {
	if len(data) > chunkBytes {
		return fmt.Errorf("a packet of %d bytes, at most %d fit", len(data), chunkBytes)
	}
	k := s.sockets[0]
	for range n {
		var at uint64
		err := s.until(func() (ok bool, _ error) {
			at, ok = s.memory.take()
			return ok, nil
		})
		if err != nil {
			return err
		}
		d := unix.XDPDesc{Addr: at, Len: uint32(len(data))}
		copy(s.memory.data(d), data)
		if err := s.post(k, d); err != nil {
			return err
		}
	}
	if err := s.sent(k); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d sent\n", n)
	return nil
}

// pump sends from one socket what another one receives, in the same frame, changed
// if there is something to change.
func (s *session) pump(from, to *socket, n int, change func([]byte) error) error {
	for i := range n {
		d, err := s.next(from)
		if err == nil && change != nil {
			err = change(s.memory.data(d))
		}
		if err == nil {
			err = s.post(to, d)
		}
		if err != nil {
			return fmt.Errorf("packet %d: %w", i+1, err)
		}
	}
	if err := s.sent(to); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d sent on\n", n)
	return nil
}

// swap exchanges a packet's MAC addresses.
func swap(data []byte) error {
	if len(data) < addressBytes {
		return errors.New("the packet has no addresses")
	}
	const half = addressBytes / 2
	for i := range half {
		data[i], data[half+i] = data[half+i], data[i]
	}
	return nil
}
