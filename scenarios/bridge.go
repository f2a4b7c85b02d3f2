package scenarios

import (
	"fmt"
	"net/netip"
	"strings"

	"nicsim.dev/tapbridge/pair"
)

// BridgeEnd is one TAP of a bridge.
type BridgeEnd struct {
	Name  string // of the interface
	NetNS string // network namespace, by name or path; empty means ours
	Addrs []string
}

// BridgeOptions say what "nicsim tap" builds: TAP, adapter, cable, adapter, TAP.
type BridgeOptions struct {
	Ends       [2]BridgeEnd
	Queues     int
	MTU        int
	NoOffloads bool   // the kernel segments, checksums and tags itself
	Impair     string // as the script command pair has it: "loss=0.1% delay=1ms"
	Seed       uint64
	Metrics    string // address to serve counters at, or empty
	Terminal   bool   // the status line may be written over
}

// wireUsage is the grammar of BridgeOptions.Impair.
var wireUsage = &command{usage: "impair [loss=P] [dup=P] [reorder=P] [corrupt=P] [silent] [delay=T] [jitter=T] [rate=BITS]"}

// impairment reads Impair.
func (o *BridgeOptions) impairment() (pair.Impairment, error) {
	c, err := wireUsage.parse(strings.Fields(o.Impair))
	if err != nil {
		return pair.Impairment{}, &UsageError{err}
	}
	imp, err := c.impairment()
	if err != nil {
		return imp, &UsageError{err}
	}
	return imp, nil
}

// addrs reads the addresses of an end.
func (e *BridgeEnd) addrs() (out []netip.Prefix, err error) {
	for _, a := range e.Addrs {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("address of %s: %q: one such as 10.0.0.1/24 was expected", e.Name, a)}
		}
		out = append(out, p)
	}
	return out, nil
}
