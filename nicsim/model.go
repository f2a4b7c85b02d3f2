package nicsim

import (
	"fmt"
	"slices"
	"strings"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
)

// Config is what a person may choose about an adapter.
type Config struct {
	Name  string // what captures, traces and counters call it
	MAC   [6]byte
	Clock *sim.Clock
	Pool  *Pool
	Seed  uint64
	// Variant picks one of the model's PCI device numbers; 0 means its first.
	Variant uint16
	// Queues is how many pairs of queues a driver is to use, which an adapter shows
	// by its number of interrupt vectors; 0 means all that the model has.
	Queues int
	// ShowKeys lets a probe see the keys that drivers write, which it sees as zeros
	// without.
	ShowKeys bool
}

// Device is an adapter. One goroutine owns it, and steps it.
type Device interface {
	sim.Stepper
	// Functions lists the PCI functions, physical ones first. Transports and
	// drivers reach registers, memory and interrupts through them.
	Functions() []*pci.Function
	// Port returns the network port.
	Port() Port
	// SetProbe lets p see what the adapter does from now on; nil ends that.
	SetProbe(p Probe)
	// Counters yields every counter. Queue is -1 for those of the whole adapter.
	Counters(yield func(Counter))
}

// Hanger is a device whose transmit queues can be made to hang.
type Hanger interface {
	// HangTx stops queue q from taking descriptors until its driver resets the
	// adapter.
	HangTx(q int) error
}

// Counter is a statistic under the name that the kernel gives it (netdev
// qstats, Documentation/netlink/specs/netdev.yaml) or, for drops, "drop-"
// followed by the reason.
type Counter struct {
	Name  string
	Side  Side
	Queue int
	Value uint64
}

// Model is a kind of adapter.
type Model struct {
	Name  string // what a person types
	Title string
	// Variants are the PCI device numbers that the model can have.
	Variants []uint16
	// Registers prints the register table as Markdown.
	Registers func() string
	// Register returns the offset, in base address register 0, of instance i of
	// the register that the datasheet calls name.
	Register func(name string, i int) (off uint32, ok bool)
	// DescriptorBytes is the length of a descriptor. Spell writes into b the one
	// that words describe, Describe prints the one in b: kind is tx or rx as a
	// driver posts it, with "-done" as the adapter writes it back, and possibly
	// with the name of a format ahead; an event's name will do.
	DescriptorBytes int
	Spell           func(b []byte, words []string) error
	Describe        func(kind string, b []byte) (string, error)

	New func(Config) (Device, error)
	// NewDriver returns the model's Go driver for function fn, whose DMA space
	// is memory.
	NewDriver func(fn *pci.Function, memory *dma.Space, cfg driver.Config) (driver.Driver, error)
}

var models []Model

// Register adds a model. Models call it from an init function; a name that is
// taken is a mistake of ours.
func Register(m Model) {
	if _, err := Find(m.Name); err == nil {
		panic("nicsim: two models are named " + m.Name)
	}
	models = append(models, m)
	slices.SortFunc(models, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
}

// Models returns the registered models in order of name.
func Models() []Model { return slices.Clone(models) }

// Find returns the model of that name.
func Find(name string) (Model, error) {
	var known []string
	for _, m := range models {
		if m.Name == name {
			return m, nil
		}
		known = append(known, m.Name)
	}
	return Model{}, fmt.Errorf("no model is named %q; there are: %s", name, strings.Join(known, ", "))
}
