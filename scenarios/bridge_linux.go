package scenarios

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/scenarios/metrics"
	"nicsim.dev/tapbridge/control"
	"nicsim.dev/tapbridge/pair"
	"nicsim.dev/tapbridge/tap"
)

const (
	// statusInterval is how often the status line changes; on what is no
	// terminal, where each is a line of its own, it is rarer.
	statusInterval     = time.Second
	statusIntervalFile = 30 * time.Second
)

// Bridge joins two TAPs of the host's kernel by two adapters and a cable, until
// ctx ends. It tells how it goes on status, and what was done, at the end, on
// out.
func Bridge(ctx context.Context, out, status io.Writer, o BridgeOptions) error {
	link, err := newBridge(o)
	if err != nil {
		return err
	}
	defer func() { link.Close() }()
	if o.Metrics != "" {
		var board metrics.Board
		board.Live(func() (devices []metrics.Device, err error) {
			err = link.Loop.Do(func() {
				for i, d := range link.Devices {
					devices = append(devices, metrics.Read("", string(rune('A'+i)), d))
				}
			})
			return devices, err
		})
		at, _, err := board.Serve(ctx, o.Metrics)
		if err != nil {
			return err
		}
		fmt.Fprintf(status, "metrics at http://%s/metrics\n", at)
	}
	server, err := listen(link)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(status, "%s <-> adapter A <-> cable <-> adapter B <-> %s; interrupt to end\n", link.Bridges[0].Name(), link.Bridges[1].Name())
	every := statusIntervalFile
	if o.Terminal {
		every = statusInterval
	}
	var last tap.Status
	err = link.Run(ctx, every, func(s tap.Status) {
		line := statusLine(last, s)
		last = s
		if o.Terminal {
			fmt.Fprintf(status, "\r\x1b[K%s", line)
		} else {
			fmt.Fprintln(status, line)
		}
	})
	if o.Terminal {
		fmt.Fprintln(status)
	}
	summary(out, link)
	return err
}

func newBridge(o BridgeOptions) (*tap.Link, error) {
	imp, err := o.impairment()
	if err != nil {
		return nil, err
	}
	cfg := tap.LinkConfig{Model: defaultModel, Queues: o.Queues, MTU: o.MTU, Impairments: [2]pair.Impairment{imp, imp}, Seed: o.Seed}
	if !o.NoOffloads {
		cfg.Offloads, cfg.Tags = driver.AllOffloads, true
	}
	for i := range o.Ends {
		e := &o.Ends[i]
		addrs, err := e.addrs()
		if err != nil {
			return nil, err
		}
		cfg.Ends[i] = tap.End{Name: e.Name, NetNS: e.NetNS, Addrs: addrs}
	}
	return tap.NewLink(cfg)
}

// listen opens the control socket, by which others trace and capture.
func listen(link *tap.Link) (*control.Server, error) {
	cfg := control.Config{
		Topology: "tap", Do: link.Loop.Do, App: "nicsim " + Version() + " tap",
		Wires:   func(p nicsim.Probe) { link.Pair.SetProbe(p, "A", "B") },
		EpochNS: time.Now().UnixNano() - int64(link.Loop.Sim.Clock.Now()),
	}
	for i, d := range link.Devices {
		queues := link.Drivers[i].Queues()
		cfg.Adapters = append(cfg.Adapters, control.Adapter{
			Name: string(rune('A' + i)), Model: defaultModel, Device: d,
			Queues: func() (tx, rx int) { return queues, queues },
		})
	}
	return control.Listen(cfg)
}

// statusLine says in one line what happened since the last one.
func statusLine(last, now tap.Status) string {
	var b strings.Builder
	seconds := max((now.Elapsed - last.Elapsed).Seconds(), 1e-9)
	fmt.Fprintf(&b, "%4.0fs", now.Elapsed.Seconds())
	for i, arrow := range []string{"->", "<-"} {
		w, before := now.Wire[i], last.Wire[i]
		fmt.Fprintf(&b, "  %s %.2f Gb/s %.0f frames/s", arrow,
			float64(w.DeliveredBytes-before.DeliveredBytes)*8/1e9/seconds, float64(w.DeliveredFrames-before.DeliveredFrames)/seconds)
	}
	var tso, merged, lost uint64
	for i := range now.Drivers {
		tso += now.Drivers[i].TxGSOPackets
		merged += now.Drivers[i].RxMerged
		lost += now.Wire[i].Lost
	}
	fmt.Fprintf(&b, "  TSO %d  merged %d  lost %d", tso, merged, lost)
	return b.String()
}

// summary prints the counters of both adapters that are not zero.
func summary(out io.Writer, link *tap.Link) {
	for i, d := range link.Devices {
		a := &Adapter{Name: string(rune('A' + i)), Device: d}
		(&world{}).list(out, a)
	}
}
