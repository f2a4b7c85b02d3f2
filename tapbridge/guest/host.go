//go:build linux

// Package guest is what the transports to guests have in common: a socket that
// carries file descriptors, the guest's memory, and the life of a client. The
// protocols themselves are in packages of their own.
package guest

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"nicsim.dev/nicsim/sim"
	"nicsim.dev/tapbridge/live"
)

// Host steps adapters that guests drive, and the servers through which they do.
// It is a part of a simulation's loop and belongs to the loop's goroutine.
type Host struct {
	wake    func()
	log     *slog.Logger
	servers []*Server
	devices []sim.Stepper

	mappings int // of all clients
	answers  int // to them
}

// NewHost returns a host. Other goroutines call wake when there is work for it.
func NewHost(wake func(), log *slog.Logger) *Host { return &Host{wake: wake, log: log} }

// Add adds an adapter. Its DMA may go to the memory of any client.
func (h *Host) Add(device sim.Stepper) { h.devices = append(h.devices, device) }

// Logger returns where a server or its protocol tells what happens to the adapter of
// that name.
func (h *Host) Logger(name string) *slog.Logger { return h.log.With("adapter", name) }

// Step handles what clients have sent and steps the adapters.
func (h *Host) Step(budget int) (work int) {
	whole := h.Guard(func() {
		for _, s := range h.servers {
			work += s.step(budget)
		}
		for _, d := range h.devices {
			work += d.Step(budget)
		}
	})
	if !whole {
		work++ // others had no turn
	}
	return work
}

// Guard calls f, which may touch guests' memory. Memory that a client took away from
// under a mapping ends that client's session and f, and nothing else. Events of the
// clock write to memory too: who turns the loop does it in here. It returns whether f
// came to its end.
func (h *Host) Guard(f func()) (whole bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			h.fault(r)
		}
	}()
	f()
	return true
}

// fault ends the session whose memory was touched in vain, or goes on panicking.
func (h *Host) fault(r any) {
	if f, ok := r.(interface{ Addr() uintptr }); ok {
		for _, s := range h.servers {
			if s.conn != nil && s.conn.maps(f.Addr()) {
				s.end(fmt.Errorf("memory at %#x, which it had shared, is gone", f.Addr()))
				return
			}
		}
	}
	panic(r)
}

// Rest makes clients tell of what they have to say, and appends the sockets on which
// they do.
func (h *Host) Rest(r *live.Rest) {
	for _, s := range h.servers {
		if s.conn != nil {
			s.session.Sleep(r)
			r.Sockets = append(r.Sockets, live.Socket{FD: s.conn.fd, Full: len(s.conn.out) > 0})
		}
	}
}

// Awake ends that.
func (h *Host) Awake() {
	for _, s := range h.servers {
		if s.conn != nil {
			s.session.Awake()
		}
	}
}

// Answers is how many reads it has answered: see live.Sleeper.
func (h *Host) Answers() int { return h.answers }

// Close ends every server. It is called when the loop has ended.
func (h *Host) Close() {
	for _, s := range h.servers {
		s.Close()
	}
}
