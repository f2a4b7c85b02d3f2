package scenarios

import (
	"fmt"
	"slices"

	"nicsim.dev/nicsim"
	"nicsim.dev/tapbridge/capture"
	"nicsim.dev/tapbridge/pair"
)

var _ = vocabulary(
	&command{
		usage: "capture WHAT",
		what:  "Writes a pcapng of every wire and queue to the file WHAT, from before the first adapter until \"capture end\".",
		run:   runCapture,
	},
)

func runCapture(c *call) error {
	if len(c.order) == 0 {
		file, err := capture.Create(c.ts.MkAbs(c.args[0]), capture.Section{App: "nicsim", Comments: []string{c.script.Why()}})
		if err != nil {
			return fmt.Errorf("capture: %w", err)
		}
		c.taped = capture.NewTap(file, capture.TapConfig{})
		c.taps = append(c.taps, c.taped)
		return nil
	}
	if c.args[0] != "end" || c.taped == nil {
		return c.wrong("a capture begins before the first adapter, and ends once")
	}
	if err := c.settle(); err != nil {
		return err
	}
	ended := c.taped
	c.taps, c.taped = slices.DeleteFunc(c.taps, func(t *capture.Tap) bool { return t == ended }), nil
	for _, a := range c.order {
		a.Device.SetProbe(c.probe())
		if a.cable != nil && a.side == pair.AtoB {
			a.cable.SetProbe(c.probe(), a.Name, a.peer.Name)
		}
	}
	return ended.Close()
}

// probe is what adapters and cables show their doings to: every capture, or nil.
func (w *world) probe() nicsim.Probe {
	switch len(w.taps) {
	case 0:
		return nil
	case 1:
		return w.taps[0]
	}
	return both(w.taps)
}

// both shows events to several captures.
type both []*capture.Tap

func (b both) Observe(e *nicsim.Event) {
	for _, t := range b {
		t.Observe(e)
	}
}
