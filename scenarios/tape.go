package scenarios

import (
	"bytes"
	"fmt"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/scenarios/frame"
)

// tapeFrames bounds what a scripted wire remembers.
const tapeFrames = 4096

// minFrameBytes is what a sender pads frames to (IEEE 802.3 3.2.8), ahead of the
// frame check sequence.
const minFrameBytes = 60

// tape is a wire whose other end is the script: it remembers what the adapter
// sends until the script has looked at it, and carries what the script injects.
type tape struct {
	pool *nicsim.Pool
	sent []taped
	loop nicsim.Port // where frames come back to; nil for nowhere
	back []*nicsim.Frame
	lost int
	room int  // frames that the other end takes now
	held bool // and no more after them
}

// tapeRoom is what a wire that nobody holds takes at a time.
const tapeRoom = 256

type taped struct {
	data []byte
	at   sim.Time
}

func (t *tape) Room() int { return t.room }

func (t *tape) Send(frames []*nicsim.Frame) {
	if t.held {
		t.room -= len(frames)
	}
	for _, f := range frames {
		switch {
		case t.loop != nil:
			t.back = append(t.back, f)
			continue
		case len(t.sent) < tapeFrames:
			t.sent = append(t.sent, taped{bytes.Clone(f.Data), f.At})
		default:
			t.lost++
		}
		t.pool.Put(f)
	}
}

// Step brings frames back on a looped wire.
func (t *tape) Step(int) int {
	n := len(t.back)
	if n > 0 {
		back := t.back
		t.back = nil
		t.loop.Deliver(back)
	}
	return n
}

var _ = vocabulary(
	&command{
		usage: "wire A",
		what:  "Connects A to a wire of which the script is the other end: see inject and leaves.",
		run:   runWire,
	},
	&command{
		usage: "loopwire A",
		what:  "Connects A to a wire on which all it sends comes back.",
		run:   runWire,
	},
	&command{
		usage: "inject A FRAME [badfcs] [runt] [times=N]",
		what:  "Delivers a frame to A from its scripted wire, padded to 60 bytes unless it is to be a runt.",
		run:   runInject,
	},
	&command{
		usage: "leaves A FRAME [times=N] [now]",
		what: "Checks the next frame that A put on its scripted wire, for which time may pass unless it must be there now. " +
			"\"nothing\" in its place: there is none.",
		run: runLeaves, waits: true,
	},
	&command{
		usage: "hold A STATE",
		what:  "on makes A's scripted wire take no frames, a number so many and no more, off lets it take them again.",
		run:   runHold,
	},
)

func runWire(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	if a.cable != nil || a.tape != nil {
		return c.wrong("%s has a wire already", a.Name)
	}
	a.tape = &tape{pool: c.pool, room: tapeRoom}
	if c.usage == commands["loopwire"].usage {
		a.tape.loop = a.Device.Port()
	}
	a.Device.Port().Attach(a.tape)
	a.Device.Port().SetCarrier(true)
	c.loop.Add(a.tape)
	return nil
}

// scripted finds the adapter that the first argument names and makes sure that
// its wire is the script's.
func (c *call) scripted() (*Adapter, error) {
	a, err := c.adapter(c.args[0])
	if err == nil && (a.tape == nil || a.tape.loop != nil) {
		err = c.wrong("%s has no scripted wire: \"wire %s\" was expected before", a.Name, a.Name)
	}
	return a, err
}

// scriptMAC is the address that a scripted wire sends from.
const scriptMAC = "02:00:00:00:00:ff"

func runInject(c *call) error {
	a, err := c.scripted()
	if err != nil {
		return err
	}
	times, err := c.number("times", 1)
	if err != nil {
		return err
	}
	data, err := c.frame(c.args[1], scriptMAC, macText(a.mac))
	if err != nil {
		return err
	}
	if len(data) > nicsim.MaxFrameBytes {
		return c.wrong("the frame has %d bytes; a wire carries at most %d", len(data), nicsim.MaxFrameBytes)
	}
	size := len(data)
	if !c.has("runt") {
		size = max(size, minFrameBytes)
	}
	for range times {
		f := c.pool.Get(size)
		clear(f.Data[copy(f.Data, data):])
		f.At = c.clock.Now()
		if c.has("badfcs") {
			f.Flags |= nicsim.BadFCS
		}
		a.Device.Port().Deliver([]*nicsim.Frame{f})
		if err := c.settle(); err != nil {
			return err
		}
	}
	return nil
}

// frame makes the bytes of a frame from its text.
func (c *call) frame(text, src, dst string) ([]byte, error) {
	layers, err := c.layers(text)
	if err != nil {
		return nil, err
	}
	frame.Address(layers, src, dst)
	return frame.Build(layers)
}

// nothing stands for the absence of a frame.
const nothing = "nothing"

func runLeaves(c *call) error {
	a, err := c.scripted()
	if err != nil {
		return err
	}
	if c.args[1] == nothing {
		return c.owned(func() error { return c.nothingLeft(a) })
	}
	times, err := c.number("times", 1)
	if err != nil {
		return err
	}
	pattern, err := c.layers(c.args[1])
	if err != nil {
		return err
	}
	for i := range times {
		var data []byte
		ok, err := c.eventually(func() (bool, error) {
			return c.await(func() (ok bool) { data, ok = a.tape.take(); return ok })
		})
		if err != nil {
			return err
		}
		if !ok {
			return c.owned(func() error {
				return fmt.Errorf("%s sent %d of the expected frames\n%s", a.Name, i, c.account(a))
			})
		}
		if err := frame.Match(pattern, data); err != nil {
			return fmt.Errorf("frame %d that left %s: %w", i+1, a.Name, err)
		}
	}
	return nil
}

func (c *call) nothingLeft(a *Adapter) error {
	if err := c.settle(); err != nil {
		return err
	}
	if len(a.tape.sent) > 0 {
		return fmt.Errorf("%s sent a frame: %s", a.Name, frame.Format(frame.Read(a.tape.sent[0].data)))
	}
	return nil
}

// take returns the first frame that the script has not seen.
func (t *tape) take() ([]byte, bool) {
	if len(t.sent) == 0 {
		return nil, false
	}
	data := t.sent[0].data
	t.sent = t.sent[1:]
	return data, true
}

func runHold(c *call) error {
	a, err := c.scripted()
	if err != nil {
		return err
	}
	t := a.tape
	switch state := c.args[1]; state {
	case "on":
		t.held, t.room = true, 0
	case "off":
		t.held, t.room = false, tapeRoom
	default:
		n, err := parseInt(state)
		if err != nil || n < 0 || n > tapeRoom {
			return c.wrong("%q: on, off or a number up to %d was expected", state, tapeRoom)
		}
		t.held, t.room = true, n
	}
	return c.settle()
}
