package ipsec

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Selector is what packets a policy is for. What is zero matches everything.
type Selector struct {
	Source, Destination         netip.Prefix
	Proto                       uint8
	SourcePort, DestinationPort uint16
}

// Action is what a policy does.
type Action uint8

const (
	Bypass  Action = iota // let pass in clear
	Discard               //
	Protect               // by an association
)

// Policy is an entry of a policy database (RFC 4301 4.4.1).
type Policy struct {
	Selector
	Action
	// Sender protects what a policy for sent packets says to protect.
	Sender *Sender
	// Receiver is the association by which received packets must have been protected.
	Receiver *Receiver
}

// Offload is full packet offload: policies and associations together. What no policy is
// for passes in clear. One goroutine uses it at a time.
type Offload struct {
	Out, In []Policy // the first that matches counts

	receivers map[arrival]*Receiver
}

// arrival is by what a received packet's association is found.
type arrival struct {
	spi         uint32
	protocol    Protocol
	destination netip.Addr
}

// Why a packet goes no further, besides what associations say.
var (
	ErrDiscard       = errors.New("ipsec: a policy discards the packet")
	ErrNoAssociation = errors.New("ipsec: there is no association for the packet")
	ErrUnprotected   = errors.New("ipsec: the packet was not protected as a policy demands")
)

// Add gives the association for packets to an address to the adapter, in place of one with
// the same address, protocol and SPI.
func (o *Offload) Add(destination netip.Addr, r *Receiver) {
	if o.receivers == nil {
		o.receivers = map[arrival]*Receiver{}
	}
	o.receivers[arrival{r.config.SPI, r.config.Protocol, destination.Unmap()}] = r
}

// Remove takes an association away.
func (o *Offload) Remove(destination netip.Addr, p Protocol, spi uint32) {
	delete(o.receivers, arrival{spi, p, destination.Unmap()})
}

// Send appends to dst what is to be sent in place of an IP packet.
func (o *Offload) Send(dst, packet []byte) ([]byte, error) {
	f, ok := flowOf(packet)
	if !ok {
		return dst, ErrHeader
	}
	switch p := match(o.Out, &f); {
	case p == nil, p.Action == Bypass:
		return append(dst, packet...), nil
	case p.Action == Discard:
		return dst, ErrDiscard
	case p.Sender == nil:
		return dst, ErrNoAssociation
	default:
		return p.Sender.Seal(dst, packet)
	}
}

// Receive returns what an IP packet that arrived is for the stack, within the same memory.
func (o *Offload) Receive(packet []byte) ([]byte, error) {
	f, ok := flowOf(packet)
	if !ok {
		return nil, ErrHeader
	}
	if f.proto == protoUDP && f.destinationPort == natPort && f.at+udpBytes+1 == len(packet) && packet[len(packet)-1] == 0xFF {
		return nil, ErrKeepalive // RFC 3948 2.3
	}
	var by *Receiver
	if a, is := f.arrival(packet); is {
		if by = o.receivers[a]; by == nil {
			return nil, ErrNoAssociation
		}
		inner, err := by.Open(packet)
		if err != nil {
			return nil, err
		}
		if f, ok = flowOf(inner); !ok {
			return nil, ErrHeader
		}
		packet = inner
	}
	switch p := match(o.In, &f); {
	case p == nil, p.Action == Bypass:
		return packet, nil
	case p.Action == Discard:
		return nil, ErrDiscard
	case p.Receiver != by || by == nil:
		return nil, ErrUnprotected // RFC 4301 5.2
	}
	return packet, nil
}

// flow is what selectors look at.
type flow struct {
	source, destination netip.Addr
	proto               uint8
	at                  int  // of the upper layer; 0 if a fragment has none
	ports               bool // are there, and known
	sourcePort          uint16
	destinationPort     uint16
}

func flowOf(packet []byte) (f flow, ok bool) {
	p, ok := parseIP(packet)
	if !ok {
		return f, false
	}
	if p.v6 {
		f.source, f.destination = netip.AddrFrom16([16]byte(packet[8:])), netip.AddrFrom16([16]byte(packet[24:]))
	} else {
		f.source, f.destination = netip.AddrFrom4([4]byte(packet[12:])), netip.AddrFrom4([4]byte(packet[16:]))
	}
	f.proto = packet[p.upperNext]
	if p.fragment {
		return f, true
	}
	f.at = p.upper
	switch f.proto {
	case protoTCP, protoUDP, protoSCTP, protoUDPLite:
		if upper := packet[p.upper:p.total]; len(upper) >= 4 {
			f.ports = true
			f.sourcePort, f.destinationPort = binary.BigEndian.Uint16(upper), binary.BigEndian.Uint16(upper[2:])
		}
	}
	return f, true
}

const (
	protoTCP     = 6
	protoSCTP    = 132
	protoUDPLite = 136

	// natPort is where UDP-encapsulated ESP arrives (RFC 3948 2.1).
	natPort = 4500
)

// arrival says by what association a packet is to be opened, if it is one of ESP or AH.
func (f *flow) arrival(packet []byte) (a arrival, ok bool) {
	a = arrival{protocol: ESP, destination: f.destination}
	body := packet[f.at:]
	switch {
	case f.at == 0:
		return a, false
	case f.proto == uint8(ESP):
	case f.proto == uint8(AH) && len(body) >= 8:
		a.protocol, body = AH, body[4:]
	case f.proto == protoUDP && f.destinationPort == natPort && len(body) > udpBytes:
		body = body[udpBytes:]
	default:
		return a, false
	}
	if len(body) < 4 {
		return a, false
	}
	a.spi = binary.BigEndian.Uint32(body)
	return a, a.spi != 0 // 0 marks IKE
}

// match returns the first policy for a flow.
func match(policies []Policy, f *flow) *Policy {
	for i := range policies {
		if p := &policies[i]; p.covers(f) {
			return p
		}
	}
	return nil
}

// covers says whether a policy is for a flow. Of a fragment nobody knows the ports: what is
// not to pass, or not in clear, has it too (RFC 4301 7).
func (p *Policy) covers(f *flow) bool {
	within := func(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }
	port := func(want, is uint16) bool {
		return want == 0 || f.ports && want == is || !f.ports && p.Action != Bypass
	}
	return within(p.Source, f.source) && within(p.Destination, f.destination) &&
		(p.Proto == 0 || p.Proto == f.proto) &&
		port(p.SourcePort, f.sourcePort) && port(p.DestinationPort, f.destinationPort)
}
