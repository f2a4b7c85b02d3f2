package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
)

// umlRace measures two guests of User Mode Linux with an adapter of ours each, on one
// cable, against two whose kernels' own vector devices share a socket pair.
func umlRace(o *Options) ([]Result, error) {
	programs, err := lab.Find(lab.Choice{On: lab.UML})
	if err != nil {
		return nil, err
	}
	racers := []racer{
		{"ours", func(ctx context.Context) (map[string]float64, error) { return raceOverCable(ctx, programs) }},
		{"vector", func(ctx context.Context) (map[string]float64, error) { return raceOverSockets(ctx, programs) }},
	}
	return race(o, racers, []discipline{
		{name: "tcp1", unit: "Gbit/s", scale: 1e-9}, {name: "tcp4", unit: "Gbit/s", scale: 1e-9},
		{name: "rtt", unit: "us", scale: 1, less: true},
	})
}

// twins are two machines whose eth0 reach each other, with folders of their own in dir.
func twins(programs lab.Programs, dir string, nics []lab.NIC) ([2]lab.Machine, error) {
	var ms [2]lab.Machine
	for i := range ms {
		m := &ms[i]
		*m = lab.Machine{On: lab.UML, Programs: programs, Dir: filepath.Join(dir, nics[i].ID)}
		if err := os.Mkdir(m.Dir, 0o700); err != nil {
			return ms, err
		}
		m.Setup.NICs = []agent.NIC{{MAC: lab.MACText(nics[i].MAC), Name: "eth0", Addrs: []string{fmt.Sprintf("192.0.2.%d/29", i+1)}}}
		m.Setup.Env = []string{"LOCAL_V4=192.0.2.1", "REMOTE_V4=192.0.2.2"}
	}
	return ms, nil
}

// raceOverCable measures between guests with an adapter of ours each.
func raceOverCable(ctx context.Context, programs lab.Programs) (_ map[string]float64, err error) {
	nics, err := lab.ParseNICs(nil)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nicsim-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ms, err := twins(programs, dir, nics)
	if err != nil {
		return nil, err
	}
	rig, err := lab.NewRig(lab.RigConfig{NICs: nics, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	slots, err := rig.Serve(lab.UML, dir)
	if err != nil {
		return nil, err
	}
	if err := rig.Start(); err != nil {
		return nil, err
	}
	for i := range ms {
		ms[i].Slots = slots[i : i+1]
	}
	return measureBetween(ctx, &ms)
}

// raceOverSockets measures between guests whose kernels have vector devices, at their
// best: many packets in a system call, and merged where they arrive.
func raceOverSockets(ctx context.Context, programs lab.Programs) (map[string]float64, error) {
	nics, err := lab.ParseNICs(nil)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nicsim-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ms, err := twins(programs, dir, nics)
	if err != nil {
		return nil, err
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	for i := range ms {
		f := os.NewFile(uintptr(fds[i]), "wire")
		defer f.Close()
		ms[i].Files = []*os.File{f}
		ms[i].Append = []string{fmt.Sprintf("vec0:transport=fd,fd=%d,depth=128,gro=1,mac=%s", lab.FirstFile, lab.MACText(nics[i].MAC))}
	}
	return measureBetween(ctx, &ms)
}

// measureBetween boots two machines and runs the script in the first one, with the
// second as its far end.
func measureBetween(ctx context.Context, ms *[2]lab.Machine) (map[string]float64, error) {
	far, err := ms[1].Start(ctx)
	if err != nil {
		return nil, err
	}
	defer far.Close()
	near, err := ms[0].Start(ctx)
	if err != nil {
		return nil, err
	}
	defer near.Close()
	ctx, cancel := context.WithCancel(ctx)
	serving := make(chan struct{})
	go func() {
		defer close(serving)
		far.Run(ctx, agent.Command{Args: []string{"iperf3", "-s"}}, lab.IO{})
	}()
	defer func() { cancel(); <-serving }()
	return measure(ctx, near)
}
