//go:build linux

package tap

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/scenarios/need"
)

// TestTheKernelsTCPCrossesTwoAdapters is the proof that the whole path works:
// 1 GiB arrives unharmed, and TCP never has to send anything twice.
func TestTheKernelsTCPCrossesTwoAdapters(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	for name, c := range map[string]struct {
		offloads driver.Offloads
		queues   int
		six      bool
	}{
		"with every offload":           {driver.AllOffloads, 2, false},
		"with every offload, IPv6":     {driver.AllOffloads, 1, true},
		"with every offload off":       {0, 1, false},
		"with every offload off, IPv6": {0, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, LinkConfig{Offloads: c.offloads, Queues: c.queues})
			to, size := r.addrs[1], size
			if c.six {
				to, size = r.addr6[1], size/4
			}
			r.transfer(t, size, to)
			drv := r.drivers(t)
			for i, ns := range r.ns {
				k := tcpCounters(t, ns)
				require.Positive(t, k["Tcp:OutSegs"])
				for _, bad := range []string{"Tcp:RetransSegs", "Tcp:InErrs", "Tcp:InCsumErrors"} {
					require.Zero(t, k[bad], "%s in %s", bad, ns)
				}
				require.Zero(t, r.Bridges[i].Stats().Drops)
			}
			r.stop(t)
			last := r.status.Load()
			require.Equal(t, r.Bridges[0].Stats().FromKernel, last.Taps[0].FromKernel)
			require.GreaterOrEqual(t, last.Wire[0].SentBytes, uint64(size))
			tx, rx := r.Bridges[0].Stats().FromKernel, r.Bridges[1].Stats().ToKernel
			if c.offloads == 0 {
				require.Zero(t, tx.GSOPackets+tx.NeedsChecksum+rx.GSOPackets+rx.NeedsChecksum)
				require.Zero(t, drv[0].TxGSOPackets+drv[1].RxMerged)
				return
			}
			require.Positive(t, tx.GSOPackets, "the kernel left segmentation to the adapter")
			require.Positive(t, drv[0].TxGSOPackets)
			require.Positive(t, drv[1].RxMerged)
			require.Positive(t, rx.GSOPackets, "the kernel got what the adapter coalesced")
			t.Logf("%d super-segments out, %d segments merged into %d packets", tx.GSOPackets, drv[1].RxMerged, rx.GSOPackets)
		})
	}
}

// TestManyConnectionsBothWays loads every queue in both directions at once.
func TestManyConnectionsBothWays(t *testing.T) {
	const streams, size = 4, 16 << 20
	for name, offloads := range map[string]driver.Offloads{"with every offload": driver.AllOffloads, "with every offload off": 0} {
		t.Run(name, func(t *testing.T) {
			r := start(t, LinkConfig{Offloads: offloads, Queues: 2})
			done := make(chan error)
			for i := range 2 * streams {
				go func() { done <- r.move(i%2, size, r.addrs[1-i%2]) }()
			}
			for range 2 * streams {
				require.NoError(t, <-done)
			}
			for i, ns := range r.ns {
				require.Zero(t, tcpCounters(t, ns)["Tcp:RetransSegs"], ns)
				require.Zero(t, r.Bridges[i].Stats().Drops)
			}
		})
	}
}

// TestUDPIsSegmentedByTheAdapter sends datagrams with UDP_SEGMENT.
func TestUDPIsSegmentedByTheAdapter(t *testing.T) {
	r := start(t, LinkConfig{Offloads: driver.AllOffloads})
	const segment, segments = 1000, 20
	for _, to := range []netip.Addr{r.addrs[1], r.addr6[1]} {
		var server, client *net.UDPConn
		in(t, r.ns[1], func() (err error) {
			server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 0)))
			return err
		})
		in(t, r.ns[0], func() (err error) {
			client, err = net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
			return err
		})
		raw, err := client.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, segment)
		}))
		require.NoError(t, err)
		data := make([]byte, segment*segments)
		for i := range data {
			data[i] = byte(i / segment)
		}
		before := r.drivers(t)[0].TxGSOPackets
		_, err = client.Write(data)
		require.NoError(t, err)
		require.NoError(t, server.SetReadDeadline(time.Now().Add(10*time.Second)))
		buf := make([]byte, 2*segment)
		for i := range segments {
			n, err := server.Read(buf)
			require.NoError(t, err, "datagram %d to %s", i, to)
			require.Equal(t, data[i*segment:(i+1)*segment], buf[:n])
		}
		require.Equal(t, before+1, r.drivers(t)[0].TxGSOPackets)
		require.NoError(t, client.Close())
		require.NoError(t, server.Close())
	}
}

