package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
	// Devices are more of QEMU's arguments.
	Devices []string
	// RootPorts puts each adapter behind a PCI Express root port (QEMU).
	RootPorts bool
	// Reboots lets the guest reboot; otherwise it ends instead.
	Reboots bool
	// Verbose has the kernel say all that it does.
	Verbose bool
	Console io.Writer // sees what the kernel prints, if there is one
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
