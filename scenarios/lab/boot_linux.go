package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"nicsim.dev/nicsim"
	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/tapbridge/capture"
)

// Exit codes of Boot besides the command's own.
const (
	ExitPanic = 255 // as virtme-ng has it
	ExitHang  = 124 // as timeout(1) has it
)

// BootOptions is a guest, and a command for it.
type BootOptions struct {
	Machine  Machine
	NICs     []NIC
	Seed     uint64
	ShowKeys bool
	Command  []string
	Timeout  time.Duration // for the command; 0 for none
	Capture  string        // a pcapng of every wire and queue; none without
	Streams  IO
	// Terminal is the size of the terminal that the command gets, nil for none.
	Terminal *agent.Size
	Log      *slog.Logger
}

// Boot boots a guest with adapters, runs a command in it and returns its exit code.
// Without a command there is a shell.
func Boot(ctx context.Context, o BootOptions) (code int, err error) {
	dir, err := os.MkdirTemp(runtimeDir(), "nicsim-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	cfg := RigConfig{NICs: o.NICs, Seed: o.Seed, ShowKeys: o.ShowKeys, Log: o.Log}
	if o.Capture != "" {
		tap, err := captureAll(o.Capture, o.NICs)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, tap.Close()) }()
		cfg.Probe = tap
	}
	rig, err := NewRig(cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	m := o.Machine
	m.Dir = dir
	if m.Slots, err = rig.Serve(m.On, dir); err != nil {
		return 0, err
	}
	if err := rig.Start(); err != nil {
		return 0, err
	}
	m.Setup.NICs, m.Setup.Env = Present(o.NICs)
	g, err := m.Start(ctx)
	if err != nil {
		return exitCode(err), err
	}
	defer g.Close()
	for _, p := range g.Ready.Problems {
		o.Log.Warn("the guest is not complete", "problem", p)
	}
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	here, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	command := agent.Command{Args: o.Command, Dir: here, Terminal: o.Terminal}
	if len(command.Args) == 0 {
		command.Args = []string{"/bin/sh", "-i"}
	}
	code, err = g.Run(ctx, command, o.Streams)
	if err != nil {
		return max(code, exitCode(err)), err
	}
	return code, nil
}

// exitCode is what a guest's end means.
func exitCode(err error) int {
	if _, ok := errors.AsType[*PanicError](err); ok {
		return ExitPanic
	}
	if _, ok := errors.AsType[*HangError](err); ok {
		return ExitHang
	}
	return 1
}

// runtimeDir is where sockets go: a path that is short enough for them.
func runtimeDir() string {
	if d := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		if _, err := os.Stat(d); err == nil {
			return d
		}
	}
	return os.TempDir()
}

func captureAll(path string, nics []NIC) (*capture.Tap, error) {
	file, err := capture.Create(path, capture.Section{App: "nicsim"})
	if err != nil {
		return nil, err
	}
	t := capture.NewTap(file, capture.TapConfig{EpochNS: time.Now().UnixNano()})
	for _, n := range nics {
		m, err := nicsim.Find(n.Model)
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		t.Describe(n.ID, m.Title, 0)
	}
	return t, nil
}

// remote is the network namespace of the peers, which drivers' tests call so too.
const remote = "remote"

// Present says how a guest shows its adapters: eth0, eth1 and so on, the second one
// on a cable in the namespace of the peers. The variables are those that the
// kernel's own tests of drivers read (tools/testing/selftests/drivers/net/README).
func Present(nics []NIC) (shown []agent.NIC, env []string) {
	at := map[string]int{}
	for i, n := range nics {
		at[n.ID] = i
	}
	for i, n := range nics {
		s := agent.NIC{MAC: MACText(n.MAC), Name: fmt.Sprintf("eth%d", i), Link: n.Peer != PeerNone}
		pair := i // the number of the pair of addresses is that of its first adapter
		host := 1
		if first, ok := at[n.With]; ok && n.Peer == PeerPair && first < i {
			pair, host, s.NetNS = first, 2, remote
		}
		s.Addrs = []string{fmt.Sprintf("192.0.2.%d/29", 8*pair+host), fmt.Sprintf("2001:db8:0:%d::%d/64", pair, host)}
		shown = append(shown, s)
	}
	if len(nics) > 0 {
		env = []string{"NETIF=eth0", "LOCAL_V4=192.0.2.1", "LOCAL_V6=2001:db8::1"}
		if nics[0].Peer == PeerPair {
			env = append(env, "REMOTE_V4=192.0.2.2", "REMOTE_V6=2001:db8::2", "REMOTE_TYPE=netns", "REMOTE_ARGS="+remote)
		}
	}
	return shown, env
}

// MACText is a MAC address as Linux writes it.
func MACText(m [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
