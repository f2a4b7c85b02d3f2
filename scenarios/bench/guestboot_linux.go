package bench

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"nicsim.dev/scenarios"
	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/scenarios/report"
)

// What a guest of User Mode Linux may take.
const (
	firstPingLimitSeconds = 2
	scenarioLimitSeconds  = 3
	readLimitMicroseconds = 5
	// bootRounds is how often a guest is booted.
	bootRounds = 5
	// bootScenario boots a guest and looks at what the driver made of the adapter.
	bootScenario = "30-linux/10-probe"
)

// readsScript prints how many microseconds a register read takes the guest's driver.
//
//go:embed reads.sh
var readsScript string

// umlBoot measures how soon a guest is of use: from power-on to the first reply to a
// ping, a whole scenario, and a register read while the driver is busy with them. The
// references are limits.
func umlBoot(ctx context.Context, o *Options) ([]Result, error) {
	programs, err := lab.Find(lab.Choice{On: lab.UML})
	if err != nil {
		return nil, err
	}
	var pings, reads, whole []float64
	for range bootRounds {
		fmt.Fprint(o.Progress, ".")
		timed, cancel := context.WithTimeout(ctx, raceTimeout)
		ping, read, err := bootAndPing(timed, programs)
		cancel()
		if err != nil {
			return nil, err
		}
		took, err := timeScenario(ctx, bootScenario)
		if err != nil {
			return nil, err
		}
		pings, reads, whole = append(pings, ping), append(reads, read), append(whole, took)
	}
	limit := func(name, unit string, values []float64, at float64) Result {
		v := median(values)
		return Result{Name: name, Value: v, Unit: unit, Reference: at, Ratio: at / v, Against: "the limit"}
	}
	return []Result{
		limit("ping", "s", pings, firstPingLimitSeconds),
		limit("scenario", "s", whole, scenarioLimitSeconds),
		limit("read", "us", reads, readLimitMicroseconds),
	}, nil
}

// bootAndPing returns the seconds from power-on to the first reply, and the
// microseconds of a register read.
func bootAndPing(ctx context.Context, programs lab.Programs) (ping, read float64, err error) {
	nics, err := lab.ParseNICs(nil)
	if err != nil {
		return 0, 0, err
	}
	m := lab.Machine{On: lab.UML, Programs: programs}
	if m.Dir, err = os.MkdirTemp("", "nicsim-"); err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(m.Dir)
	start := time.Now()
	rig, err := lab.NewRig(lab.RigConfig{NICs: nics, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	if m.Slots, err = rig.Serve(lab.UML, m.Dir); err != nil {
		return 0, 0, err
	}
	if err := rig.Start(); err != nil {
		return 0, 0, err
	}
	m.Setup.NICs, m.Setup.Env = lab.Present(nics)
	g, err := m.Start(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer g.Close()
	code, err := g.Run(ctx, agent.Command{Args: []string{"sh", "-c", `exec ping -q -c 1 -W 5 "$REMOTE_V4"`}}, lab.IO{})
	ping = time.Since(start).Seconds()
	if err == nil && code != 0 {
		err = errors.New("nobody answered the ping")
	}
	if err != nil {
		return 0, 0, err
	}
	var out bytes.Buffer
	code, err = g.Run(ctx, agent.Command{Args: []string{"sh", "-c", readsScript}}, lab.IO{Stdout: &out})
	if err == nil && code != 0 {
		err = fmt.Errorf("reading registers: exit code %d", code)
	}
	if err != nil {
		return 0, 0, err
	}
	values, err := figures(&out)
	return ping, values["read"], err
}

// timeScenario runs a scenario as "nicsim run" does, and returns its seconds.
func timeScenario(ctx context.Context, name string) (float64, error) {
	rep, err := report.New("ktap", io.Discard, report.Style{})
	if err != nil {
		return 0, err
	}
	scripts, err := scenarios.Load(name)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	totals := scenarios.Run(ctx, scripts, scenarios.Options{Seed: scenarios.DefaultSeed, On: string(lab.UML)}, rep)
	took := time.Since(start).Seconds()
	if totals.ExitCode() != report.ExitPass {
		return 0, fmt.Errorf("%s does not pass: nicsim run shows why", name)
	}
	return took, nil
}
