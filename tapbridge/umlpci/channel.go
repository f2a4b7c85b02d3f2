//go:build linux

package umlpci

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"nicsim.dev/tapbridge/guest"
)

// channel is where our requests to the guest go: one end of a socket pair (UML) or
// of a pipe. It must never block, whatever the guest does to the other end or to
// its copy of this one.
type channel struct {
	fd     int
	socket bool
	buf    []byte
}

func (s *session) setSlaveChannel(_ []byte, fds []int) error {
	if s.protocol&protocolSlave == 0 {
		return errors.New("ahead of SET_PROTOCOL_FEATURES")
	}
	if s.running() {
		return errors.New("while a ring is enabled")
	}
	c, err := newChannel(fds[0])
	if err != nil {
		return err
	}
	if s.order != nil && !c.socket {
		unix.Close(c.fd)
		return errors.New("the channel is a pipe, by which calls cannot be acknowledged")
	}
	s.closeChannel()
	s.channel = c
	return nil
}

func newChannel(fd int) (*channel, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("its file descriptor: %w", err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil || kind != unix.AF_UNIX {
			return nil, errors.New("the channel is a socket, but not a local one")
		}
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return &channel{fd: own, socket: true}, nil
	case unix.S_IFIFO:
		// Whether a write blocks is a property of the open file, which the guest
		// shares; opened anew it is ours alone.
		own, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("the channel cannot be written: %w", err)
		}
		return &channel{fd: own}, nil
	}
	return nil, fmt.Errorf("the channel is neither a socket nor a pipe but of mode %#o", st.Mode)
}

// call tells the guest that rings have used entries, and may ask for acknowledgements.
// The guest hears all of it at once.
func (c *channel) call(acknowledged bool, rings ...int) error {
	if len(rings) == 0 {
		return nil
	}
	flags := uint32(flagVersion)
	if acknowledged {
		flags |= flagNeedReply
	}
	m := c.buf[:0]
	for _, i := range rings {
		m = appendHeader(m, slaveVringCall, flags, 8)
		m = le.AppendUint32(m, uint32(i))
		m = le.AppendUint32(m, 0)
	}
	c.buf = m
	for {
		n, err := 0, error(nil)
		if c.socket {
			n, err = unix.SendmsgN(c.fd, m, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		} else {
			n, err = unix.Write(c.fd, m)
		}
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EPIPE || err == unix.ECONNRESET:
			return guest.ErrClosed
		case err == unix.EAGAIN || err == nil && n < len(m):
			return errors.New("the channel for calls is full: the guest does not read it")
		}
		return err
	}
}

func (s *session) closeChannel() {
	if s.channel != nil {
		unix.Close(s.channel.fd)
		s.channel = nil
	}
}
