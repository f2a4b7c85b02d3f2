package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/need"
)

// A bridge of two TAPs opens its control socket, serves its counters, can be
// traced, and ends when interrupted.
func TestTapRunsUntilInterrupted(t *testing.T) {
	need.Test(t, "tap")
	self, err := os.Executable()
	require.NoError(t, err)
	runtimeDir := t.TempDir()
	env := append(os.Environ(), asProgram+"=1", "XDG_RUNTIME_DIR="+runtimeDir)

	name := fmt.Sprintf("nt%d", os.Getpid()%100000)
	cmd := exec.CommandContext(t.Context(), self, "tap", "-a", name+"a", "-b", name+"b", "-metrics", "127.0.0.1:0")
	cmd.Env = env
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said := bufio.NewScanner(stderr)
	url := ""
	for said.Scan() {
		if at := strings.Index(said.Text(), "http://"); at >= 0 {
			url = said.Text()[at:]
		}
		if strings.Contains(said.Text(), name+"a") {
			break
		}
	}
	go io.Copy(io.Discard, stderr)

	// The kernel announces itself on a new interface by itself.
	trace := exec.CommandContext(t.Context(), self, "trace", "-kind", "fetch", "-n", "1")
	trace.Env = env
	out, err := trace.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "advanced tx data Addr=0x")

	r, err := http.Get(url)
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), `nicsim_transmitted_packets_total{device="A"`)

	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, cmd.Wait())
	left, err := os.ReadDir(runtimeDir + "/nicsim")
	require.NoError(t, err)
	require.Empty(t, left, "the control socket is removed")
}
