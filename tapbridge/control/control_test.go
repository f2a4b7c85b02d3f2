package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/tapbridge/capture"
)

// owner is a goroutine that owns an adapter.
type owner struct {
	nicsim.Device // nil: the parts that are not needed here
	probe         nicsim.Probe
	tasks         chan func()
	stopped       chan struct{}
}

var errStopped = errors.New("the owner has stopped")

func newOwner(t *testing.T) *owner {
	o := &owner{tasks: make(chan func()), stopped: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case f := <-o.tasks:
				f()
			case <-o.stopped:
				return
			}
		}
	})
	t.Cleanup(func() { o.stop(); wg.Wait() })
	return o
}

func (o *owner) stop() {
	select {
	case <-o.stopped:
	default:
		close(o.stopped)
	}
}

func (o *owner) do(f func()) error {
	done := make(chan struct{})
	select {
	case o.tasks <- func() { f(); close(done) }:
		<-done
		return nil
	case <-o.stopped:
		return errStopped
	}
}

func (o *owner) SetProbe(p nicsim.Probe) { o.probe = p }

func (o *owner) Counters(yield func(nicsim.Counter)) {
	yield(nicsim.Counter{Name: "rx-packets", Queue: -1, Value: 9})
	yield(nicsim.Counter{Name: "drop-dmac_filter", Queue: -1, Value: 2})
	yield(nicsim.Counter{Name: "rx-packets", Side: nicsim.Rx, Queue: 3, Value: 4})
	yield(nicsim.Counter{Name: "rx-bytes", Side: nicsim.Rx, Queue: 3, Value: 400})
	yield(nicsim.Counter{Name: "tx-packets", Side: nicsim.Tx, Queue: 3, Value: 1})
}

// emit lets the adapter's probe see events.
func (o *owner) emit(t testing.TB, events ...nicsim.Event) {
	require.NoError(t, o.do(func() {
		for i := range events {
			if o.probe != nil {
				o.probe.Observe(&events[i])
			}
		}
	}))
}

// watched waits until the adapter has a probe, or none.
func (o *owner) watched(t *testing.T, want bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		var got bool
		require.NoError(t, o.do(func() { got = o.probe != nil }))
		return got == want
	}, 5*time.Second, time.Millisecond)
}

