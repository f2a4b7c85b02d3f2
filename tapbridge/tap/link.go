//go:build linux

package tap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/pair"
)

// End is one of the two TAPs of a Link.
type End struct {
	Name  string // of the interface
	NetNS string // a name of ip-netns(8) or a path; empty means the caller's
	Addrs []netip.Prefix
}

// LinkConfig is what a Link is to be.
type LinkConfig struct {
	Model    string
	Ends     [2]End
	Queues   int // of each TAP and driver; 0 means 1
	RingSize int // descriptors; 0 means 1024
	MTU      int // 0 means 1500
	// Offloads are left to the adapters, by the kernel as by their drivers.
	Offloads driver.Offloads
	// Tags has the adapters insert and strip VLAN tags.
	Tags bool
	// Impairments are those from the first TAP to the second, and back.
	Impairments [2]pair.Impairment
	Seed        uint64
}

// Link is TAP, adapter, wire, adapter, TAP: what the kernel sends into one TAP
// comes out of the other, having passed through two adapters.
type Link struct {
	Loop    *live.Loop
	Devices [2]nicsim.Device
	Drivers [2]driver.Driver
	Pair    *pair.Pair
	Bridges [2]*Bridge
}

// NewLink makes the interfaces and adapters. Until Run, their caller owns them.
func NewLink(cfg LinkConfig) (*Link, error) {
	model, err := nicsim.Find(cfg.Model)
	if err != nil {
		return nil, err
	}
	l := &Link{Loop: live.New()}
	if err := l.build(model, cfg); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Link) build(model nicsim.Model, cfg LinkConfig) error {
	queues, ring, mtu := max(cfg.Queues, 1), cfg.RingSize, cfg.MTU
	if ring == 0 {
		ring = 1024
	}
	if mtu == 0 {
		mtu = 1500
	}
	pool, clock := new(nicsim.Pool), l.Loop.Sim.Clock
	var err error
	var mac [2][6]byte
	for i := range l.Devices {
		// Locally administered addresses (IEEE 802-2014 8.2).
		mac[i] = [6]byte{0x02, 'n', 'i', 'c', byte(cfg.Seed), byte(i + 1)}
		l.Devices[i], err = model.New(nicsim.Config{
			Name: string(rune('A' + i)), MAC: mac[i], Clock: clock, Pool: pool, Seed: cfg.Seed + uint64(i),
		})
		if err != nil {
			return err
		}
	}
	a, b := l.Devices[0].Port(), l.Devices[1].Port()
	if l.Pair, err = pair.New(clock, pool, a, b, cfg.Impairments[0], cfg.Impairments[1], cfg.Seed); err != nil {
		return err
	}
	for i, dev := range l.Devices {
		fn := dev.Functions()[0]
		// A TAP in a bridge sends and receives under other addresses too.
		drv, err := model.NewDriver(fn, fn.Memory, driver.Config{
			Queues: queues, RingSize: ring, MTU: mtu, Offloads: cfg.Offloads, StripVLAN: cfg.Tags, Promisc: true, FlowControl: true,
		})
		if err != nil {
			return err
		}
		l.Drivers[i] = drv
		end := cfg.Ends[i]
		t, err := Open(DeviceConfig{
			Name: end.Name, Queues: queues, MTU: mtu, MAC: mac[i], Offloads: cfg.Offloads, NetNS: end.NetNS, Addrs: end.Addrs,
		})
		if err != nil {
			return err
		}
		if l.Bridges[i], err = NewBridge(t, drv, cfg.Tags, l.Loop.Wake); err != nil {
			return errors.Join(err, t.Close())
		}
	}
	// The wire comes first: PAUSE frames that were due while the host did other
	// things arrive before an adapter takes its pause for over.
	l.Loop.Sim.Add(l.Pair, l.Bridges[0], l.Devices[0], l.Devices[1], l.Bridges[1])
	return nil
}

// Status is what a Link has done so far.
type Status struct {
	Elapsed time.Duration
	Taps    [2]Stats
	Drivers [2]driver.Stats
	Wire    [2]pair.Stats // from the first adapter to the second, and back
}

// Run carries packets until ctx is done or an interface is deleted, which is
// an error. It calls status, if there is one, at every interval and at the end.
func (l *Link) Run(ctx context.Context, every time.Duration, status func(Status)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		l.Loop.Run(ctx)
		close(ended)
	}()
	start := time.Now()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var err error
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case err = <-l.Bridges[0].Gone():
			cancel()
		case err = <-l.Bridges[1].Gone():
			cancel()
		case <-ticker.C:
			var s Status
			if status != nil && l.Loop.Do(func() { s = l.status(start) }) == nil {
				status(s)
			}
		}
	}
	<-ended
	if status != nil {
		status(l.status(start))
	}
	if err != nil {
		return fmt.Errorf("tap: the interface is gone: %w", err)
	}
	return nil
}

func (l *Link) status(start time.Time) Status {
	s := Status{Elapsed: time.Since(start)}
	for i := range s.Taps {
		s.Taps[i], s.Drivers[i] = l.Bridges[i].Stats(), l.Drivers[i].Stats()
		s.Wire[i] = l.Pair.Stats(pair.Direction(i))
	}
	return s
}

// Close removes the interfaces. The loop must not be running.
func (l *Link) Close() error {
	var err error
	for i := range l.Bridges {
		if l.Bridges[i] != nil {
			err = errors.Join(err, l.Bridges[i].Close())
		}
		if l.Drivers[i] != nil {
			err = errors.Join(err, l.Drivers[i].Close())
		}
	}
	return err
}
