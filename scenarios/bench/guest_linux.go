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
	"strconv"
	"strings"
	"time"

	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
)

var guestBenchmarks = []benchmark{
	{name: "guest", many: qemuRace, long: true},
	{name: "guest-uml", many: umlRace, long: true},
	{name: "guest-boot", many: umlBoot, long: true},
}

const (
	// guestRounds is how often each kind of adapter has its turn: boots of the same
	// guest differ by a third.
	guestRounds = 3
	// raceTimeout bounds the measurements in one guest.
	raceTimeout = 3 * time.Minute
)

// raceScript measures in a guest, and prints a name and a number a line.
//
//go:embed race.sh
var raceScript string

// racer is a kind of adapter that is measured.
type racer struct {
	name string
	run  func(ctx context.Context) (map[string]float64, error)
}

// discipline is one of the things that are measured.
type discipline struct {
	name, unit string
	scale      float64
	less       bool // is better
}

// race lets racers run in turn, ours first, and holds ours against the best of the
// others in each discipline.
func race(ctx context.Context, o *Options, racers []racer, disciplines []discipline) ([]Result, error) {
	got := map[string]map[string][]float64{} // discipline, racer
	for _, d := range disciplines {
		got[d.name] = map[string][]float64{}
	}
	for range guestRounds {
		for _, r := range racers {
			fmt.Fprintf(o.Progress, "%s ", r.name)
			timed, cancel := context.WithTimeout(ctx, raceTimeout)
			values, err := r.run(timed)
			cancel()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			for _, d := range disciplines {
				v, ok := values[d.name]
				if !ok {
					return nil, fmt.Errorf("%s: no figure for %s", r.name, d.name)
				}
				got[d.name][r.name] = append(got[d.name][r.name], v*d.scale)
			}
		}
	}
	var results []Result
	for _, d := range disciplines {
		results = append(results, d.judge(racers, got[d.name]))
	}
	return results, nil
}

// judge makes a result of the rounds of one discipline.
func (d *discipline) judge(racers []racer, rounds map[string][]float64) Result {
	r := Result{Name: d.name, Unit: d.unit, Value: median(rounds[racers[0].name])}
	var all []string
	for _, other := range racers[1:] {
		m := median(rounds[other.name])
		all = append(all, fmt.Sprintf("%s %.3g", other.name, m))
		if better := m > r.Reference != d.less; r.Against == "" || better {
			r.Reference, r.Against = m, other.name
		}
	}
	r.Ratio = r.Value / r.Reference
	if d.less {
		r.Ratio = r.Reference / r.Value
	}
	r.Note = strings.Join(all, ", ")
	return r
}

// qemuRace measures two adapters of ours in a guest of QEMU against two of each kind
// that QEMU has, joined by a hub.
func qemuRace(ctx context.Context, o *Options) ([]Result, error) {
	programs, err := lab.Find(lab.Choice{On: lab.QEMU})
	if err != nil {
		return nil, err
	}
	racers := []racer{{"ours", func(ctx context.Context) (map[string]float64, error) { return raceInQEMU(ctx, programs, "") }}}
	for _, device := range []string{"igb", "e1000e", "vmxnet3"} {
		racers = append(racers, racer{device, func(ctx context.Context) (map[string]float64, error) {
			return raceInQEMU(ctx, programs, device)
		}})
	}
	return race(ctx, o, racers, []discipline{
		{name: "tcp1", unit: "Gbit/s", scale: 1e-9}, {name: "tcp4", unit: "Gbit/s", scale: 1e-9},
		{name: "pktgen", unit: "kpps", scale: 1e-3}, {name: "rtt", unit: "us", scale: 1, less: true},
	})
}

// raceMemoryMiB is what the guests have.
const raceMemoryMiB = 1024

// raceInQEMU boots a guest with two adapters of ours, or of one of QEMU's kinds, and
// measures.
func raceInQEMU(ctx context.Context, programs lab.Programs, device string) (_ map[string]float64, err error) {
	nics, err := lab.ParseNICs(nil)
	if err != nil {
		return nil, err
	}
	m := lab.Machine{On: lab.QEMU, Programs: programs, CPUs: 2, MemoryMiB: raceMemoryMiB}
	if m.Dir, err = os.MkdirTemp("", "nicsim-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(m.Dir)
	if device == "" {
		rig, err := lab.NewRig(lab.RigConfig{NICs: nics, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, rig.Close()) }()
		if m.Slots, err = rig.Serve(lab.QEMU, m.Dir); err != nil {
			return nil, err
		}
		if err := rig.Start(); err != nil {
			return nil, err
		}
	} else {
		m.Devices = hubbed(device, nics)
	}
	m.Setup.NICs, m.Setup.Env = lab.Present(nics)
	return measureIn(ctx, &m)
}

// hubbed are QEMU's arguments for adapters of its own on a hub. Each is behind a root
// port, because igb takes the numbers behind its own for virtual functions.
func hubbed(device string, nics []lab.NIC) (args []string) {
	for i, n := range nics {
		args = append(args,
			"-netdev", fmt.Sprintf("hubport,id=hub%d,hubid=0", i),
			"-device", fmt.Sprintf("pcie-root-port,id=hubport%d,bus=pcie.0,addr=%#x,chassis=%d,slot=%d", i, 8+i, i+1, i+1),
			"-device", fmt.Sprintf("%s,netdev=hub%d,bus=hubport%d,mac=%s", device, i, i, lab.MACText(n.MAC)))
	}
	return args
}

// measureIn boots a machine and runs the script there.
func measureIn(ctx context.Context, m *lab.Machine) (map[string]float64, error) {
	g, err := m.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	return measure(ctx, g)
}

// measure runs the script in a guest.
func measure(ctx context.Context, g *lab.Guest) (map[string]float64, error) {
	if len(g.Ready.Problems) > 0 {
		return nil, errors.New(strings.Join(g.Ready.Problems, "; "))
	}
	var out, log bytes.Buffer
	code, err := g.Run(ctx, agent.Command{Args: []string{"sh", "-s"}}, lab.IO{Stdin: strings.NewReader(raceScript), Stdout: &out, Stderr: &log})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d", code)
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s%s", err, out.String(), log.String())
	}
	return figures(&out)
}

// figures reads a name and a number a line.
func figures(r io.Reader) (map[string]float64, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, number, ok := strings.Cut(strings.TrimSpace(line), " ")
		v, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q is no figure", line)
		}
		values[name] = v
	}
	return values, nil
}
