package capture

import (
	"fmt"
	"strconv"
	"strings"

	"nicsim.dev/nicsim"
)

// Place is where on an adapter packets are seen.
type Place uint8

const (
	Everywhere Place = iota
	AtWire           // frames as they pass the port
	AtTxQueue        // packets as the driver posted them, ahead of any offload
	AtRxQueue        // packets as the driver gets them
)

// AnyQueue stands for every queue of a Place.
const AnyQueue = -1

// Endpoint is where packets are seen: an interface of a capture or, with an
// empty Device, Everywhere or AnyQueue, several of them.
type Endpoint struct {
	Device string // the adapter's name
	Place  Place
	Queue  int // of AtTxQueue and AtRxQueue, otherwise zero
}

// String returns the name of the interface: "A wire", "A tx queue 0" or, for
// several, "A", "A rx" and, for all, "".
func (e Endpoint) String() string {
	s := e.Device
	switch e.Place {
	case AtWire:
		s += " wire"
	case AtTxQueue:
		s += " tx"
	case AtRxQueue:
		s += " rx"
	}
	if (e.Place == AtTxQueue || e.Place == AtRxQueue) && e.Queue != AnyQueue {
		s += " queue " + strconv.Itoa(e.Queue)
	}
	return strings.TrimPrefix(s, " ")
}

// ParseEndpoint understands what String returns. A name that ends in none of
// its words is that of an adapter.
func ParseEndpoint(s string) (Endpoint, error) {
	words := strings.Fields(s)
	last := func() string {
		if len(words) == 0 {
			return ""
		}
		return words[len(words)-1]
	}
	e := Endpoint{}
	queue := AnyQueue
	if n := len(words); n >= 2 && words[n-2] == "queue" {
		q, err := strconv.ParseUint(last(), 10, 16)
		if err != nil {
			return Endpoint{}, fmt.Errorf("capture: %q: expected the number of a queue, found %q", s, last())
		}
		queue, words = int(q), words[:n-2]
		if w := last(); w != "tx" && w != "rx" {
			return Endpoint{}, fmt.Errorf(`capture: %q: expected "tx queue %d" or "rx queue %d"`, s, q, q)
		}
	}
	switch last() {
	case "wire":
		e.Place = AtWire
	case "tx":
		e.Place, e.Queue = AtTxQueue, queue
	case "rx":
		e.Place, e.Queue = AtRxQueue, queue
	}
	if e.Place != Everywhere {
		words = words[:len(words)-1]
	}
	e.Device = strings.Join(words, " ")
	return e, nil
}

// Includes says whether o is e or one of those that e stands for.
func (e Endpoint) Includes(o Endpoint) bool {
	return (e.Device == "" || e.Device == o.Device) &&
		(e.Place == Everywhere || e.Place == o.Place && (e.Queue == AnyQueue || e.Queue == o.Queue))
}

// single says whether e is one interface.
func (e Endpoint) single() bool {
	return e.Device != "" && e.Place != Everywhere && e.Queue != AnyQueue
}

// describe returns the interface's description.
func (e Endpoint) describe() string {
	switch e.Place {
	case AtTxQueue:
		return fmt.Sprintf("transmit queue %d of adapter %s, as its driver posts packets", e.Queue, e.Device)
	case AtRxQueue:
		return fmt.Sprintf("receive queue %d of adapter %s, as its driver gets packets", e.Queue, e.Device)
	default:
		return fmt.Sprintf("wire of adapter %s", e.Device)
	}
}

// endpointOf returns where a packet event happened.
func endpointOf(e *nicsim.Event) Endpoint {
	switch {
	case e.Kind == nicsim.PacketWire:
		return Endpoint{Device: e.Device, Place: AtWire}
	case e.Side == nicsim.Tx:
		return Endpoint{Device: e.Device, Place: AtTxQueue, Queue: e.Queue}
	default:
		return Endpoint{Device: e.Device, Place: AtRxQueue, Queue: e.Queue}
	}
}
