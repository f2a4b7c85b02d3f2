package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"nicsim.dev/nicsim/pci"
)

var _ = vocabulary(
	&command{
		usage: "bus A WHAT",
		what: "What an operating system does to A's PCI function: on lets it decode memory and master the bus, off ends that, " +
			"msix, msi and intx choose how it interrupts, flr resets it.",
		run: runBus,
	},
	&command{
		usage: "buserror A ERROR MESSAGE",
		what: "Lets A find an error on its bus, and checks what it tells the root: nothing, correctable, non-fatal or fatal. ERROR is " +
			strings.Join(slices.Sorted(maps.Keys(busErrors)), ", ") + ".",
		run: runBusError,
	},
)

var busErrors = map[string]pci.Error{
	"poisoned-packet": pci.PoisonedTLP, "completion-timeout": pci.CompletionTimeout, "completer-abort": pci.CompleterAbort,
	"unexpected-completion": pci.UnexpectedCompletion, "malformed-packet": pci.MalformedTLP,
	"unsupported-request": pci.UnsupportedRequest, "receiver-error": pci.ReceiverError, "bad-packet": pci.BadTLP,
	"replay-timeout": pci.ReplayTimeout,
}

var busMessages = map[pci.ErrorMessage]string{
	pci.NoMessage: nothing, pci.CorrectableMessage: "correctable", pci.NonFatalMessage: "non-fatal", pci.FatalMessage: "fatal",
}

// busErrorHeader is the packet that an error is about: a read of four bytes at
// address zero (PCIe 3.0 2.2.7).
var busErrorHeader = [4]uint32{0x00000001, 0x0000000F, 0, 0}

func runBusError(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	e, ok := busErrors[c.args[1]]
	if !ok {
		return c.wrong("%q: the name of an error was expected", c.args[1])
	}
	if got := busMessages[a.fn.Report(e, busErrorHeader)]; got != c.args[2] {
		return fmt.Errorf("%s tells the root %s, want %s", a.Name, got, c.args[2])
	}
	return nil
}

// Capabilities (PCI Code and ID Assignment 1.11 2) and registers in them.
const (
	capMSI     = 0x05
	capExpress = 0x10
	capMSIX    = 0x11

	commandOff = 0x04
	capListOff = 0x34
	// maxCapabilities is how many fit ahead of extended configuration space.
	maxCapabilities = 48

	commandOn   = 0x0006 // memory space, bus master
	commandINTx = 0x0400 // disable

	msiEnable  = 1 << 0
	msixEnable = 1 << 15
	startFLR   = 1 << 15 // device control (PCIe 3.0 7.8.4)
)

func (a *Adapter) config16(off int) uint16 {
	var p [2]byte
	a.fn.ConfigRead(p[:], off)
	return uint16(p[0]) | uint16(p[1])<<8
}

func (a *Adapter) setConfig16(off int, v uint16) {
	a.fn.ConfigWrite([]byte{byte(v), byte(v >> 8)}, off)
}

// capability finds a capability in the function's list.
func (a *Adapter) capability(id uint8) (int, error) {
	at := int(a.config16(capListOff) & 0xFC)
	for range maxCapabilities {
		if at == 0 {
			break
		}
		v := a.config16(at)
		if uint8(v) == id {
			return at, nil
		}
		at = int(v >> 8 & 0xFC)
	}
	return 0, fmt.Errorf("%s has no capability %#x", a.Name, id)
}

func runBus(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	command := a.config16(commandOff)
	switch what := c.args[1]; what {
	case "on":
		a.setConfig16(commandOff, command|commandOn)
	case "off":
		a.setConfig16(commandOff, command&^commandOn)
	case "intx":
		a.setConfig16(commandOff, command&^commandINTx)
	case "msi":
		at, err := a.capability(capMSI)
		if err != nil {
			return err
		}
		a.setConfig16(at+2, a.config16(at+2)|msiEnable)
	case "msix":
		return a.enableMSIX()
	case "flr":
		at, err := a.capability(capExpress)
		if err != nil {
			return err
		}
		a.setConfig16(at+8, a.config16(at+8)|startFLR)
	default:
		return c.wrong("%q: on, off, intx, msi, msix or flr was expected", what)
	}
	return c.settle()
}

// enableMSIX turns MSI-X on with every vector unmasked (PCI 3.0 6.8.2).
func (a *Adapter) enableMSIX() error {
	at, err := a.capability(capMSIX)
	if err != nil {
		return err
	}
	control := a.config16(at + 2)
	vectors := uint32(control&0x7FF) + 1
	table := uint32(a.config16(at+4)) | uint32(a.config16(at+6))<<16
	bar, off := int(table&7), table&^7
	for v := range vectors {
		a.fn.Write32(bar, off+16*v+12, 0)
	}
	a.setConfig16(at+2, control|msixEnable)
	return nil
}
