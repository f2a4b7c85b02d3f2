package i82599

import "nicsim.dev/nicsim"

func (d *Device) raiseQueue(side nicsim.Side, queue int) { d.fn.Raise(0) }
