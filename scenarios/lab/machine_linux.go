package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"nicsim.dev/scenarios/lab/agent"
)

// On is what runs a guest.
type On string

const (
	UML  On = "uml"  // User Mode Linux: quick and unprivileged
	QEMU On = "qemu" // a whole machine, with the kernel of a distribution
)

// Slot is an adapter in a guest's bus: the socket that offers it.
type Slot struct{ ID, Socket string }

// Machine is a guest to be started.
type Machine struct {
	On        On
	Programs  Programs
	CPUs      int // 0 for 1
	MemoryMiB int // 0 for 512
	Slots     []Slot
	Setup     agent.Setup
	// Append is more for the kernel's command line.
	Append []string
	// Files are open in the kernel's process from FirstFile on (User Mode Linux that
	// does not travel in time).
	Files []*os.File
	// Devices are more of QEMU's arguments.
	Devices []string
	// RootPorts puts each adapter behind a PCI Express root port (QEMU).
	RootPorts bool
	// Reboots lets the guest reboot; otherwise it ends instead.
	Reboots bool
	// Verbose has the kernel say all that it does.
	Verbose bool
	Console io.Writer // sees what the kernel prints, if there is one
	// Travel is the socket of a scheduler whose time the guest keeps (User Mode
	// Linux). Chance comes to it from Seed then, and from nowhere else.
	Travel string
	Seed   uint64

	first *command // of Perform
	// Dir is a folder for sockets and the like, which is the machine's own.
	Dir string
}

// Programs are where the parts of the lab are.
type Programs struct {
	UML     string // the kernel as a program
	QEMU    string // qemu-system-x86_64, 10.1 or newer
	Image   string // a kernel for QEMU
	Modules string // its modules, none for a kernel that needs none
	Busybox string
	Path    string // of programs for guests
}

const (
	defaultMemoryMiB = 512
	// self is this program, which is the guest's init.
	self = "/proc/self/exe"
)

// Start boots the machine and returns when its agent is ready.
func (m *Machine) Start(ctx context.Context) (*Guest, error) {
	init, err := os.Readlink(self)
	if err != nil {
		return nil, err
	}
	channel, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	log := &console{copyTo: m.Console}
	m.Setup.Path, m.Setup.Self = m.Programs.Path, init
	if m.Setup.Hostname == "" {
		m.Setup.Hostname = "guest"
	}
	switch m.On {
	case UML:
		return m.startUML(ctx, init, channel, theirs, log)
	case QEMU:
		return m.startQEMU(ctx, init, channel, theirs, log)
	}
	return nil, fmt.Errorf("on %q: uml or qemu was expected", m.On)
}

func (m *Machine) memoryMiB() int {
	if m.MemoryMiB > 0 {
		return m.MemoryMiB
	}
	return defaultMemoryMiB
}

func (m *Machine) path(name string) string { return filepath.Join(m.Dir, name) }

// Perform boots the machine, runs one command, and returns its exit code when the
// machine has switched itself off. The host has no say meanwhile, so that a guest
// that travels in time does the same each time.
func (m *Machine) Perform(ctx context.Context, what agent.Command, streams IO) (int, error) {
	m.Setup.Command = &what
	m.first = newCommand(streams)
	g, err := m.Start(ctx)
	if err != nil {
		return 0, err
	}
	defer g.Kill()
	select {
	case <-g.dead:
	case <-ctx.Done():
		return 0, &HangError{"had not come to its end when its time was up", g.console.Tail()}
	}
	if len(g.Ready.Problems) > 0 {
		return 0, fmt.Errorf("the guest is not complete: %s", strings.Join(g.Ready.Problems, "; "))
	}
	<-g.heard // all that it has said
	select {
	case exit := <-m.first.exit:
		if exit.Error != "" {
			return exit.Code, fmt.Errorf("%s: %s", what.Args[0], exit.Error)
		}
		return exit.Code, nil
	default:
		return 0, g.death()
	}
}
