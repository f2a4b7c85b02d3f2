package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary be nicsim.
const asProgram = "NICSIM_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// nicsim runs the program.
func nicsim(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "NICSIM_REQUIRE=", "XDG_RUNTIME_DIR="+t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	require.NoError(t, err)
	return out.String(), errs.String(), 0
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.txtar")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const (
	good    = "# It passes.\nadapter A\n"
	bad     = "# It fails.\nadapter A\ncounter A rx-packets 1\n"
	skipped = "# It is skipped.\nneed no-such-program\n"
)

// Exit codes are kselftest's: 0 passed, 1 failed, 4 skipped; and 2 for usage.
func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
	}{
		{"passed", []string{"run", script(t, good)}, 0},
		{"passed and skipped", []string{"run", script(t, good), script(t, skipped)}, 0},
		{"failed", []string{"run", script(t, good), script(t, bad)}, 1},
		{"skipped", []string{"run", script(t, skipped)}, 4},
		{"required", []string{"run", "-require", script(t, skipped)}, 1},
		{"no such script", []string{"run", "no-such-script"}, 2},
		{"no such flag", []string{"run", "-no-such-flag"}, 2},
		{"no such format", []string{"run", "-format", "yaml"}, 2},
		{"no such command", []string{"walk"}, 2},
		{"no such model", []string{"models", "82598"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, stderr, code := nicsim(t, c.args...)
			require.Equal(t, c.code, code, stderr)
		})
	}
}

// The line that replays a failure is a command that fails the same way.
func TestReplayLineReplays(t *testing.T) {
	path := script(t, bad)
	first, _, code := nicsim(t, "run", "-seed", "7", path)
	require.Equal(t, 1, code)
	require.Contains(t, first, "replay: nicsim run -seed 7 "+path+"\n")
	again, _, _ := nicsim(t, "run", "-seed=7", path)
	require.Equal(t, first, again)
}

func TestFormats(t *testing.T) {
	path := script(t, good)
	out, _, _ := nicsim(t, "run", "-format", "ktap", path)
	require.Equal(t, "KTAP version 1\n1..1\nok 1 x\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\n", out)
	out, _, _ = nicsim(t, "run", "-format", "json", path)
	for line := range bytes.Lines([]byte(out)) {
		require.True(t, json.Valid(line), "%s", line)
	}
	out, _, _ = nicsim(t, "run", "-format", "junit", path)
	require.Contains(t, out, `<testcase name="x"`)
	out, _, _ = nicsim(t, "run", "-v", path)
	require.Contains(t, out, "> adapter A")
	require.NotContains(t, out, "\x1b[", "colours are for terminals")
}

func TestBundledScriptsRunByName(t *testing.T) {
	out, _, code := nicsim(t, "run", "01-rings/10-first-frame")
	require.Equal(t, 0, code)
	require.Contains(t, out, "1 passed")
}

func TestCaptureLeavesAFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "captures")
	_, _, code := nicsim(t, "run", "-capture", dir, script(t, good))
	require.Equal(t, 0, code)
	require.FileExists(t, filepath.Join(dir, "x.pcapng"))
}

func TestModelsAndVersion(t *testing.T) {
	out, _, code := nicsim(t, "models")
	require.Equal(t, 0, code)
	require.Contains(t, out, "82599")
	out, _, code = nicsim(t, "models", "82599")
	require.Equal(t, 0, code)
	require.Contains(t, out, "| TDT[0..127] |")
	out, _, code = nicsim(t, "version")
	require.Equal(t, 0, code)
	require.Contains(t, out, "nicsim ")
}

func TestTraceOfAnUnknownKindIsAMistakeOfUse(t *testing.T) {
	_, stderr, code := nicsim(t, "trace", "--kind=write,doorbel")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "doorbell")
}

func TestTraceWithoutAnAdapterSaysHowToStartOne(t *testing.T) {
	_, stderr, code := nicsim(t, "trace")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "nicsim tap")
}

// Wireshark runs what it finds in its extcap folder, without a command.
func TestWiresharkIsAnswered(t *testing.T) {
	for _, args := range [][]string{{"--extcap-interfaces"}, {"extcap", "--extcap-interfaces"}} {
		out, stderr, code := nicsim(t, args...)
		require.Equal(t, 0, code, stderr)
		require.Contains(t, out, "extcap {version=")
	}
}
