package scenarios

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"nicsim.dev/nicsim"
	"nicsim.dev/scenarios/need"
	"nicsim.dev/tapbridge/pair"
)

var _ = vocabulary(
	&command{
		usage: "need FEATURE ...",
		what: "Skips the scenario on a host without these: root, tap, netns, linux, a program, or parts of the lab: uml, uml-smp, qemu, " +
			"or guest and guest-smp for those of the kind that runs guests.",
		run: runNeed,
	},
	&command{
		usage: "clock KIND",
		what:  "live makes time the host's, which stacks need and which cannot be replayed; virtual is the default.",
		run:   runClock, waits: true,
	},
	&command{
		usage: "adapter NAME [model=M] [mac=ADDR] [device=HEX]",
		what:  "Puts an adapter on the bus, powered on and not yet programmed. Without mac it is 02:00:00:00:00:0N.",
		run:   runAdapter,
	},
	&command{
		usage: "pair A B [loss=P] [dup=P] [reorder=P] [corrupt=P] [silent] [delay=T] [jitter=T] [rate=BITS]",
		what:  "Joins two adapters by a cable, which treats frames so both ways. P is 0.001 or 0.1%, BITS 10G or 100M.",
		run:   runPair,
	},
	&command{
		usage: "impair A B [loss=P] [dup=P] [reorder=P] [corrupt=P] [silent] [delay=T] [jitter=T] [rate=BITS]",
		what:  "Changes what their cable does to frames from A to B from now on.",
		run:   runImpair,
	},
	&command{
		usage: "link A STATE",
		what:  "Pulls the cable out of A (down) or plugs it in again (up).",
		run:   runLink,
	},
	&command{
		usage: "run TIME",
		what:  "Lets virtual time pass.",
		run:   runRun,
	},
	&command{
		usage: "settle",
		what:  "Lets everything happen that needs no time.",
		run:   func(c *call) error { return c.settle() },
	},
)

func runNeed(c *call) error {
	for i, word := range c.args {
		c.args[i] = c.options.guestFeature(word)
	}
	err := need.Check(c.args...)
	if err == nil {
		return nil
	}
	if c.options.Require {
		return fmt.Errorf("%w, and everything is required", err)
	}
	return &skipError{err}
}

// skipError ends a scenario without a verdict.
type skipError struct{ error }

func runClock(c *call) error {
	switch kind := c.args[0]; {
	case kind == "virtual" && c.live == nil:
		return nil
	case kind != "live":
		return c.wrong("%q: live or virtual was expected", kind)
	case len(c.order) > 0 || c.live != nil:
		return c.wrong("the clock is chosen once, before the first adapter")
	}
	c.startLive()
	return nil
}

// defaultModel is the adapter that a script gets when it asks for none.
const defaultModel = "82599"

func runAdapter(c *call) error {
	name := c.args[0]
	if c.byName[name] != nil || len(c.order) == maxAdapters {
		return c.wrong("%q: a new name was expected, and at most %d adapters", name, maxAdapters)
	}
	kind, ok := c.opts["model"]
	if !ok {
		kind = defaultModel
	}
	m, err := nicsim.Find(kind)
	if err != nil {
		return err
	}
	mac, err := value(c, "mac", [6]byte{2, 5: byte(len(c.order) + 1)}, "a MAC address", parseMAC)
	if err != nil {
		return err
	}
	variant, err := value(c, "device", 0, "a PCI device number in hexadecimal", parseVariant)
	if err != nil {
		return err
	}
	dev, err := m.New(nicsim.Config{
		Name: name, MAC: mac, Clock: c.clock, Pool: c.pool, Seed: c.options.Seed, Variant: variant,
	})
	if err != nil {
		return err
	}
	a := &Adapter{
		Name: name, Model: m, Device: dev, mac: mac, fn: dev.Functions()[0],
		rings: map[ringKey]*rawRing{}, inbox: map[int][]received{},
	}
	a.irq = &interrupts{a: a, sent: map[int]uint64{}, seen: map[int]uint64{}}
	for _, t := range c.taps {
		t.Describe(name, m.Title, 0)
	}
	dev.SetProbe(c.probe())
	a.fn.SetInterrupter(a.irq)
	c.order = append(c.order, a)
	c.byName[name] = a
	c.loop.Add(dev)
	return nil
}

func parseMAC(s string) ([6]byte, error) {
	m, err := net.ParseMAC(s)
	if err != nil || len(m) != 6 {
		return [6]byte{}, fmt.Errorf("%q is not a MAC address", s)
	}
	return [6]byte(m), nil
}

func parseVariant(s string) (uint16, error) {
	v, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 16)
	return uint16(v), err
}

// two finds the adapters that the first two arguments name.
func (c *call) two() (a, b *Adapter, err error) {
	if a, err = c.adapter(c.args[0]); err != nil {
		return nil, nil, err
	}
	if b, err = c.adapter(c.args[1]); err != nil {
		return nil, nil, err
	}
	if a == b {
		return nil, nil, c.wrong("two adapters were expected")
	}
	return a, b, nil
}

func (c *call) impairment() (imp pair.Impairment, err error) {
	for _, o := range []struct {
		name string
		at   *float64
	}{{"loss", &imp.Loss}, {"dup", &imp.Duplicate}, {"reorder", &imp.Reorder}, {"corrupt", &imp.Corrupt}} {
		if *o.at, err = value(c, o.name, 0, "a probability", parseChance); err != nil {
			return imp, err
		}
	}
	if imp.Delay, err = value(c, "delay", 0, "a time", parseTime); err != nil {
		return imp, err
	}
	if imp.Jitter, err = value(c, "jitter", 0, "a time", parseTime); err != nil {
		return imp, err
	}
	if imp.RateBits, err = value(c, "rate", 0, "bits a second", parseRate); err != nil {
		return imp, err
	}
	imp.SilentCorruption = c.has("silent")
	return imp, nil
}

func runPair(c *call) error {
	a, b, err := c.two()
	if err != nil {
		return err
	}
	for _, x := range []*Adapter{a, b} {
		if x.cable != nil || x.tape != nil {
			return c.wrong("%s has a wire already", x.Name)
		}
	}
	imp, err := c.impairment()
	if err != nil {
		return err
	}
	p, err := pair.New(c.clock, c.pool, a.Device.Port(), b.Device.Port(), imp, imp, c.options.Seed)
	if err != nil {
		return err
	}
	p.SetProbe(c.probe(), a.Name, b.Name)
	a.cable, a.side, a.peer = p, pair.AtoB, b
	b.cable, b.side, b.peer = p, pair.BtoA, a
	c.loop.Add(p)
	return nil
}

func runImpair(c *call) error {
	a, b, err := c.two()
	if err != nil {
		return err
	}
	if a.cable == nil || a.peer != b {
		return c.wrong("%s and %s have no cable between them", a.Name, b.Name)
	}
	imp, err := c.impairment()
	if err != nil {
		return err
	}
	return a.cable.Impair(a.side, imp)
}

func runLink(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	up := c.args[1] == "up"
	if !up && c.args[1] != "down" {
		return c.wrong("%q: up or down was expected", c.args[1])
	}
	switch {
	case a.cable != nil:
		a.cable.SetLink(up)
	default:
		a.Device.Port().SetCarrier(up)
	}
	return c.settle()
}

func runRun(c *call) error {
	if c.live != nil {
		return c.wrong("time cannot be told to pass on a live clock")
	}
	d, err := parseTime(c.args[0])
	if err != nil {
		return c.wrong("%q: a time such as 10us was expected", c.args[0])
	}
	return c.loop.Run(c.clock.Now()+d, settleTurns)
}
