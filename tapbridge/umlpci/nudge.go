//go:build linux

package umlpci

import "time"

const (
	// nudgeAfter is for how long a guest may leave an interrupt alone before it is
	// called once more: longer than it takes one that hears the call.
	nudgeAfter = 40 * time.Microsecond
	// maxNudges bounds the calls to one that is not there to hear them. Each comes
	// after twice the time of the one before, the last after 80 ms.
	maxNudges = 12
)

// nudge is what is known of interrupts that the guest has been told of and has not
// taken.
//
// A guest that is about to sleep can miss the call: what arrives between its last look
// and its sleep is noted, and looked at when it next wakes by itself, which can take
// seconds (Linux 7.2, arch/um/os-Linux/time.c, os_idle_sleep). A later call finds it
// asleep, unless the host has stopped it just there.
type nudge struct {
	buffers int // that the guest has given, all in all
	left    int // nudges
	pause   time.Duration
	at      time.Time // of the next one
}

// told notes that the guest has been called.
func (n *nudge) told() {
	n.left, n.pause = maxNudges, nudgeAfter
	n.at = time.Now().Add(n.pause)
}

// due says whether the guest is to be called again, of whose buffers so many wait.
func (n *nudge) due(waiting int) bool {
	n.buffers = max(n.buffers, waiting)
	if waiting == n.buffers { // it has taken all, and given the buffers back
		n.left = 0
	}
	if n.left == 0 || time.Now().Before(n.at) {
		return false
	}
	n.left--
	n.pause *= 2
	n.at = time.Now().Add(n.pause)
	return true
}

// next tells when the guest may have to be called again, if at all.
func (n *nudge) next() (wait time.Duration, any bool) {
	return time.Until(n.at), n.left > 0
}
