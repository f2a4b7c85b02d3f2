//go:build linux

package umlpci

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"nicsim.dev/tapbridge/guest"
)

// callPatience is for how long a guest may leave a call without acknowledgement.
// Time, as simulated, stands still meanwhile.
const callPatience = 30 * time.Second

// order is what a session remembers of who waits for whom, when the guest and the
// loop take turns. Its methods do nothing without one.
type order struct {
	held    int  // kicks that wait for the loop to come to rest
	resting bool // it has
	calls   int  // calls that wait for the guest
	since   time.Time
	answer  []byte // what has come of an acknowledgement
}

func (o *order) called() {
	if o != nil {
		o.calls++
		o.since = time.Now()
	}
}

func (o *order) atRest() {
	if o != nil {
		o.resting = true
	}
}

// takeTurns acknowledges kicks after which the loop has come to rest, and takes
// acknowledgements of calls. While one is missing there is work, so that the loop
// does not come to rest.
func (s *session) takeTurns() (work int, err error) {
	o := s.order
	if o == nil {
		return 0, nil
	}
	if o.resting && o.held > 0 {
		for ; o.held > 0; o.held-- {
			if err := s.acknowledge(vringKick); err != nil {
				return work, err
			}
		}
		work++
	}
	o.resting = false
	for ; o.calls > 0; o.calls-- {
		if done, err := s.channel.acknowledged(o); err != nil {
			return work, err
		} else if !done {
			if time.Since(o.since) > callPatience {
				return work, fmt.Errorf("a call was not acknowledged for %v", callPatience)
			}
			return work + 1, nil
		}
	}
	return work, nil
}

// acknowledged takes the next acknowledgement of a call, if it has come.
func (c *channel) acknowledged(o *order) (bool, error) {
	want := append(header(slaveVringCall, flagVersion|flagReply, 8), make([]byte, 8)...)
	var b [headerBytes + 8]byte
	n, _, err := unix.Recvfrom(c.fd, b[:len(want)-len(o.answer)], unix.MSG_DONTWAIT)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err != nil && err != unix.ECONNRESET:
		return false, fmt.Errorf("the channel for calls: %w", err)
	case n <= 0:
		return false, guest.ErrClosed
	}
	if o.answer = append(o.answer, b[:n]...); len(o.answer) < len(want) {
		return false, nil
	}
	if !bytes.Equal(o.answer, want) {
		return false, errors.New("a call was refused, or answered by something else")
	}
	o.answer = o.answer[:0]
	return true, nil
}
