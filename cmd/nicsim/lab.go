package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"nicsim.dev/scenarios"
)

type labCmd struct {
	Setup  labSetupCmd  `cmd:"" help:"Fetch and build what guests need, into the cache folder, as an ordinary user."`
	Status labStatusCmd `cmd:"" help:"Say what is there."`
}

type labSetupCmd struct {
	Dir    string   `placeholder:"DIR" help:"Folder, instead of nicsim in XDG_CACHE_HOME or ~/.cache."`
	Mirror string   `placeholder:"URL" help:"Mirror of Debian's archive, instead of the host's."`
	Jobs   int      `help:"Compilers at a time; as many as processors without."`
	Part   []string `arg:"" optional:"" help:"Parts, as lab status lists them; without one, all that are not optional."`
}

func (c *labSetupCmd) Run(ctx context.Context) error {
	return scenarios.LabSetup(ctx, os.Stderr, scenarios.LabSetupOptions{Dir: c.Dir, Mirror: c.Mirror, Jobs: c.Jobs, Parts: c.Part})
}

type labStatusCmd struct {
	Dir  string `placeholder:"DIR" help:"Folder, instead of nicsim in XDG_CACHE_HOME or ~/.cache."`
	JSON bool   `name:"json" help:"As a JSON array."`
}

func (c *labStatusCmd) Run() error { return scenarios.LabStatus(os.Stdout, c.Dir, c.JSON) }

// guestFlags are what every command with adapters for guests takes.
type guestFlags struct {
	On   string   `default:"uml" enum:"uml,qemu" help:"What runs the guest: ${enum}."`
	NIC  []string `name:"nic" sep:"none" placeholder:"SPEC" help:"An adapter: model=82599,id=,mac=,queues=,vfs=,device=10fb|10f7,peer=pair:N|tap:NAME|capture:FILE|none. Without any, two that are joined by a cable."`
	Seed uint64   `default:"${seed}" help:"Seed of all chance."`

	ShowKeys bool `help:"Let nicsim trace see the keys that drivers write; it sees zeros without."`
}

type bootCmd struct {
	guestFlags
	Kernel    string        `placeholder:"PATH" help:"Kernel: the program of User Mode Linux, or an image for QEMU; the lab's without."`
	Modules   string        `placeholder:"DIR" help:"Modules of that kernel (lib/modules/RELEASE), for QEMU."`
	QEMU      string        `name:"qemu" placeholder:"PATH" help:"QEMU, 10.1 or newer; the lab's without."`
	SMP       int           `name:"smp" default:"1" help:"Processors of the guest."`
	Mem       int           `default:"512" help:"Memory of the guest, in MiB."`
	RW        []string      `name:"rw" placeholder:"PATH" help:"Folder of the host that the guest may change; it sees all others, and changes copies."`
	Append    string        `placeholder:"WORDS" help:"More for the kernel's command line."`
	RootPorts bool          `help:"Put adapters behind PCI Express root ports (QEMU)."`
	Console   bool          `help:"Show what the kernel prints, on the standard error."`
	Timeout   time.Duration `help:"Kill the command and exit with 124 after so long."`
	Capture   string        `placeholder:"FILE" help:"Write a pcapng of every wire and queue."`
	Command   []string      `arg:"" optional:"" help:"Command, behind \"--\"; a shell without."`
}

func (c *bootCmd) Run(ctx context.Context) error {
	code, err := scenarios.Boot(ctx, scenarios.BootOptions{
		On: c.On, NICs: c.NIC, Seed: c.Seed, ShowKeys: c.ShowKeys, Kernel: c.Kernel, Modules: c.Modules, QEMU: c.QEMU, CPUs: c.SMP, MemoryMiB: c.Mem,
		Writable: c.RW, Append: c.Append, RootPorts: c.RootPorts, Console: c.Console, Timeout: c.Timeout, Capture: c.Capture,
		Command: c.Command,
	})
	return ended(code, err)
}

// ended prints what went wrong and gives on the exit code that goes with it.
func ended(code int, err error) error {
	if err != nil && code != 0 {
		fmt.Fprintln(os.Stderr, "nicsim:", err)
		return status(code)
	}
	if err != nil {
		return err
	}
	return exited(code)
}

type serveCmd struct {
	guestFlags
	Dir string `placeholder:"DIR" help:"Folder for the sockets; a new one without."`
	Mem int    `default:"512" help:"Memory of the guest, in MiB, for the options that are printed."`
}

func (c *serveCmd) Run(ctx context.Context) error {
	return scenarios.Serve(ctx, os.Stdout, scenarios.ServeOptions{On: c.On, NICs: c.NIC, Seed: c.Seed, ShowKeys: c.ShowKeys, Dir: c.Dir, MemoryMiB: c.Mem})
}

type vngArgsCmd struct {
	NIC []string `name:"nic" sep:"none" placeholder:"SPEC" help:"The adapters that nicsim serve was given."`
	Dir string   `required:"" placeholder:"DIR" help:"The folder of nicsim serve's sockets."`
	Mem int      `default:"1024" help:"Memory of the guest, in MiB."`
}

func (c *vngArgsCmd) Run() error {
	return scenarios.PrintVirtme(os.Stdout, scenarios.VirtmeOptions{NICs: c.NIC, Dir: c.Dir, MemoryMiB: c.Mem})
}
