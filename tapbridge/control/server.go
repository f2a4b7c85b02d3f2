package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nicsim.dev/nicsim"
	"nicsim.dev/tapbridge/capture"
)

// Adapter is one adapter that a Server lets others look into.
type Adapter struct {
	Name   string
	Model  string
	Device nicsim.Device
	// Queues returns how many queues are in use. It runs on the adapter's
	// goroutine.
	Queues   func() (tx, rx int)
	SpeedBPS uint64 // of its wire
}

// Config is what a Server serves.
type Config struct {
	Topology string // stands in the socket's name
	Adapters []Adapter
	// Do runs a function on the goroutine that owns the adapters and waits for
	// it, or returns an error if that goroutine has ended.
	Do func(func()) error
	// Probe is what the adapters have besides the clients; it may be nil.
	Probe nicsim.Probe
	// Wires, unless nil, gives the wires between adapters a probe too, which
	// sees what they lose. It runs on the adapters' goroutine.
	Wires func(nicsim.Probe)
	// App is who made captures, such as "nicsim 1.2 tap".
	App string
	// EpochNS is the Unix time at which the adapters' clock began.
	EpochNS int64

	queueBytes int // of tests
}

const (
	// maxClients bounds the clients of a Server, each of which may hold two
	// buffers of queueBytes.
	maxClients = 32
	// queueBytes bounds what waits for a client: some thousand full frames.
	queueBytes = 4 << 20
	// idleTimeout is for how long a client may think about its request.
	idleTimeout = 30 * time.Second
	// closeTimeout is for how long Close lets clients read what is left.
	closeTimeout = time.Second
)

// Server answers on a control socket.
type Server struct {
	cfg      Config
	listener *net.UnixListener
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	clients  chan struct{} // a token each

	watching sync.Mutex // held while watchers or the adapters' probes change
	watchers atomic.Pointer[[]watcher]
}

// Listen opens the socket and answers until Close.
func Listen(cfg Config) (*Server, error) {
	l, err := listen(cfg.Topology)
	if err != nil {
		return nil, err
	}
	if cfg.queueBytes == 0 {
		cfg.queueBytes = queueBytes
	}
	s := &Server{cfg: cfg, listener: l, clients: make(chan struct{}, maxClients)}
	s.watchers.Store(new([]watcher))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// Path returns where the socket is.
func (s *Server) Path() string { return s.listener.Addr().String() }

// Close ends all clients, after giving them a second to read what is left, and
// removes the socket. It may not be called on the goroutine that owns the
// adapters, which a request may be waiting for.
func (s *Server) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: not a reason to end.
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		select {
		case s.clients <- struct{}{}:
			s.running.Go(func() {
				defer func() { <-s.clients }()
				s.serve(conn)
			})
		default:
			conn.SetWriteDeadline(time.Now().Add(closeTimeout))
			conn.Write(mustMarshal(failure{fmt.Sprintf("there are %d clients already", maxClients)}))
			conn.Close()
		}
	}
}

// serve answers one client.
func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(s.ctx, func() {
		conn.SetReadDeadline(time.Now())
		conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	})
	defer stop()
	in := bufio.NewReaderSize(conn, maxRequestBytes)
	for s.ctx.Err() == nil {
		s.readUntil(conn, time.Now().Add(idleTimeout))
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			conn.Write(mustMarshal(failure{fmt.Sprintf("expected a line of at most %d bytes", maxRequestBytes)}))
			return
		}
		if err != nil {
			return
		}
		more, err := s.answer(conn, in, line)
		if err != nil {
			conn.Write(mustMarshal(failure{err.Error()}))
		}
		if !more || err != nil {
			return
		}
	}
}

// readUntil sets a deadline, unless the server has ended and set its own.
func (s *Server) readUntil(conn net.Conn, t time.Time) {
	conn.SetReadDeadline(t)
	if s.ctx.Err() != nil {
		conn.SetReadDeadline(time.Now())
	}
}