func runtimeDir(t *testing.T) string {
	// Not t.TempDir, whose paths are too long for a socket.
	dir, err := os.MkdirTemp("", "nicsim")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

func serve(t *testing.T, edit func(*Config)) (*owner, *Server) {
	runtimeDir(t)
	o := newOwner(t)
	cfg := Config{
		Topology: "pair",
		Adapters: []Adapter{{
			Name: "A", Model: "82599", Device: o, SpeedBPS: 10e9,
			Queues: func() (int, int) { return 1, 2 },
		}},
		Do:  o.do,
		App: "nicsim test",
	}
	if edit != nil {
		edit(&cfg)
	}
	s, err := Listen(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return o, s
}

func dial(t *testing.T, s *Server) *Client {
	c, err := Dial(s.Path())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func packet(q int, n int) nicsim.Event {
	return nicsim.Event{Kind: nicsim.PacketQueue, Device: "A", Side: nicsim.Rx, Queue: q, Data: make([]byte, n)}
}

func TestListAndCounters(t *testing.T) {
	_, s := serve(t, nil)
	c := dial(t, s)
	for range 2 { // on one connection
		l, err := c.List()
		require.NoError(t, err)
		require.Equal(t, Listing{
			PID: os.Getpid(), Topology: "pair",
			Adapters: []Adapted{{Name: "A", Model: "82599", TxQueues: 1, RxQueues: 2}},
		}, l)
		var names []string
		for _, e := range l.Adapters[0].Interfaces() {
			names = append(names, e.String())
		}
		require.Equal(t, []string{"A", "A wire", "A tx queue 0", "A rx queue 0", "A rx queue 1"}, names)

		counters, err := c.Counters()
		require.NoError(t, err)
		require.Equal(t, []Counters{{
			Device:   "A",
			Counters: map[string]uint64{"rx-packets": 9, "drop-dmac_filter": 2},
			Queues: []QueueCounters{
				{Type: "rx", ID: 3, Counters: map[string]uint64{"rx-packets": 4, "rx-bytes": 400}},
				{Type: "tx", ID: 3, Counters: map[string]uint64{"tx-packets": 1}},
			},
		}}, counters)
	}
}

func TestCapture(t *testing.T) {
	o, s := serve(t, func(c *Config) { c.EpochNS = 1e18 })
	c := dial(t, s)
	o.watched(t, false)
	in, err := c.Capture(CaptureRequest{Interface: "A rx queue 1"})
	require.NoError(t, err)
	o.watched(t, true)
	r, err := capture.NewReader(in)
	require.NoError(t, err)
	require.Equal(t, "nicsim test", r.Section().App)

	o.emit(t, packet(0, 60), packet(1, 61))
	var p capture.Packet
	require.NoError(t, r.Next(&p))
	require.Len(t, p.Data, 61)
	require.EqualValues(t, 1e18, p.TimeNS)
	require.Equal(t, "A rx queue 1", r.Interfaces()[0].Name)
	require.EqualValues(t, 10e9, r.Interfaces()[0].SpeedBPS)

	require.NoError(t, c.Close())
	o.watched(t, false)
	o.emit(t, packet(1, 60)) // to nobody
}

func TestCaptureEndsWithStatistics(t *testing.T) {
	o, s := serve(t, nil)
	in, err := dial(t, s).Capture(CaptureRequest{Interface: "A", Direction: "in"})
	require.NoError(t, err)
	o.watched(t, true)
	o.emit(t, packet(0, 60), packet(1, 60))
	require.NoError(t, s.Close())

	r, err := capture.NewReader(in)
	require.NoError(t, err)
	var p capture.Packet
	for err == nil {
		err = r.Next(&p)
	}
	require.Equal(t, io.EOF, err)
	require.Len(t, r.Stats(), 2)
	require.EqualValues(t, 1, r.Stats()[1].Received)
}

func TestTrace(t *testing.T) {
	o, s := serve(t, nil)
	c := dial(t, s)
	got := make(chan Event, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e, err := range c.Trace(TraceFilter{Device: "A", Kinds: []string{"write", "fetch", "packet"}}) {
			if err != nil {
				t.Error(err)
			}
			got <- e
		}
	})
	o.watched(t, true)
	o.emit(t,
		nicsim.Event{Kind: nicsim.RegisterRead, Device: "A", Name: "STATUS"},
		nicsim.Event{Kind: nicsim.RegisterWrite, At: 1500, Device: "A", Name: `RD"BAL(0)` + "\x01\xff", Offset: 0x1000, Value: 0xDEADBEEF},
		nicsim.Event{Kind: nicsim.RegisterWrite, Device: "B", Name: "CTRL"},
		nicsim.Event{Kind: nicsim.DescriptorFetch, Device: "A", Side: nicsim.Rx, Queue: 2, Index: 7, Name: "advanced read", Data: []byte{0xAB, 0xCD}},
		nicsim.Event{Kind: nicsim.PacketQueue, Device: "A", Queue: 1, Data: make([]byte, 54), More: [][]byte{make([]byte, 6)}, ID: 4, Drop: nicsim.DropTxReset},
	)
	want := []Event{
		{At: 1500, Device: "A", Kind: "write", Name: `RD"BAL(0)` + "\x01\uFFFD", Offset: 0x1000, Value: 0xDEADBEEF},
		{Device: "A", Kind: "fetch", Side: "rx", Queue: 2, Index: 7, Name: "advanced read", Data: "abcd"},
		{Device: "A", Kind: "packet", Side: "tx", Queue: 1, Bytes: 60, ID: 4, Drop: "tx_reset"},
	}
	for _, w := range want {
		require.Equal(t, w, <-got)
	}
	require.Empty(t, got)
	require.NoError(t, c.Close())
	wg.Wait()

	require.Equal(t, "0.000000000s A fetch     rx 2 descriptor 7 advanced read abcd", want[1].String())
	require.Equal(t, "0.000000000s A packet    tx 1 60 bytes id 4 dropped: tx_reset", want[2].String())
}

func TestTraceFilter(t *testing.T) {
	two := 2
	write := &nicsim.Event{Kind: nicsim.RegisterWrite, Device: "A", Name: "RDT(2)"}
	bell := &nicsim.Event{Kind: nicsim.Doorbell, Device: "A", Name: "RDT", Side: nicsim.Rx, Queue: 2}
	for _, c := range []struct {
		filter      TraceFilter
		write, bell bool
	}{
		{TraceFilter{}, true, true},
		{TraceFilter{Name: "RDT*"}, true, true},
		{TraceFilter{Name: "RDT"}, false, true},
		{TraceFilter{Side: "rx"}, false, true},
		{TraceFilter{Side: "tx"}, false, false},
		{TraceFilter{Queue: &two}, false, true},
		{TraceFilter{Kinds: []string{"write"}}, true, false},
		{TraceFilter{Device: "B"}, false, false},
	} {
		p, err := c.filter.check()
		require.NoError(t, err)
		require.Equal(t, []bool{c.write, c.bell}, []bool{p.picks(write), p.picks(bell)}, "%+v", c.filter)
	}
	require.False(t, new(picker).picks(&nicsim.Event{Kind: nicsim.NumEventKinds}))
}

// A client that does not read loses packets and events, and learns how many.
// The adapter never waits.
func TestSlowClients(t *testing.T) {
	const total = 5000
	o, s := serve(t, func(c *Config) { c.queueBytes = 64 << 10 })
	in, err := dial(t, s).Capture(CaptureRequest{})
	require.NoError(t, err)
	tracing := dial(t, s)
	require.NoError(t, tracing.send(request{Cmd: "trace"}))
	require.Eventually(t, func() bool { return len(*s.watchers.Load()) == 2 }, 5*time.Second, time.Millisecond)

	for range total / 100 {
		var events []nicsim.Event
		for range 100 {
			events = append(events, packet(0, 1500))
		}
		o.emit(t, events...) // does not return if the adapter waits
	}

	// Reading begins while the adapter goes on, so that there is a packet
	// that tells the loss, and ends with the server.
	traced := make(chan uint64)
	go func() {
		var n uint64
		for {
			line, err := tracing.line()
			if err != nil {
				traced <- n
				return
			}
			if e, err := parseEvent(line); err != nil {
				t.Error(err)
			} else if e.Lost > 0 {
				n += e.Lost
			} else {
				n++
			}
		}
	}()
	r, err := capture.NewReader(in)
	require.NoError(t, err)
	var p capture.Packet
	var packets, drops uint64
	told := false
	sent := uint64(total)
	for !told {
		require.NoError(t, r.Next(&p))
		packets++
		drops += p.DropCount
		told = p.DropCount > 0
		if told {
			require.Contains(t, p.Comments[0], "the reader was too slow")
		}
		o.emit(t, packet(0, 60))
		sent++
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	for err = r.Next(&p); err == nil; err = r.Next(&p) {
		packets++
		drops += p.DropCount
	}
	require.Equal(t, io.EOF, err)
	require.NoError(t, <-closed)
	require.LessOrEqual(t, drops, r.Stats()[0].Dropped, "those that no packet followed are here only")
	require.Equal(t, sent, packets+r.Stats()[0].Dropped)
	require.Equal(t, sent, r.Stats()[0].Received)
	require.Equal(t, sent, <-traced)
}

// Clients that die or hang, in any state, leave nothing behind.
func TestDeadClients(t *testing.T) {
	o, s := serve(t, nil)
	before := runtime.NumGoroutine()
	for i := range 3 * maxClients {
		c, err := Dial(s.Path())
		require.NoError(t, err)
		if i%3 > 0 {
			// Too many at a time are turned away, which is an end like another.
			_ = c.send(request{Cmd: []string{"capture", "trace"}[i%3-1]})
		}
		if i%2 == 0 {
			o.emit(t, packet(0, 1500))
		}
		require.NoError(t, c.Close())
	}
	o.watched(t, false)
	// Mostly at once; the server's own bound is the idle timeout.
	require.Eventually(t, func() bool {
		return len(s.clients) == 0 && runtime.NumGoroutine() <= before+1 // this one
	}, idleTimeout+5*time.Second, time.Millisecond)

	hanging := make([]*Client, maxClients)
	for i := range hanging {
		hanging[i] = dial(t, s)
	}
	require.Eventually(t, func() bool { return len(s.clients) == maxClients }, 5*time.Second, time.Millisecond)
	_, err := dial(t, s).List()
	require.ErrorContains(t, err, "there are 32 clients already")
	begin := time.Now()
	require.NoError(t, s.Close(), "although clients hang")
	require.Less(t, time.Since(begin), 5*time.Second)
}

func TestAClientThatNeverReadsDoesNotKeepTheServer(t *testing.T) {
	o, s := serve(t, nil)
	c := dial(t, s)
	require.NoError(t, c.send(request{Cmd: "capture"}))
	o.watched(t, true)
	for range 3000 {
		o.emit(t, packet(0, 1500))
	}
	begin := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(begin), 10*closeTimeout)
}

func TestGarbage(t *testing.T) {
	o, s := serve(t, nil)
	for line, want := range map[string]string{
		"GET / HTTP/1.1":                         "expected a request as JSON",
		"\x00\xff":                               "expected a request as JSON",
		`{"cmd":"list"`:                          "expected a request as JSON",
		`{"cmd":"list"} {}`:                      "expected one request on a line",
		`{"cmd":"list","x":1}`:                   `unknown field "x"`,
		`{"cmd":7}`:                              "expected a request as JSON",
		`[]`:                                     "expected a request as JSON",
		`{}`:                                     `found ""`,
		`{"cmd":"reboot"}`:                       `expected the command list, counters, capture or trace, found "reboot"`,
		strings.Repeat("x", 70000):               "expected a line of at most 65536 bytes",
		`{"cmd":"capture","interface":"C wire"}`: `no adapter is named "C"; there are ["A"]`,
		`{"cmd":"capture","interface":"A tx queue x"}`:     `expected the number of a queue`,
		`{"cmd":"capture","direction":"up"}`:               `"in" or "out", found "up"`,
		`{"cmd":"trace","filter":{"kinds":["nonsense"]}}`:  `no kind of event is named "nonsense"`,
		`{"cmd":"trace","filter":{"name":"["}}`:            `pattern "["`,
		`{"cmd":"trace","filter":{"side":"left"}}`:         `"tx" or "rx", found "left"`,
		`{"cmd":"trace","filter":{"queue":-1}}`:            `number of a queue, found -1`,
		`{"cmd":"trace","filter":{"device":"no adapter"}}`: `no adapter is named "no adapter"`,
	} {
		conn, err := net.Dial("unix", s.Path())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
		_, _ = conn.Write([]byte(line + "\n")) // the server may hang up on a long one
		reply, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err, line)
		var f failure
		require.NoError(t, json.Unmarshal([]byte(reply), &f))
		require.Contains(t, f.Error, want, line)
		_, err = conn.Read(make([]byte, 1))
		require.Error(t, err, "that client is ended")
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		conn.Close()
	}
	o.watched(t, false)
	c := dial(t, s)
	_, err := c.Capture(CaptureRequest{Interface: "C wire"})
	require.ErrorContains(t, err, "no adapter is named")
	for _, err := range dial(t, s).Trace(TraceFilter{Side: "left"}) {
		require.ErrorContains(t, err, "found \"left\"")
	}
	_, err = dial(t, s).List()
	require.NoError(t, err, "others are served")
}

func FuzzRequest(f *testing.F) {
	for _, cmd := range []string{"list", "counters", "capture", "trace"} {
		f.Add(fmt.Appendf(nil, `{"cmd":%q,"interface":"A rx queue 3","filter":{"kinds":["read"],"queue":1}}`, cmd))
	}
	o := &owner{}
	s := &Server{cfg: Config{
		Adapters:   []Adapter{{Name: "A", Device: o, Queues: func() (int, int) { return 1, 1 }}},
		Do:         func(f func()) error { f(); return nil },
		queueBytes: 1 << 20,
	}}
	s.watchers.Store(new([]watcher))
	s.ctx = f.Context()
	f.Fuzz(func(t *testing.T, line []byte) {
		client, server := net.Pipe()
		go func() {
			io.Copy(io.Discard, client)
		}()
		in := bufio.NewReader(strings.NewReader("")) // the client says no more
		_, err := s.answer(server, in, line)
		if err != nil && err.Error() == "" {
			t.Fatal("an error that says nothing")
		}
		client.Close()
		server.Close()
		if len(*s.watchers.Load()) != 0 || o.probe != nil {
			t.Fatal("a watcher is left")
		}
	})
}

func TestAnEndedOwner(t *testing.T) {
	o, s := serve(t, nil)
	o.stop()
	_, err := dial(t, s).List()
	require.ErrorContains(t, err, errStopped.Error())
	_, err = dial(t, s).Capture(CaptureRequest{})
	require.ErrorContains(t, err, errStopped.Error())
	require.NoError(t, dial(t, s).send(request{Cmd: "trace"}))
	require.NoError(t, s.Close())
	require.Empty(t, *s.watchers.Load())
}

type recorder struct{ events []nicsim.Event }

func (r *recorder) Observe(e *nicsim.Event) { r.events = append(r.events, *e) }

func TestTheProbeThatWasThereStays(t *testing.T) {
	var first recorder
	var wire nicsim.Probe // the adapters' goroutine's
	o, s := serve(t, func(c *Config) {
		c.Probe = &first
		c.Wires = func(p nicsim.Probe) { wire = p }
	})
	c := dial(t, s)
	require.NoError(t, c.send(request{Cmd: "trace"}))
	require.Eventually(t, func() bool { return len(*s.watchers.Load()) == 1 }, 5*time.Second, time.Millisecond)
	o.emit(t, packet(0, 1))
	require.NoError(t, o.do(func() { wire.Observe(&nicsim.Event{}) }))
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool {
		var same bool
		require.NoError(t, o.do(func() { same = o.probe == nicsim.Probe(&first) && wire == o.probe }))
		return same
	}, 5*time.Second, time.Millisecond)
	o.emit(t, packet(0, 2))
	require.Len(t, first.events, 3)
}

