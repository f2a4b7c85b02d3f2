//go:build linux

package guest

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bounds of a connection.
const (
	// inBytes is how much is read at a time: many posted writes, or one message of
	// a protocol, which must not be longer.
	inBytes = 256 << 10
	// maxOutBytes bounds what waits for a client that does not read.
	maxOutBytes = 4 << 20
	// maxPassed is how many file descriptors a message may carry, as in the kernel
	// (SCM_MAX_FD).
	maxPassed = 253
)

// ErrClosed is the end of a session by the client.
var ErrClosed = errors.New("guest: the client closed the connection")

// Conn is a client's connection. It belongs to the loop's goroutine, never blocks,
// and closes what file descriptors nobody took.
type Conn struct {
	unix *net.UnixConn
	raw  syscall.RawConn
	fd   int

	in         []byte // inBytes; [start, end) has been read and not handled
	start, end int
	passed     []passed
	oob        []byte
	out        []byte // what the client did not take yet

	memory [][]byte
	armed  chan bool // asks the watcher to wait for room to write, or for something to read
}

// passed are file descriptors that came with the byte ahead of at, a place in in.
type passed struct {
	at  int
	fds []int
}

func newConn(c *net.UnixConn, wake func()) (*Conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	conn := &Conn{
		unix: c, raw: raw, in: make([]byte, inBytes),
		oob: make([]byte, unix.CmsgSpace(4*maxPassed)), armed: make(chan bool, 1),
	}
	if err := raw.Control(func(fd uintptr) { conn.fd = int(fd) }); err != nil {
		return nil, err
	}
	go conn.watcher(wake)
	return conn, nil
}

// watcher wakes the loop when there is something to read, or room for what waits to
// be written, and the loop has asked to be told.
func (c *Conn) watcher(wake func()) {
	for write := range c.armed {
		wait, events := c.raw.Read, int16(unix.POLLIN)
		if write {
			wait, events = c.raw.Write, unix.POLLOUT
		}
		err := wait(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 0)
			return n != 0 && err == nil
		})
		wake()
		if err != nil {
			return
		}
	}
}

// watch asks the watcher to wake the loop at the next arrival or, while something
// waits to be written, when there is room.
func (c *Conn) watch() {
	select {
	case c.armed <- len(c.out) > 0:
	default:
	}
}

// Next returns the next message with the file descriptors that came with it, which
// are the caller's, or nil when it has not come whole. A message begins with header
// bytes, from which size tells its length. The bytes are good until the next call.
//
// A sender that passes descriptors does it with one sendmsg for each message, and
// the kernel ends a read behind such a message: they belong to the message with the
// last byte of that read.
func (c *Conn) Next(header int, size func([]byte) (int, error)) (message []byte, fds []int, err error) {
	n := header
	for {
		if have := c.end - c.start; have >= header {
			if n, err = size(c.in[c.start:c.end]); err != nil {
				return nil, nil, err
			}
			if n < header || n > inBytes {
				return nil, nil, fmt.Errorf("a message of %d bytes", n)
			}
			if have >= n {
				break
			}
		}
		if got, err := c.fill(); err != nil || !got {
			return nil, nil, err
		}
	}
	message = c.in[c.start : c.start+n]
	c.start += n
	for len(c.passed) > 0 && c.passed[0].at <= c.start {
		fds = append(fds, c.passed[0].fds...)
		c.passed = c.passed[1:]
	}
	return message, fds, nil
}

// fill reads what there is, and says whether there was anything.
func (c *Conn) fill() (bool, error) {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.start > 0 && c.end == len(c.in) {
		c.end = copy(c.in, c.in[c.start:c.end])
		for i := range c.passed {
			c.passed[i].at -= c.start
		}
		c.start = 0
	}
	n, oobn, flags, _, err := unix.Recvmsg(c.fd, c.in[c.end:], c.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err == unix.ECONNRESET:
		return false, ErrClosed
	case err != nil:
		return false, fmt.Errorf("reading: %w", err)
	case n == 0 && c.start < c.end:
		return false, fmt.Errorf("the connection ended amid a message")
	case n == 0:
		return false, ErrClosed
	}
	c.end += n
	if oobn > 0 {
		if fds := rights(c.oob[:oobn]); len(fds) > 0 {
			c.passed = append(c.passed, passed{c.end, fds})
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return false, fmt.Errorf("more than %d file descriptors in one message", maxPassed)
	}
	return true, nil
}

func rights(oob []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		if got, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

// Send queues the message that the parts make, and sends what the client takes.
func (c *Conn) Send(parts ...[]byte) error {
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
	return c.flush()
}

func (c *Conn) flush() error {
	for len(c.out) > 0 {
		n, err := unix.SendmsgN(c.fd, c.out, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN && len(c.out) <= maxOutBytes:
			return nil
		case err == unix.EAGAIN:
			return fmt.Errorf("%d bytes wait for a client that does not read", len(c.out))
		case err == unix.EPIPE || err == unix.ECONNRESET:
			return ErrClosed
		case err != nil:
			return fmt.Errorf("writing: %w", err)
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	return nil
}

func (c *Conn) close() {
	close(c.armed)
	for _, p := range c.passed {
		CloseAll(p.fds)
	}
	c.passed = nil
	for _, b := range c.memory {
		unix.Munmap(b)
	}
	c.memory = nil
	c.unix.Close()
}

// CloseAll closes file descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
