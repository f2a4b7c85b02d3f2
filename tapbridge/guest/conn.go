//go:build linux

package guest

import (
	"errors"
	"fmt"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of a connection.
const (
	// inBytes is how much is read at a time: many posted writes.
	inBytes = 256 << 10
	// maxMessage is the longest message: 1 MiB of data, which both protocols stay
	// within, and what goes ahead of it. Only who sends long ones has the room.
	maxMessage = 1<<20 + 4096
	// congested is how much may wait for a client that does not read before no
	// more of its messages are taken; maxOutBytes is the end of patience.
	congested   = 1 << 20
	maxOutBytes = 4 << 20
	// maxPassed is how many file descriptors a message may carry, as in the kernel
	// (SCM_MAX_FD).
	maxPassed = 253
)

// The ordinary ends of a session.
var (
	ErrClosed = errors.New("the client closed the connection")
	ErrServer = errors.New("the server is closed")
)

// Conn is a client's connection. It belongs to the loop's goroutine, never blocks,
// and closes what file descriptors nobody took.
type Conn struct {
	fd int

	in         []byte // inBytes or more; [start, end) has been read and not handled
	start, end int
	passed     []passed
	oob        []byte
	iov        unix.Iovec
	msg        unix.Msghdr
	out        []byte // what the client did not take yet

	memory [][]byte
	mapped uint64 // bytes of memory
	host   *Host
}

// passed are file descriptors that came with the byte ahead of at, a place in in.
type passed struct {
	at  int
	fds []int
}

func newConn(c *net.UnixConn, h *Host) (*Conn, error) {
	fd, err := detach(c)
	if err != nil {
		return nil, err
	}
	return &Conn{fd: fd, in: make([]byte, inBytes), oob: make([]byte, unix.CmsgSpace(4*maxPassed)), host: h}, nil
}

// detach makes a connection its descriptor. The Go runtime watches its own, and would
// be woken by every message although nobody waits there.
func detach(c *net.UnixConn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	if e := raw.Control(func(its uintptr) { fd, err = unix.FcntlInt(its, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return -1, e
	}
	if err != nil {
		return -1, err
	}
	c.Close()
	return fd, nil
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
			if n < header || n > maxMessage {
				return nil, nil, fmt.Errorf("a message of %d bytes", n)
			}
			if have >= n {
				break
			}
			c.grow(n)
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

// grow makes room for a message of n bytes.
func (c *Conn) grow(n int) {
	if n > len(c.in) {
		in := make([]byte, n)
		c.end = copy(in, c.in[c.start:c.end])
		c.in = in
		c.moved()
	}
}

// moved is called when what has been read was moved to the front.
func (c *Conn) moved() {
	for i := range c.passed {
		c.passed[i].at -= c.start
	}
	c.start = 0
}

// fill reads what there is, and says whether there was anything. What was to be sent
// goes out first: the client may be waiting for it, and sends nothing meanwhile.
func (c *Conn) fill() (bool, error) {
	if err := c.flush(); err != nil {
		return false, err
	}
	if c.start > 0 && (c.start == c.end || c.end == len(c.in)) {
		c.end = copy(c.in, c.in[c.start:c.end])
		c.moved()
	}
	n, oobn, flags, err := c.receive()
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err == unix.ECONNRESET:
		return false, ErrClosed
	case err != nil:
		return false, fmt.Errorf("reading: %w", err)
	}
	c.end += n
	if err := c.takeRights(oobn, flags); err != nil {
		return false, err
	}
	switch {
	case n > 0:
		return true, nil
	case c.start < c.end:
		return false, fmt.Errorf("the connection ended amid a message")
	}
	return false, ErrClosed
}

// receive is recvmsg into the room behind c.end, without the allocations that package
// unix makes for the sender's address, which streams do not have.
func (c *Conn) receive() (n, oobn, flags int, err error) {
	iov := &c.iov
	iov.Base = unsafe.SliceData(c.in[c.end:])
	iov.SetLen(len(c.in) - c.end)
	c.msg = unix.Msghdr{Iov: iov, Control: unsafe.SliceData(c.oob)}
	c.msg.SetIovlen(1)
	c.msg.SetControllen(len(c.oob))
	r, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&c.msg)), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if errno != 0 {
		return 0, 0, 0, errno
	}
	return int(r), int(c.msg.Controllen), int(c.msg.Flags), nil
}

// takeRights keeps the file descriptors that came with what was read.
func (c *Conn) takeRights(oobn, flags int) error {
	if oobn > 0 {
		if fds := rights(c.oob[:oobn]); len(fds) > 0 {
			c.passed = append(c.passed, passed{c.end, fds})
		}
	}
	waiting := 0
	for _, p := range c.passed {
		waiting += len(p.fds)
	}
	if flags&unix.MSG_CTRUNC != 0 || waiting > maxPassed {
		return fmt.Errorf("more than %d file descriptors in one message, or more than this process may have", maxPassed)
	}
	return nil
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

// Queue puts the message that the parts make behind those that are to be sent. It goes
// out when there is nothing more to read, or at the end of the session's step.
func (c *Conn) Queue(parts ...[]byte) {
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
}

// Send is Queue for a message that cannot wait.
func (c *Conn) Send(parts ...[]byte) error {
	c.Queue(parts...)
	return c.flush()
}

// Congested says that the client does not read what it asked for. A session takes no
// more of its messages then.
func (c *Conn) Congested() bool { return len(c.out) > congested }

// Wait blocks until there is something to read, or patience ends. It is for who
// cannot go on without an answer.
func (c *Conn) Wait(patience time.Duration) error {
	for until := time.Now().Add(patience); ; {
		if err := c.flush(); err != nil {
			return err
		}
		left := time.Until(until)
		if left <= 0 {
			return fmt.Errorf("no answer within %v", patience)
		}
		p := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if len(c.out) > 0 {
			p[0].Events |= unix.POLLOUT
		}
		if _, err := unix.Poll(p, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
			return fmt.Errorf("waiting: %w", err)
		}
		if p[0].Revents&^unix.POLLOUT != 0 {
			return nil
		}
	}
}

func (c *Conn) flush() error {
	sent := 0
	for sent < len(c.out) {
		n, err := unix.SendmsgN(c.fd, c.out[sent:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN && len(c.out)-sent <= maxOutBytes:
			c.out = c.out[:copy(c.out, c.out[sent:])]
			return nil
		case err == unix.EAGAIN:
			return fmt.Errorf("%d bytes wait for a client that does not read", len(c.out)-sent)
		case err == unix.EPIPE || err == unix.ECONNRESET:
			return ErrClosed
		case err != nil:
			return fmt.Errorf("writing: %w", err)
		}
		sent += n
	}
	c.out = c.out[:0]
	return nil
}

func (c *Conn) close() {
	for _, p := range c.passed {
		CloseAll(p.fds)
	}
	c.passed = nil
	c.unmapAll()
	unix.Close(c.fd)
}

// CloseAll closes file descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// Answered tells that the client was given an answer for which it did nothing but wait.
func (c *Conn) Answered() { c.host.answers++ }