// TestTagsCrossWithASuperSegment sends a tagged TCP super-segment from a packet
// socket, with the tag as the adapters' work and as a part of the frame.
func TestTagsCrossWithASuperSegment(t *testing.T) {
	const payload, tci = 5000, 3<<13 | 42
	for name, tags := range map[string]bool{"inserted and stripped": true, "in the frame": false} {
		t.Run(name, func(t *testing.T) {
			r := start(t, LinkConfig{Offloads: driver.AllOffloads, Tags: tags})
			from, to := packetSocket(t, r, 0), packetSocket(t, r, 1)
			require.NoError(t, unix.SetsockoptInt(from, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
			require.NoError(t, unix.SetsockoptInt(to, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1))
			require.NoError(t, unix.SetsockoptTimeval(to, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))

			frame := tcpFrame(t, false, true, 12, payload)
			mac := r.Drivers[1].MAC()
			copy(frame, mac[:])
			ip, tcp := header.IPv4(frame[18:]), header.TCP(frame[38:])
			tcp.SetChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(tcp))))
			message := make([]byte, vnetBytes, vnetBytes+len(frame))
			(&vnetHeader{vnetNeedsChecksum, vnetGSOTCPv4, 70, 1448, 38, 16}).put(message)
			_, err := unix.Write(from, append(message, frame...))
			require.NoError(t, err)

			buf, control := make([]byte, 65536), make([]byte, 256)
			for got := 0; got < payload; {
				n, cn, _, _, err := unix.Recvmsg(to, buf, control, 0)
				require.NoError(t, err, "after %d bytes", got)
				eth := header.Ethernet(buf[:n])
				if eth.Type() != header.IPv4ProtocolNumber {
					continue
				}
				require.EqualValues(t, tci, auxTag(t, control[:cn]))
				ip := header.IPv4(buf[14:n])
				require.True(t, ip.IsValid(n-14))
				data := header.TCP(ip.Payload()).Payload()
				require.Equal(t, tcp.Payload()[got:got+len(data)], data)
				got += len(data)
			}
			drv := r.drivers(t)
			require.EqualValues(t, 1, drv[0].TxGSOPackets)
			require.Zero(t, r.Bridges[1].Stats().Drops)
		})
	}
}

// packetSocket sees every frame of one end of a link.
func packetSocket(t testing.TB, r *running, end int) int {
	link, err := handle(t, r.ns[end]).LinkByName(r.Bridges[end].dev.Name())
	require.NoError(t, err)
	fd := -1
	proto := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}) // in network order
	in(t, r.ns[end], func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(proto))
		return err
	})
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: link.Attrs().Index}))
	return fd
}

// auxTag is the tag that the kernel took off a received frame (packet(7),
// struct tpacket_auxdata).
func auxTag(t testing.TB, control []byte) uint16 {
	messages, err := unix.ParseSocketControlMessage(control)
	require.NoError(t, err)
	require.Len(t, messages, 1)
	const tagValid = 1 << 4
	aux := messages[0].Data
	require.NotZero(t, binary.NativeEndian.Uint32(aux)&tagValid)
	return binary.NativeEndian.Uint16(aux[16:])
}

// handle returns netlink in a namespace.
func handle(t testing.TB, ns string) *netlink.Handle {
	at, err := netns.GetFromName(ns)
	require.NoError(t, err)
	defer at.Close()
	h, err := netlink.NewHandleAt(at)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

func TestWhatAnInterfaceThatIsDownMissesIsCounted(t *testing.T) {
	r := start(t, LinkConfig{Offloads: driver.AllOffloads})
	h := handle(t, r.ns[1])
	link, err := h.LinkByName(r.Bridges[1].dev.Name())
	require.NoError(t, err)
	require.NoError(t, h.LinkSetDown(link))
	in(t, r.ns[0], func() error {
		conn, err := net.Dial("udp", netip.AddrPortFrom(r.addrs[1], 9).String())
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("is anybody there?"))
		return err
	})
	require.Eventually(t, func() bool { return r.Bridges[1].Stats().Drops[DropDown] > 0 }, 10*time.Second, 10*time.Millisecond)
}

func TestADeletedInterfaceEndsTheRun(t *testing.T) {
	r := start(t, LinkConfig{})
	h := handle(t, r.ns[0])
	link, err := h.LinkByName(r.Bridges[0].dev.Name())
	require.NoError(t, err)
	require.NoError(t, h.LinkDel(link))
	select {
	case err := <-r.ended:
		require.ErrorContains(t, err, "gone")
	case <-time.After(10 * time.Second):
		t.Fatal("it runs on")
	}
}

func TestAnImpossibleTAPIsRefused(t *testing.T) {
	_, err := Open(DeviceConfig{Name: "nicsimx", Queues: 0})
	require.ErrorContains(t, err, "want 1 to 256")
}

func TestATAPOfSomebodyElseIsLeftAlone(t *testing.T) {
	need.Test(t, "tap", "netns")
	name := fmt.Sprintf("nic%dx", os.Getpid())
	first, err := Open(DeviceConfig{Name: name, Queues: 1, MTU: 1500, MAC: [6]byte{2}})
	require.NoError(t, err)
	defer first.Close()
	_, err = Open(DeviceConfig{Name: name, Queues: 1, MTU: 1500, MAC: [6]byte{2}})
	require.ErrorContains(t, err, "exists")
}

func TestDropsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for d := range numDrops {
		require.NotEmpty(t, d.String())
		seen[d.String()] = true
	}
	require.Len(t, seen, int(numDrops))
	require.Equal(t, "unknown", numDrops.String())
}
