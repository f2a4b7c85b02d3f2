//go:build linux

package vfiouser

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// signal is a client's eventfd, to which interrupts are written.
type signal struct {
	fd       int
	blocking bool
}

// writePatience is for how long a write to a blocking eventfd may wait.
const writePatience = 10 * time.Millisecond

var one = [8]byte{1} // the increment of an eventfd

// newSignal takes fd, which stays the caller's on error. Nothing but an eventfd will
// do: a write to anything else can wait for others, or be seen by them.
func newSignal(fd int) (*signal, error) {
	kind, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, err
	}
	if kind != "anon_inode:[eventfd]" {
		return nil, fmt.Errorf("an interrupt needs an eventfd, not %q", kind)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, err
	}
	return &signal{fd, flags&unix.O_NONBLOCK == 0}, nil
}

// raise signals the interrupt. It returns false when the eventfd's counter is full.
func (g *signal) raise() bool {
	if g.blocking {
		return g.raiseBlocking()
	}
	_, err := unix.Write(g.fd, one[:])
	return err == nil
}

// raiseBlocking is raise for a descriptor whose blocking is the client's business, who
// may read from it in that way. It writes when there is room.
func (g *signal) raiseBlocking() bool {
	p := []unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(p, 0); n == 0 || err != nil {
		return false
	}
	return g.writeWithin(writePatience)
}

// writeWithin writes. Should the client have filled the counter since the look, then it
// is emptied when patience ends, and the descriptor blocks nobody any more.
func (g *signal) writeWithin(patience time.Duration) bool {
	rescued := make(chan struct{})
	rescue := time.AfterFunc(patience, func() {
		defer close(rescued)
		unix.SetNonblock(g.fd, true)
		var count [8]byte
		unix.Read(g.fd, count[:])
	})
	_, err := unix.Write(g.fd, one[:])
	if !rescue.Stop() {
		<-rescued
		g.blocking = false
	}
	return err == nil
}

func (g *signal) close() { unix.Close(g.fd) }
