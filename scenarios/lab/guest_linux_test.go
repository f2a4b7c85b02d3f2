package lab

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/lab/agent"
)

func TestMain(m *testing.M) {
	agent.Main()
	os.Exit(m.Run())
}

func TestAGuestRunsCommands(t *testing.T) {
	for _, on := range []On{UML, QEMU} {
		t.Run(string(on), func(t *testing.T) {
			programs, err := Find(Choice{On: on})
			require.NoError(t, err)
			m := Machine{On: on, Programs: programs, Dir: t.TempDir(), Console: os.Stderr, Verbose: true}
			start := time.Now()
			g, err := m.Start(context.Background())
			require.NoError(t, err)
			t.Log("ready after", time.Since(start), g.Ready)
			var out bytes.Buffer
			code, err := g.Run(context.Background(), agent.Command{Args: []string{"sh", "-c", "mount; ip -br link; pwd; touch /etc/x; id; modprobe macsec; modprobe ixgbe; lsmod; exit 3"}, Dir: "/work"}, IO{Stdout: &out, Stderr: &out})
			require.NoError(t, err)
			require.Equal(t, 3, code)
			t.Log(out.String(), time.Since(start))
			require.NoError(t, g.Close())
		})
	}
}
