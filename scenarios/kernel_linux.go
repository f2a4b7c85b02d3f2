package scenarios

import (
	"errors"

	"nicsim.dev/tapbridge/tap"
)

// bridge joins a's driver to a new TAP in a new network namespace.
func (w *world) bridge(a *Adapter, name string) error {
	space, err := tap.NewNamespace()
	if err != nil {
		return err
	}
	w.closers = append(w.closers, func() { space.Close() })
	a.kernel.in = space.Do
	mtu := a.config.MTU
	if mtu == 0 {
		mtu = defaultMTU
	}
	device, err := tap.Open(tap.DeviceConfig{
		Name: name, Queues: a.Driver.Queues(), MTU: mtu, MAC: a.mac, Offloads: a.config.Offloads, NetNS: space.Path(), Addrs: a.kernel.addrs,
	})
	if err != nil {
		return err
	}
	bridge, err := tap.NewBridge(device, a.Driver, a.config.StripVLAN, w.live.Wake)
	if err != nil {
		return errors.Join(err, device.Close())
	}
	w.loop.Add(bridge)
	w.closers = append(w.closers, func() { bridge.Close() })
	return nil
}
