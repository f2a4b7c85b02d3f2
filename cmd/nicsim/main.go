// Command nicsim runs a simulated network adapter: its scenarios, its
// benchmarks, and bridges to the host. It holds flags only; what they do is in
// package scenarios.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"nicsim.dev/scenarios"
	"nicsim.dev/scenarios/bench"
	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/scenarios/need"
	"nicsim.dev/scenarios/report"
	"nicsim.dev/tapbridge/capture/extcap"
)

type cli struct {
	Run     runCmd     `cmd:"" help:"Run scenarios: files, folders, or the bundled suite."`
	Models  modelsCmd  `cmd:"" help:"List the hardware models, or print a model's register table as Markdown."`
	Bench   benchCmd   `cmd:"" help:"Measure the adapter, each benchmark beside its reference."`
	Tap     tapCmd     `cmd:"" help:"Bridge two TAP interfaces of the kernel by two adapters and a cable, until interrupted."`
	Lab     labCmd     `cmd:"" help:"Kernels, QEMU and programs for guests: fetch and build them, or say what is there."`
	Boot    bootCmd    `cmd:"" help:"Boot a kernel with adapters and run a command in it."`
	Serve   serveCmd   `cmd:"" help:"Offer adapters on sockets, for a guest that is started otherwise."`
	VngArgs vngArgsCmd `cmd:"" help:"Print the options by which virtme-ng's guest has the adapters of nicsim serve."`
	Trace   traceCmd   `cmd:"" help:"Print what the driver of a running adapter does, one line each."`
	Extcap  extcapCmd  `cmd:"" help:"Be a capture source of Wireshark: what it asks of programs in its extcap folder."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type runCmd struct {
	Verbose bool     `short:"v" help:"Print what each scenario does."`
	Seed    uint64   `default:"${seed}" help:"Seed of all chance."`
	Format  string   `default:"text" enum:"text,ktap,json,junit" help:"Format of the report: ${enum}."`
	Capture string   `placeholder:"DIR" help:"Write a pcapng of each scenario into this folder."`
	Require bool     `help:"Fail where a scenario would be skipped."`
	Metrics string   `placeholder:"ADDR" help:"Serve counters to Prometheus at this address, such as localhost:9100, while it runs."`
	On      string   `default:"uml" enum:"uml,qemu" help:"What runs guests where a script leaves it open: ${enum}."`
	Path    []string `arg:"" optional:"" help:"Scripts, folders of them, or names of the bundled suite."`
}

func (c *runCmd) Run(ctx context.Context) error {
	totals, err := scenarios.RunFiles(ctx, scenarios.Files{
		Paths: c.Path, Format: c.Format, MetricsAddr: c.Metrics,
		Options: scenarios.Options{
			Seed: c.Seed, Verbose: c.Verbose, Require: c.Require || need.Required(), Capture: c.Capture, On: c.On,
		},
		Style: report.Style{Verbose: c.Verbose, Colour: scenarios.Colour(os.Stdout)},
	}, os.Stdout)
	if err != nil {
		return err
	}
	return exited(totals.ExitCode())
}

type modelsCmd struct {
	Model string `arg:"" optional:"" help:"The model whose registers to print."`
}

func (c *modelsCmd) Run() error { return scenarios.PrintModels(os.Stdout, c.Model) }

type benchCmd struct {
	JSON bool     `name:"json" help:"One JSON object a line: name, value, unit, reference, ratio."`
	Name []string `arg:"" optional:"" help:"Benchmarks to run; all without one: ${benchmarks}."`
}

func (c *benchCmd) Run(ctx context.Context) error {
	return bench.Run(ctx, os.Stdout, bench.Options{JSON: c.JSON, Progress: os.Stderr}, c.Name...)
}

type tapCmd struct {
	A          string   `short:"a" default:"nicsim0" help:"Name of the first interface."`
	B          string   `short:"b" default:"nicsim1" help:"Name of the second interface."`
	NetnsA     string   `name:"netns-a" placeholder:"NAME" help:"Network namespace of the first, by name or path."`
	NetnsB     string   `name:"netns-b" placeholder:"NAME" help:"Network namespace of the second."`
	AddrA      []string `name:"addr-a" placeholder:"IP/LEN" help:"Addresses of the first."`
	AddrB      []string `name:"addr-b" placeholder:"IP/LEN" help:"Addresses of the second."`
	Queues     int      `default:"2" help:"Queues of each interface and adapter."`
	MTU        int      `name:"mtu" default:"1500" help:"Largest packet in bytes."`
	NoOffloads bool     `help:"Leave segmentation, checksums and tags to the kernel."`
	Impair     string   `placeholder:"WORDS" help:"What the cable does, such as \"loss=0.1% delay=1ms\"."`
	Seed       uint64   `default:"${seed}" help:"Seed of all chance."`
	Metrics    string   `placeholder:"ADDR" help:"Serve counters to Prometheus at this address, such as localhost:9100."`
}

func (c *tapCmd) Run(ctx context.Context) error {
	return scenarios.Bridge(ctx, os.Stdout, os.Stderr, scenarios.BridgeOptions{
		Ends: [2]scenarios.BridgeEnd{
			{Name: c.A, NetNS: c.NetnsA, Addrs: c.AddrA},
			{Name: c.B, NetNS: c.NetnsB, Addrs: c.AddrB},
		},
		Queues: c.Queues, MTU: c.MTU, NoOffloads: c.NoOffloads, Impair: c.Impair, Seed: c.Seed, Metrics: c.Metrics,
		Terminal: scenarios.Terminal(os.Stderr),
	})
}

type traceCmd struct {
	Device string   `help:"Only this adapter."`
	Kind   []string `enum:"read,write,doorbell,fetch,writeback,interrupt,packet,frame,note" help:"Only these kinds: ${enum}."`
	Name   string   `help:"Only registers and descriptors of this name; * and ? match."`
	Side   string   `enum:",tx,rx" default:"" help:"Only doorbells, descriptors, packets and frames of this direction: tx or rx."`
	Queue  *int     `help:"Only doorbells, descriptors, packets and interrupts of this queue."`
	Count  int      `short:"n" help:"End after so many lines."`
	Target string   `arg:"" optional:"" help:"Process number, topology or socket, when several are running."`
}

func (c *traceCmd) Run(ctx context.Context) error {
	return scenarios.Trace(ctx, os.Stdout, scenarios.TraceOptions{
		Target: c.Target, Device: c.Device, Kinds: c.Kind, Name: c.Name, Side: c.Side, Queue: c.Queue, Lines: c.Count,
	})
}

type extcapCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" help:"Wireshark's arguments."`
}

