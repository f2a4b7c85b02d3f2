package live

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/sim"
)

// start runs a loop until the test ends.
func start(t testing.TB, l *Loop) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.Run(ctx); close(done) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// asleep waits until the loop has gone to sleep.
func asleep(t testing.TB, l *Loop) {
	require.Eventually(t, l.sleeping.Load, 5*time.Second, 100*time.Microsecond)
}

func TestWorkWakesASleepingLoop(t *testing.T) {
	l := New()
	box := NewMailbox[int](4, l.Wake)
	got := make(chan int, 100)
	l.Sim.Add(sim.StepFunc(func(int) int {
		var in [4]int
		n := box.Take(in[:])
		for _, v := range in[:n] {
			got <- v
		}
		return n
	}))
	start(t, l)
	for i := range 20 {
		asleep(t, l)
		require.Equal(t, 1, box.Put(i))
		select {
		case v := <-got:
			require.Equal(t, i, v)
		case <-time.After(5 * time.Second):
			t.Fatal("the loop slept on")
		}
	}
}

func TestTheClockWakesASleepingLoop(t *testing.T) {
	l := New()
	ran := make(chan sim.Time, 1)
	e := sim.Event{Run: func() { ran <- l.Sim.Clock.Now() }}
	l.Sim.Clock.Schedule(&e, 20*sim.Millisecond)
	start(t, l)
	require.GreaterOrEqual(t, <-ran, 20*sim.Millisecond)
}

func TestDoRunsOnTheOwner(t *testing.T) {
	l := New()
	n := 0 // the owner's: the race detector would see another writer
	l.Sim.Add(sim.StepFunc(func(int) int {
		if n++; n > 0 {
			n--
		}
		return 0
	}))
	start(t, l)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if l.Do(func() { n++ }) != nil {
					t.Error("stopped")
				}
			}
		})
	}
	wg.Wait()
	var total int
	require.NoError(t, l.Do(func() { total = n }))
	require.Equal(t, 400, total)
}

func TestDoAfterTheEndSaysSo(t *testing.T) {
	l := New()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l.Run(ctx)
	require.ErrorIs(t, l.Do(func() { t.Error("ran") }), ErrStopped)
}

func TestAMailboxIsBoundedAndKeepsOrder(t *testing.T) {
	woken := 0
	m := NewMailbox[int](4, func() { woken++ })
	require.Equal(t, 3, m.TryPut(0, 1, 2))
	require.Equal(t, 1, m.TryPut(3, 4))
	require.Zero(t, m.TryPut(9))
	require.Equal(t, 1, woken)
	out := make([]int, 3)
	require.Equal(t, 3, m.Take(out))
	require.Equal(t, []int{0, 1, 2}, out)
	require.Equal(t, 3, m.TryPut(4, 5, 6))
	require.Equal(t, 3, m.Take(out))
	require.Equal(t, []int{3, 4, 5}, out)
	require.Equal(t, 1, m.Take(out))
	require.Equal(t, 6, out[0])
	require.Zero(t, m.Take(out))
}

func TestAMailboxGrowsToItsLimit(t *testing.T) {
	m := NewMailbox[int](1000, func() {})
	put, taken := 0, 0
	out := make([]int, 7)
	for m.TryPut(put, put+1) == 2 {
		put += 2
		if put%6 == 0 && taken < 100 {
			k := m.Take(out[:1])
			require.Equal(t, taken, out[0])
			taken += k
		}
	}
	require.GreaterOrEqual(t, m.Len(), 999)
	for k := m.Take(out); k > 0; k = m.Take(out) {
		for _, v := range out[:k] {
			require.Equal(t, taken, v)
			taken++
		}
	}
	require.Equal(t, 0, m.Len())
}

func TestPutWaitsForRoomAndForTheEnd(t *testing.T) {
	m := NewMailbox[int](2, func() {})
	const n = 1000
	done := make(chan int)
	go func() {
		total := 0
		for i := range n {
			total += m.Put(i)
		}
		done <- total
		done <- m.Put(1, 2, 3)
	}()
	var out [3]int
	for want := 0; want < n; {
		k := m.Take(out[:])
		for _, v := range out[:k] {
			require.Equal(t, want, v)
			want++
		}
	}
	require.Equal(t, n, <-done)
	require.Eventually(t, func() bool { return m.Len() == 2 }, 5*time.Second, time.Millisecond)
	m.Close()
	require.Equal(t, 2, <-done, "the rest is refused")
	require.Zero(t, m.TryPut(1))
	require.Equal(t, 2, m.Take(out[:]), "what was in stays")
}

func TestHandingOverCostsNoAllocation(t *testing.T) {
	m := NewMailbox[*int](64, func() {})
	items, out := make([]*int, 16), make([]*int, 16)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.Put(items...)
		m.Take(out)
	}))
}

func BenchmarkDo(b *testing.B) {
	for name, pause := range map[string]time.Duration{"awake": 0, "asleep": 200 * time.Microsecond} {
		b.Run(name, func(b *testing.B) {
			l := New()
			start(b, l)
			var spent time.Duration
			for b.Loop() {
				time.Sleep(pause)
				t := time.Now()
				if err := l.Do(func() {}); err != nil {
					b.Fatal(err)
				}
				spent += time.Since(t)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/call")
		})
	}
}
