package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/need"
	"nicsim.dev/scenarios/report"
)

// TestScripts runs the bundled suite, as "nicsim run" does.
func TestScripts(t *testing.T) {
	scripts, err := Load()
	require.NoError(t, err)
	for _, s := range scripts {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			r := try(s, Options{Seed: DefaultSeed, Require: need.Required(), Capture: t.ArtifactDir()})
			switch r.Status {
			case report.Skip:
				t.Skip(r.Reason)
			case report.Fail:
				t.Fatalf("%s\nreplay: %s", r.Log, r.Replay)
			}
		})
	}
}
