package ipsec

import (
	"errors"
	"fmt"
	"net/netip"
)

// Protocol is what protects packets.
type Protocol uint8

// The protocols, by their numbers (IANA).
const (
	ESP Protocol = 50
	AH  Protocol = 51
)

// Config is an association: one direction of what two ends agreed on.
type Config struct {
	SPI      uint32
	Protocol Protocol
	Key      Key

	// Tunnel puts whole packets into packets between two gateways. Without, their upper
	// layer is protected in place: transport mode.
	Tunnel *Tunnel
	// Encap puts ESP into UDP, for ways with address translation (RFC 3948).
	Encap *Encap

	// Window is how many sequence numbers a receiver remembers, 32 to 4096; 0 for none: it
	// takes replayed packets then.
	Window int
	// PadTo hides how long payloads are: they are lengthened to a multiple of so many
	// bytes, in tunnel mode (RFC 4303 2.7).
	PadTo int

	// Sequence is the last sequence number, of an association that others have begun.
	Sequence uint64

	Limits Limits
	// Notify is told when a limit is reached. It may be nil.
	Notify func(Event)
}

// Tunnel is the two ends of a tunnel, both IPv4 or both IPv6.
type Tunnel struct {
	Source, Destination netip.Addr
	HopLimit            uint8 // 0 for 64
}

// Encap is the ports of UDP-encapsulated ESP.
type Encap struct{ Source, Destination uint16 }

// Limits are how much an association may protect. 0 is no limit.
type Limits struct {
	SoftBytes, SoftPackets uint64 // when there is to be another
	HardBytes, HardPackets uint64 // when there is to be an end
}

// Event is what an association tells.
type Event uint8

const (
	// SoftLimit comes once, with the first packet beyond a soft limit.
	SoftLimit Event = iota + 1
	// HardLimit comes once, with the first packet that is refused.
	HardLimit
)

func (e Event) String() string {
	switch e {
	case SoftLimit:
		return "soft limit"
	case HardLimit:
		return "hard limit"
	}
	return fmt.Sprintf("event %d", uint8(e))
}

// Why an association refuses a packet, besides ErrLength, ErrAuth, ErrPad and ErrHeader.
var (
	ErrExpired   = errors.New("ipsec: the association has reached its hard limit")
	ErrSequence  = errors.New("ipsec: the association has used all its sequence numbers")
	ErrFragment  = errors.New("ipsec: transport mode does not protect fragments")
	ErrReplay    = errors.New("ipsec: the sequence number was there before, or is too old")
	ErrMode      = errors.New("ipsec: what the packet holds is not what the association's mode carries")
	ErrDummy     = errors.New("ipsec: the packet is a dummy, made to hide traffic")
	ErrKeepalive = errors.New("ipsec: a keepalive of UDP encapsulation")
	ErrIKE       = errors.New("ipsec: a packet of IKE on the port of UDP encapsulation")
)

func (c *Config) check() error {
	switch {
	case c.SPI < 256:
		return fmt.Errorf("ipsec: SPI %d is reserved (RFC 4303 2.1)", c.SPI)
	case c.Protocol != ESP && c.Protocol != AH:
		return fmt.Errorf("ipsec: protocol %d is neither ESP nor AH", c.Protocol)
	case c.Protocol == AH && c.Key.Algorithm != AESGMAC:
		return errors.New("ipsec: AH needs an algorithm that encrypts nothing")
	case c.Protocol == AH && c.Encap != nil:
		return errors.New("ipsec: AH does not pass address translation (RFC 3948 1)")
	case c.PadTo < 0 || c.PadTo > 0 && (c.Tunnel == nil || c.Protocol == AH):
		return errors.New("ipsec: only ESP in tunnel mode hides lengths")
	}
	if t := c.Tunnel; t != nil && (!t.Source.IsValid() || t.Source.Unmap().Is4() != t.Destination.Unmap().Is4() || !t.Destination.IsValid()) {
		return fmt.Errorf("ipsec: a tunnel from %v to %v: two addresses of a kind were expected", t.Source, t.Destination)
	}
	return nil
}

// usage counts what an association has protected.
type usage struct {
	limits         Limits
	notify         func(Event)
	Bytes, Packets uint64
	soft, hard     bool
}

// admit says whether another packet may be protected, as Linux does: when a limit is
// reached, the next packet finds out.
func (u *usage) admit() error {
	reached := func(v, limit uint64) bool { return limit > 0 && v >= limit }
	if u.hard || reached(u.Bytes, u.limits.HardBytes) || reached(u.Packets, u.limits.HardPackets) {
		u.tell(&u.hard, HardLimit)
		return ErrExpired
	}
	if reached(u.Bytes, u.limits.SoftBytes) || reached(u.Packets, u.limits.SoftPackets) {
		u.tell(&u.soft, SoftLimit)
	}
	return nil
}

func (u *usage) tell(once *bool, e Event) {
	if !*once && u.notify != nil {
		u.notify(e)
	}
	*once = true
}

func (u *usage) count(n int) {
	u.Bytes += uint64(n)
	u.Packets++
}
