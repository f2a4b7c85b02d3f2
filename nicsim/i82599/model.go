package i82599

import (
	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/i82599/pmd"
)

// PCI device numbers (9.3.2): an SFP+ port, and a KX4 backplane, which has link
// without a module.
const (
	deviceSFP = 0x10FB
	deviceKX4 = 0x10F7
)

var variants = []uint16{deviceSFP, deviceKX4}

func init() {
	nicsim.Register(nicsim.Model{
		Name:      "82599",
		Title:     "Intel 82599 10 GbE Controller",
		Variants:  variants,
		Registers: table.Markdown,
		Register:  table.Lookup,

		DescriptorBytes: ixgbe.Size,
		Spell:           func(b []byte, words []string) error { return ixgbe.Spell((*[ixgbe.Size]byte)(b), words) },
		Describe: func(kind string, b []byte) (string, error) {
			return ixgbe.Describe(kind, (*[ixgbe.Size]byte)(b))
		},

		New:       New,
		NewDriver: pmd.New,
	})
}
