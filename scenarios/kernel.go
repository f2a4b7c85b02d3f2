package scenarios

import (
	"context"
	"net"
	"net/netip"
)

var _ = vocabulary(
	&command{
		usage: "kernel A NAME ADDRESS ...",
		what: "Gives A's driver to the host's kernel, as a TAP of this name with these addresses in a network namespace of its " +
			"own, for as long as the scenario lasts. It needs the live clock, root and Linux.",
		run: runKernel,
	},
)

// kernel is the host's own TCP/IP stack, reached through a TAP.
type kernel struct {
	addrs []netip.Prefix
	in    func(func() error) error // runs a function in its network namespace
}

// addr returns the address of a version, or an invalid one.
func (k *kernel) addr(six bool) netip.Addr {
	for _, p := range k.addrs {
		if p.Addr().Is6() == six {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// Listen implements netstack.Host.
func (k *kernel) Listen(at netip.AddrPort) (l net.Listener, err error) {
	err = k.in(func() error {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		return err
	})
	return l, err
}

// Dial implements netstack.Host.
func (k *kernel) Dial(ctx context.Context, to netip.AddrPort) (c net.Conn, err error) {
	err = k.in(func() error {
		c, err = new(net.Dialer).DialContext(ctx, "tcp", to.String())
		return err
	})
	return c, err
}

func runKernel(c *call) error {
	a, _, err := c.driven()
	if err != nil {
		return err
	}
	if c.live == nil {
		return c.wrong("the kernel keeps its own time: \"clock live\" was expected first")
	}
	if a.stack != nil || a.kernel != nil {
		return c.wrong("%s has a stack already", a.Name)
	}
	k := &kernel{}
	for _, text := range c.args[2:] {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return c.wrong("%q: an address such as 10.0.0.1/24 was expected", text)
		}
		k.addrs = append(k.addrs, p)
	}
	a.kernel = k
	return c.bridge(a, c.args[1])
}
