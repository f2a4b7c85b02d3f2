package netstack

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/pipe"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/pair"
)

var (
	addrsA = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")}
	addrsB = []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")}
)

// twoStacks runs two stacks on two drivers.
func twoStacks(t testing.TB, loop *live.Loop, a, b driver.Driver, cfg EndpointConfig) (*Stack, *Stack) {
	cfg.MTU = 1500
	ea, eb := NewEndpoint(a, cfg, loop.Wake), NewEndpoint(b, cfg, loop.Wake)
	loop.Sim.Add(ea, eb)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	sa, err := NewStack(ea, StackConfig{Name: "a", Addrs: addrsA})
	require.NoError(t, err)
	sb, err := NewStack(eb, StackConfig{Name: "b", Addrs: addrsB})
	require.NoError(t, err)
	go func() { loop.Run(ctx); close(done) }()
	t.Cleanup(func() {
		sa.Close()
		sb.Close()
		cancel()
		<-done
	})
	return sa, sb
}

// see makes visible what the owner of the loop has written.
func see(t testing.TB, loop *live.Loop) { require.NoError(t, loop.Do(func() {})) }

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestFilesCrossUnharmed(t *testing.T) {
	for name, c := range map[string]struct {
		offloads driver.Offloads
		six      bool
		gso      bool
	}{
		"everything, IPv4": {offloads: driver.AllOffloads, gso: true},
		"everything, IPv6": {offloads: driver.AllOffloads, six: true, gso: true},
		"checksums only":   {offloads: driver.TxChecksum | driver.RxChecksum},
		"nothing":          {},
		"nothing, IPv6":    {six: true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := fakePair(4, 256)
			loop := live.New()
			sa, sb := twoStacks(t, loop, a, b, EndpointConfig{Offloads: c.offloads})
			addr := sa.Addr4()
			if c.six {
				addr = sa.Addr6()
			}
			r, err := Transfer(deadline(t), TransferConfig{
				Server: sa, Client: sb, At: netip.AddrPortFrom(addr, 80), Bytes: 16<<20 + 5, Streams: 3, Seed: 1,
			})
			require.NoError(t, err)
			require.True(t, r.Equal())
			require.EqualValues(t, 16<<20+5, r.Bytes)
			var gsoA, gsoB uint64
			require.NoError(t, loop.Do(func() { gsoA, gsoB = a.stats.TxGSOPackets, b.stats.TxGSOPackets }))
			require.Equal(t, c.gso, gsoA > 0)
			require.Zero(t, gsoB, "acknowledgements need no segmentation")
			require.Zero(t, sb.Stack.Stats().TCP.ChecksumErrors.Value())
		})
	}
}

// TestEveryPacketThatLeavesTheChecksumToTheAdapterIsSeeded checks what virtio
// 1.3 5.1.6.2 asks of the sender, on connection set-up as on bulk data.
func TestEveryPacketThatLeavesTheChecksumToTheAdapterIsSeeded(t *testing.T) {
	a, b := fakePair(1, 256)
	fail := once(t)
	syn, bulk, datagrams := 0, 0, 0
	check := func(_ int, p *driver.TxPacket) {
		var frame []byte
		for _, b := range p.Pieces {
			frame = append(frame, b...)
		}
		if header.Ethernet(frame).Type() != header.IPv4ProtocolNumber {
			if p.NeedsChecksum {
				fail("checksum asked for %x", frame)
			}
			return
		}
		ip := header.IPv4(frame[14:])
		proto := ip.TransportProtocol()
		payload := ip.Payload()
		want := header.PseudoHeaderChecksum(proto, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(payload)))
		switch proto {
		case header.TCPProtocolNumber:
			tcp := header.TCP(payload)
			if !p.NeedsChecksum || p.ChecksumStart != 34 || p.ChecksumOffset != 16 || tcp.Checksum() != want {
				fail("tcp: %+v has %x, want %x", p, tcp.Checksum(), want)
			}
			if tcp.Flags()&header.TCPFlagSyn != 0 {
				syn++
			}
			data := len(tcp.Payload())
			if data > 1460 {
				bulk++
			}
			if (data > 1460) != (p.GSO == driver.TCPv4) || p.GSO != 0 && (p.GSOBytes > 1460 || p.GSOBytes < 1000 || p.HeaderBytes != len(frame)-data) {
				fail("%d bytes of data as %+v", data, p)
			}
		case header.UDPProtocolNumber:
			if !p.NeedsChecksum || p.ChecksumOffset != 6 || header.UDP(payload).Checksum() != want || p.GSO != 0 {
				fail("udp: %+v has %x, want %x", p, header.UDP(payload).Checksum(), want)
			}
			datagrams++
		}
	}
	a.seen, b.seen = check, check
	loop := live.New()
	sa, sb := twoStacks(t, loop, a, b, EndpointConfig{Offloads: driver.AllOffloads})
	r, err := Transfer(deadline(t), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(sa.Addr4(), 80), Bytes: 1 << 20})
	require.NoError(t, err)
	require.True(t, r.Equal())
	echoUDP(t, sa, sb)
	see(t, loop)
	require.GreaterOrEqual(t, syn, 2)
	require.Positive(t, bulk)
	require.GreaterOrEqual(t, datagrams, 2)
}

