package scenarios

import (
	"fmt"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/pci"
)

var _ = vocabulary(
	&command{
		usage: "boot GUEST A ... [on=KIND] [smp=N] [mem=MiB] [append=WORDS] [driver=NAME] [rootports] [reboots] [bare] [older]",
		what: "Boots a kernel whose own drivers program these adapters: eth0, eth1 and so on. The second one of a cable is in " +
			"network namespace remote. KIND is uml, which is the default, or qemu. With driver, that one takes them instead, as " +
			"uio_pci_generic does for programs. It needs the live clock.",
		run: runBoot, waits: true,
	},
	&command{
		usage: "guest GUEST COMMAND ...",
		what: "Runs a command in a guest, which sees the host's files and changes copies; \"!\" expects that it fails. What it " +
			"prints is for stdout and stderr. It is killed after five minutes.",
		run: runGuest, waits: true, negates: true,
	},
	&command{
		usage: "halt GUEST",
		what:  "Switches a guest off.",
		run:   runHalt, waits: true,
	},
	&command{
		usage: "reboot GUEST",
		what:  "Reboots a guest that was booted with reboots, and waits until it is ready again.",
		run:   runReboot, waits: true,
	},
	&command{
		usage: "console GUEST PATTERN",
		what:  "Checks that the kernel of a guest has printed what matches a regular expression; \"!\" that it has not.",
		run:   runConsole, waits: true, negates: true,
	},
	&command{
		usage: "travel A ... -- COMMAND ...",
		what: "Boots a kernel in User Mode Linux with these adapters, as boot does, whose time is the script's virtual clock, runs " +
			"a command in it and switches it off. The same happens each time, and waiting costs nothing. What the command prints " +
			"is for stdout and stderr.",
		run: runTravel, negates: true,
	},
	&command{
		usage: "hang A QUEUE",
		what:  "Stops a transmit queue from taking descriptors until A's driver resets the adapter.",
		run:   runHang,
	},
	&command{
		usage: "slot A STATE",
		what:  "Takes A off the bus without a word to its driver (out), or puts it back (in).",
		run:   runSlot,
	},
)

func runHang(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	q, err := parseInt(c.args[1])
	if err != nil {
		return c.wrong("%q: the number of a queue was expected", c.args[1])
	}
	h, ok := a.Device.(nicsim.Hanger)
	if !ok {
		return fmt.Errorf("model %s has no queues that hang", a.Model.Name)
	}
	return h.HangTx(q)
}

func runSlot(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	switch c.args[1] {
	case "out":
		a.fn.SetPresent(false)
	case "in":
		a.fn.SetPresent(true)
		a.fn.Reset(pci.TransportReset)
	default:
		return c.wrong("%q: in or out was expected", c.args[1])
	}
	return nil
}

// The kinds of guests, and the feature that a script needs for each.
const (
	onUML  = "uml"
	onQEMU = "qemu"
)

// kind is what runs guests where a script leaves it open.
func (o *Options) kind() string {
	if o.On == "" {
		return onUML
	}
	return o.On
}

// guestFeature is the part of the lab that a script means by guest and guest-smp.
func (o *Options) guestFeature(word string) string {
	switch {
	case word == "guest" || word == "guest-smp" && o.kind() == onQEMU:
		return o.kind()
	case word == "guest-smp":
		return "uml-smp"
	}
	return word
}