// answer answers one request. It reports whether the client may make another,
// or the error that the client is to be told.
func (s *Server) answer(conn net.Conn, in *bufio.Reader, line []byte) (more bool, err error) {
	var req request
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil {
		return false, fmt.Errorf("expected a request as JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return false, errors.New("expected one request on a line")
	}
	switch req.Cmd {
	case "list":
		l, err := s.list()
		if err != nil {
			return false, err
		}
		_, err = conn.Write(mustMarshal(l))
		return err == nil, nil
	case "counters":
		c, err := s.counters()
		if err != nil {
			return false, err
		}
		_, err = conn.Write(mustMarshal(c))
		return err == nil, nil
	case "capture":
		return false, s.capture(conn, in, &req.CaptureRequest)
	case "trace":
		return false, s.trace(conn, in, req.Filter)
	}
	return false, fmt.Errorf("expected the command list, counters, capture or trace, found %q", req.Cmd)
}

func (s *Server) list() (Listing, error) {
	l := Listing{PID: os.Getpid(), Topology: s.cfg.Topology, Adapters: []Adapted{}}
	err := s.cfg.Do(func() {
		for _, a := range s.cfg.Adapters {
			tx, rx := a.Queues()
			l.Adapters = append(l.Adapters, Adapted{Name: a.Name, Model: a.Model, TxQueues: tx, RxQueues: rx})
		}
	})
	return l, err
}

func (s *Server) counters() ([]Counters, error) {
	all := []Counters{}
	err := s.cfg.Do(func() {
		for _, a := range s.cfg.Adapters {
			c := Counters{Device: a.Name, Counters: map[string]uint64{}}
			queues := map[[2]int]int{} // side and number to place in c.Queues
			a.Device.Counters(func(v nicsim.Counter) {
				if v.Queue < 0 {
					c.Counters[v.Name] = v.Value
					return
				}
				key := [2]int{int(v.Side), v.Queue}
				n, ok := queues[key]
				if !ok {
					n = len(c.Queues)
					queues[key] = n
					c.Queues = append(c.Queues, QueueCounters{
						Type: v.Side.String(), ID: v.Queue, Counters: map[string]uint64{},
					})
				}
				c.Queues[n].Counters[v.Name] = v.Value
			})
			all = append(all, c)
		}
	})
	return all, err
}

func (s *Server) capture(conn net.Conn, in *bufio.Reader, req *CaptureRequest) error {
	filter, err := req.filter()
	if err != nil {
		return err
	}
	if name := filter.At.Device; name != "" && !s.has(name) {
		return fmt.Errorf("no adapter is named %q; there are %q", name, s.names())
	}
	q := newQueue(s.cfg.queueBytes)
	section := capture.Section{App: s.cfg.App, Comments: []string{"topology " + s.cfg.Topology}}
	tap := capture.NewTap(capture.NewLive(q, "client", section), capture.TapConfig{Filter: filter, EpochNS: s.cfg.EpochNS})
	for _, a := range s.cfg.Adapters {
		tap.Describe(a.Name, a.Model, a.SpeedBPS)
	}
	return s.stream(conn, in, q, &captor{tap: tap})
}

func (s *Server) names() []string {
	var all []string
	for _, a := range s.cfg.Adapters {
		all = append(all, a.Name)
	}
	return all
}

func (s *Server) has(name string) bool { return slices.Contains(s.names(), name) }

func (s *Server) trace(conn net.Conn, in *bufio.Reader, f *TraceFilter) error {
	if f == nil {
		f = &TraceFilter{}
	}
	pick, err := f.check()
	if err != nil {
		return err
	}
	if f.Device != "" && !s.has(f.Device) {
		return fmt.Errorf("no adapter is named %q; there are %q", f.Device, s.names())
	}
	q := newQueue(s.cfg.queueBytes)
	return s.stream(conn, in, q, &tracer{pick: pick, out: q})
}

// stream sends what w puts into q until the client or the server ends. The
// error is that the adapters have ended.
func (s *Server) stream(conn net.Conn, in *bufio.Reader, q *queue, w watcher) error {
	if err := s.watch(w); err != nil {
		return err
	}
	defer s.unwatch(w)

	// A client has nothing more to say: whatever comes is its end.
	gone := make(chan struct{})
	s.readUntil(conn, time.Time{})
	go func() {
		in.ReadByte()
		close(gone)
	}()
	defer func() {
		conn.SetReadDeadline(time.Now())
		<-gone
	}()

	var spare []byte
	send := func() bool {
		full := q.take(spare)
		spare = full
		_, err := conn.Write(full)
		return err == nil
	}
	for {
		select {
		case <-q.ready:
			if !send() {
				return nil
			}
		case <-gone:
			if s.ctx.Err() == nil {
				return nil
			}
			w.stop()
			if send() {
				w.finish() // into an empty queue
				send()
			}
			return nil
		}
	}
}

// watch lets w see what the adapters do. They have a probe only while somebody
// watches.
func (s *Server) watch(w watcher) error {
	s.watching.Lock()
	defer s.watching.Unlock()
	old := *s.watchers.Load()
	all := append(old[:len(old):len(old)], w)
	s.watchers.Store(&all)
	if len(old) > 0 {
		return nil
	}
	err := s.setProbe(s)
	if err != nil {
		s.watchers.Store(&old)
	}
	return err
}

func (s *Server) unwatch(w watcher) {
	s.watching.Lock()
	defer s.watching.Unlock()
	var rest []watcher
	for _, o := range *s.watchers.Load() {
		if o != w {
			rest = append(rest, o)
		}
	}
	s.watchers.Store(&rest)
	if len(rest) == 0 {
		// If the adapters have ended, nothing observes any more.
		_ = s.setProbe(s.cfg.Probe)
	}
}

func (s *Server) setProbe(p nicsim.Probe) error {
	return s.cfg.Do(func() {
		for _, a := range s.cfg.Adapters {
			a.Device.SetProbe(p)
		}
		if s.cfg.Wires != nil {
			s.cfg.Wires(p)
		}
	})
}

// Observe implements nicsim.Probe for the adapters' goroutine.
func (s *Server) Observe(e *nicsim.Event) {
	if s.cfg.Probe != nil {
		s.cfg.Probe.Observe(e)
	}
	for _, w := range *s.watchers.Load() {
		w.Observe(e)
	}
}
