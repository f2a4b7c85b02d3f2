package scenarios

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"nicsim.dev/nicsim"
	"nicsim.dev/tapbridge/control"
)

// UsageError is a mistake in what a person asked for.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// GoFlags lets long flags begin with one dash, as Go's do, for a parser that
// wants two.
func GoFlags(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if a == "--" {
			copy(out[i:], args[i:])
			break
		}
		if len(a) > 2 && a[0] == '-' && a[1] != '-' && a[2] != '=' && (a[1] < '0' || a[1] > '9') {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

// Terminal says whether f is a terminal.
func Terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Colour says whether f is a terminal whose user wants colours.
func Colour(f *os.File) bool { return Terminal(f) && os.Getenv("NO_COLOR") == "" }

// Version is the version of this module, "(devel)" outside a release.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// Build tells which build this is.
func Build() string {
	words := []string{"nicsim", Version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				words = append(words, s.Value)
			}
		}
	}
	return strings.Join(words, " ")
}

// PrintModels lists the models, or prints the register table of one.
func PrintModels(out io.Writer, name string) error {
	if name != "" {
		m, err := nicsim.Find(name)
		if err != nil {
			return &UsageError{err}
		}
		_, err = fmt.Fprintf(out, "# %s\n\n%s", m.Title, m.Registers())
		return err
	}
	for _, m := range nicsim.Models() {
		var devices []string
		for _, v := range m.Variants {
			devices = append(devices, fmt.Sprintf("%04x", v))
		}
		if _, err := fmt.Fprintf(out, "%-10s %s (PCI device %s)\n", m.Name, m.Title, strings.Join(devices, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// TraceOptions says what to print of which process.
type TraceOptions struct {
	Target string // process number, topology or path of a socket; empty for the only one
	Device string
	Kinds  []string
	Name   string
	Side   string
	Queue  *int
	Lines  int // end after so many; 0 means never
}

// Trace prints what the drivers of a running process do until it ends.
func Trace(ctx context.Context, out io.Writer, o TraceOptions) error {
	path, err := findSocket(o.Target)
	if err != nil {
		return err
	}
	c, err := control.Dial(path)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	describe, err := describers(c)
	if err != nil {
		return err
	}
	n := 0
	for e, err := range c.Trace(control.TraceFilter{Device: o.Device, Kinds: o.Kinds, Name: o.Name, Side: o.Side, Queue: o.Queue}) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if d := describe[e.Device]; d != nil && e.Data != "" {
			if b, err := hex.DecodeString(e.Data); err == nil {
				if text, err := d(e.Name, b); err == nil {
					e.Name, e.Data = text, ""
				}
			}
		}
		if _, err := fmt.Fprintln(out, strings.TrimSpace(e.String())); err != nil {
			return err
		}
		if n++; n == o.Lines {
			return nil
		}
	}
	return nil
}

// describers returns what prints the descriptors of each adapter.
func describers(c *control.Client) (map[string]func(string, []byte) (string, error), error) {
	list, err := c.List()
	if err != nil {
		return nil, err
	}
	of := map[string]func(string, []byte) (string, error){}
	for _, a := range list.Adapters {
		if m, err := nicsim.Find(a.Model); err == nil {
			of[a.Name] = func(kind string, b []byte) (string, error) {
				if len(b) != m.DescriptorBytes {
					return "", errors.New("not a descriptor")
				}
				return m.Describe(kind, b)
			}
		}
	}
	return of, nil
}

// findSocket finds the control socket that target means.
func findSocket(target string) (string, error) {
	if _, err := os.Stat(target); err == nil && target != "" {
		return target, nil
	}
	sockets, err := control.Sockets()
	if err != nil {
		return "", err
	}
	var found, known []string
	for _, s := range sockets {
		known = append(known, fmt.Sprintf("%d (%s)", s.PID, s.Topology))
		if target == "" || target == strconv.Itoa(s.PID) || target == s.Topology {
			found = append(found, s.Path)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(known) == 0:
		return "", errors.New("no adapter is running: \"nicsim tap\" starts one")
	}
	return "", &UsageError{fmt.Errorf("one of these was expected: %s", strings.Join(known, ", "))}
}
