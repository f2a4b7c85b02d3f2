package i82599

func (d *Device) linkUp() bool { return d.mac.loopback || d.mac.carrier }

func (d *Device) linkChanged() {}
