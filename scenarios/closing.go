package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/scenarios/metrics"
	"nicsim.dev/scenarios/report"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/netstack"
	"nicsim.dev/tapbridge/pair"
)

// The closing scene of a run of the whole suite.
const (
	closingBytes   = 256 << 20
	closingLoss    = 0.001
	closingQueues  = 4
	closingStreams = 8
	closingMinRTO  = 20 * time.Millisecond
	closingName    = "closing-scene"
)

// pairOfStacks is two gVisor stacks on two adapters that a cable joins, on the
// live clock.
type pairOfStacks struct {
	loop    *live.Loop
	devices [2]nicsim.Device
	drivers [2]driver.Driver
	stacks  [2]*netstack.Stack
	cable   *pair.Pair
	pool    nicsim.Pool
	stop    func()
}

// newPairOfStacks builds and starts one; close ends it.
func newPairOfStacks(imp pair.Impairment, cfg driver.Config, seed uint64) (*pairOfStacks, error) {
	m, err := nicsim.Find(defaultModel)
	if err != nil {
		return nil, err
	}
	p := &pairOfStacks{loop: live.New()}
	for i := range p.devices {
		p.devices[i], err = m.New(nicsim.Config{
			Name: string(rune('A' + i)), MAC: [6]byte{2, 5: byte(i + 1)}, Clock: p.loop.Sim.Clock, Pool: &p.pool, Seed: seed,
		})
		if err != nil {
			return nil, err
		}
	}
	p.cable, err = pair.New(p.loop.Sim.Clock, &p.pool, p.devices[0].Port(), p.devices[1].Port(), imp, imp, seed)
	if err != nil {
		return nil, err
	}
	p.loop.Sim.Add(p.cable) // first, so that a PAUSE frame is there before its sender is sent to again
	mtu := cfg.MTU
	if mtu == 0 {
		mtu = defaultMTU
	}
	for i, d := range p.devices {
		fn := d.Functions()[0]
		if p.drivers[i], err = m.NewDriver(fn, fn.Memory, cfg); err != nil {
			return nil, err
		}
		end := netstack.NewEndpoint(p.drivers[i], netstack.EndpointConfig{MTU: mtu, Offloads: cfg.Offloads}, p.loop.Wake)
		p.stacks[i], err = netstack.NewStack(end, netstack.StackConfig{
			Name: string(rune('A' + i)), MinRTO: closingMinRTO, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 24)},
		})
		if err != nil {
			return nil, err
		}
		p.loop.Sim.Add(d, end)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.loop.Run(ctx)
	}()
	p.stop = func() { cancel(); <-ended }
	return p, nil
}

func (p *pairOfStacks) close() {
	for _, s := range p.stacks {
		s.Close()
	}
	p.stop()
	for _, d := range p.drivers {
		d.Close()
	}
}

// transfer fetches n bytes from the first stack to the second.
func (p *pairOfStacks) transfer(ctx context.Context, n int64, streams int, seed uint64) (*netstack.TransferResult, error) {
	return netstack.Transfer(ctx, netstack.TransferConfig{
		Server: p.stacks[0], Client: p.stacks[1], At: netip.AddrPortFrom(p.stacks[0].Addr4(), httpPort),
		Bytes: n, Streams: streams, Seed: seed,
	})
}

// closingScene moves n bytes over HTTP between two stacks on a wire that loses
// frames, and shows what the hardware did.
func closingScene(ctx context.Context, n int64, o Options) report.Result {
	result := report.Result{
		Name: closingName, Replay: fmt.Sprintf("nicsim run -seed %d", o.Seed), // it is on the live clock: only its seed is repeated
		Why: fmt.Sprintf("%d MiB over HTTP between two TCP stacks, through two adapters and a wire that loses 0.1%% of frames.", n>>20),
	}
	started := time.Now()
	output, err := playClosingScene(ctx, n, o)
	result.Elapsed = time.Since(started)
	result.Output = output
	if err != nil {
		result.Status, result.Reason, result.Log = report.Fail, err.Error(), err.Error()
	}
	return result
}

