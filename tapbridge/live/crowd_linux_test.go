package live

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/sim"
)

// A guest that waits for an answer, as for that of a register read, keeps its processor busy
// meanwhile. If it is the loop's too, the host must not let it do so for its whole slice
// each time.
func TestWhoWaitsBusilyOnTheLoopsProcessorIsAnsweredSoon(t *testing.T) {
	const rounds = 100
	var mine unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &mine))
	var one unix.CPUSet
	for cpu := range 1024 {
		if mine.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	// A thread whose goroutine ends with it locked ends too, and its affinity with it.
	pinned := func(f func()) (done chan struct{}) {
		done = make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				t.Error(err)
				return
			}
			f()
		}()
		return done
	}

	l := New()
	var asked, answered atomic.Int64
	l.AddSleeper(counted{&answered})
	l.Sim.Add(sim.StepFunc(func(int) int {
		n := asked.Load() - answered.Load()
		answered.Add(n)
		return int(n)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := pinned(func() { l.Run(ctx) })
	asleep(t, l)

	best := time.Hour // the host may be busy with others as well
	for range 5 {
		<-pinned(func() {
			begin := time.Now()
			for range rounds {
				n := asked.Add(1)
				l.Wake()
				for answered.Load() != n {
				}
			}
			best = min(best, time.Since(begin))
		})
	}
	cancel()
	<-ended
	t.Logf("%v a round", best/rounds)
	require.Less(t, best/rounds, time.Millisecond)
}

// counted is a part that only says how many answers there are.
type counted struct{ n *atomic.Int64 }

func (counted) Rest(*Rest)     {}
func (counted) Awake()         {}
func (c counted) Answers() int { return int(c.n.Load()) }
