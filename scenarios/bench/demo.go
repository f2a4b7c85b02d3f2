package bench

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/link/pipe"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/netstack"
	"nicsim.dev/tapbridge/pair"
)

const (
	demoMTU = 1500
	// demoBytes is the least that is transferred, so that opening the connection
	// does not count.
	demoBytes = 8 << 20
	// demoTimeout is for a transfer that does not come to its end.
	demoTimeout = time.Minute
)

var (
	netA = netip.MustParsePrefix("192.0.2.1/24")
	netB = netip.MustParsePrefix("192.0.2.2/24")
)

// demo fetches a file over HTTP from one gVisor stack with another, over two
// adapters back to back with their Go driver and all offloads. Both ends
// compare SHA-256; only the transfer is timed.
//
// The reference is the same two stacks joined by gVisor's own pipe endpoint at
// the same MTU.
type demo struct {
	server, client *netstack.Stack
	equal          bool
	seed           uint64
}

func newDemo() (*contest, error) {
	a, b, stop, err := adapterEnds()
	if err != nil {
		return nil, err
	}
	ours, err := newTransfer(a, b)
	if err != nil {
		stop()
		return nil, err
	}
	pa, pb := pipe.New("\x02\x00\x00\x00\x00\x01", "\x02\x00\x00\x00\x00\x02", demoMTU)
	reference, err := newTransfer(pa, pb)
	if err != nil {
		ours.close()
		stop()
		return nil, err
	}
	return &contest{
		ours:      load{run: ours.run, check: ours.check, least: demoBytes},
		reference: load{run: reference.run, check: reference.check, least: demoBytes},
		unit:      "Gbit/s", scale: 8e-9,
		close: func() {
			reference.close()
			ours.close()
			stop()
		},
	}, nil
}

// adapterEnds are two adapters on a cable with their drivers, as links of two
// stacks. stop ends the loop that steps them.
func adapterEnds() (a, b stack.LinkEndpoint, stop func(), err error) {
	m, err := nicsim.Find(model)
	if err != nil {
		return nil, nil, nil, err
	}
	loop, pool := live.New(), new(nicsim.Pool)
	var devices [2]nicsim.Device
	var ends [2]*netstack.Endpoint
	for i, mac := range [][6]byte{macA, macB} {
		cfg := nicsim.Config{Name: string(rune('a' + i)), MAC: mac, Clock: loop.Sim.Clock, Pool: pool}
		if devices[i], err = m.New(cfg); err != nil {
			return nil, nil, nil, err
		}
		fn := devices[i].Functions()[0]
		fn.SetInterrupter(nobody{})
		drv, err := m.NewDriver(fn, fn.Memory, driver.Config{MTU: demoMTU, Offloads: driver.AllOffloads, FlowControl: true})
		if err != nil {
			return nil, nil, nil, err
		}
		ends[i] = netstack.NewEndpoint(drv, netstack.EndpointConfig{MTU: demoMTU, Offloads: driver.AllOffloads}, loop.Wake)
	}
	wire, err := pair.New(loop.Sim.Clock, pool, devices[0].Port(), devices[1].Port(), pair.Impairment{}, pair.Impairment{}, 1)
	if err != nil {
		return nil, nil, nil, err
	}
	loop.Sim.Add(wire, ends[0], devices[0], devices[1], ends[1])
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		loop.Run(ctx)
		close(ended)
	}()
	return ends[0], ends[1], func() {
		cancel()
		<-ended
	}, nil
}

// newTransfer puts a stack on either end.
func newTransfer(a, b stack.LinkEndpoint) (*demo, error) {
	d := new(demo)
	var err error
	if d.server, err = netstack.NewStack(a, netstack.StackConfig{Name: "a", Addrs: []netip.Prefix{netA}}); err != nil {
		return nil, err
	}
	if d.client, err = netstack.NewStack(b, netstack.StackConfig{Name: "b", Addrs: []netip.Prefix{netB}}); err != nil {
		d.server.Close()
		return nil, err
	}
	return d, nil
}

func (d *demo) close() {
	d.client.Close()
	d.server.Close()
}

func (d *demo) run(n int) (int, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), demoTimeout)
	defer cancel()
	d.seed++
	r, err := netstack.Transfer(ctx, netstack.TransferConfig{
		Server: d.server, Client: d.client, At: netip.AddrPortFrom(netA.Addr(), 80), Bytes: int64(n), Seed: d.seed,
	})
	if err != nil {
		return 0, 0, err
	}
	d.equal = r.Equal()
	return int(r.Bytes), r.Elapsed, nil
}

func (d *demo) check() error {
	if !d.equal {
		return errors.New("the file did not arrive as it was sent")
	}
	return nil
}
