package scenarios

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"

	"nicsim.dev/nicsim/driver"
)

var _ = vocabulary(
	&command{
		usage: "module A VERB ...",
		what: "in and out put the module into the port's cage and take it out; expect and write, followed by DEVICE OFFSET BYTES, " +
			"let A's driver reach its memories at 0xa0 and 0xa2. \"nothing\" in place of BYTES: nobody answers.",
		run: runModule,
	},
	&command{
		usage: "led A NUMBER STATE",
		what:  "Checks that an LED is off, on or blinking.",
		run:   runLED,
	},
)

// What a person does to a board, and sees of it; models have it that have such
// parts.
type (
	cage   interface{ Plug(in bool) }
	lights interface{ LED(i int) string }
)

func runModule(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	switch verb := c.args[1]; verb {
	case "in", "out":
		board, ok := a.Device.(cage)
		if !ok || len(c.args) != 2 {
			return c.wrong("%s: a model with a cage, and no more words, were expected", verb)
		}
		board.Plug(verb == "in")
		return c.settle()
	case "expect", "write":
		return c.moduleMemory(a, verb)
	}
	return c.wrong("%q: in, out, expect or write was expected", c.args[1])
}

func (c *call) moduleMemory(a *Adapter, verb string) error {
	d, ok := a.Driver.(driver.ModuleAccess)
	if !ok {
		return c.wrong("%s has no driver that reaches a module", a.Name)
	}
	if len(c.args) != 5 {
		return c.wrong("%s DEVICE OFFSET BYTES was expected", verb)
	}
	device, err := strconv.ParseUint(c.args[2], 0, 8)
	if err != nil {
		return c.wrong("%q: 0xa0 or 0xa2 was expected", c.args[2])
	}
	offset, err := strconv.ParseUint(c.args[3], 0, 8)
	if err != nil {
		return c.wrong("%q: an offset below 256 was expected", c.args[3])
	}
	if verb == "expect" && c.args[4] == nothing {
		if d.ReadModule(byte(device), byte(offset), make([]byte, 1)) == nil {
			return fmt.Errorf("something answers %s at %#x", a.Name, device)
		}
		return nil
	}
	data, err := hex.DecodeString(c.args[4])
	if err != nil {
		return c.wrong("%q: bytes in hexadecimal were expected", c.args[4])
	}
	if verb == "write" {
		if err := d.WriteModule(byte(device), byte(offset), data); err != nil {
			return err
		}
		return c.settle()
	}
	got := make([]byte, len(data))
	if err := d.ReadModule(byte(device), byte(offset), got); err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("the module of %s has at %#x, %d:\n  %x, want\n  %x", a.Name, device, offset, got, data)
	}
	return nil
}

func runLED(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	board, ok := a.Device.(lights)
	if !ok {
		return c.wrong("%s has no LEDs", a.Name)
	}
	i, err := parseInt(c.args[1])
	if err != nil {
		return c.wrong("%q: the number of an LED was expected", c.args[1])
	}
	if err := c.settle(); err != nil {
		return err
	}
	if got := board.LED(i); got != c.args[2] {
		return fmt.Errorf("LED %d of %s is %s, want %s", i, a.Name, got, c.args[2])
	}
	return nil
}
