package scenarios

import (
	"sync"

	"nicsim.dev/scenarios/lab"
)

// places is how many guests run at a time, of scripts that run at a time: what takes
// long is mostly guests that wait.
const places = 3

// taken has an item for each place that is taken. Who queues takes the next ones.
var (
	taken = make(chan struct{}, places)
	queue sync.Mutex
)

// takePlaces waits until there is place for a script's guests, and returns what gives
// it back. A guest with several processors takes two, and so does QEMU, which has
// threads besides.
func takePlaces(on lab.On, cpus int) (leave func()) {
	n := 1
	if on != lab.UML || cpus > 1 {
		n = 2
	}
	queue.Lock()
	for range n {
		taken <- struct{}{}
	}
	queue.Unlock()
	return func() {
		for range n {
			<-taken
		}
	}
}
