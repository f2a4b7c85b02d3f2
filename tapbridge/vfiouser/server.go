//go:build linux

// Package vfiouser serves a PCI function to a virtual machine monitor by the vfio-user
// protocol, as QEMU 10.1 and newer speak it: registers by messages, memory by mapping
// what the client shares, interrupts by eventfd.
//
// Sections cited here are those of the vfio-user protocol specification, which is part
// of QEMU's documentation. What is not supported are its optional parts for migration
// (DEVICE_FEATURE, MIG_DATA_READ and WRITE), twin sockets, and regions that the client
// maps: a register has to be seen when it is written.
package vfiouser

import (
	"errors"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/guest"
)

// Config says what is served, and where.
type Config struct {
	Name     string // what log lines call it
	Path     string // of the socket, which is made
	Function *pci.Function
}

// Serve serves a function, to one client at a time. The host's loop steps the server;
// the function's memory and interrupts are the client's from now on, and nobody's while
// there is none.
func Serve(h *guest.Host, cfg Config) (*guest.Server, error) {
	if cfg.Function == nil {
		return nil, errors.New("vfiouser: there is no function to serve")
	}
	space := new(dma.Space)
	cfg.Function.Memory = space
	log := h.Logger(cfg.Name)
	return h.Listen(cfg.Name, cfg.Path, func(c *guest.Conn) guest.Session {
		return newSession(c, cfg.Function, space, log)
	})
}