// echoUDP sends a datagram from sb to sa and back.
func echoUDP(t *testing.T, sa, sb *Stack) {
	server, err := sa.ListenPacket(netip.AddrPortFrom(sa.Addr4(), 7))
	require.NoError(t, err)
	defer server.Close()
	client, err := sb.ListenPacket(netip.AddrPortFrom(sb.Addr4(), 1007))
	require.NoError(t, err)
	defer client.Close()
	buf := make([]byte, 100)
	_, err = client.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(sa.Addr4(), 7)))
	require.NoError(t, err)
	require.NoError(t, server.SetReadDeadline(time.Now().Add(10*time.Second)))
	n, from, err := server.ReadFrom(buf)
	require.NoError(t, err)
	_, err = server.WriteTo(buf[:n], from)
	require.NoError(t, err)
	require.NoError(t, client.SetReadDeadline(time.Now().Add(10*time.Second)))
	n, _, err = client.ReadFrom(buf)
	require.NoError(t, err)
	require.Equal(t, "hello", string(buf[:n]))
}

func TestWhatTheAdapterDidNotFindGoodIsVerifiedByTheStack(t *testing.T) {
	for name, c := range map[string]struct {
		verdict driver.Checksum
		refused bool
	}{
		"unknown": {driver.ChecksumNone, true},
		"bad":     {driver.ChecksumBad, true},
		"good":    {driver.ChecksumUnnecessary, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := fakePair(1, 256)
			damaged := 0
			b.received = func(p *driver.RxPacket) {
				data := p.Pieces[0]
				ip := header.IPv4(data[14:])
				if header.Ethernet(data).Type() != header.IPv4ProtocolNumber || ip.TransportProtocol() != header.TCPProtocolNumber {
					return
				}
				p.Checksum = driver.ChecksumNone
				tcp := header.TCP(ip.Payload())
				if len(tcp.Payload()) > 0 && damaged == 0 {
					damaged++
					p.Checksum = c.verdict
					binary.BigEndian.PutUint16(data[14+20+16:], ^tcp.Checksum())
				}
			}
			loop := live.New()
			sa, sb := twoStacks(t, loop, a, b, EndpointConfig{Offloads: driver.TxChecksum | driver.RxChecksum})
			r, err := Transfer(deadline(t), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(sa.Addr4(), 80), Bytes: 1 << 20})
			require.NoError(t, err)
			require.True(t, r.Equal())
			see(t, loop)
			require.Equal(t, 1, damaged)
			require.Equal(t, c.refused, sb.Stack.Stats().TCP.ChecksumErrors.Value() == 1)
			if c.refused {
				require.Positive(t, sa.Stack.Stats().TCP.Retransmits.Value())
			}
		})
	}
}

func TestAConnectionStaysOnItsQueue(t *testing.T) {
	a, b := fakePair(8, 256)
	used := map[uint16]map[int]bool{}
	a.seen = func(q int, p *driver.TxPacket) {
		if p.GSO == driver.NoGSO {
			return
		}
		port := header.TCP(p.Pieces[0][34:]).DestinationPort()
		if used[port] == nil {
			used[port] = map[int]bool{}
		}
		used[port][q] = true
	}
	loop := live.New()
	sa, sb := twoStacks(t, loop, a, b, EndpointConfig{Offloads: driver.AllOffloads})
	r, err := Transfer(deadline(t), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(sa.Addr4(), 80), Bytes: 16 << 20, Streams: 16})
	require.NoError(t, err)
	require.True(t, r.Equal())
	see(t, loop)
	all := map[int]bool{}
	for port, queues := range used {
		require.Len(t, queues, 1, "port %d", port)
		for q := range queues {
			all[q] = true
		}
	}
	require.Len(t, used, 16)
	require.Greater(t, len(all), 2)
}

func TestAStackOnAVLANHearsItsOwnOnly(t *testing.T) {
	a, b := fakePair(1, 256)
	foreign := 0
	b.received = func(p *driver.RxPacket) {
		if p.VLANTCI != 42 || !p.VLAN {
			foreign++
		}
	}
	loop := live.New()
	sa, sb := twoStacks(t, loop, a, b, EndpointConfig{Offloads: driver.AllOffloads, VLAN: 42})
	echoUDP(t, sa, sb)
	see(t, loop)
	require.Zero(t, foreign)

	e := NewEndpoint(a, EndpointConfig{MTU: 1500, VLAN: 7}, func() {})
	e.Attach(new(nobody))
	e.deliver(&driver.RxPacket{Pieces: [][]byte{make([]byte, 60)}})
	e.deliver(&driver.RxPacket{Pieces: [][]byte{make([]byte, 60)}, VLAN: true, VLANTCI: 8})
	e.deliver(&driver.RxPacket{Pieces: [][]byte{make([]byte, 5)}, VLAN: true, VLANTCI: 7})
	require.EqualValues(t, 3, e.Stats().RxIgnored)
	e.deliver(&driver.RxPacket{Pieces: [][]byte{make([]byte, 5), make([]byte, 55)}, VLAN: true, VLANTCI: 7<<13 | 7})
	require.EqualValues(t, 3, e.Stats().RxIgnored)
}

