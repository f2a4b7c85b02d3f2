package scenarios

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/report"
)

func TestClosingSceneShowsTheHardwareAtWork(t *testing.T) {
	r := closingScene(t.Context(), 8<<20, Options{Seed: DefaultSeed})
	require.Equal(t, report.Pass, r.Status, r.Log)
	require.Contains(t, r.Replay, fmt.Sprintf("-seed %d", DefaultSeed))
	require.Contains(t, r.Output, "SHA-256 equal")
	require.Contains(t, r.Output, "cannot be replayed")
	require.Regexp(t, `TSO bursts +[1-9]`, r.Output)
	require.Regexp(t, `dropped by the adapter +0 +0`, r.Output)
	require.Regexp(t, `RSC packets +\d+ +[1-9]`, r.Output)
}
