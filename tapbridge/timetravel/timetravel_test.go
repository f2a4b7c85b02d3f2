//go:build linux

package timetravel

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/sim"
	"nicsim.dev/tapbridge/live"
)

// epoch is what guests' clocks show at time 0.
var epoch = time.Unix(1_700_000_000, 0)

// safe is a buffer that goroutines may share.
type safe struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safe) Write(p []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.b.Write(p) }
func (s *safe) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// start runs a scheduler for n guests until the test ends. Prepare may add to it.
func start(t *testing.T, n int, prepare func(*Scheduler)) (s *Scheduler, path string, log *safe) {
	path, log = filepath.Join(t.TempDir(), "time.sock"), new(safe)
	s, err := New(Config{Path: path, Guests: n, Epoch: epoch}, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	if prepare != nil {
		prepare(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	t.Cleanup(func() {
		cancel()
		<-done
		require.NoFileExists(t, path)
	})
	return s, path, log
}

// peer plays a guest's kernel.
type peer struct {
	t    *testing.T
	conn net.Conn
	seq  uint32
}

func dial(t *testing.T, path string) *peer {
	c, err := net.Dial("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return &peer{t: t, conn: c}
}

func (p *peer) write(op, seq uint32, at uint64) {
	var b [16]byte
	binary.NativeEndian.PutUint32(b[:], op)
	binary.NativeEndian.PutUint32(b[4:], seq)
	binary.NativeEndian.PutUint64(b[8:], at)
	p.conn.Write(b[:]) // the other end may be gone
}

func (p *peer) read() (op, seq uint32, at uint64, err error) {
	var b [16]byte
	_, err = io.ReadFull(p.conn, b[:])
	return binary.NativeEndian.Uint32(b[:]), binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint64(b[8:]), err
}

// ask sends a message and returns what its acknowledgement carries.
func (p *peer) ask(op uint32, at uint64) uint64 {
	p.t.Helper()
	p.seq++
	p.write(op, p.seq, at)
	got, seq, v, err := p.read()
	require.NoError(p.t, err)
	require.Equal(p.t, []uint32{opAck, p.seq}, []uint32{got, seq})
	return v
}

// sleep asks to run at a time, waits, and returns when it runs.
func (p *peer) sleep(until uint64) uint64 {
	p.t.Helper()
	p.ask(opRequest, until)
	p.ask(opWait, ^uint64(0))
	return p.run()
}

func (p *peer) run() uint64 {
	p.t.Helper()
	op, seq, at, err := p.read()
	require.NoError(p.t, err)
	require.Equal(p.t, uint32(opRun), op)
	p.write(opAck, seq, 0)
	return at
}

// silent checks that nothing comes for a while.
func (p *peer) silent() {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, _, _, err := p.read()
	ne, ok := err.(net.Error)
	require.True(p.t, ok && ne.Timeout(), "%v", err)
	p.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
}

const second = uint64(time.Second)

func TestTimePassesForNothing(t *testing.T) {
	_, path, _ := start(t, 1, nil)
	p := dial(t, path)
	begin := time.Now()
	p.ask(opStart, 7)
	require.Zero(t, p.ask(opGet, 0))
	require.Equal(t, uint64(epoch.UnixNano()), p.ask(opTimeOfDay, 0))
	for i := range uint64(100) {
		require.Equal(t, (i+1)*1000*second, p.sleep((i+1)*1000*second))
		p.ask(opUpdate, (i+1)*1000*second)
		require.Equal(t, (i+1)*1000*second, p.ask(opGet, 0))
	}
	require.Equal(t, uint64(epoch.Add(100_000*time.Second).UnixNano()), p.ask(opTimeOfDay, 0))
	require.Less(t, time.Since(begin), 10*time.Second)
}

// Guests and the loop's events take turns, whichever guest came first.
func TestTurnsAreInOrder(t *testing.T) {
	var mu sync.Mutex
	var order []string
	note := func(what string) { mu.Lock(); defer mu.Unlock(); order = append(order, what) }
	var events [3]sim.Event
	_, path, _ := start(t, 2, func(s *Scheduler) {
		for i := range events {
			at := sim.Time(i+1) * 10
			events[i].Run = func() { note(fmt.Sprintf("event %d", s.Sim.Clock.Now())) }
			s.Sim.Clock.Schedule(&events[i], at)
		}
	})
	b := dial(t, path)
	b.write(opStart, 1, 2)
	b.silent() // the other one is missing
	a := dial(t, path)
	a.ask(opStart, 1)
	b.silent() // the other one runs
	a.ask(opRequest, 10)
	a.ask(opWait, 0)
	_, _, _, err := b.read() // the acknowledgement of START
	require.NoError(t, err)
	require.Zero(t, b.ask(opGet, 0))
	b.ask(opRequest, 10)
	b.ask(opWait, 0)
	require.Equal(t, uint64(10), a.run())
	note("a 10")
	b.silent()
	a.ask(opRequest, 15)
	a.ask(opWait, 0)
	require.Equal(t, uint64(10), b.run())
	note("b 10")
	b.ask(opRequest, 20)
	b.ask(opWait, 0)
	require.Equal(t, uint64(15), a.run())
	note("a 15")
	a.ask(opRequest, 35)
	a.ask(opWait, 0)
	require.Equal(t, uint64(20), b.run())
	note("b 20")
	b.ask(opRequest, 40)
	b.ask(opRequest, 25) // the last one counts
	b.ask(opWait, 0)
	require.Equal(t, uint64(25), b.run())
	note("b 25")
	b.ask(opRequest, 1<<63-1) // never
	b.ask(opWait, 0)
	require.Equal(t, uint64(35), a.run())
	note("a 35")
	a.ask(opWait, 0)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"event 10", "a 10", "b 10", "a 15", "event 20", "b 20", "b 25", "event 30", "a 35"}, order)
	// An interrupt lets one that waits for nothing ask again.
	b.ask(opRequest, 0)
	require.Equal(t, uint64(35), b.run())
}

func TestLatecomersBeginAtZero(t *testing.T) {
	_, path, _ := start(t, 1, nil)
	a := dial(t, path)
	a.ask(opStart, 1)
	require.Equal(t, 5*second, a.sleep(5*second))
	b := dial(t, path)
	b.write(opStart, 9, 2)
	b.silent()
	a.ask(opRequest, 7*second)
	a.ask(opWait, 0)
	op, seq, _, err := b.read()
	require.NoError(t, err)
	require.Equal(t, []uint32{opAck, 9}, []uint32{op, seq})
	require.Zero(t, b.ask(opGet, 0))
	require.Equal(t, uint64(epoch.Add(5*time.Second).UnixNano()), b.ask(opTimeOfDay, 0))
	require.Equal(t, second, b.sleep(second))
	b.ask(opRequest, 3*second)
	b.ask(opWait, 0)
	require.Equal(t, 7*second, a.run())
}

func TestTheDeadAreNotWaitedFor(t *testing.T) {
	_, path, log := start(t, 2, nil)
	a, b := dial(t, path), dial(t, path)
	a.write(opStart, 1, 1)
	b.write(opStart, 1, 2)
	_, _, _, err := a.read()
	require.NoError(t, err)
	a.conn.Close() // while it runs
	_, _, _, err = b.read()
	require.NoError(t, err)
	b.seq++
	require.Equal(t, second, b.sleep(second))
	require.Contains(t, log.String(), "guest has left the simulation")
}

func TestBroadcast(t *testing.T) {
	_, path, _ := start(t, 1, nil)
	a := dial(t, path)
	a.ask(opStart, 1)
	a.ask(opWait, 0)
	b := dial(t, path)
	b.ask(opStart, 2)
	b.ask(opBroadcast, 77)
	op, _, word, err := a.read()
	require.NoError(t, err)
	require.Equal(t, uint32(opBroadcast), op)
	require.Equal(t, uint64(77), word)
}

func TestBadGuestsAreDropped(t *testing.T) {
	for _, m := range []struct {
		name    string
		started bool
		op      uint32
		at      uint64
		why     string
	}{
		{"no start", false, opGet, 0, "GET of 0 is out of order"},
		{"start twice", true, opStart, 3, "START of 3 is out of order"},
		{"unknown", true, 99, 0, "operation 99 of 0 is not known"},
		{"ours", true, opRun, 0, "not known"},
		{"ahead", true, opUpdate, 5, "UPDATE of 5, when its time is 0"},
	} {
		t.Run(m.name, func(t *testing.T) {
			s, path, log := start(t, 1, nil)
			p := dial(t, path)
			if m.started {
				p.ask(opStart, 1)
			}
			p.write(m.op, 50, m.at)
			_, _, _, err := p.read()
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, s.Do(func() {})) // the log line is written
			require.Contains(t, log.String(), m.why)
			// The simulation goes on.
			q := dial(t, path)
			q.ask(opStart, 2)
			require.Equal(t, second, q.sleep(second))
		})
	}
}

func TestHalfAMessage(t *testing.T) {
	_, path, log := start(t, 1, nil)
	p := dial(t, path)
	p.conn.Write([]byte{1, 0, 0})
	p.conn.Close()
	q := dial(t, path)
	q.ask(opStart, 2)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "amid a message") }, 10*time.Second, time.Millisecond)
}

