package i82599

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/scenarios/need"
)

// TestLspciKnowsTheAdapter lets pciutils decode configuration space, and compares
// with what it prints of the adapter itself.
func TestLspciKnowsTheAdapter(t *testing.T) {
	need.Test(t, "lspci")
	for variant, ids := range map[uint16]string{0x10FB: "8086:10fb (rev 01) Subsystem: 8086:0003", 0x10F7: "8086:10f7 (rev 01) Subsystem: 8086:000c"} {
		b := newBench(t, variant)
		b.msix(0)
		var dump strings.Builder
		dump.WriteString("03:00.0 Ethernet controller\n")
		row := make([]byte, 16)
		for off := 0; off < 4096; off += len(row) {
			b.fn.ConfigRead(row, off)
			fmt.Fprintf(&dump, "%02x: % x\n", off, row)
		}
		path := filepath.Join(t.TempDir(), "dump")
		require.NoError(t, os.WriteFile(path, []byte(dump.String()), 0o600))
		out, err := exec.Command("lspci", "-F", path, "-vvv", "-n").CombinedOutput()
		require.NoError(t, err, "%s", out)
		text := strings.Join(strings.Fields(string(out)), " ")
		for _, want := range []string{
			ids,
			"[40] Power Management version 3",
			"Flags: PMEClk- DSI+ D1- D2- AuxCurrent=0mA PME(D0+,D1-,D2-,D3hot+,D3cold-)",
			"[50] MSI: Enable- Count=1/1 Maskable+ 64bit+",
			"[70] MSI-X: Enable+ Count=64 Masked- Vector table: BAR=4 offset=00000000 PBA: BAR=4 offset=00002000",
			"[a0] Express (v2) Endpoint, MSI 00 DevCap: MaxPayload 512 bytes, PhantFunc 0, Latency L0s <512ns, L1 <64us",
			"FLReset+",
			"LnkCap: Port #0, Speed 5GT/s, Width x8, ASPM L0s L1",
			"LnkSta: Speed 5GT/s",
			"[e0] Vital Product Data",
			"[100 v1] Advanced Error Reporting",
			"[140 v1] Device Serial Number 02-6e-73-ff-ff-12-34-56",
			"[150 v1] Alternative Routing-ID Interpretation (ARI)",
		} {
			require.Contains(t, text, want)
		}
	}
}

func TestProductDataAddsUp(t *testing.T) {
	b := newBench(t, 0)
	var data []byte
	for at := 0; ; at += 4 {
		b.fn.ConfigWrite([]byte{byte(at), byte(at >> 8)}, 0xE2)
		p := make([]byte, 4)
		b.fn.ConfigRead(p, 0xE4)
		data = append(data, p...)
		if i := strings.IndexByte(string(data), 0x78); i >= 0 {
			data = data[:i+1]
			break
		}
		require.Less(t, at, 256)
	}
	end := len(data) - 1 // where the checksum's field ends, and the end tag is
	require.Zero(t, sum8(data[:end]))
	require.Contains(t, string(data), "PN\nN82599-001")
}

func TestUnknownVariantIsRefused(t *testing.T) {
	_, err := New(nicsim.Config{Clock: sim.NewVirtual(), Pool: &nicsim.Pool{}, Variant: 0x1528})
	require.ErrorContains(t, err, "0x1528")
}
