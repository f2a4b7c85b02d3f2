//go:build linux

// Package umlpci serves a PCI function to User Mode Linux, whose PCI bus is a
// virtio device (virt-pci, virtio_pcidev) behind vhost-user (virtio_uml). The
// facts are those of Linux include/uapi/linux/virtio_pcidev.h,
// arch/um/drivers/vhost_user.h and of the virtio 1.2 specification.
//
// Command ring 0 carries the guest's accesses, ring 1 the function's interrupts.
// While the loop is awake the rings are polled and the guest is told not to kick;
// before it sleeps the guest is told to kick, which it does by a message on the
// socket.
package umlpci

import (
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/guest"
)

// Config is one function on one socket.
type Config struct {
	Name     string // what log lines call it
	Path     string // of the socket
	Function *pci.Function
	// Ordered is for guests that travel in time: a kick is acknowledged when the
	// whole loop has come to rest, and a call has to be acknowledged before it may.
	// Then nothing that the guest and the loop do at one time is a race.
	Ordered bool
}

// Serve offers a function to one guest at a time. The guest's memory is mapped in
// the function's Memory while it is connected.
func Serve(h *guest.Host, cfg Config) (*guest.Server, error) {
	return h.Listen(cfg.Name, cfg.Path, func(c *guest.Conn) guest.Session {
		return newSession(c, cfg.Function, cfg.Ordered)
	})
}
