//go:build linux

package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"nicsim.dev/tapbridge/live"
)

// Session is a protocol's side of one client. It belongs to the loop's goroutine.
type Session interface {
	// Step handles at most about budget messages and returns how many there were.
	// An error ends the session.
	Step(budget int) (int, error)
	// Sleep and Awake say that the loop is about to sleep, or has woken up: see
	// Rest and Awake of live.Sleeper. What arrives on the connection wakes it by itself.
	Sleep(r *live.Rest)
	Awake()
	// Close takes the adapter back from the client, whose memory is about to go.
	Close()
}

// Server offers one PCI function on one socket, to one client at a time.
type Server struct {
	name     string
	open     func(*Conn) Session
	log      *slog.Logger
	listener *net.UnixListener
	arrivals *live.Mailbox[*net.UnixConn]
	running  sync.WaitGroup
	host     *Host

	conn    *Conn // nil without a client
	session Session
}

// acceptPause is for how long a server that cannot accept waits, most likely for
// file descriptors.
const acceptPause = 100 * time.Millisecond

// Listen makes a socket at path, which only its user may open, and serves clients
// on it. Name is what log lines call the server; open begins a session.
func (h *Host) Listen(name, path string, open func(*Conn) Session) (*Server, error) {
	l, err := listen(path)
	if err != nil {
		return nil, err
	}
	s := &Server{name: name, open: open, log: h.Logger(name), listener: l, host: h}
	s.arrivals = live.NewMailbox[*net.UnixConn](1, h.wake)
	h.servers = append(h.servers, s)
	s.running.Go(s.accept)
	return s, nil
}

// listen makes the socket. One that a process left behind goes; one that somebody
// answers on stays, and is an error.
func listen(path string) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("guest: %s is there and is no socket", path)
		}
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("guest: somebody else serves %s", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("guest: %w", err)
		}
	}
	// Born with no rights for others: bind obeys the mask, chmod would be late.
	masking.Lock()
	old := syscall.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(old)
	masking.Unlock()
	if err != nil {
		return nil, fmt.Errorf("guest: %w", err)
	}
	return l, nil
}

// masking keeps servers that start at the same time from restoring each other's
// mask, which is the process's.
var masking sync.Mutex

func (s *Server) accept() {
	for {
		c, err := s.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
			continue
		}
		if s.arrivals.Put(c) == 0 {
			c.Close() // the server is closed
		}
	}
}

// Path returns where the socket is.
func (s *Server) Path() string { return s.listener.Addr().String() }

// Connected says whether there is a client. The loop's goroutine calls it.
func (s *Server) Connected() bool { return s.conn != nil }

func (s *Server) step(budget int) (n int) {
	// A client that comes as the last one goes is welcome: whether that had gone is
	// known once it has nothing more to say.
	arrived := s.arrivals.Len() > 0
	if s.conn != nil {
		n = s.turn(budget)
	}
	if arrived && (s.conn == nil || n < budget) {
		s.arrive()
		n++
	}
	return n
}

// turn gives the session one, and ends it if need be.
func (s *Server) turn(budget int) int {
	n, err := s.session.Step(budget)
	if err == nil {
		err = s.conn.flush()
	}
	if err != nil {
		s.end(err)
		n++
	}
	return n
}

// arrive begins a session, or turns the client away.
func (s *Server) arrive() {
	var c [1]*net.UnixConn
	s.arrivals.Take(c[:])
	if s.conn != nil {
		s.log.Warn("a client was turned away: there is one already")
		c[0].Close()
		return
	}
	conn, err := newConn(c[0], s.host)
	if err != nil {
		s.log.Warn("a client was turned away", "reason", err)
		c[0].Close()
		return
	}
	s.log.Info("client connected")
	s.conn, s.session = conn, s.open(conn)
}

// end ends the session, with the reason in the log. What it had to say last still
// goes out.
func (s *Server) end(why error) {
	s.conn.flush()
	if why == ErrClosed || why == ErrServer {
		s.log.Info("client disconnected", "by", why)
	} else {
		s.log.Warn("client cut off", "reason", why)
	}
	s.conn.blank()
	s.session.Close()
	s.conn.close()
	s.conn, s.session = nil, nil
}

// Close ends the server and its client, if any, and removes the socket.
func (s *Server) Close() {
	s.listener.Close()
	s.arrivals.Close()
	s.running.Wait()
	var waiting [1]*net.UnixConn
	if s.arrivals.Take(waiting[:]) > 0 {
		waiting[0].Close()
	}
	if s.conn != nil {
		s.end(ErrServer)
	}
}
