package kit

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLongWorkTellsHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out)
		p.say("uml", "making %s", "it")
		n := 0
		require.NoError(t, p.during("uml", func() string { n++; return "compiled some" }, func() error {
			time.Sleep(40 * time.Second)
			return nil
		}))
		require.Equal(t, "uml        making it\numl        compiled some, 15 s\numl        compiled some, 30 s\n", out.String())
	})
}

func TestTerminalHasOneLineThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProgress(&out)
		p.live, p.interval = true, time.Second
		require.NoError(t, p.during("qemu", func() string { return "half" }, func() error {
			time.Sleep(1500 * time.Millisecond)
			return nil
		}))
		p.say("qemu", "ready")
		require.Equal(t, "\r\x1b[Kqemu       half, 1.0 s\r\x1b[K\r\x1b[Kqemu       ready\n", out.String())
	})
}

func TestNumbersForPeople(t *testing.T) {
	require.Equal(t, "38.6 MB", size(38_600_000))
	require.Equal(t, "1.9 GB", size(1_900_000_000))
	require.Equal(t, "2 kB", size(1892))
	require.Equal(t, "6 min 5 s", seconds(365*time.Second))
	require.Equal(t, "12 s", seconds(12*time.Second))
}
