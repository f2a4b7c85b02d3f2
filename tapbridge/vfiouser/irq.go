//go:build linux

package vfiouser

import (
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/pci"
)

// Interrupts of a PCI device, as in <linux/vfio.h>. The last two are for the client's
// own attention: an error that the device cannot recover from, and a wish that it be
// let go. The adapter has neither; clients can set them up and trigger them.
const (
	irqINTx = iota
	irqMSI
	irqMSIX
	irqError
	irqRequest
	numIRQs
)

// irqFlags is what GET_IRQ_INFO says of them, as the kernel's VFIO does. A vector of
// MSI-X comes and goes alone, so that QEMU need not take down all to add one.
var irqFlags = [numIRQs]uint32{
	irqINTx:    irqEventFD | irqMaskable | irqAutoMasked,
	irqMSI:     irqEventFD | irqNoResize,
	irqMSIX:    irqEventFD,
	irqError:   irqEventFD | irqNoResize,
	irqRequest: irqEventFD | irqNoResize,
}

// irqs takes the function's interrupts to the client's eventfds.
type irqs struct {
	s    *session
	sets [numIRQs][]*signal // nil where there is no eventfd

	line   bool // level of the pin
	masked bool // by the client, or by the last signal
	full   bool // an eventfd had no room
}

func (s *session) irqCount(index uint32) int {
	switch index {
	case irqINTx:
		return s.pins()
	case irqMSI:
		return s.messages()
	case irqMSIX:
		return s.fn.Vectors()
	}
	return 1
}

func (s *session) irqInfo(p []byte) ([]byte, error) {
	var m indexInfo
	m.parse(p)
	switch {
	case m.argsz < indexInfoBytes:
		return nil, tooSmall(m.argsz, indexInfoBytes)
	case m.index >= numIRQs:
		return nil, refused(unix.EINVAL, "there is no interrupt %d", m.index)
	}
	m = indexInfo{indexInfoBytes, irqFlags[m.index], m.index, uint32(s.irqCount(m.index))}
	out := s.scratch(indexInfoBytes)
	m.put(out)
	return out, nil
}

// Message signals message-signalled vector i. One without an eventfd stays pending.
func (q *irqs) Message(i int, _ uint64, _ uint32) bool {
	set := q.sets[irqMSIX]
	if q.s.fn.Mode() == pci.MessageMode {
		set = q.sets[irqMSI]
	}
	return i < len(set) && set[i] != nil && q.raise(set[i])
}

// raise signals, behind everything that was written to memory.
func (q *irqs) raise(g *signal) bool {
	if q.s.space.Flush(); q.s.dead != nil {
		return false
	}
	ok := g.raise()
	q.full = q.full || !ok
	return ok
}

// Line sets the level of the pin.
func (q *irqs) Line(asserted bool) {
	q.line = asserted
	q.signalLine()
}

// signalLine signals an asserted pin once, until the client unmasks it: it does not
// see levels.
func (q *irqs) signalLine() {
	if set := q.sets[irqINTx]; q.line && !q.masked && len(set) > 0 && set[0] != nil {
		q.masked = q.raise(set[0])
	}
}

// retry signals again what an eventfd had no room for.
func (q *irqs) retry() {
	if q.full {
		q.full = false
		q.s.fn.Retry()
		q.signalLine()
	}
}

// remask masks the MSI-X vectors that have no eventfd, and no others. It makes up for
// a reset of the function.
func (q *irqs) remask() {
	set := q.sets[irqMSIX]
	for i := range q.s.fn.Vectors() {
		q.s.fn.MaskVector(i, i >= len(set) || set[i] == nil)
	}
}

func (q *irqs) close() {
	for index := range q.sets {
		for _, g := range q.sets[index] {
			if g != nil {
				g.close()
			}
		}
		q.sets[index] = nil
	}
}