func playClosingScene(ctx context.Context, n int64, o Options) (string, error) {
	p, err := newPairOfStacks(pair.Impairment{Loss: closingLoss},
		driver.Config{Queues: closingQueues, RingSize: 1024, Offloads: driver.AllOffloads, FlowControl: true}, o.Seed)
	if err != nil {
		return "", err
	}
	defer p.close()
	if o.Metrics != nil {
		defer o.Metrics.Live(p.read)()
	}
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	r, err := p.transfer(ctx, n, closingStreams, o.Seed)
	if err != nil {
		return "", err
	}
	if !r.Equal() || r.Bytes != n {
		return "", fmt.Errorf("%d of %d bytes arrived, and SHA-256 differs", r.Bytes, n)
	}
	var table string
	if err := p.loop.Do(func() { table = p.table() }); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d MiB in %d streams, SHA-256 equal (%x... for the first), %.2f s, %.2f Gb/s.\n"+
		"It ran on the live clock: these figures cannot be replayed.\n\n%s",
		n>>20, len(r.Streams), r.Streams[0].Got[:8], r.Elapsed.Seconds(), r.BitsPerSecond()/1e9, table), nil
}

// read takes the counters of both adapters.
func (p *pairOfStacks) read() (devices []metrics.Device, err error) {
	err = p.loop.Do(func() {
		for i, d := range p.devices {
			devices = append(devices, metrics.Read(closingName, string(rune('A'+i)), d))
		}
	})
	return devices, err
}

// table shows what the adapters did, side by side.
func (p *pairOfStacks) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	sums := [2]map[string]uint64{}
	hit := [2]map[nicsim.Side]int{}
	for i, d := range p.devices {
		a := &Adapter{Device: d}
		sums[i] = totals(a, all)
		hit[i] = map[nicsim.Side]int{}
		d.Counters(func(c nicsim.Counter) {
			if c.Queue >= 0 && c.Value > 0 && (c.Name == "rx-packets" || c.Name == "tx-packets") {
				hit[i][c.Side]++
			}
		})
	}
	row := func(what string, of func(i int) string) { fmt.Fprintf(w, "%s\t%s\t%s\t\n", what, of(0), of(1)) }
	count := func(name string) func(int) string {
		return func(i int) string { return fmt.Sprint(sums[i][name]) }
	}
	row("", func(i int) string { return []string{"A serves", "B fetches"}[i] })
	row("frames sent", count("tx-packets"))
	row("frames received", count("rx-packets"))
	row("TSO bursts", count("tx-hw-gso-packets"))
	row("TSO segments", count("tx-hw-gso-wire-packets"))
	row("RSC packets", count("rx-hw-gro-packets"))
	row("RSC frames merged into them", count("rx-hw-gro-wire-packets"))
	row("checksums inserted", count("tx-needs-csum"))
	row("checksums good", count("rx-csum-unnecessary"))
	row("checksums bad", count("rx-csum-bad"))
	row("transmit queues hit", func(i int) string { return fmt.Sprint(hit[i][nicsim.Tx]) })
	row("receive queues hit", func(i int) string { return fmt.Sprint(hit[i][nicsim.Rx]) })
	row("lost on the wire behind it", func(i int) string { return fmt.Sprint(p.cable.Stats(pair.Direction(i)).Lost) })
	row("sent again by TCP", func(i int) string { return fmt.Sprint(p.stacks[i].Stack.Stats().TCP.Retransmits.Value()) })
	row("dropped by the adapter", func(i int) string { return fmt.Sprint(dropped(sums[i])) })
	for d := nicsim.DropNone + 1; d < nicsim.NumDrops; d++ {
		name := "drop-" + d.String()
		if sums[0][name]+sums[1][name] > 0 {
			row(name, count(name))
		}
	}
	w.Flush()
	return b.String()
}

// dropped sums the drops of an adapter, for whatever reason; PAUSE frames were
// for its MAC.
func dropped(sums map[string]uint64) (n uint64) {
	for d := nicsim.DropNone + 1; d < nicsim.NumDrops; d++ {
		if d != nicsim.DropRxPause {
			n += sums["drop-"+d.String()]
		}
	}
	return n
}
