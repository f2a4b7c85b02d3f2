//go:build linux

package vfiouser

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/live"
)

// session is one client. Everything happens on the loop's goroutine, inside Step,
// inside what the adapter does to its memory, or inside Message and Line.
type session struct {
	conn  *guest.Conn
	fn    *pci.Function
	space *dma.Space
	log   *slog.Logger

	agreed bool  // on a version
	fds    []int // of the message in work; -1 in place of those that were taken
	fresh  bool  // the driver may have written to its memory
	buf    []byte
	refuse uint64 // requests refused so far
	dead   error  // why the session ends, when that was found amid the adapter's work

	irqs   irqs
	memory map[dma.Addr]mapping
	remote remote
}

// maxRefusalsLogged bounds what a client can write to the log.
const maxRefusalsLogged = 16

// refusal is a request that is answered with an error; the session goes on.
type refusal struct {
	errno unix.Errno
	why   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s (%s)", r.why, unix.ErrnoName(r.errno)) }

func refused(errno unix.Errno, format string, args ...any) error {
	return &refusal{errno, fmt.Sprintf(format, args...)}
}

// violation is a request that is answered with an error, and is the last one.
type violation struct{ refusal }

func violated(errno unix.Errno, format string, args ...any) error {
	return &violation{refusal{errno, fmt.Sprintf(format, args...)}}
}

func newSession(c *guest.Conn, fn *pci.Function, space *dma.Space, log *slog.Logger) *session {
	s := &session{conn: c, fn: fn, space: space, log: log, memory: map[dma.Addr]mapping{}}
	s.irqs.s, s.remote.s, s.remote.piece = s, s, maxDataBytes
	space.SetRemote(&s.remote)
	fn.SetInterrupter(&s.irqs)
	return s
}

// Step handles what the client has sent. What the adapter wrote to memory since the
// last one is there before, as reads push writes on a bus.
func (s *session) Step(budget int) (n int, err error) {
	if s.space.Settle(); s.dead != nil {
		return 0, s.dead
	}
	for n < budget && !s.conn.Congested() {
		message, fds, err := s.next()
		if err != nil {
			return n, err
		}
		if message == nil {
			break
		}
		n++
		if err := s.handle(message, fds); err != nil {
			return n, err
		}
	}
	if s.fresh {
		s.fresh = false
		s.space.Refresh()
	}
	s.irqs.retry()
	return n, s.dead
}

// next returns the next message: those that came while an answer was awaited first.
func (s *session) next() ([]byte, []int, error) {
	if m, ok := s.remote.kept(); ok {
		return m.bytes, m.fds, nil
	}
	return s.conn.Next(headerBytes, messageBytes)
}

// handle does what a message asks for and answers it. An error ends the session.
func (s *session) handle(message []byte, fds []int) error {
	s.fds = fds
	defer s.closeFDs()
	h := parseHeader(message)
	if h.flags&typeBits == typeReply {
		return fmt.Errorf("a reply to a %v that was not asked", h.cmd)
	}
	reply, err := s.dispatch(h, message[headerBytes:])
	if s.dead != nil {
		return s.dead
	}
	var errno unix.Errno
	if err != nil {
		err = fmt.Errorf("%v: %w", h.cmd, err)
		if r, ok := errors.AsType[*violation](err); ok {
			errno = r.errno
		} else if r, ok := errors.AsType[*refusal](err); ok {
			errno = r.errno
			s.logRefusal(err)
			err = nil
		} else {
			return err
		}
		reply = nil
	}
	if h.flags&noReply == 0 {
		s.reply(h, reply, errno)
	}
	return err
}

func (s *session) closeFDs() {
	for _, fd := range s.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	s.fds = nil
}

// takeFD makes one of the message's descriptors the session's.
func (s *session) takeFD(i int) int {
	fd := s.fds[i]
	s.fds[i] = -1
	return fd
}

func (s *session) logRefusal(err error) {
	if s.refuse++; s.refuse <= maxRefusalsLogged {
		s.log.Warn("request refused", "reason", err)
	}
}

func (s *session) reply(to header, payload []byte, errno unix.Errno) {
	h := header{id: to.id, cmd: to.cmd, bytes: headerBytes + uint32(len(payload)), flags: typeReply, errno: errno}
	if errno != 0 {
		h.flags |= errorFlag
	}
	var b [headerBytes]byte
	h.put(b[:])
	s.conn.Queue(b[:], payload)
}

// scratch returns n bytes that are good until the next message.
func (s *session) scratch(n int) []byte {
	if n > cap(s.buf) {
		s.buf = make([]byte, n)
	}
	return s.buf[:n]
}

// least is how many bytes follow the header of a request.
var least = [...]int{
	cmdVersion: versionBytes, cmdDMAMap: dmaMapBytes, cmdDMAUnmap: dmaUnmapBytes, cmdGetInfo: deviceInfoBytes,
	cmdGetRegionInfo: regionInfoBytes, cmdGetRegionIOFDs: indexInfoBytes, cmdGetIRQInfo: indexInfoBytes,
	cmdSetIRQs: irqSetBytes, cmdRegionRead: regionAccessBytes, cmdRegionWrite: regionAccessBytes,
	cmdRegionWriteMulti: multiCountBytes,
}

// dispatch does what a request asks for and returns the payload of the reply.
func (s *session) dispatch(h header, p []byte) ([]byte, error) {
	switch {
	case h.flags&errorFlag != 0:
		return nil, violated(unix.EINVAL, "a command with the error flag")
	case s.agreed == (h.cmd == cmdVersion):
		return nil, violated(unix.EINVAL, "VERSION is the first message, and comes once")
	case len(s.fds) > maxMessageFDs:
		return nil, violated(unix.EINVAL, "%d file descriptors, more than %d", len(s.fds), maxMessageFDs)
	case len(s.fds) > 0 && h.cmd != cmdDMAMap && h.cmd != cmdSetIRQs:
		return nil, violated(unix.EINVAL, "%d file descriptors with a command that takes none", len(s.fds))
	case int(h.cmd) < len(least) && len(p) < least[h.cmd]:
		return nil, violated(unix.EINVAL, "truncated: %d bytes, not %d", len(p), least[h.cmd])
	}
	switch h.cmd {
	case cmdRegionRead:
		return s.regionRead(p)
	case cmdRegionWrite:
		return s.regionWrite(p)
	case cmdRegionWriteMulti:
		return s.regionWriteMulti(p)
	case cmdVersion:
		return s.version(p)
	case cmdDMAMap:
		return nil, s.mapMemory(p)
	case cmdDMAUnmap:
		return s.unmapMemory(p)
	case cmdGetInfo:
		return s.deviceInfo(p)
	case cmdGetRegionInfo:
		return s.regionInfo(p)
	case cmdGetRegionIOFDs:
		return s.regionIOFDs(p)
	case cmdGetIRQInfo:
		return s.irqInfo(p)
	case cmdSetIRQs:
		return nil, s.setIRQs(p)
	case cmdReset:
		s.reset()
		return nil, nil
	}
	return nil, refused(unix.ENOTSUP, "not supported")
}

func (s *session) version(p []byte) (reply []byte, err error) {
	reply, s.remote.piece, err = negotiate(p)
	if err != nil {
		return nil, violated(unix.EINVAL, "%v", err)
	}
	s.agreed = true
	return reply, nil
}

func (s *session) deviceInfo(p []byte) ([]byte, error) {
	var m deviceInfo
	if m.parse(p); m.argsz < deviceInfoBytes {
		return nil, tooSmall(m.argsz, deviceInfoBytes)
	}
	m = deviceInfo{deviceInfoBytes, deviceReset | devicePCI, numRegions, numIRQs}
	out := s.scratch(deviceInfoBytes)
	m.put(out)
	return out, nil
}

// tooSmall is the answer to a client that has no room for the fixed part of a reply
// (Message sizes).
func tooSmall(argsz uint32, need int) error {
	return refused(unix.EINVAL, "a reply of %d bytes is expected, but has %d", argsz, need)
}

// reset is DEVICE_RESET. The client's eventfds stay, as they do in VFIO.
func (s *session) reset() {
	s.fn.Reset(pci.TransportReset)
	s.irqs.remask()
}

// Sleep is of no concern: what arrives on the connection wakes the loop.
func (s *session) Sleep(*live.Rest) {}

// Awake ends that.
func (s *session) Awake() {}

// Close takes the adapter back. Differs: the specification keeps a device's state for
// the next client ("Socket Disconnection Behavior"); here that finds a device as
// after power-on, for its driver starts from there and descriptors of the last
// one must lead nowhere.
func (s *session) Close() {
	s.fn.SetInterrupter(nil)
	s.space.Clear()
	s.space.SetRemote(nil)
	s.fn.Reset(pci.TransportReset)
	s.closeFDs()
	s.remote.close()
	s.irqs.close()
	if more := s.refuse; more > maxRefusalsLogged {
		s.log.Warn("more requests were refused", "count", more-maxRefusalsLogged)
	}
}
