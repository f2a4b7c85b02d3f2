package xdp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

const (
	// linkPatience is how long a driver may take to have its link again, once it
	// has reset the adapter.
	linkPatience = 10 * time.Second
	linkPoll     = 5 * time.Millisecond
)

// attachment is a program on an interface. The kernel takes it away if this process
// dies.
type attachment struct {
	name    string
	target  *ebpf.Map // nil for a program without
	program *ebpf.Program
	link    link.Link
}

// attach gives a driver a program to run, and fails if it is the kernel that would.
func attach(i *net.Interface, what action, counters *ebpf.Map) (*attachment, error) {
	a := &attachment{name: i.Name}
	err := a.attach(i.Index, what, counters)
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *attachment) attach(index int, what action, counters *ebpf.Map) (err error) {
	if a.target, err = newTarget(what); err != nil {
		return err
	}
	if a.program, err = load(what, counters, a.target); err != nil {
		return err
	}
	a.link, err = link.AttachXDP(link.XDPOptions{Program: a.program, Interface: index, Flags: link.XDPDriverMode})
	return err
}

func (a *attachment) close() (err error) {
	if a.link != nil {
		err = a.link.Close()
	}
	return errors.Join(err, a.program.Close(), a.target.Close())
}

// carrier waits for an interface's link. The operational state, which the kernel
// brings up to date later, does not say that a driver has just lost it.
func carrier(name string) error {
	for deadline := time.Now().Add(linkPatience); time.Now().Before(deadline); time.Sleep(linkPoll) {
		state, err := os.ReadFile("/sys/class/net/" + name + "/carrier")
		if err != nil {
			return err
		}
		if string(state) == "1\n" {
			return nil
		}
	}
	return fmt.Errorf("%s: no link after %v", name, linkPatience)
}
