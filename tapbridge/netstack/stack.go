package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const nicID tcpip.NICID = 1

// StackConfig is what a stack is to be.
type StackConfig struct {
	Name  string
	Addrs []netip.Prefix // IPv4 and IPv6 addresses with their on-link prefixes
	// BufferBytes is the size of TCP's send and receive buffers; 0 means 4 MiB.
	BufferBytes int
	// MinRTO is the shortest wait before a retransmission; 0 means gVisor's
	// 200 ms. On a wire that loses frames and whose round trips take
	// microseconds, that would be most of a transfer's time.
	MinRTO time.Duration
}

// defaultBufferBytes covers 10 Gbit/s for 3 ms.
const defaultBufferBytes = 4 << 20

// Stack is a TCP/IP stack on one link.
type Stack struct {
	*stack.Stack
	Name  string
	Addrs []netip.Prefix
}

// NewStack returns a stack on link: TCP with selective acknowledgements and
// CUBIC, UDP and ICMP over IPv4 and IPv6.
func NewStack(link stack.LinkEndpoint, cfg StackConfig) (*Stack, error) {
	// Without duplicate address detection, which takes a second, an address can
	// be used at once; there is nobody else on these links to ask.
	ip6 := ipv6.NewProtocolWithOptions(ipv6.Options{})
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ip6, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	out := &Stack{Stack: s, Name: cfg.Name, Addrs: cfg.Addrs}
	if err := out.configure(link, cfg); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func (s *Stack) configure(link stack.LinkEndpoint, cfg StackConfig) error {
	size := cfg.BufferBytes
	if size == 0 {
		size = defaultBufferBytes
	}
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(false)
	cc := tcpip.CongestionControlOption("cubic")
	// RACK takes the uneven round trips of a few microseconds for losses, so the
	// sender counts duplicate acknowledgements (RFC 6675) instead.
	recovery := tcpip.TCPRecovery(0)
	rto := tcpip.TCPMinRTOOption(max(cfg.MinRTO, 0))
	if rto == 0 {
		rto = tcpip.TCPMinRTOOption(tcp.MinRTO)
	}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: size, Max: max(size, tcp.MaxBufferSize)}
	recv := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: size, Max: max(size, tcp.MaxBufferSize)}
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &cc, &recovery, &rto, &send, &recv} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return s.failed(fmt.Sprintf("TCP option %T", o), err)
		}
	}
	if err := s.CreateNICWithOptions(nicID, link, stack.NICOptions{Name: cfg.Name}); err != nil {
		return s.failed("link", err)
	}
	for _, prefix := range cfg.Addrs {
		addr := tcpip.ProtocolAddress{
			Protocol: protocolOf(prefix.Addr()),
			AddressWithPrefix: tcpip.AddressWithPrefix{
				Address: tcpip.AddrFromSlice(prefix.Addr().AsSlice()), PrefixLen: prefix.Bits(),
			},
		}
		if err := s.AddProtocolAddress(nicID, addr, stack.AddressProperties{}); err != nil {
			return s.failed("address "+prefix.String(), err)
		}
		s.AddRoute(tcpip.Route{Destination: addr.AddressWithPrefix.Subnet(), NIC: nicID})
	}
	return nil
}

func (s *Stack) failed(what string, err tcpip.Error) error {
	return fmt.Errorf("stack %s: %s: %s", s.Name, what, err)
}

// Addr4 and Addr6 return the first address of their version, or an invalid one.
func (s *Stack) Addr4() netip.Addr { return s.first(netip.Addr.Is4) }

// Addr6 is described with Addr4.
func (s *Stack) Addr6() netip.Addr { return s.first(netip.Addr.Is6) }

func (s *Stack) first(is func(netip.Addr) bool) netip.Addr {
	for _, p := range s.Addrs {
		if is(p.Addr()) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// Dial opens a TCP connection.
func (s *Stack) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return gonet.DialContextTCP(ctx, s.Stack, fullAddress(to), protocolOf(to.Addr()))
}

// backlog is how many connections wait to be accepted.
const backlog = 1024

// Listen accepts TCP connections at an address of the stack, even while
// earlier ones of its port are in TIME-WAIT.
func (s *Stack) Listen(at netip.AddrPort) (net.Listener, error) {
	var wq waiter.Queue
	ep, err := s.NewEndpoint(tcp.ProtocolNumber, protocolOf(at.Addr()), &wq)
	if err != nil {
		return nil, s.failed("listen at "+at.String(), err)
	}
	ep.SocketOptions().SetReuseAddress(true)
	if err = ep.Bind(fullAddress(at)); err == nil {
		err = ep.Listen(backlog)
	}
	if err != nil {
		ep.Close()
		return nil, s.failed("listen at "+at.String(), err)
	}
	return gonet.NewTCPListener(s.Stack, &wq, ep), nil
}

// ListenPacket opens a UDP socket at an address of the stack.
func (s *Stack) ListenPacket(at netip.AddrPort) (net.PacketConn, error) {
	local := fullAddress(at)
	return gonet.DialUDP(s.Stack, &local, nil, protocolOf(at.Addr()))
}

// Close ends the stack, its connections and its goroutines.
func (s *Stack) Close() {
	s.Stack.Close()
	s.RemoveNIC(nicID)
	s.Wait()
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(a.Addr().AsSlice()), Port: a.Port()}
}
