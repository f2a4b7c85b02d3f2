// Package control is the socket by which others look into a running process:
// which adapters and queues it has, their counters, their packets as pcapng and
// what their drivers do, one line each. Every command that runs for long opens
// one.
//
// The socket is a stream of the Unix domain, mode 0600, in Dir. A client sends
// requests, each a line of JSON, and gets for
//
//	{"cmd":"list"}                               a line: Listing
//	{"cmd":"counters"}                           a line: array of Counters
//	{"cmd":"capture","interface":"A rx queue 3"} pcapng until either side ends
//	{"cmd":"trace","filter":{"kinds":["write"]}} lines: Event, until either side ends
//
// What cannot be answered ends the client with a line {"error":"why"}, which no
// pcapng begins with.
//
// Between the adapter and a client is a bounded queue. A client that does not
// keep up loses packets and events, and is told how many; the adapter never
// waits for it.
//
// The package stands beside capture in tapbridge: it touches the host.
package control

import (
	"encoding/json"
	"fmt"
	"path"

	"nicsim.dev/nicsim"
	"nicsim.dev/tapbridge/capture"
)

// Listing says what a process runs.
type Listing struct {
	PID      int       `json:"pid"`
	Topology string    `json:"topology"`
	Adapters []Adapted `json:"adapters"`
}

// Adapted is one adapter of a Listing.
type Adapted struct {
	Name     string `json:"name"`
	Model    string `json:"model"`
	TxQueues int    `json:"tx-queues"`
	RxQueues int    `json:"rx-queues"`
}

// Interfaces returns what can be captured of the adapter: all of it, its wire
// and each of its queues.
func (a *Adapted) Interfaces() []capture.Endpoint {
	all := []capture.Endpoint{{Device: a.Name}, {Device: a.Name, Place: capture.AtWire}}
	for q := range a.TxQueues {
		all = append(all, capture.Endpoint{Device: a.Name, Place: capture.AtTxQueue, Queue: q})
	}
	for q := range a.RxQueues {
		all = append(all, capture.Endpoint{Device: a.Name, Place: capture.AtRxQueue, Queue: q})
	}
	return all
}

// Counters are the counters of one adapter by the kernel's names (netdev
// qstats).
type Counters struct {
	Device   string            `json:"device"`
	Counters map[string]uint64 `json:"counters"`
	Queues   []QueueCounters   `json:"queues,omitempty"`
}

// QueueCounters are the counters of one queue.
type QueueCounters struct {
	Type     string            `json:"queue-type"` // "rx" or "tx"
	ID       int               `json:"queue-id"`
	Counters map[string]uint64 `json:"counters"`
}

// CaptureRequest says what to capture. Zero values mean everything.
type CaptureRequest struct {
	// Interface is the name of a capture.Endpoint, such as "A rx queue 3".
	Interface string `json:"interface,omitempty"`
	Direction string `json:"direction,omitempty"` // "in" or "out"
	DropsOnly bool   `json:"drops-only,omitempty"`
	Frames    string `json:"frames,omitempty"` // a capture.FrameFilter
}

func (r *CaptureRequest) filter() (f capture.Filter, err error) {
	switch r.Direction {
	case "":
	case "in":
		f.Direction = capture.Inbound
	case "out":
		f.Direction = capture.Outbound
	default:
		return f, fmt.Errorf(`expected the direction "in" or "out", found %q`, r.Direction)
	}
	f.DropsOnly = r.DropsOnly
	if r.Frames != "" {
		if f.Frames, err = capture.ParseFrameFilter(r.Frames); err != nil {
			return f, err
		}
	}
	f.At, err = capture.ParseEndpoint(r.Interface)
	return f, err
}

// TraceFilter picks events. Zero values mean every event.
type TraceFilter struct {
	Device string   `json:"device,omitempty"`
	Kinds  []string `json:"kinds,omitempty"` // names of nicsim.EventKind
	Name   string   `json:"name,omitempty"`  // a pattern as path.Match has it, such as "RD*"
	Side   string   `json:"side,omitempty"`  // "tx" or "rx"
	Queue  *int     `json:"queue,omitempty"`
}

// picker is a TraceFilter that has been checked.
type picker struct {
	device  string
	kinds   [nicsim.NumEventKinds]bool
	pattern string
	hasSide bool
	side    nicsim.Side
	queue   int // any, if negative
}

func (f *TraceFilter) check() (picker, error) {
	p := picker{device: f.Device, pattern: f.Name, queue: -1}
	known := map[string]nicsim.EventKind{}
	for k := range nicsim.NumEventKinds {
		known[k.String()] = k
		p.kinds[k] = len(f.Kinds) == 0
	}
	for _, name := range f.Kinds {
		k, ok := known[name]
		if !ok {
			return p, fmt.Errorf("no kind of event is named %q", name)
		}
		p.kinds[k] = true
	}
	if _, err := path.Match(f.Name, ""); err != nil {
		return p, fmt.Errorf("pattern %q: %w", f.Name, err)
	}
	switch f.Side {
	case "":
	case "tx":
		p.hasSide = true
	case "rx":
		p.hasSide, p.side = true, nicsim.Rx
	default:
		return p, fmt.Errorf(`expected the side "tx" or "rx", found %q`, f.Side)
	}
	if f.Queue != nil {
		if p.queue = *f.Queue; p.queue < 0 {
			return p, fmt.Errorf("expected the number of a queue, found %d", p.queue)
		}
	}
	return p, nil
}

// picks says whether an event is wanted. A side or a queue picks only events
// that have one.
func (p *picker) picks(e *nicsim.Event) bool {
	if e.Kind >= nicsim.NumEventKinds || !p.kinds[e.Kind] || p.device != "" && p.device != e.Device {
		return false
	}
	has := fieldsOf[e.Kind]
	if p.hasSide && (has&hasSide == 0 || e.Side != p.side) || p.queue >= 0 && (has&hasQueue == 0 || e.Queue != p.queue) {
		return false
	}
	if p.pattern != "" {
		ok, _ := path.Match(p.pattern, e.Name)
		return ok
	}
	return true
}

// request is a line from a client.
type request struct {
	Cmd string `json:"cmd"`
	CaptureRequest
	Filter *TraceFilter `json:"filter,omitempty"`
}

// failure is the last line to a client whose request makes no sense.
type failure struct {
	Error string `json:"error"`
}

const (
	// maxRequestBytes bounds a line from a client.
	maxRequestBytes = 64 << 10
	// maxReplyBytes bounds a line from a server: the counters of a few adapters
	// with all their queues.
	maxReplyBytes = 16 << 20
)

func mustMarshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("control: " + err.Error()) // only our own types come here
	}
	return append(b, '\n')
}
