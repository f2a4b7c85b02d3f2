package lab

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/scenarios/need"
)

func TestMain(m *testing.M) {
	agent.Main()
	os.Exit(m.Run())
}

func TestGuestRunsCommands(t *testing.T) {
	for _, on := range []On{UML, QEMU} {
		t.Run(string(on), func(t *testing.T) {
			need.Test(t, string(on))
			g := boot(t, on)
			var out, log bytes.Buffer
			code := run(t, g, IO{Stdin: strings.NewReader("typed\n"), Stdout: &out, Stderr: &log}, "sh", "-c", "cat; pwd; echo bad >&2; exit 3")
			require.Equal(t, 3, code)
			require.Equal(t, "typed\n/\n", out.String())
			require.Equal(t, "bad\n", log.String())

			_, err := g.Run(t.Context(), agent.Command{Args: []string{"no-such-program"}}, IO{})
			require.ErrorContains(t, err, "no-such-program")
			require.Equal(t, 128+9, run(t, g, IO{}, "sh", "-c", "kill -9 $$"))
			require.NoError(t, g.Close())
		})
	}
}

func TestGuestChangesACopy(t *testing.T) {
	need.Test(t, string(UML))
	open, closed := t.TempDir(), t.TempDir()
	g := boot(t, UML, agent.Writable{Path: open})
	require.Zero(t, run(t, g, IO{}, "sh", "-c", "echo x > "+open+"/file && echo x > "+closed+"/file && test -s "+closed+"/file"))
	require.FileExists(t, filepath.Join(open, "file"))
	require.NoFileExists(t, filepath.Join(closed, "file"))
}

func TestGuestThatPanicsOrHangs(t *testing.T) {
	for _, on := range []On{UML, QEMU} {
		t.Run(string(on), func(t *testing.T) {
			need.Test(t, string(on))
			g := boot(t, on)
			_, err := g.Run(t.Context(), agent.Command{Args: []string{"sh", "-c", "echo c > /proc/sysrq-trigger"}}, IO{})
			dead, ok := errors.AsType[*PanicError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, dead.Console, "sysrq triggered crash")
			require.Equal(t, ExitPanic, exitCode(err))
		})
	}
	need.Test(t, string(UML))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := boot(t, UML).Run(ctx, agent.Command{Args: []string{"sleep", "100"}}, IO{})
	require.Equal(t, ExitHang, exitCode(err), "%v", err)
}

func boot(t *testing.T, on On, writable ...agent.Writable) *Guest {
	programs, err := Find(Choice{On: on})
	require.NoError(t, err)
	m := Machine{On: on, Programs: programs, Dir: t.TempDir()}
	m.Setup.Writable = writable
	g, err := m.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(g.Kill)
	require.Empty(t, g.Ready.Problems)
	return g
}

func run(t *testing.T, g *Guest, streams IO, args ...string) int {
	code, err := g.Run(t.Context(), agent.Command{Args: args}, streams)
	require.NoError(t, err)
	return code
}
