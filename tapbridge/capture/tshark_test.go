package capture

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/need"
)

// tcpFrame builds a frame with gopacket.
func tcpFrame(t *testing.T, seq uint32, payload []byte) []byte {
	t.Helper()
	ip := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP,
		SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2},
	}
	tcp := &layers.TCP{SrcPort: 40000, DstPort: 9, Seq: seq, ACK: true, Window: 1000}
	require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
	buf := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(buf,
		gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{
			SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2},
			EthernetType: layers.EthernetTypeIPv4,
		}, ip, tcp, gopacket.Payload(payload)))
	return buf.Bytes()
}

// tshark returns one line of tab-separated fields for each packet. It fails if
// a packet is malformed or has a wrong checksum.
func tshark(t *testing.T, path string, fields ...string) []string {
	t.Helper()
	args := []string{"-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields"}
	for _, f := range append([]string{"_ws.malformed", "tcp.checksum.status", "ip.checksum.status"}, fields...) {
		args = append(args, "-e", f)
	}
	var problems strings.Builder
	cmd := exec.Command("tshark", args...)
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "%s", problems.String())
	for line := range strings.Lines(problems.String()) {
		if !strings.HasPrefix(line, "Running as user") {
			t.Errorf("tshark says: %s", line)
		}
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		malformed, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		require.Empty(t, malformed)
		sums, rest, _ := strings.Cut(rest, "\t")
		require.NotContains(t, sums, "0", "wrong TCP checksum")
		sums, rest, _ = strings.Cut(rest, "\t")
		require.NotContains(t, sums, "0", "wrong IP checksum")
		lines = append(lines, rest)
	}
	return lines
}

func TestTsharkReadsEveryOption(t *testing.T) {
	need.Test(t, "tshark", "capinfos")
	path := filepath.Join(t.TempDir(), "a.pcapng")
	w, err := Create(path, Section{Hardware: "Intel 82599 (nicsim)", OS: "linux", App: "nicsim", Comments: []string{"seed 7"}})
	require.NoError(t, err)
	tx := w.AddInterface(Interface{Name: "A tx queue 0", Description: "transmit ring", SpeedBPS: 10e9})
	wire := w.AddInterface(Interface{Name: "A wire", Hardware: "82599", OffsetSeconds: 1_700_000_000})

	payload := make([]byte, 3000)
	w.WritePacket(&Packet{
		Interface: tx, TimeNS: 1, Data: tcpFrame(t, 0, payload)[:54], More: [][]byte{payload},
		Flags:    Outbound | ChecksumNotReady | SegmentOffload,
		PacketID: 9, HasQueue: true, Queue: 0,
		Verdicts: []Verdict{{Type: VerdictXDP, Action: 2}},
		Comments: []string{"first", "second"},
	})
	w.Drop(wire, 4)
	w.WritePacket(&Packet{
		Interface: wire, TimeNS: 1001, Data: tcpFrame(t, 0, payload[:1448]),
		Flags: Outbound | CRCError, PacketID: 9, DropCount: 1, Comments: []string{"dropped: wire_loss"},
	})
	w.WritePacket(&Packet{Interface: wire, TimeNS: 2001, Data: tcpFrame(t, 1448, payload[:61]), Flags: Inbound | TooLong})
	w.WritePacket(&Packet{Interface: wire, TimeNS: 3001, Data: tcpFrame(t, 1509, payload[:62]), Flags: Inbound | TooShort})
	w.AddInterface(Interface{Name: "B wire"})
	require.NoError(t, w.Close())

	require.Equal(t, []string{
		"0\tA tx queue 0\t0.000000001\t0x00000a02\t0\t0\t0\t9\t0\t\t2\tfirst,second\t3054",
		"1\tA wire\t1700000000.000001001\t0x01000002\t1\t0\t0\t9\t\t5\t\tdropped: wire_loss\t1502",
		"1\tA wire\t1700000000.000002001\t0x02000001\t0\t1\t0\t\t\t\t\t\t115",
		"1\tA wire\t1700000000.000003001\t0x04000001\t0\t0\t1\t\t\t\t\t\t116",
	}, tshark(t, path, "frame.interface_id", "frame.interface_name", "frame.time_epoch",
		"frame.packet_flags", "frame.packet_flags_crc_error",
		"frame.packet_flags_packet_too_error", "frame.packet_flags_packet_too_short_error",
		"frame.packet_id", "frame.interface_queue", "frame.drop_count", "frame.verdict.ebpf_xdp",
		"frame.comment", "frame.len"))

	out, err := exec.Command("capinfos", path).Output()
	require.NoError(t, err)
	for _, want := range []string{
		"Capture hardware:    Intel 82599 (nicsim)", "Capture application: nicsim",
		"Capture comment:     seed 7", "Name = B wire", "Description = transmit ring",
		"Speed = 10000000000", "Time precision = nanoseconds (9)", "Number of stat entries = 1",
	} {
		require.Contains(t, string(out), want)
	}
}
