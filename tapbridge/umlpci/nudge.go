//go:build linux

package umlpci

import "time"

// nudgeAfter is for how long a guest may leave an interrupt alone before it is called
// once more: longer than it takes one that hears the call, and well inside the time
// for which an idle loop polls.
const nudgeAfter = 40 * time.Microsecond

// nudge is what is known of interrupts that the guest has been told of and has not
// taken.
//
// A guest that is about to sleep can miss the call: what arrives between its last look
// and its sleep is noted, and looked at when the clock next ticks, up to 10 ms later
// (Linux 7.2, arch/um/os-Linux/time.c, os_idle_sleep). A second call finds it asleep.
type nudge struct {
	buffers int // that the guest has given, all in all
	since   time.Time
	done    bool
}

// told notes that the guest has been called.
func (n *nudge) told() { n.since, n.done = time.Now(), false }

// due says whether the guest is to be called again, of whose buffers so many wait.
func (n *nudge) due(waiting int) bool {
	n.buffers = max(n.buffers, waiting)
	if n.done || n.since.IsZero() {
		return false
	}
	if waiting == n.buffers { // it has taken all, and given the buffers back
		n.done = true
		return false
	}
	n.done = time.Since(n.since) > nudgeAfter
	return n.done
}
