//go:build linux

// Package tap joins TAP interfaces of the host's kernel to adapters, so that
// the kernel's super-segments become segmentation work for an adapter and what
// an adapter coalesces enters the kernel in one piece. It needs Linux.
package tap

import "errors"

// ErrUnavailable is wrapped where the host has no TAP interfaces to offer, or
// none to us.
var ErrUnavailable = errors.New("no TAP interfaces here (they need /dev/net/tun and CAP_NET_ADMIN)")

// Drop is why a packet did not get from an adapter to a TAP or back.
type Drop int

const (
	DropBadHeader Drop = iota // the kernel's virtio-net header contradicts its packet
	DropDown                  // the interface is down
	DropRefused               // the kernel found the packet malformed
	DropFailed                // writing failed otherwise
	numDrops
)

var dropNames = [numDrops]string{"tap_bad_header", "tap_down", "tap_refused", "tap_failed"}

func (d Drop) String() string {
	if d >= 0 && d < numDrops {
		return dropNames[d]
	}
	return "unknown"
}

// Stats counts what passed between a TAP and its driver.
type Stats struct {
	FromKernel, ToKernel Count
	Drops                [numDrops]uint64
}

// Count is one direction.
type Count struct {
	Packets, Bytes uint64
	// GSOPackets are super-segments; NeedsChecksum those whose checksum the
	// sender left to the receiver.
	GSOPackets, NeedsChecksum uint64
}
