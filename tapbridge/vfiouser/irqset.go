//go:build linux

package vfiouser

import (
	"math/bits"

	"golang.org/x/sys/unix"
)

// setIRQs is DEVICE_SET_IRQS.
func (s *session) setIRQs(p []byte) error {
	var m irqSet
	m.parse(p)
	data, action := m.flags&irqData, m.flags&irqAction
	switch count := uint64(s.irqCountOf(m.index)); {
	case m.argsz < irqSetBytes:
		return refused(unix.EINVAL, "argsz is %d, less than %d", m.argsz, irqSetBytes)
	case m.index >= numIRQs:
		return refused(unix.EINVAL, "there is no interrupt %d", m.index)
	case m.flags&^(irqData|irqAction) != 0 || bits.OnesCount32(data) != 1 || bits.OnesCount32(action) != 1:
		return refused(unix.EINVAL, "flags %#x are not one kind of data and one action", m.flags)
	case m.count == 0 && (m.start != 0 || data != irqDataNone || action != irqActionTrigger):
		return refused(unix.EINVAL, "no interrupts, which is for disabling all, with start %d and flags %#x", m.start, m.flags)
	case uint64(m.start)+uint64(m.count) > count:
		return refused(unix.EINVAL, "interrupts %d to %d of %d", m.start, uint64(m.start)+uint64(m.count), count)
	case data == irqDataBool && len(p)-irqSetBytes < int(m.count):
		return violated(unix.EINVAL, "truncated: %d booleans of %d", len(p)-irqSetBytes, m.count)
	case data != irqDataEventFD && len(s.fds) > 0:
		return violated(unix.EINVAL, "%d file descriptors without the flag for them", len(s.fds))
	case len(s.fds) > 0 && len(s.fds) != int(m.count):
		return violated(unix.EINVAL, "%d file descriptors for %d interrupts", len(s.fds), m.count)
	case action != irqActionTrigger && (m.index != irqINTx || data == irqDataEventFD):
		// An eventfd for unmasking is signalled by the server in the
		// specification and by the client in the kernel's VFIO and in QEMU, which
		// does without when it is refused.
		return refused(unix.ENOTSUP, "no such action with that interrupt and data, flags %#x", m.flags)
	}
	q := &s.irqs
	switch {
	case m.count == 0:
		q.disable(m.index)
	case data == irqDataEventFD:
		return q.assign(&m)
	default:
		chosen := func(uint32) bool { return true }
		if data == irqDataBool {
			chosen = func(i uint32) bool { return p[irqSetBytes+i] != 0 }
		}
		for i := range m.count {
			if chosen(i) {
				q.act(&m, action, int(m.start+i))
			}
		}
	}
	return nil
}

// irqCountOf is irqCount for an index that may be none.
func (s *session) irqCountOf(index uint32) int {
	if index >= numIRQs {
		return 0
	}
	return s.irqCount(index)
}

// act masks, unmasks or triggers an interrupt.
func (q *irqs) act(m *irqSet, action uint32, i int) {
	switch action {
	case irqActionMask:
		q.masked = true
	case irqActionUnmask:
		q.masked = false
		q.signalLine()
	case irqActionTrigger:
		if set := q.sets[m.index]; i < len(set) && set[i] != nil {
			set[i].raise() // one with a full counter is signalled already
		}
	}
}

// assign gives interrupts their eventfds, or takes them away when none came.
func (q *irqs) assign(m *irqSet) error {
	s := q.s
	signals := make([]*signal, m.count)
	for i := range s.fds {
		g, err := newSignal(s.fds[i])
		if err != nil {
			return violated(unix.EINVAL, "interrupt %d: %v", int(m.start)+i, err)
		}
		signals[i] = g
	}
	for i := range s.fds {
		s.takeFD(i)
	}
	first := !q.any(m.index)
	for i, g := range signals {
		q.put(m.index, int(m.start)+i, g)
	}
	switch m.index {
	case irqINTx:
		if first {
			q.masked = false
		}
		q.signalLine()
	case irqMSI:
		s.fn.Retry()
	}
	return nil
}

func (q *irqs) any(index uint32) bool {
	for _, g := range q.sets[index] {
		if g != nil {
			return true
		}
	}
	return false
}

// put sets the eventfd of an interrupt.
func (q *irqs) put(index uint32, i int, g *signal) {
	set := &q.sets[index]
	if i >= len(*set) {
		if g == nil {
			return
		}
		*set = append(*set, make([]*signal, i+1-len(*set))...)
	}
	if old := (*set)[i]; old != nil {
		old.close()
	}
	(*set)[i] = g
	if index == irqMSIX {
		q.s.fn.MaskVector(i, g == nil)
	}
}

// disable takes all eventfds of an interrupt away.
func (q *irqs) disable(index uint32) {
	for i := range q.sets[index] {
		q.put(index, i, nil)
	}
	q.sets[index] = nil
	if index == irqINTx {
		q.masked = false
	}
}
