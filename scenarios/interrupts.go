package scenarios

import (
	"encoding/binary"
	"fmt"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
)

var _ = vocabulary(
	&command{
		usage: "interrupts A COUNT [vector=N]",
		what:  "Checks how many interrupts of A, or of one vector, have reached the bus since the last time this was asked. COUNT may be >N.",
		run:   runInterrupts,
	},
)

// interrupts is what an adapter's interrupts reach: the bus of a script.
type interrupts struct {
	a    *Adapter
	sent map[int]uint64 // by vector; the line is vector 0
	seen map[int]uint64 // of which a script has been told
}

var _ pci.Interrupter = (*interrupts)(nil)

// Message counts a message, and does what it is on a bus: a write of data to
// addr, if the script has memory there.
func (x *interrupts) Message(vector int, addr uint64, data uint32) bool {
	x.sent[vector]++
	if b, err := x.a.guest(dma.Addr(addr), 4); err == nil {
		binary.LittleEndian.PutUint32(b, data)
	}
	return true
}

// Line counts how often the line is asserted.
func (x *interrupts) Line(asserted bool) {
	if asserted {
		x.sent[0]++
	}
}

func runInterrupts(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	vector, err := c.number("vector", -1)
	if err != nil {
		return err
	}
	var got uint64
	for v, n := range a.irq.sent {
		if vector < 0 || v == vector {
			got += n - a.irq.seen[v]
			a.irq.seen[v] = n
		}
	}
	ok, err := c.meets(got, c.args[1])
	if err == nil && !ok {
		err = fmt.Errorf("%s raised %d interrupts, want %s", a.Name, got, c.args[1])
	}
	return err
}
