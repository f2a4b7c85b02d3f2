//go:build !linux

package live

import "time"

// Bed is where the owner of a loop sleeps.
type Bed struct{ bell chan struct{} }

// NewBed returns a bed.
func NewBed() *Bed { return &Bed{make(chan struct{}, 1)} }

// Wake ends a sleep, or the next one. Any goroutine may call it.
func (b *Bed) Wake() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// Sleep waits for Wake, for no longer than the patience. There are no sockets: what
// serves guests runs on Linux.
func (b *Bed) Sleep(r *Rest) {
	if r.Patience < 0 {
		<-b.bell
		return
	}
	timer := time.NewTimer(r.Patience)
	defer timer.Stop()
	select {
	case <-b.bell:
	case <-timer.C:
	}
}

// yield does nothing: guests run on Linux.
func yield() {}
