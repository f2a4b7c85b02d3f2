//go:build linux

package tap

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is a network namespace that nobody else uses: its addresses and
// interfaces cannot collide with the host's. It is gone when it is closed and
// nothing is left in it.
type Namespace struct{ handle netns.NsHandle }

// NewNamespace makes one, with its loopback interface up.
func NewNamespace() (*Namespace, error) {
	n := &Namespace{}
	err := onThread(func() (err error) {
		if n.handle, err = netns.New(); err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			n.handle.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Path is what DeviceConfig.NetNS takes.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(n.handle)) }

// Do runs f in the namespace. Sockets that f opens stay there.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		return f()
	})
}

// Close lets go of the namespace.
func (n *Namespace) Close() error { return n.handle.Close() }

// onThread runs f on a thread that ends with it, so that what f does to the
// thread ends too.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}
