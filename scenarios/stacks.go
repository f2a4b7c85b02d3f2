package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"nicsim.dev/tapbridge/netstack"
)

// transferTimeout bounds a transfer between two stacks.
const transferTimeout = time.Minute

// httpPort is where transfers listen.
const httpPort = 80

// defaultMTU is Ethernet's.
const defaultMTU = 1500

var _ = vocabulary(
	&command{
		usage: "stack A ADDRESS ... [vlan=ID] [outer=ID]",
		what:  "Puts gVisor's TCP/IP stack on A's driver, with addresses such as 10.0.0.1/24 or fd00::1/64, on a VLAN and one that carries it. It needs the live clock.",
		run:   runStack,
	},
	&command{
		usage: "transfer A B SIZE [streams=N] [v6]",
		what:  "Fetches files of together SIZE (64KiB, 1MiB) over HTTP from A's stack or kernel to B's and compares their SHA-256.",
		run:   runTransfer, waits: true,
	},
	&command{
		usage: "retransmits A COUNT",
		what:  "Checks how many TCP segments A's stack has sent again. COUNT may be >N.",
		run:   runRetransmits,
	},
)

func runStack(c *call) error {
	a, _, err := c.driven()
	if err != nil {
		return err
	}
	if c.live == nil {
		return c.wrong("a stack keeps its own time: \"clock live\" was expected first")
	}
	if a.stack != nil {
		return c.wrong("%s has a stack already", a.Name)
	}
	cfg := netstack.StackConfig{Name: a.Name}
	for _, text := range c.args[1:] {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return c.wrong("%q: an address such as 10.0.0.1/24 was expected", text)
		}
		cfg.Addrs = append(cfg.Addrs, p)
	}
	vlan, err := c.number("vlan", 0)
	if err != nil {
		return err
	}
	outer, err := c.number("outer", 0)
	if err != nil {
		return err
	}
	mtu := a.config.MTU
	if mtu == 0 {
		mtu = defaultMTU
	}
	end := netstack.NewEndpoint(a.Driver, netstack.EndpointConfig{
		MTU: mtu, Offloads: a.config.Offloads, VLAN: uint16(vlan), OuterVLAN: uint16(outer),
	}, c.live.Wake)
	if a.stack, err = netstack.NewStack(end, cfg); err != nil {
		return err
	}
	c.loop.Add(end)
	c.atEnd(a.stack.Close)
	return nil
}

// stacked finds an adapter that has a stack.
func (c *call) stacked(name string) (*Adapter, error) {
	a, err := c.adapter(name)
	if err == nil && a.stack == nil {
		err = c.wrong("%s has no stack: \"stack %s ADDRESS\" was expected before", name, name)
	}
	return a, err
}

// host finds what speaks TCP on an adapter, and its address.
func (c *call) host(name string) (h netstack.Host, at netip.Addr, err error) {
	a, err := c.adapter(name)
	switch {
	case err != nil:
		return nil, at, err
	case a.kernel != nil:
		return a.kernel, a.kernel.addr(c.has("v6")), nil
	case a.stack == nil:
		return nil, at, c.wrong("%s has neither stack nor kernel: \"stack %s ADDRESS\" was expected before", name, name)
	case c.has("v6"):
		return a.stack, a.stack.Addr6(), nil
	}
	return a.stack, a.stack.Addr4(), nil
}

func runTransfer(c *call) error {
	server, at, err := c.host(c.args[0])
	if err != nil {
		return err
	}
	client, _, err := c.host(c.args[1])
	if err != nil {
		return err
	}
	size, err := parseBytes(c.args[2])
	if err != nil || size < 1 {
		return c.wrong("%q: a size such as 1MiB was expected", c.args[2])
	}
	streams, err := c.number("streams", 1)
	if err != nil {
		return err
	}
	if !at.IsValid() {
		return c.wrong("%s has no address of that version", c.args[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), transferTimeout)
	defer cancel()
	r, err := netstack.Transfer(ctx, netstack.TransferConfig{
		Server: server, Client: client, At: netip.AddrPortFrom(at, httpPort),
		Bytes: int64(size), Streams: streams, Seed: c.options.Seed,
	})
	if err != nil {
		return err
	}
	if r.Bytes != int64(size) || !r.Equal() {
		return fmt.Errorf("%d of %d bytes arrived, with SHA-256 %x, want %x", r.Bytes, size, r.Streams[0].Got, r.Streams[0].Sent)
	}
	return nil
}

func runRetransmits(c *call) error {
	a, err := c.stacked(c.args[0])
	if err != nil {
		return err
	}
	got := a.stack.Stack.Stats().TCP.Retransmits.Value()
	ok, err := c.meets(got, c.args[1])
	if err == nil && !ok {
		err = fmt.Errorf("%s sent %d segments again, want %s", a.Name, got, c.args[1])
	}
	return err
}
