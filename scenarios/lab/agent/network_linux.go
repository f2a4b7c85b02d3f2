package agent

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// nicPatience is how long a driver may take to make its interface: modules are
	// probed while the agent starts.
	nicPatience = 10 * time.Second
	// linkPatience is how long a link may take to come up.
	linkPatience = 10 * time.Second
	pollInterval = 2 * time.Millisecond
)

// bringUp gives each adapter its name, its place and its addresses, and waits for
// links. What did not work is returned as a list, because a guest without a network
// is still worth looking into.
func bringUp(nics []NIC) (problems []string) {
	if err := loopback(); err != nil {
		problems = append(problems, err.Error())
	}
	var ready []NIC
	for i, n := range nics {
		if err := place(i, n); err != nil {
			problems = append(problems, fmt.Sprintf("%s (%s): %v", n.Name, n.MAC, err))
			continue
		}
		ready = append(ready, n)
	}
	deadline := time.Now().Add(linkPatience)
	for _, n := range ready {
		if n.Link && !carrier(n, deadline) {
			problems = append(problems, fmt.Sprintf("%s (%s): no link", n.Name, n.MAC))
		}
	}
	return problems
}

func loopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// byMAC waits for the interface with this address.
func byMAC(mac string) (netlink.Link, error) {
	deadline := time.Now().Add(nicPatience)
	for {
		links, err := netlink.LinkList()
		if err != nil {
			return nil, err
		}
		var seen []string
		for _, l := range links {
			a := l.Attrs()
			if strings.EqualFold(a.HardwareAddr.String(), mac) {
				return l, nil
			}
			seen = append(seen, a.Name)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("no driver made an interface of it; there are: %s", strings.Join(seen, ", "))
		}
		time.Sleep(pollInterval)
	}
}

func place(i int, n NIC) error {
	link, err := byMAC(n.MAC)
	if err != nil {
		return err
	}
	if link.Attrs().Name != n.Name {
		if err := rename(i, link, n.Name); err != nil {
			return err
		}
	}
	h := &netlink.Handle{}
	if n.NetNS != "" {
		at, err := namespace(n.NetNS)
		if err != nil {
			return err
		}
		defer at.Close()
		if err := netlink.LinkSetNsFd(link, int(at)); err != nil {
			return fmt.Errorf("move to network namespace %s: %w", n.NetNS, err)
		}
		if h, err = netlink.NewHandleAt(at); err != nil {
			return err
		}
		defer h.Close()
	}
	if link, err = h.LinkByName(n.Name); err != nil {
		return err
	}
	for _, text := range n.Addrs {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD // usable at once
		}
		if err := h.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("address %s: %w", text, err)
		}
	}
	return h.LinkSetUp(link)
}

// rename frees the name first, if another interface has it.
func rename(i int, link netlink.Link, name string) error {
	if other, err := netlink.LinkByName(name); err == nil {
		if err := netlink.LinkSetName(other, fmt.Sprintf("spare%d", i)); err != nil {
			return err
		}
	}
	return netlink.LinkSetName(link, name)
}

// namespace opens a named network namespace, as ip-netns(8) has them, and makes it
// if it is not there.
func namespace(name string) (netns.NsHandle, error) {
	if at, err := netns.GetFromName(name); err == nil || !errors.Is(err, os.ErrNotExist) {
		return at, err
	}
	type made struct {
		at  netns.NsHandle
		err error
	}
	done := make(chan made)
	go func() { // on a thread that ends with it, because it stays in the namespace
		runtime.LockOSThread()
		at, err := netns.NewNamed(name)
		if err == nil {
			err = loopback()
		}
		done <- made{at, err}
	}()
	m := <-done
	return m.at, m.err
}

// carrier waits for the link of an adapter.
func carrier(n NIC, deadline time.Time) bool {
	h := &netlink.Handle{}
	if n.NetNS != "" {
		at, err := namespace(n.NetNS)
		if err != nil {
			return false
		}
		defer at.Close()
		if h, err = netlink.NewHandleAt(at); err != nil {
			return false
		}
		defer h.Close()
	}
	for time.Now().Before(deadline) {
		if l, err := h.LinkByName(n.Name); err == nil && l.Attrs().OperState == netlink.OperUp {
			return true
		}
		time.Sleep(pollInterval)
	}
	return false
}
