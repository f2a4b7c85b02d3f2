package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/scenarios/need"
	"nicsim.dev/scenarios/report"
)

func TestMain(m *testing.M) {
	agent.Main() // as the init of a guest
	os.Exit(m.Run())
}

// TestScripts runs the bundled suite, as "nicsim run" does: captured, and not,
// because adapters that nobody watches take shorter ways.
func TestScripts(t *testing.T) {
	scripts, err := Load()
	require.NoError(t, err)
	for _, s := range scripts {
		if s.Guests() != nil {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			o := Options{Seed: DefaultSeed, Require: need.Required(), Capture: t.ArtifactDir()}
			pass(t, s, o)
			if !onLiveClock.Match(s.Text) {
				o.Capture = ""
				pass(t, s, o)
			}
		})
	}
}

// TestGuests runs the scripts of the suite that boot kernels: those that leave it
// open what runs these on both.
func TestGuests(t *testing.T) {
	scripts, err := Load()
	require.NoError(t, err)
	for _, s := range scripts {
		for _, on := range s.Guests() {
			t.Run(s.Name+"/"+on, func(t *testing.T) {
				t.Parallel()
				o := Options{Seed: DefaultSeed, Require: need.Required(), On: on}
				if !travels.Match(s.Text) {
					pass(t, s, o)
					return
				}
				// What travels in time does the same each time.
				var captures [2][]byte
				for i := range captures {
					o.Capture = t.TempDir()
					pass(t, s, o)
					files, err := filepath.Glob(filepath.Join(o.Capture, "*.pcapng"))
					require.NoError(t, err)
					require.Len(t, files, 1)
					captures[i], err = os.ReadFile(files[0])
					require.NoError(t, err)
				}
				require.True(t, bytes.Equal(captures[0], captures[1]), "two runs left different captures")
			})
		}
	}
}

// travels matches scripts with guests whose time is the script's.
var travels = regexp.MustCompile(`(?m)^travel`)

// onLiveClock matches scripts whose time is the host's, which take long.
var onLiveClock = regexp.MustCompile(`(?m)^clock live`)

func pass(t *testing.T, s Script, o Options) {
	t.Helper()
	switch r := try(s, o); r.Status {
	case report.Skip:
		t.Skip(r.Reason)
	case report.Fail:
		t.Fatalf("%s\nreplay: %s", r.Log, r.Replay)
	}
}
