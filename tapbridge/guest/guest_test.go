//go:build linux

package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/sim"
	"nicsim.dev/tapbridge/live"
)

// patience is for how long anything may take.
const patience = 10 * time.Second

// A message of the tests is four bytes of length, itself included, and data.
const head = 4

func length(b []byte) (int, error) {
	n := int(binary.LittleEndian.Uint32(b))
	if n == 0xBAD {
		return 0, errors.New("a bad length")
	}
	return n, nil
}

func message(data string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(head+len(data))), data...)
}

// echo is a session that sends back what comes, and keeps what it saw.
type echo struct {
	conn          *Conn
	seen          []string
	fds           [][]int
	sleeps, wakes int
	closed        int
	quiet         bool
	step          func() error
	closing       func()
}

func (e *echo) Step(budget int) (n int, err error) {
	if e.step != nil {
		if err := e.step(); err != nil {
			return 0, err
		}
	}
	for ; n < budget && !e.conn.Congested(); n++ {
		m, fds, err := e.conn.Next(head, length)
		if m == nil || err != nil {
			return n, err
		}
		e.seen = append(e.seen, string(m[head:]))
		e.fds = append(e.fds, fds)
		if !e.quiet {
			e.conn.Queue(m)
		}
	}
	return n, nil
}

func (e *echo) Sleep(*live.Rest) { e.sleeps++ }
func (e *echo) Awake()           { e.wakes++ }
func (e *echo) Close() {
	e.closed++
	for _, fds := range e.fds {
		CloseAll(fds)
	}
	if e.closing != nil {
		e.closing()
	}
}

// rig is a host that the test steps by hand, with one server.
type rig struct {
	t      testing.TB
	host   *Host
	server *Server
	last   *echo // of the latest client
	setup  func(*echo)
	woken  atomic.Int64
	mu     sync.Mutex
	log    bytes.Buffer
	path   string
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t}
	dir, err := os.MkdirTemp("", "guest")
	require.NoError(t, err)
	r.path = filepath.Join(dir, "s")
	r.host = NewHost(func() { r.woken.Add(1) }, slog.New(slog.NewTextHandler(r, nil)))
	r.server = r.listen("nic0", r.path)
	t.Cleanup(func() {
		r.host.Close()
		os.RemoveAll(dir)
	})
	return r
}

func (r *rig) listen(name, path string) *Server {
	s, err := r.host.Listen(name, path, func(c *Conn) Session {
		r.last = &echo{conn: c}
		if r.setup != nil {
			r.setup(r.last)
		}
		return r.last
	})
	require.NoError(r.t, err)
	return s
}

// until steps the host until done.
func (r *rig) until(done func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !done(); {
		require.True(r.t, time.Now().Before(end), "it takes forever:\n%s", r.logged())
		if r.host.Step(sim.StepBudget) == 0 {
			time.Sleep(20 * time.Microsecond)
		}
	}
}

func (r *rig) says(want string) func() bool {
	return func() bool { return strings.Contains(r.logged(), want) }
}

func (r *rig) dial() *net.UnixConn {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: r.path, Net: "unix"})
	require.NoError(r.t, err)
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func (r *rig) connect() *net.UnixConn {
	c := r.dial()
	r.until(r.server.Connected)
	return c
}

func send(t testing.TB, c *net.UnixConn, b []byte, fds ...int) {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(b, oob, nil)
	require.NoError(t, err)
}

