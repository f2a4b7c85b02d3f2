package i82599

import "fmt"

// HangTx stops transmit queue i from taking descriptors until the port is reset:
// the fault that a driver's transmit watchdog is for.
func (d *Device) HangTx(i int) error {
	if i < 0 || i >= numQueues {
		return fmt.Errorf("i82599: transmit queue %d; there are 0 to %d", i, numQueues-1)
	}
	d.tx.queues[i].hung = true
	return nil
}
