package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/scenarios"
	"nicsim.dev/scenarios/report"
)

// What is not to be exceeded.
const (
	memoryLimitMiB    = 16
	suiteLimitSeconds = 20
)

const configuredQueues = 128

// memory is the heap that an adapter with 128 transmit and 128 receive queues
// configured and nothing to do holds. Guest memory is not counted: it is the
// driver's. The reference is the limit of 16 MiB.
func memory(o *Options) (Result, error) {
	const ringBytes = 64 * descriptorBytes
	guest, pool := make([]byte, 2*configuredQueues*ringBytes), new(nicsim.Pool)
	before := heap()
	a, err := newAdapter(sim.NewVirtual(), pool, "a", macA, guest)
	if err != nil {
		return Result{}, err
	}
	for i := range configuredQueues {
		a.transmitRing(i, uint32(i*ringBytes), ringBytes/descriptorBytes)
		a.receiveRing(i, uint32((configuredQueues+i)*ringBytes), ringBytes/descriptorBytes, oneBuffer)
	}
	a.write("RXCTRL", 0, 1)
	a.dev.Step(sim.StepBudget)
	fmt.Fprint(o.Progress, ".")
	mib := float64(heap()-before) / (1 << 20)
	on := a.fn.Read32(0, a.offset("RXDCTL", configuredQueues-1)) & a.fn.Read32(0, a.offset("TXDCTL", configuredQueues-1))
	runtime.KeepAlive(guest)
	switch {
	case a.err != nil:
		return Result{}, a.err
	case on&queueEnable == 0:
		return Result{}, fmt.Errorf("queue %d did not come up", configuredQueues-1)
	}
	return Result{Value: mib, Unit: "MiB", Reference: memoryLimitMiB, Ratio: memoryLimitMiB / mib}, nil
}

// heap returns the bytes in use once garbage is gone.
func heap() int64 {
	var m runtime.MemStats
	for range 2 { // the second collects what finalizers let go
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// suite is how long scenarios without guests take, all the bundled ones or those
// that are named, as "nicsim run" runs them. The reference is the limit of 20 seconds.
func suite(names ...string) func(*Options) (Result, error) {
	return func(o *Options) (Result, error) {
		rep, err := report.New("ktap", io.Discard, report.Style{})
		if err != nil {
			return Result{}, err
		}
		scripts, err := scenarios.Load(names...)
		if err != nil {
			return Result{}, err
		}
		scripts = slices.DeleteFunc(scripts, func(s scenarios.Script) bool { return s.Guests() != nil })
		fmt.Fprint(o.Progress, ".")
		start := time.Now()
		totals := scenarios.Run(context.Background(), scripts, scenarios.Options{Seed: scenarios.DefaultSeed}, rep)
		took := time.Since(start).Seconds()
		if totals.ExitCode() == report.ExitFail {
			return Result{}, errors.New("the suite fails: nicsim run shows where")
		}
		return Result{
			Value: took, Unit: "s", Reference: suiteLimitSeconds, Ratio: suiteLimitSeconds / took,
			Note: fmt.Sprintf("%d scenarios", len(scripts)),
		}, nil
	}
}