func TestAStackOnAVLANInsideAnother(t *testing.T) {
	a, b := fakePair(1, 256)
	outer := 0
	b.received = func(p *driver.RxPacket) {
		if head := bytes.Join(p.Pieces, nil); p.VLAN && p.VLANTCI == 42 && head[12] == 0x81 && head[13] == 0 && head[15] == 100 {
			outer++
		}
	}
	loop := live.New()
	sa, sb := twoStacks(t, loop, a, b, EndpointConfig{Offloads: driver.AllOffloads, VLAN: 42, OuterVLAN: 100})
	echoUDP(t, sa, sb)
	see(t, loop)
	require.Positive(t, outer)

	e := NewEndpoint(a, EndpointConfig{MTU: 1500, VLAN: 7, OuterVLAN: 9}, func() {})
	e.Attach(new(nobody))
	tagged := make([]byte, 60)
	copy(tagged[12:], []byte{0x81, 0, 0xE0, 8, 8, 0})
	e.deliver(&driver.RxPacket{Pieces: [][]byte{make([]byte, 60)}, VLAN: true, VLANTCI: 7})
	e.deliver(&driver.RxPacket{Pieces: [][]byte{tagged}, VLAN: true, VLANTCI: 7})
	require.EqualValues(t, 2, e.Stats().RxIgnored, "without the network's tag, or with another")
	tagged[15] = 9
	e.deliver(&driver.RxPacket{Pieces: [][]byte{tagged[:13], tagged[13:]}, VLAN: true, VLANTCI: 7})
	require.EqualValues(t, 2, e.Stats().RxIgnored)
}

// nobody takes packets and does nothing.
type nobody struct{ stack.NetworkDispatcher }

func (*nobody) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, _ *stack.PacketBuffer) {}

func TestAFullQueueIsReportedAndCounted(t *testing.T) {
	a, _ := fakePair(1, 4)
	e := NewEndpoint(a, EndpointConfig{MTU: 1500}, func() {})
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 100})
	defer p.DecRef()
	var list stack.PacketBufferList
	list.PushBack(p)
	for range queuePackets {
		n, err := e.WritePackets(list)
		require.Nil(t, err)
		require.Equal(t, 1, n)
	}
	n, err := e.WritePackets(list)
	require.Zero(t, n)
	require.NotNil(t, err)
	require.EqualValues(t, 1, e.Stats().TxFull)
	// A full ring leaves the rest where it is, in order, for later.
	require.Equal(t, 4, e.Step(256))
	require.Zero(t, e.Step(256))
	a.peer.in[0] = nil
	require.Equal(t, 4, e.Step(256))
	e.Close()
	_, err = e.WritePackets(list)
	require.NotNil(t, err)
}

func TestThePipeReferenceCarriesTheSameFiles(t *testing.T) {
	sa, sb := twoPiped(t)
	r, err := Transfer(deadline(t), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(sa.Addr4(), 80), Bytes: 8 << 20})
	require.NoError(t, err)
	require.True(t, r.Equal())
}

func twoPiped(t testing.TB) (*Stack, *Stack) {
	pa, pb := pipe.New("\x02\x00\x00\x00\x00\x01", "\x02\x00\x00\x00\x00\x02", 1500)
	sa, err := NewStack(pa, StackConfig{Name: "a", Addrs: addrsA})
	require.NoError(t, err)
	sb, err := NewStack(pb, StackConfig{Name: "b", Addrs: addrsB})
	require.NoError(t, err)
	t.Cleanup(func() { sa.Close(); sb.Close() })
	return sa, sb
}

func BenchmarkTransfer(b *testing.B) {
	run := func(b *testing.B, sa, sb *Stack) {
		const size = 64 << 20
		b.SetBytes(size)
		for b.Loop() {
			r, err := Transfer(context.Background(), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(sa.Addr4(), 80), Bytes: size})
			require.NoError(b, err)
			require.True(b, r.Equal())
			b.ReportMetric(r.BitsPerSecond()/1e9, "Gbit/s")
		}
	}
	b.Run("adapters", func(b *testing.B) {
		loop := live.New()
		r := newAdapters(b, loop, driver.AllOffloads, pair.Impairment{})
		sa, sb := twoStacks(b, loop, r.drv[0], r.drv[1], EndpointConfig{Offloads: driver.AllOffloads})
		run(b, sa, sb)
	})
	b.Run("pipe", func(b *testing.B) {
		sa, sb := twoPiped(b)
		run(b, sa, sb)
	})
}
