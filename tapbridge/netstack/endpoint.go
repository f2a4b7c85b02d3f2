// Package netstack joins gVisor's TCP/IP stack to an adapter's driver, so that
// TCP's super-segments become segmentation work for the adapter and what the
// adapter coalesces goes back up in one piece.
package netstack

import (
	"encoding/binary"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/tapbridge/live"
)

const (
	// queuePackets bounds what waits for a transmit ring. It holds little of its
	// own, because TCP keeps what it sends anyway: twenty connections with 4 MiB
	// in flight, without segmentation offload. Beyond it the stack is told that
	// there is no buffer space, as by a full queueing discipline. It does not
	// block: the owner itself may be the one who sends, in answer to a packet.
	queuePackets = 65536
	// batchPackets is how many packets go to or come from a ring at once.
	batchPackets = 64
	// gsoMaxBytes is the largest super-segment, headers included.
	gsoMaxBytes = 65536
)

// EndpointConfig is what an endpoint tells its stack of the adapter.
type EndpointConfig struct {
	MTU int // bytes of an IP packet on the wire
	// Offloads are those that the driver was asked for.
	Offloads driver.Offloads
	// VLAN, if not 0, is the VLAN that the stack is on: frames are sent with its
	// tag, and others are ignored. The driver must strip tags.
	VLAN uint16
	// OuterVLAN, if not 0, is the VLAN of the network that carries it: its tag is
	// a part of the frame. The driver must be told of double VLAN.
	OuterVLAN uint16
}

// Endpoint is a driver as a link of a gVisor stack. It is stepped by the
// driver's owner; the stack may use it from any goroutine.
//
// A datagram longer than the MTU has no UDP checksum when checksums are left to
// the adapter, because the stack fragments it unsummed; IPv6 receivers refuse
// such a datagram.
type Endpoint struct {
	drv  driver.Driver
	cfg  EndpointConfig
	caps stack.LinkEndpointCapabilities
	mac  atomic.Pointer[tcpip.LinkAddress]
	mtu  atomic.Uint32

	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	// trusted says that the packet that is being delivered has good checksums.
	trusted atomic.Bool

	queues []queue
	rx     [batchPackets]driver.RxPacket

	txFull    atomic.Uint64
	rxIgnored atomic.Uint64
	onClose   atomic.Pointer[func()]
}

var (
	_ stack.LinkEndpoint = (*Endpoint)(nil)
	_ stack.GSOEndpoint  = (*Endpoint)(nil)
)

// NewEndpoint returns an endpoint on drv. wake is called, from any goroutine,
// when there is something to transmit.
func NewEndpoint(drv driver.Driver, cfg EndpointConfig, wake func()) *Endpoint {
	e := &Endpoint{drv: drv, cfg: cfg, caps: stack.CapabilityResolutionRequired}
	if cfg.Offloads&driver.TxChecksum != 0 {
		e.caps |= stack.CapabilityTXChecksumOffload
	}
	mac := drv.MAC()
	e.SetLinkAddress(tcpip.LinkAddress(mac[:]))
	e.mtu.Store(uint32(cfg.MTU))
	e.queues = make([]queue, drv.Queues())
	for i := range e.queues {
		e.queues[i].box = live.NewMailbox[*stack.PacketBuffer](queuePackets, wake)
	}
	return e
}

// EndpointStats are an endpoint's own counters.
type EndpointStats struct {
	TxFull    uint64 // packets refused because a transmit queue was full
	RxIgnored uint64 // frames of another VLAN, and runts
}

// Stats returns the counters. Any goroutine may call it.
func (e *Endpoint) Stats() EndpointStats {
	return EndpointStats{TxFull: e.txFull.Load(), RxIgnored: e.rxIgnored.Load()}
}

// Step implements sim.Stepper: it moves packets between the stack and the
// driver's rings.
func (e *Endpoint) Step(budget int) int {
	n := 0
	for q := range e.queues {
		n += e.transmit(q, budget)
		n += e.receive(q, budget)
	}
	return n
}

// WritePackets implements stack.LinkWriter.
func (e *Endpoint) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, p := range packets.AsSlice() {
		box := e.queues[p.Hash%uint32(len(e.queues))].box
		if box.TryPut(p.IncRef()) == 0 {
			p.DecRef()
			e.txFull.Add(1)
			return n, &tcpip.ErrNoBufferSpace{}
		}
		n++
	}
	return n, nil
}

