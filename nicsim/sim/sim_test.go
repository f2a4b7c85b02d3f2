package sim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEventsRunInOrderOfTimeThenOfScheduling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewVirtual()
		delays := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 50).Draw(t, "delays")
		cancel := rapid.SliceOfN(rapid.Bool(), len(delays), len(delays)).Draw(t, "cancel")
		var got, want []int
		events := make([]*Event, len(delays))
		for i, d := range delays {
			events[i] = &Event{Run: func() { got = append(got, i) }}
			c.Schedule(events[i], Time(d))
			if !cancel[i] {
				want = append(want, i)
			}
		}
		for i, no := range cancel {
			if no {
				c.Cancel(events[i])
			}
		}
		slices.SortStableFunc(want, func(a, b int) int { return delays[a] - delays[b] })
		require.NoError(t, NewLoop(c).Run(100, 1000))
		require.Equal(t, want, got)
		require.Equal(t, Time(100), c.Now())
	})
}

func TestAnEventMayRescheduleItself(t *testing.T) {
	c := NewVirtual()
	n := 0
	var e Event
	e.Run = func() {
		if n++; n < 5 {
			c.After(&e, 10)
		}
	}
	c.After(&e, 10)
	require.NoError(t, NewLoop(c).Run(45, 100))
	require.Equal(t, 4, n)
	require.True(t, e.Pending())
}

func TestALoopThatNeverRestsIsReported(t *testing.T) {
	l := NewLoop(NewVirtual())
	l.Add(StepFunc(func(int) int { return 1 }))
	require.ErrorIs(t, l.Run(1, 10), ErrNeverIdle)
}

func TestChanceDependsOnSeedAndNameOnly(t *testing.T) {
	require.Equal(t, Rand(1, "a").Uint64(), Rand(1, "a").Uint64())
	require.NotEqual(t, Rand(1, "a").Uint64(), Rand(1, "b").Uint64())
	require.NotEqual(t, Rand(1, "a").Uint64(), Rand(2, "a").Uint64())
}