func TestObservingAllocatesNothing(t *testing.T) {
	q := newQueue(1 << 10) // soon full, and full is a hot path too
	tr := &tracer{out: q, pick: picker{queue: -1}}
	for k := range tr.pick.kinds {
		tr.pick.kinds[k] = true
	}
	e := &nicsim.Event{Kind: nicsim.DescriptorWrite, At: sim.Second, Device: "A", Name: "advanced", Data: make([]byte, 16)}
	tr.Observe(e)
	require.Zero(t, testing.AllocsPerRun(100, func() { tr.Observe(e) }))
	require.NotZero(t, tr.lost)
}

func TestSockets(t *testing.T) {
	dir := runtimeDir(t)
	all, err := Sockets()
	require.NoError(t, err)
	require.Empty(t, all, "no folder yet")

	o := newOwner(t)
	listen := func(topology string) *Server {
		s, err := Listen(Config{Topology: topology, Do: o.do})
		require.NoError(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}
	a, b, c := listen("pair"), listen("pair"), listen("../a long / name that does not fit")
	pid := os.Getpid()
	require.Equal(t, filepath.Join(dir, "nicsim", fmt.Sprintf("%d-pair.sock", pid)), a.Path())
	require.Equal(t, filepath.Join(dir, "nicsim", fmt.Sprintf("%d-pair.2.sock", pid)), b.Path())
	require.Equal(t, filepath.Join(dir, "nicsim", fmt.Sprintf("%d-___a_long___name_that_do.sock", pid)), c.Path())

	// What else may lie there: a socket that nobody listens on any more, one that
	// is just being made, a file.
	path := func(name string) string { return filepath.Join(dir, "nicsim", name) }
	for _, name := range []string{"77-old.sock", "77-new.sock"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path(name), Net: "unix"})
		require.NoError(t, err)
		l.SetUnlinkOnClose(false)
		require.NoError(t, l.Close())
	}
	past := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(path("77-old.sock"), past, past))
	require.NoError(t, os.WriteFile(path("77-file.sock"), nil, 0o600))
	require.NoError(t, os.WriteFile(path("notes"), nil, 0o600))

	all, err = Sockets()
	require.NoError(t, err)
	var paths []string
	for _, s := range all {
		require.Equal(t, pid, s.PID)
		paths = append(paths, s.Path)
	}
	require.ElementsMatch(t, []string{a.Path(), b.Path(), c.Path()}, paths)
	if runtime.GOOS != "windows" {
		require.NoFileExists(t, path("77-old.sock"))
	}
	_, err = os.Lstat(path("77-new.sock"))
	require.NoError(t, err)

	require.NoError(t, a.Close())
	require.NoError(t, a.Close(), "again")
	require.NoFileExists(t, a.Path())
}
