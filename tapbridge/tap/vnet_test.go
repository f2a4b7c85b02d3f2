//go:build linux

package tap

import (
	"encoding/binary"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/nicsim/driver"
)

// tcpFrame has 20 bytes of TCP options at most, and the ACK flag.
func tcpFrame(t testing.TB, six, tagged bool, options, payload int) []byte {
	tcp := &layers.TCP{SrcPort: 1000, DstPort: 80, Seq: 7, ACK: true, Window: 100}
	for range options / 4 {
		tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: 253, OptionLength: 4, OptionData: []byte{1, 2}})
	}
	eth := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	list := []gopacket.SerializableLayer{eth}
	if six {
		eth.EthernetType = layers.EthernetTypeIPv6
	}
	if tagged {
		list = append(list, &layers.Dot1Q{Priority: 3, VLANIdentifier: 42, Type: eth.EthernetType})
		eth.EthernetType = layers.EthernetTypeDot1Q
	}
	if six {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2")}
		require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
		list = append(list, ip)
	} else {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
		require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
		list = append(list, ip)
	}
	data := make([]byte, payload)
	for i := range data {
		data[i] = byte(i)
	}
	buf := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append(list, tcp, gopacket.Payload(data))...))
	return buf.Bytes()
}

func TestTheKernelsHeaderBecomesWorkForTheDriver(t *testing.T) {
	sum := uint8(vnetNeedsChecksum)
	for _, c := range []struct {
		name  string
		h     vnetHeader
		frame []byte
		tags  bool
		want  driver.TxPacket // without pieces
		bad   bool
	}{
		{name: "plain", frame: tcpFrame(t, false, false, 0, 100)},
		{name: "checksum", h: vnetHeader{flags: sum, sumStart: 34, sumSkip: 16}, frame: tcpFrame(t, false, false, 0, 100),
			want: driver.TxPacket{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 16}},
		{name: "segmentation, with a wrong hint", h: vnetHeader{sum, vnetGSOTCPv4, 999, 1448, 34, 16}, frame: tcpFrame(t, false, false, 12, 5000),
			want: driver.TxPacket{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 16, GSO: driver.TCPv4, GSOBytes: 1448, HeaderBytes: 66}},
		{name: "with ECN, IPv6", h: vnetHeader{sum, vnetGSOTCPv6 | vnetGSOECN, 0, 1400, 54, 16}, frame: tcpFrame(t, true, false, 0, 5000),
			want: driver.TxPacket{NeedsChecksum: true, ChecksumStart: 54, ChecksumOffset: 16, GSO: driver.TCPv6, GSOBytes: 1400, HeaderBytes: 74}},
		{name: "UDP", h: vnetHeader{sum, vnetGSOUDP, 0, 100, 34, 6}, frame: tcpFrame(t, false, false, 0, 5000),
			want: driver.TxPacket{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 6, GSO: driver.UDP, GSOBytes: 100, HeaderBytes: 42}},
		{name: "one segment is none", h: vnetHeader{sum, vnetGSOTCPv4, 0, 1448, 34, 16}, frame: tcpFrame(t, false, false, 0, 1448),
			want: driver.TxPacket{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 16}},
		{name: "tag for the adapter", h: vnetHeader{sum, vnetGSOTCPv4, 0, 1448, 38, 16}, frame: tcpFrame(t, false, true, 0, 5000), tags: true,
			want: driver.TxPacket{NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 16, GSO: driver.TCPv4, GSOBytes: 1448, HeaderBytes: 54, VLAN: true, VLANTCI: 3<<13 | 42}},
		{name: "tag left alone", h: vnetHeader{flags: sum, sumStart: 38, sumSkip: 16}, frame: tcpFrame(t, false, true, 0, 100),
			want: driver.TxPacket{NeedsChecksum: true, ChecksumStart: 38, ChecksumOffset: 16}},

		{name: "no frame", bad: true},
		{name: "runt", frame: make([]byte, 13), bad: true},
		{name: "checksum beyond the frame", h: vnetHeader{flags: sum, sumStart: 34, sumSkip: 2000}, frame: tcpFrame(t, false, false, 0, 100), bad: true},
		{name: "checksum of the link header", h: vnetHeader{flags: sum, sumStart: 2}, frame: tcpFrame(t, false, false, 0, 100), bad: true},
		{name: "segmentation without a checksum", h: vnetHeader{gso: vnetGSOTCPv4, gsoBytes: 1448, sumStart: 34, sumSkip: 16}, frame: tcpFrame(t, false, false, 0, 5000), bad: true},
		{name: "segments of nothing", h: vnetHeader{sum, vnetGSOTCPv4, 0, 0, 34, 16}, frame: tcpFrame(t, false, false, 0, 5000), bad: true},
		{name: "unknown segmentation", h: vnetHeader{sum, 3, 0, 1448, 34, 16}, frame: tcpFrame(t, false, false, 0, 5000), bad: true},
		{name: "no room for TCP", h: vnetHeader{sum, vnetGSOTCPv4, 0, 1448, 60, 10}, frame: make([]byte, 72), bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got driver.TxPacket
			err := c.h.describe(&got, c.frame, c.tags)
			if c.bad {
				require.ErrorIs(t, err, errBadHeader)
				return
			}
			require.NoError(t, err)
			pieces := got.Pieces
			got.Pieces = nil
			require.Equal(t, c.want, got)
			var joined []byte
			for _, p := range pieces {
				joined = append(joined, p...)
			}
			want := c.frame
			if c.want.VLAN {
				want = append(append([]byte{}, c.frame[:12]...), c.frame[16:]...)
			}
			require.Equal(t, want, joined)
		})
	}
}