func eventFD(t testing.TB) int {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func openFDs(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func TestSocketIsTheUsersOwn(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	r := newRig(t)
	info, err := os.Stat(r.path)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o600, info.Mode())
	require.Equal(t, r.path, r.server.Path())
	require.Equal(t, 0, unix.Umask(0), "the process's mask is as it was")
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	h := NewHost(func() {}, slog.New(slog.DiscardHandler))
	_, err = h.Listen("nic0", path, nil)
	require.ErrorContains(t, err, "somebody else serves")
	l.SetUnlinkOnClose(false)
	l.Close()
	require.FileExists(t, path)
	s, err := h.Listen("nic0", path, nil)
	require.NoError(t, err)
	s.Close()
	require.NoFileExists(t, path)

	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = h.Listen("nic0", path, nil)
	require.ErrorContains(t, err, "is no socket")
	require.FileExists(t, path)
	_, err = h.Listen("nic0", filepath.Join(t.TempDir(), "none", "s"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestMessagesComeWhole(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	b := slicesOf(message("one"), message(""), message("three"))
	for i := range b {
		send(t, c, b[i:i+1])
		r.host.Step(1)
	}
	r.until(func() bool { return len(r.last.seen) == 3 })
	require.Equal(t, []string{"one", "", "three"}, r.last.seen)
	got := make([]byte, len(b))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, b, got)
}

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Many messages that wrap around the buffer, some longer than it.
func TestLongMessages(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	r.last.quiet = true
	sizes := []int{10, inBytes - head, 3, inBytes, 70000, maxMessage - head, 5, 1 << 20}
	go func() {
		for i, n := range sizes {
			c.Write(message(strings.Repeat(string(rune('a'+i)), n)))
		}
	}()
	r.until(func() bool { return len(r.last.seen) == len(sizes) })
	for i, n := range sizes {
		require.Equal(t, strings.Repeat(string(rune('a'+i)), n), r.last.seen[i])
	}
	_, err := c.Write(binary.LittleEndian.AppendUint32(nil, maxMessage+1))
	require.NoError(t, err)
	r.until(r.says(fmt.Sprintf("a message of %d bytes", maxMessage+1)))
}

func TestLengthsThatMakeNoSense(t *testing.T) {
	for n, want := range map[uint32]string{3: "a message of 3 bytes", 0xBAD: "a bad length", 1 << 31: "a message of 2147483648 bytes"} {
		r := newRig(t)
		c := r.connect()
		send(t, c, binary.LittleEndian.AppendUint32(nil, n))
		r.until(r.says(want))
		require.False(t, r.server.Connected())
		require.Equal(t, 1, r.last.closed)
	}
}

// Descriptors go with the message they came with, however the messages are cut.
func TestDescriptorsGoWithTheirMessage(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	fd := eventFD(t)
	send(t, c, message("none"))
	send(t, c, message("one"), fd)
	send(t, c, slicesOf(message("two"), message("three")[:5]))
	send(t, c, message("three")[5:], fd, fd)
	send(t, c, message("four")[:2], fd, fd, fd)
	send(t, c, message("four")[2:])
	send(t, c, slicesOf(message("five"), message("six")), fd)
	r.until(func() bool { return len(r.last.seen) == 7 })
	var counts []int
	for _, fds := range r.last.fds {
		counts = append(counts, len(fds))
	}
	require.Equal(t, []int{0, 1, 0, 2, 3, 0, 1}, counts)
	for _, fds := range r.last.fds {
		for _, fd := range fds {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			require.NoError(t, err)
			require.Equal(t, unix.FD_CLOEXEC, flags)
		}
	}
}

// Descriptors that nobody took are closed with the connection.
func TestDescriptorsDoNotLeak(t *testing.T) {
	r := newRig(t)
	fd := eventFD(t)
	before := openFDs(t)
	for range 20 {
		c := r.connect()
		send(t, c, message("unfinished")[:3], fd, fd)
		r.host.Step(1)
		c.Close()
		r.until(func() bool { return !r.server.Connected() })
	}
	require.LessOrEqual(t, openFDs(t), before)
	require.Contains(t, r.logged(), "amid a message")
}

func TestTooManyDescriptors(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	fd := eventFD(t)
	many := make([]int, 100)
	for i := range many {
		many[i] = fd
	}
	b := message("a message that brings more and more")
	for i := range 3 {
		send(t, c, b[i:i+1], many...)
	}
	r.until(r.says("more than 253 file descriptors"))
}

func TestSecondClientIsTurnedAway(t *testing.T) {
	r := newRig(t)
	first := r.connect()
	second := r.dial()
	r.until(r.says("turned away"))
	_, err := second.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	send(t, first, message("still here"))
	r.until(func() bool { return len(r.last.seen) == 1 })
	first.Close()
	third := r.dial() // comes as the first goes
	r.until(func() bool { return r.server.Connected() && len(r.last.seen) == 0 })
	send(t, third, message("welcome"))
	r.until(func() bool { return len(r.last.seen) == 1 })
	require.Equal(t, 1, strings.Count(r.logged(), "turned away"))
	require.Contains(t, r.logged(), "client disconnected")
}

// A client that does not read is waited for, up to a point.
func TestClientThatDoesNotRead(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	part := message(strings.Repeat("x", 100000))
	const n = 100
	go func() {
		for range n {
			c.Write(part)
		}
	}()
	r.until(func() bool { return r.last.conn.Congested() })
	for range 100 {
		r.host.Step(sim.StepBudget)
	}
	require.LessOrEqual(t, len(r.last.conn.out), congested+len(part), "no more is done for it meanwhile")
	go io.CopyN(io.Discard, c, int64(n*len(part)))
	r.until(func() bool { return len(r.last.seen) == n && len(r.last.conn.out) == 0 })
	require.True(t, r.server.Connected())

	require.NoError(t, r.last.conn.Send(make([]byte, maxOutBytes)))
	err := r.last.conn.Send(make([]byte, 1<<20))
	require.ErrorContains(t, err, "does not read")
}

// A host that sleeps is woken by what arrives, and when there is room to write. A signal
// of the Go runtime may end a sleep too.
func TestSleep(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	bed := live.NewBed()
	sleepUntil := func(done func() bool) {
		began := time.Now()
		for n := 1; !done(); n++ {
			rest := live.Rest{Patience: patience}
			r.host.Rest(&rest)
			require.Equal(t, n, r.last.sleeps)
			bed.Sleep(&rest)
			r.host.Awake()
			require.Equal(t, n, r.last.wakes)
			r.host.Step(1)
		}
		require.Less(t, time.Since(began), patience)
		r.last.sleeps, r.last.wakes = 0, 0
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		send(t, c, message("hello"))
	}()
	sleepUntil(func() bool { return len(r.last.seen) > 0 })
	require.Equal(t, []string{"hello"}, r.last.seen)

	require.NoError(t, r.last.conn.Send(make([]byte, 2<<20)))
	waiting := len(r.last.conn.out)
	require.NotZero(t, waiting)
	go func() {
		time.Sleep(20 * time.Millisecond)
		io.CopyN(io.Discard, c, 1<<20)
	}()
	sleepUntil(func() bool { return len(r.last.conn.out) < waiting })
}

func TestClientThatComesWakesTheHost(t *testing.T) {
	r := newRig(t)
	r.host.Rest(new(live.Rest))
	require.Zero(t, r.woken.Load())
	r.dial()
	require.Eventually(t, func() bool { return r.woken.Load() > 0 }, patience, time.Millisecond)
}

func TestWait(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	conn := r.last.conn
	began := time.Now()
	require.ErrorContains(t, conn.Wait(10*time.Millisecond), "no answer within")
	require.GreaterOrEqual(t, time.Since(began), 10*time.Millisecond)
	conn.Queue(make([]byte, 1<<20))
	go func() {
		io.CopyN(io.Discard, c, 1<<20)
		c.Write(message("an answer"))
	}()
	require.NoError(t, conn.Wait(patience))
	m, _, err := conn.Next(head, length)
	require.NoError(t, err)
	require.Equal(t, message("an answer"), m)
	c.Close()
	require.NoError(t, conn.Wait(patience), "the end is something to read")
	_, _, err = conn.Next(head, length)
	require.ErrorIs(t, err, ErrClosed)
}

func TestSessionsErrorEndsIt(t *testing.T) {
	r := newRig(t)
	r.setup = func(e *echo) {
		e.step = func() error {
			e.conn.Queue(message("the last word"))
			return errors.New("it is enough")
		}
	}
	c := r.dial()
	r.until(r.says("it is enough"))
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, message("the last word"), b)
}

func TestCloseEndsEverything(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	waiting := r.dial() // nobody has looked at it yet
	time.Sleep(10 * time.Millisecond)
	r.host.Close()
	for _, c := range []*net.UnixConn{c, waiting} {
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	require.NoFileExists(t, r.path)
	require.Equal(t, 1, r.last.closed)
	require.Contains(t, r.logged(), "the server is closed")
}
