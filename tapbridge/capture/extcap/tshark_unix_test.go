//go:build unix

package extcap

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/scenarios/need"
)

// asNobody runs the test once more as a user who may do nothing, because
// Wireshark looks into no folder of the user's own if that is root.
func asNobody(t *testing.T) {
	dir, err := os.MkdirTemp("", "nicsim") // where that user can look, unlike t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	const nobody = 65534
	require.NoError(t, os.Chown(dir, nobody, nobody))
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(self)
	require.NoError(t, err)
	copied := filepath.Join(dir, "extcap.test")
	require.NoError(t, os.WriteFile(copied, program, 0o755))

	cmd := exec.Command(copied, "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "it was skipped")
}

// Wireshark's own program finds the queues and captures on one of them.
func TestTshark(t *testing.T) {
	need.Test(t, "tshark")
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	a, _ := serve(t)
	plugins := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(plugins, "nicsim")))
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command("tshark", args...)
		cmd.Env = append(os.Environ(), "WIRESHARK_EXTCAP_DIR="+plugins, asExtcap+"=1", "HOME="+t.TempDir())
		return cmd
	}

	out, err := command("-D").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), fmt.Sprintf("%s (nicsim: A rx queue 1 (pair, process %d))", name("A_rx_queue_1"), os.Getpid()))

	var stdout, stderr bytes.Buffer
	cmd := command("-n", "-l", "-i", name("A"), "-f", "udp port 9", "-c", "3", "-T", "fields",
		"-e", "frame.interface_name", "-e", "frame.interface_queue", "-e", "frame.packet_id",
		"-e", "frame.packet_flags", "-e", "frame.comment", "-e", "udp.dstport")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	events := []nicsim.Event{
		{Kind: nicsim.PacketWire, Device: "A", Side: nicsim.Rx, ID: 7, Data: frame(t, 9), Checksum: nicsim.ChecksumValid},
		{Kind: nicsim.PacketWire, Device: "A", Side: nicsim.Rx, ID: 8, Data: frame(t, 10)},
		{Kind: nicsim.PacketQueue, Device: "A", Side: nicsim.Rx, ID: 7, Queue: 1, Data: frame(t, 9), Checksum: nicsim.ChecksumValid},
		{Kind: nicsim.PacketQueue, Device: "A", Side: nicsim.Rx, ID: 9, Queue: 0, Data: frame(t, 9), Drop: nicsim.DropRxNoDescriptor},
	}
	require.Eventually(t, func() bool { return a.emit(nicsim.Event{}) }, 20*time.Second, 10*time.Millisecond)
	for i, e := range events {
		e.At = sim.Time(i) * sim.Millisecond
		a.emit(e)
	}
	select {
	case err := <-done:
		require.NoError(t, err, stderr.String())
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		t.Fatalf("tshark has not ended: %s", stderr.String())
	}
	require.Equal(t, ""+
		"A wire\t\t7\t0x00000401\t\t9\n"+
		"A rx queue 1\t1\t7\t0x00000401\t\t9\n"+
		"A rx queue 0\t0\t9\t0x00000001\tdropped: rx_no_descriptor: no descriptor in a queue with drop enable\t9\n",
		stdout.String())
}