// kernel reads a composed packet as the kernel would.
func kernel(f *front, p *driver.RxPacket) (vnetHeader, []byte) {
	b := append([]byte{}, f.bytes[:f.size]...)
	for i, piece := range p.Pieces {
		if i == 0 {
			piece = piece[f.skip:]
		}
		b = append(b, piece...)
	}
	return parseVnet(b), b[vnetBytes:]
}

func TestWhatTheAdapterMergedEntersTheKernelAsASuperSegment(t *testing.T) {
	for _, six := range []bool{false, true} {
		for _, tagged := range []bool{false, true} {
			frame := tcpFrame(t, six, false, 12, 5000)
			p := driver.RxPacket{Pieces: [][]byte{frame[:2048], frame[2048:4096], frame[4096:]}, Checksum: driver.ChecksumUnnecessary,
				Merged: 4, GSO: driver.TCPv4, GSOBytes: 1448, VLAN: tagged, VLANTCI: 3<<13 | 42}
			l4, gso := 34, uint8(vnetGSOTCPv4)
			if six {
				p.GSO, l4, gso = driver.TCPv6, 54, vnetGSOTCPv6
			}
			whole := tcpFrame(t, six, tagged, 12, 5000)
			if tagged {
				l4 += 4
			}
			var f front
			f.compose(&p)
			h, got := kernel(&f, &p)
			require.Equal(t, vnetHeader{vnetNeedsChecksum, gso, uint16(l4 + 32), 1448, uint16(l4), 16}, h)
			// Completing the sum gives the checksum that gopacket computed.
			binary.BigEndian.PutUint16(got[l4+16:], ^checksum.Checksum(got[l4:], 0))
			require.Equal(t, whole, got)
		}
	}
}

func TestTheCongestionWindowReducedFlagIsTold(t *testing.T) {
	frame := tcpFrame(t, false, false, 0, 5000)
	header.TCP(frame[34:])[13] |= 0x80
	var f front
	f.compose(&driver.RxPacket{Pieces: [][]byte{frame}, Checksum: driver.ChecksumUnnecessary, Merged: 4, GSO: driver.TCPv4, GSOBytes: 1448})
	require.EqualValues(t, vnetGSOTCPv4|vnetGSOECN, f.bytes[1])
}

