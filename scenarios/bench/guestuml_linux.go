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
func umlRace(ctx context.Context, o *Options) ([]Result, error) {
	programs, err := lab.Find(lab.Choice{On: lab.UML})
	if err != nil {
		return nil, err
	}
	racers := []racer{
		{"ours", func(ctx context.Context) (map[string]float64, error) { return raceOver(ctx, programs, cable) }},
		{"vector", func(ctx context.Context) (map[string]float64, error) { return raceOver(ctx, programs, sockets) }},
	}
	return race(ctx, o, racers, []discipline{
		{name: "tcp1", unit: "Gbit/s", scale: 1e-9}, {name: "tcp4", unit: "Gbit/s", scale: 1e-9},
		{name: "rtt", unit: "us", scale: 1, less: true},
	})
}

// wire joins two machines, and returns what takes the wire away.
type wire func(dir string, nics []lab.NIC, ms *[2]lab.Machine) (remove func() error, err error)

// raceOver measures between two machines that a wire joins: it boots both and runs the
// script in the first one, with the second as its far end.
func raceOver(ctx context.Context, programs lab.Programs, join wire) (_ map[string]float64, err error) {
	nics, err := lab.ParseNICs(nil)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nicsim-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var ms [2]lab.Machine
	for i := range ms {
		m := &ms[i]
		*m = lab.Machine{On: lab.UML, Programs: programs, Dir: filepath.Join(dir, nics[i].ID)}
		if err := os.Mkdir(m.Dir, 0o700); err != nil {
			return nil, err
		}
		m.Setup.NICs = []agent.NIC{{MAC: lab.MACText(nics[i].MAC), Name: "eth0", Addrs: []string{fmt.Sprintf("192.0.2.%d/29", i+1)}}}
		m.Setup.Env = []string{"LOCAL_V4=192.0.2.1", "REMOTE_V4=192.0.2.2"}
	}
	remove, err := join(dir, nics, &ms)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
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

// cable gives each machine an adapter of ours, on one cable.
func cable(dir string, nics []lab.NIC, ms *[2]lab.Machine) (func() error, error) {
	rig, err := lab.NewRig(lab.RigConfig{NICs: nics, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	slots, err := rig.Serve(lab.UML, dir)
	if err == nil {
		err = rig.Start()
	}
	if err != nil {
		return nil, errors.Join(err, rig.Close())
	}
	for i := range ms {
		ms[i].Slots = slots[i : i+1]
	}
	return rig.Close, nil
}

// sockets gives each kernel a vector device, at its best: many packets in a system
// call, and merged where they arrive.
func sockets(_ string, nics []lab.NIC, ms *[2]lab.Machine) (func() error, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	for i := range ms {
		ms[i].Files = []*os.File{os.NewFile(uintptr(fds[i]), "wire")}
		ms[i].Append = []string{fmt.Sprintf("vec0:transport=fd,fd=%d,depth=128,gro=1,mac=%s", lab.FirstFile, lab.MACText(nics[i].MAC))}
	}
	return func() error { return errors.Join(ms[0].Files[0].Close(), ms[1].Files[0].Close()) }, nil
}
