package lab

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// ServeOptions are adapters for a guest that somebody else starts.
type ServeOptions struct {
	On        On
	NICs      []NIC
	Seed      uint64
	Dir       string // for the sockets; a new one if empty
	MemoryMiB int
	Log       *slog.Logger
}

// Serve offers the adapters until ctx ends. It prints the options with which a
// guest has them.
func Serve(ctx context.Context, out io.Writer, o ServeOptions) (err error) {
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp(runtimeDir(), "nicsim-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	rig, err := NewRig(RigConfig{NICs: o.NICs, Seed: o.Seed, Log: o.Log})
	if err != nil {
		return err
	}
	defer rig.Close()
	slots, err := rig.Serve(o.On, dir)
	if err != nil {
		return err
	}
	if err := rig.Start(); err != nil {
		return err
	}
	fmt.Fprintln(out, options(o.On, slots, o.MemoryMiB))
	<-ctx.Done()
	return nil
}

// options are those of one kind of guest, to be pasted into a shell.
func options(on On, slots []Slot, memoryMiB int) string {
	if on == UML {
		return UMLOptions(slots)
	}
	var words []string
	for _, w := range QEMUOptions(slots, memoryMiB, false) {
		if strings.ContainsAny(w, `{" `) {
			w = "'" + w + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}
