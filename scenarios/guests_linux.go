package scenarios

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/scenarios/lab/kit"
)

// LabSetup makes the parts of the lab that are missing, and says on status how it
// goes.
func LabSetup(ctx context.Context, status io.Writer, o LabSetupOptions) error {
	k, err := kit.Setup(ctx, kit.Options{Dir: o.Dir, Parts: o.Parts, Mirror: o.Mirror, Jobs: o.Jobs, Progress: status})
	if err != nil {
		return err
	}
	fmt.Fprintf(status, "the lab in %s is ready\n", k.Dir())
	return nil
}

// guestLog is where a guest's adapters say what happens to their clients: warnings,
// on the standard error.
func guestLog(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// levelOf is what a script hears of its guests' adapters.
func levelOf(o Options) slog.Level {
	if o.Verbose {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// Boot runs a command in a guest with adapters and returns its exit code.
func Boot(ctx context.Context, o BootOptions) (int, error) {
	nics, err := lab.ParseNICs(o.NICs)
	if err != nil {
		return 0, &UsageError{err}
	}
	programs, err := lab.Find(lab.Choice{On: lab.On(o.On), Kernel: o.Kernel, Modules: o.Modules, QEMU: o.QEMU, CPUs: o.CPUs})
	if err != nil {
		return 0, err
	}
	m := lab.Machine{
		On: lab.On(o.On), Programs: programs, CPUs: o.CPUs, MemoryMiB: o.MemoryMiB,
		Append: strings.Fields(o.Append), RootPorts: o.RootPorts, Verbose: o.Console,
	}
	if o.Console {
		m.Console = os.Stderr
	}
	for _, path := range o.Writable {
		if path, err = filepath.Abs(path); err != nil {
			return 0, err
		}
		m.Setup.Writable = append(m.Setup.Writable, agent.Writable{Path: path})
	}
	boot := lab.BootOptions{
		Machine: m, NICs: nics, Seed: o.Seed, ShowKeys: o.ShowKeys, Command: o.Command, Timeout: o.Timeout, Capture: o.Capture,
		Streams: lab.IO{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, Log: guestLog(slog.LevelWarn),
	}
	if Terminal(os.Stdin) && Terminal(os.Stdout) {
		restore, err := lab.RawTerminal(&boot)
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	return lab.Boot(ctx, boot)
}

// Serve offers adapters on sockets until ctx ends, and prints what to start a guest
// with.
func Serve(ctx context.Context, out io.Writer, o ServeOptions) error {
	nics, err := lab.ParseNICs(o.NICs)
	if err != nil {
		return &UsageError{err}
	}
	return lab.Serve(ctx, out, lab.ServeOptions{
		On: lab.On(o.On), NICs: nics, Seed: o.Seed, ShowKeys: o.ShowKeys, Dir: o.Dir, MemoryMiB: o.MemoryMiB, Log: guestLog(slog.LevelInfo),
	})
}

// PrintVirtme prints the options by which virtme-ng's guest has the adapters of
// "nicsim serve".
func PrintVirtme(out io.Writer, o VirtmeOptions) error {
	nics, err := lab.ParseNICs(o.NICs)
	if err != nil {
		return &UsageError{err}
	}
	k, err := kit.Open("")
	if err != nil {
		return err
	}
	qemu, err := k.QEMU()
	if err != nil {
		qemu = "" // virtme-ng looks for one itself
	}
	line, err := lab.VirtmeOptions(nics, o.Dir, qemu, o.MemoryMiB)
	if err == nil {
		_, err = fmt.Fprintln(out, line)
	}
	return err
}
