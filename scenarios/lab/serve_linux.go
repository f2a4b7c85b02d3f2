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
	ShowKeys  bool
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
	rig, err := NewRig(RigConfig{NICs: o.NICs, Seed: o.Seed, ShowKeys: o.ShowKeys, Log: o.Log})
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
	return quote(QEMUOptions(slots, memoryMiB, false))
}

// VirtmeOptions are the arguments of virtme-ng's vng that give its guest the adapters
// that Serve offers in dir, to be pasted into a shell.
func VirtmeOptions(nics []NIC, dir, qemu string, memoryMiB int) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	// virtme-ng's own choice of machine has no PCI Express.
	words := []string{"--disable-microvm", "--memory", fmt.Sprintf("%dM", memoryMiB)}
	if qemu != "" {
		words = append(words, "--qemu", qemu)
	}
	// A value that begins with a dash has to be part of its option's word.
	words = append(words, "--qemu-opts="+quote(QEMUOptions(slotsIn(dir, nics), memoryMiB, false)))
	return quote(words), nil
}

// slotsIn are the sockets of adapters in a folder.
func slotsIn(dir string, nics []NIC) []Slot {
	var slots []Slot
	for _, n := range nics {
		slots = append(slots, Slot{n.ID, filepath.Join(dir, n.ID+".sock")})
	}
	return slots
}

// quote makes a shell's words of arguments.
func quote(args []string) string {
	var words []string
	for _, w := range args {
		if strings.ContainsAny(w, "{}\" '$&;|<>*?()") || w == "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}
