package scenarios

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/need"
	"nicsim.dev/scenarios/report"
	"nicsim.dev/tapbridge/capture"
)

const captured = `# What a capture holds of a segmentation, a damaged frame and a lost one.
adapter A
adapter B
pair A B
driver A
driver B offloads=rxcsum
send A eth/ip4/tcp(flags=A)/payload(3000) tso=1000
settle
send B eth/ip4/udp/payload(100) csum
settle
impair A B corrupt=1
send A eth/ip4/udp/payload(10)
settle
impair A B loss=1
send A eth/ip4/udp/payload(20)
settle
`

// runCaptured captures a script and returns the file.
func runCaptured(t *testing.T) string {
	dir := t.TempDir()
	file := filepath.Join(dir, "captured.txtar")
	require.NoError(t, os.WriteFile(file, []byte(captured), 0o600))
	var out bytes.Buffer
	totals, err := RunFiles(t.Context(), Files{Paths: []string{file}, Format: "text", Options: Options{Seed: 1, Capture: filepath.Join(dir, "out")}}, &out)
	require.NoError(t, err)
	require.Equal(t, report.ExitPass, totals.ExitCode(), out.String())
	files, err := filepath.Glob(filepath.Join(dir, "out", "*.pcapng"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

func TestCaptureOfAScenario(t *testing.T) {
	path := runCaptured(t)
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	r, err := capture.NewReader(file)
	require.NoError(t, err)
	byID := map[uint64][]string{}
	drops := map[string]string{}
	var p capture.Packet
	for err = r.Next(&p); err == nil; err = r.Next(&p) {
		name := r.Interfaces()[p.Interface].Name
		require.NotZero(t, p.PacketID, name)
		require.NotEmpty(t, r.Interfaces()[p.Interface].Hardware)
		require.Equal(t, strings.Contains(name, "queue"), p.HasQueue)
		if p.DropCount > 0 {
			drops[name] = strings.Join(p.Comments, "; ")
			continue
		}
		byID[p.PacketID] = append(byID[p.PacketID], name)
		if name == "A tx queue 0" && len(p.Data) > 3000 {
			require.Equal(t, capture.Outbound|capture.ChecksumNotReady|capture.SegmentOffload, p.Flags)
		}
		if name == "B tx queue 0" {
			require.Equal(t, capture.Outbound|capture.ChecksumNotReady, p.Flags)
		}
	}
	require.Equal(t, io.EOF, err)
	joined := map[string]int{}
	for _, names := range byID {
		joined[strings.Join(names, ", ")]++
	}
	const segmented = "A tx queue 0, A wire, A wire, A wire, B wire, B rx queue 0, B wire, B rx queue 0, B wire, B rx queue 0"
	require.Equal(t, map[string]int{
		segmented: 1,
		"B tx queue 0, B wire, A wire, A rx queue 0": 1,
		"A tx queue 0, A wire":                       2,
	}, joined)
	require.Equal(t, map[string]string{
		"A wire": "dropped: wire_loss: lost by the impairment of the wire",
		"B wire": "dropped: rx_crc_error: frame check sequence wrong",
	}, drops)
}

func TestTsharkOfAScenario(t *testing.T) {
	need.Test(t, "tshark")
	path := runCaptured(t)
	out, err := exec.Command("tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-o", "ip.check_checksum:TRUE", "-T", "fields", "-e", "frame.interface_name", "-e", "_ws.malformed",
		"-e", "ip.checksum.status", "-e", "tcp.checksum.status", "-e", "udp.checksum.status", "-Y", "frame.packet_flags_crc_error == 0").Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	require.Greater(t, len(lines), 10)
	for _, line := range lines {
		f := strings.Split(line, "\t")
		require.Empty(t, f[1], line)
		if strings.HasSuffix(f[0], "wire") { // at a transmit queue they may be for the adapter to fill in
			require.NotContains(t, f[2:], "0", "a wrong checksum: %s", line)
		}
	}
}