// Capabilities implements stack.NetworkLinkEndpoint. The stack asks for
// CapabilityRXChecksumOffload as it takes a packet, and for nothing else, so
// the answer is that of the packet: those which the adapter did not find good
// are verified by the stack.
func (e *Endpoint) Capabilities() stack.LinkEndpointCapabilities {
	if e.trusted.Load() {
		return e.caps | stack.CapabilityRXChecksumOffload
	}
	return e.caps
}

// SupportedGSO implements stack.GSOEndpoint. The stack has one answer for both
// versions of IP.
func (e *Endpoint) SupportedGSO() stack.SupportedGSO {
	const need = driver.TxChecksum | driver.TSO4 | driver.TSO6
	if e.cfg.Offloads&need == need {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

// GSOMaxSize implements stack.GSOEndpoint.
func (e *Endpoint) GSOMaxSize() uint32 { return gsoMaxBytes }

// Attach implements stack.NetworkLinkEndpoint.
func (e *Endpoint) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		e.dispatcher.Store(nil)
		return
	}
	e.dispatcher.Store(&d)
}

// IsAttached implements stack.NetworkLinkEndpoint.
func (e *Endpoint) IsAttached() bool { return e.dispatcher.Load() != nil }

// MTU implements stack.NetworkLinkEndpoint.
func (e *Endpoint) MTU() uint32 { return e.mtu.Load() }

// SetMTU implements stack.NetworkLinkEndpoint.
func (e *Endpoint) SetMTU(mtu uint32) { e.mtu.Store(mtu) }

// MaxHeaderLength implements stack.NetworkLinkEndpoint.
func (e *Endpoint) MaxHeaderLength() uint16 { return uint16(e.linkBytes()) }

// The tag of the network (IEEE 802.1Q-2022 9.6), in the EtherType that the
// 82599's EXVET holds by itself.
const (
	tagType  = 0x8100
	tagBytes = 4
	vlanID   = 0xfff
)

// linkBytes is what precedes the IP packet in a frame.
func (e *Endpoint) linkBytes() int {
	if e.cfg.OuterVLAN != 0 {
		return header.EthernetMinimumSize + tagBytes
	}
	return header.EthernetMinimumSize
}

// LinkAddress implements stack.NetworkLinkEndpoint.
func (e *Endpoint) LinkAddress() tcpip.LinkAddress { return *e.mac.Load() }

// SetLinkAddress implements stack.NetworkLinkEndpoint. It changes the source
// address of frames, not the adapter's filter.
func (e *Endpoint) SetLinkAddress(mac tcpip.LinkAddress) { e.mac.Store(&mac) }

// ARPHardwareType implements stack.NetworkLinkEndpoint.
func (*Endpoint) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader implements stack.NetworkLinkEndpoint.
func (e *Endpoint) AddHeader(p *stack.PacketBuffer) {
	link := p.LinkHeader().Push(e.linkBytes())
	fields := header.EthernetFields{
		SrcAddr: p.EgressRoute.LocalLinkAddress,
		DstAddr: p.EgressRoute.RemoteLinkAddress,
		Type:    p.NetworkProtocolNumber,
	}
	if e.cfg.OuterVLAN != 0 {
		fields.Type = tagType
		binary.BigEndian.PutUint16(link[header.EthernetMinimumSize:], e.cfg.OuterVLAN)
		binary.BigEndian.PutUint16(link[header.EthernetMinimumSize+2:], uint16(p.NetworkProtocolNumber))
	}
	header.Ethernet(link).Encode(&fields)
}

// ParseHeader implements stack.NetworkLinkEndpoint.
func (e *Endpoint) ParseHeader(p *stack.PacketBuffer) bool {
	_, ok := p.LinkHeader().Consume(e.linkBytes())
	return ok
}

// Wait implements stack.NetworkLinkEndpoint: there are no goroutines.
func (*Endpoint) Wait() {}

// Close implements stack.NetworkLinkEndpoint. The driver stays with its owner.
func (e *Endpoint) Close() {
	for i := range e.queues {
		e.queues[i].box.Close()
	}
	if f := e.onClose.Swap(nil); f != nil {
		(*f)()
	}
}

// SetOnCloseAction implements stack.NetworkLinkEndpoint.
func (e *Endpoint) SetOnCloseAction(f func()) {
	if f == nil {
		e.onClose.Store(nil)
		return
	}
	e.onClose.Store(&f)
}