func (c *extcapCmd) Run(ctx context.Context) error {
	return exited(extcap.Run(ctx, scenarios.Version(), c.Args, os.Stdout, os.Stderr))
}

type versionCmd struct{}

func (versionCmd) Run() error {
	_, err := fmt.Println(scenarios.Build())
	return err
}

// status is an exit code that is no error.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func exited(code int) error {
	if code == report.ExitPass {
		return nil
	}
	return status(code)
}

func main() {
	agent.Main() // as the init of a guest
	var c cli
	parser, err := kong.New(&c,
		kong.Name("nicsim"),
		kong.Description("A simulated network adapter that unmodified drivers program."),
		kong.Vars{"seed": fmt.Sprint(scenarios.DefaultSeed), "benchmarks": strings.Join(bench.Names(), ", ")},
	)
	if err != nil {
		panic(err) // the flags are a part of the program
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	args := scenarios.GoFlags(os.Args[1:])
	if extcap.Wanted(args) && strings.HasPrefix(args[0], "-") { // run by Wireshark, from its folder
		args = append([]string{"extcap"}, args...)
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		fail(err, report.ExitUsage)
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(); err != nil {
		if s, ok := errors.AsType[status](err); ok {
			os.Exit(int(s))
		}
		if _, ok := errors.AsType[*scenarios.UsageError](err); ok {
			fail(err, report.ExitUsage)
		}
		fail(err, report.ExitFail)
	}
}

func fail(err error, code int) {
	fmt.Fprintln(os.Stderr, "nicsim:", err)
	os.Exit(code)
}