func TestPlainPacketsEnterTheKernelUntouched(t *testing.T) {
	frame := tcpFrame(t, false, false, 0, 100)
	for verdict, flags := range map[driver.Checksum]uint8{
		driver.ChecksumNone: 0, driver.ChecksumBad: 0, driver.ChecksumUnnecessary: vnetDataValid,
	} {
		p := driver.RxPacket{Pieces: [][]byte{frame}, Checksum: verdict, Merged: 1}
		var f front
		f.compose(&p)
		h, got := kernel(&f, &p)
		require.Equal(t, vnetHeader{flags: flags}, h)
		require.Equal(t, frame, got)
	}
	p := driver.RxPacket{Pieces: [][]byte{frame}, VLAN: true, VLANTCI: 3<<13 | 42}
	var f front
	f.compose(&p)
	_, got := kernel(&f, &p)
	require.Equal(t, tcpFrame(t, false, true, 0, 100), got)
}

// FuzzFromTheKernel holds that whatever a TAP gives, a driver gets offsets that
// lie in the packet.
func FuzzFromTheKernel(f *testing.F) {
	for _, tagged := range []bool{false, true} {
		b := make([]byte, vnetBytes)
		(&vnetHeader{vnetNeedsChecksum, vnetGSOTCPv4, 0, 1448, 34, 16}).put(b)
		f.Add(append(b, tcpFrame(f, false, tagged, 12, 3000)...), tagged)
	}
	f.Fuzz(func(t *testing.T, b []byte, tags bool) {
		if len(b) < vnetBytes {
			return
		}
		h := parseVnet(b)
		var p driver.TxPacket
		if h.describe(&p, b[vnetBytes:], tags) != nil {
			return
		}
		n := driver.Bytes(p.Pieces)
		if p.NeedsChecksum {
			require.LessOrEqual(t, p.ChecksumStart+p.ChecksumOffset+2, n)
			require.GreaterOrEqual(t, p.ChecksumStart, etherBytes)
		}
		if p.GSO != driver.NoGSO {
			require.Positive(t, p.GSOBytes)
			require.Less(t, p.HeaderBytes, n)
			require.Greater(t, p.HeaderBytes, p.ChecksumStart)
		}
	})
}

// FuzzToTheKernel holds that whatever a wire gives, no byte of it is lost.
func FuzzToTheKernel(f *testing.F) {
	frame := tcpFrame(f, true, false, 12, 3000)
	f.Add(frame, uint16(1448), uint16(2048), uint8(driver.TCPv6), true)
	f.Add(frame[:9], uint16(1), uint16(3), uint8(driver.TCPv4), true)
	f.Fuzz(func(t *testing.T, b []byte, gsoBytes, cut uint16, gso uint8, tagged bool) {
		if len(b) == 0 {
			return
		}
		at := min(max(int(cut), 1), len(b))
		p := driver.RxPacket{Pieces: [][]byte{b[:at], b[at:]}, Checksum: driver.ChecksumUnnecessary,
			Merged: 2, GSO: driver.GSO(gso % 4), GSOBytes: int(gsoBytes), VLAN: tagged, VLANTCI: 5}
		var out front
		out.compose(&p)
		h, got := kernel(&out, &p)
		want := len(b)
		if tagged && at >= 12 {
			want += vlanTagBytes
		}
		require.Len(t, got, want)
		require.LessOrEqual(t, int(h.headerBytes), len(got))
	})
}

func TestPacketsCostNoAllocation(t *testing.T) {
	frame := tcpFrame(t, false, true, 12, 5000)
	h := vnetHeader{vnetNeedsChecksum, vnetGSOTCPv4, 0, 1448, 38, 16}
	var post driver.TxPacket
	require.NoError(t, h.describe(&post, frame, true))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = h.describe(&post, frame, true) }))

	plain := tcpFrame(t, false, false, 12, 5000)
	p := driver.RxPacket{Pieces: [][]byte{plain[:2048], plain[2048:]}, Checksum: driver.ChecksumUnnecessary,
		Merged: 4, GSO: driver.TCPv4, GSOBytes: 1448, VLAN: true, VLANTCI: 42}
	var q queue
	q.gather(&p)
	require.Len(t, q.iov, 3)
	require.Zero(t, testing.AllocsPerRun(100, func() { q.gather(&p) }))
}
