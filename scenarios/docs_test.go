package scenarios

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/frame"
)

var update = flag.Bool("update", false, "rewrite the reference parts of TESTING.md")

// The reference in TESTING.md is what the program says of itself; -update writes
// it anew.
func TestReferenceIsUpToDate(t *testing.T) {
	const path = "../TESTING.md"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	want := replaceBlock(t, string(text), "<!-- commands -->\n", Vocabulary())
	want = replaceBlock(t, want, "<!-- layers -->\n", frame.Describe())
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	if string(text) != want {
		t.Fatal("TESTING.md is not up to date; run: go test ./scenarios -run Reference -update")
	}
}

func replaceBlock(t *testing.T, text, begin, block string) string {
	t.Helper()
	head, rest, ok := strings.Cut(text, begin)
	require.True(t, ok, begin)
	_, tail, ok := strings.Cut(rest, "<!-- end -->")
	require.True(t, ok)
	return head + begin + "\n" + indentBlock(block) + "\n<!-- end -->" + tail
}

func indentBlock(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("    " + line)
	}
	return b.String()
}
