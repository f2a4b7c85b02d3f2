package pci

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/need"
)

// TestLspciUnderstands lets pciutils decode configuration space.
func TestLspciUnderstands(t *testing.T) {
	need.Test(t, "lspci")
	f, _ := endpoint(t, false)
	put32(f, 0x10, 0xFEB80000)
	put32(f, 0x20, 0xFEB00000)
	put16(f, offCommand, CommandMemory|CommandMaster)
	put16(f, msixAt+2, 0x8000)
	f.Report(CompletionTimeout, [4]uint32{0x04000001, 0x0100000F, 0x01000010, 0})

	var dump strings.Builder
	dump.WriteString("03:00.0 Ethernet controller\n")
	row := make([]byte, 16)
	for off := 0; off < ConfigBytes; off += len(row) {
		f.ConfigRead(row, off)
		fmt.Fprintf(&dump, "%02x: % x\n", off, row)
	}
	path := filepath.Join(t.TempDir(), "dump")
	require.NoError(t, os.WriteFile(path, []byte(dump.String()), 0o600))
	out, err := exec.Command("lspci", "-F", path, "-vvv", "-n").CombinedOutput()
	require.NoError(t, err, "%s", out)
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		"03:00.0 0200: 8086:10fb (rev 01)",
		"Subsystem: 8086:0003",
		"Mem+ BusMaster+",
		"Cap+",
		"Interrupt: pin A routed to IRQ 0",
		"Region 0: Memory at feb80000 (64-bit, non-prefetchable)",
		"Region 4: Memory at feb00000 (64-bit, non-prefetchable)",
		"[40] Power Management version 3",
		"PME(D0+,D1-,D2-,D3hot+,D3cold-)",
		"Status: D0 NoSoftRst- PME-Enable- DSel=0 DScale=1 PME-",
		"[50] MSI: Enable- Count=1/1 Maskable+ 64bit+",
		"[70] MSI-X: Enable+ Count=64 Masked-",
		"Vector table: BAR=4 offset=00000000",
		"PBA: BAR=4 offset=00002000",
		"[a0] Express (v2) Endpoint",
		"MaxPayload 512 bytes",
		"FLReset+",
		"Speed 5GT/s, Width x8",
		"[e0] Vital Product Data",
		"[100 v1] Advanced Error Reporting",
		"UESta: DLP- SDES- TLP- FCP- CmpltTO+",
		"UESvrt: DLP+ SDES- TLP- FCP+ CmpltTO- CmpltAbrt- UnxCmplt- RxOF+ MalfTLP+",
		"First Error Pointer: 0e",
		"HeaderLog: 04000001 0100000f 01000010 00000000",
		"[140 v1] Device Serial Number 00-1b-21-ff-ff-12-34-56",
		"[150 v1] Alternative Routing-ID Interpretation (ARI)",
		"Next Function: 1",
	} {
		require.Contains(t, text, want)
	}
}
