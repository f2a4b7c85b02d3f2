package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/report"
)

// On the live clock a command waits for what it expects, and not for longer than
// that takes.
func TestCommandsWaitOnTheLiveClock(t *testing.T) {
	for name, script := range map[string]string{
		"counter": "adapter B\npair A B delay=200ms\ndriver A\ndriver B\nsend A eth/ip4/udp\ncounter B rx-packets 1\n",
		"leaves":  "wire A\ndriver A\nsend A eth/ip4/udp times=50\nleaves A eth/ip4/udp times=50\nleaves A nothing\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := try(Script{Name: name, Path: name + ".txtar", Text: []byte("# Why.\nclock live\nadapter A\n" + script)}, Options{Seed: DefaultSeed})
			require.Equal(t, report.Pass, r.Status, r.Log)
		})
	}
}
