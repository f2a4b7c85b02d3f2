package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios"
)

// short is how benchmarks run in tests: long enough to do the work and check it.
var short = Options{Rounds: 2, Round: 2 * time.Millisecond}

func TestEveryBenchmarkDoesItsWork(t *testing.T) {
	for _, b := range benchmarks {
		if b.long {
			continue // those are run by command: each takes minutes
		}
		t.Run(b.name, func(t *testing.T) {
			o := short
			o.JSON = true
			var out, progress bytes.Buffer
			o.Progress = &progress
			if b.name == "suite" {
				b.run = suite("01-rings") // the whole takes seconds, and has tests of its own
			}
			require.NoError(t, run(t.Context(), &out, o, []benchmark{b}))
			require.Contains(t, progress.String(), b.name)

			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			require.Equal(t, b.many == nil, len(lines) == 1)
			for _, line := range lines {
				var object map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &object))
				require.Len(t, object, 5)
				if b.many == nil {
					require.Equal(t, b.name, object["name"])
				}
				require.Contains(t, object["name"], b.name)
				require.NotEmpty(t, object["unit"])
				for _, number := range []string{"value", "reference", "ratio"} {
					require.Greater(t, object[number], 0.0, number)
				}
				require.Less(t, object["ratio"], 10_000.0)
			}
		})
	}
}

func TestATableForPeople(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Run(t.Context(), &out, short, "ring64", "rss"))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, []string{"benchmark", "ours", "reference", "ratio"}, strings.Fields(lines[0]))
	require.Regexp(t, `^ring64 +[0-9.]+ Mpps +[0-9.]+ Mpps +[0-9.]+  against a bare loop.*; [0-9.]+ times the 14.88 Mpps`, lines[1])
	require.Regexp(t, `^rss `, lines[2])
}

func TestSecurityAllocatesNothing(t *testing.T) {
	for name, prepare := range map[string]func(side string, size int) (*secureLoad, error){
		"esp":    func(side string, size int) (*secureLoad, error) { return newESP(side, size, 16) },
		"macsec": newLinkSec,
	} {
		for _, side := range []string{"tx", "rx"} {
			for _, size := range secureSizes {
				l, err := prepare(side, size)
				require.NoError(t, err)
				require.Zero(t, testing.AllocsPerRun(20, func() {
					if _, _, err := l.run(burst); err != nil {
						t.Fatal(err)
					}
				}), "%s-%s-%d", name, side, size)
			}
		}
	}
}

func TestAnUnknownNameIsAMistakeOfUse(t *testing.T) {
	err := Run(t.Context(), new(bytes.Buffer), short, "ring64", "ring65")
	_, usage := errors.AsType[*scenarios.UsageError](err)
	require.True(t, usage)
	require.ErrorContains(t, err, "ring65")
	require.ErrorContains(t, err, strings.Join(Names(), ", "))
}

// once is how much work an allocation test does at a time.
const once = 2048

func TestNoAllocationPerFrame(t *testing.T) {
	for name, prepare := range map[string]func() (*contest, error){
		"ring64": newRing64, "tso": newTSOLimit, "rsc": newRSC, "rss": newRSS, "checksum": newChecksum, "hdrsplit": newHeaderSplit,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := prepare()
			require.NoError(t, err)
			for range 4 { // pools fill
				_, _, err = c.ours.run(once)
				require.NoError(t, err)
			}
			require.Zero(t, testing.AllocsPerRun(20, func() { _, _, err = c.ours.run(once) }))
			require.NoError(t, err)
		})
	}
}

func TestQuantities(t *testing.T) {
	for v, want := range map[float64]string{0.0123: "0.0123 x", 1.2345: "1.23 x", 12.345: "12.3 x", 1234.5: "1234 x", 0: "0.00000 x"} {
		require.Equal(t, want, quantity(v, "x"))
	}
	require.Equal(t, 12.346, round(12.3456))
	require.Zero(t, round(0))
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
}
