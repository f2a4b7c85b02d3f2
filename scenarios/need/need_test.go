package need

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMissingProgramIsNamed(t *testing.T) {
	err := Check(runtime.GOOS, "no-such-program")
	m, ok := errors.AsType[*Missing](err)
	require.True(t, ok)
	require.Equal(t, "no-such-program", m.What)
	require.NoError(t, Check(runtime.GOOS))
}

type recorder struct{ said string }

func (r *recorder) Helper()                          {}
func (r *recorder) Skipf(format string, args ...any) { r.said = "skip " + fmt.Sprintf(format, args...) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.said = "fail " + fmt.Sprintf(format, args...)
}

func TestRequireTurnsSkipIntoFailure(t *testing.T) {
	t.Setenv("NICSIM_REQUIRE", "")
	var r recorder
	Test(&r, "no-such-program")
	require.Contains(t, r.said, "skip needs no-such-program")
	t.Setenv("NICSIM_REQUIRE", "all")
	Test(&r, "no-such-program")
	require.Contains(t, r.said, "NICSIM_REQUIRE=all")
}