// A function that is handed over runs while all wait, and may schedule.
func TestDo(t *testing.T) {
	s, _, _ := start(t, 0, nil)
	ran := make(chan sim.Time, 1)
	event := &sim.Event{}
	event.Run = func() { ran <- s.Sim.Clock.Now() }
	require.NoError(t, s.Do(func() { s.Sim.Clock.After(event, 10*sim.Second) }))
	require.Equal(t, 10*sim.Second, <-ran)
}

func TestDoAfterTheEnd(t *testing.T) {
	s, err := New(Config{Path: filepath.Join(t.TempDir(), "time.sock")}, slog.Default())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Run(ctx)
	s.Wake()
	require.ErrorIs(t, s.Do(func() {}), live.ErrStopped)
}

func TestSocketInUse(t *testing.T) {
	_, path, _ := start(t, 0, nil)
	_, err := New(Config{Path: path}, slog.Default())
	require.ErrorContains(t, err, path)
	require.FileExists(t, path)
}

// FuzzGuest sends any bytes ahead of and behind START.
func FuzzGuest(f *testing.F) {
	f.Add(false, []byte{1, 2, 3})
	f.Add(true, []byte{3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF})
	f.Fuzz(func(t *testing.T, started bool, b []byte) {
		s, path, _ := start(t, 1, nil)
		p := dial(t, path)
		if started {
			p.ask(opStart, 1)
		}
		go io.Copy(io.Discard, p.conn)
		p.conn.Write(b)
		p.conn.Close()
		require.NoError(t, s.Do(func() {}))
	})
}
