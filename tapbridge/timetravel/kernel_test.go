//go:build linux

package timetravel

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	_ "nicsim.dev/nicsim/i82599"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/scenarios/need"
	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/pair"
	"nicsim.dev/tapbridge/umlpci"
)

// kernelEnv names a kernel for User Mode Linux with time travel and the bus over
// virtio, as the lab builds it.
const kernelEnv = "NICSIM_UML"

// guestInit sleeps and pings from one namespace to another, across the cable.
const guestInit = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs none /run
ip addr add 10.0.0.1/24 dev eth0
ip netns add b && ip link set eth1 netns b
ip link set eth0 up
ip netns exec b ip addr add 10.0.0.2/24 dev eth1
ip netns exec b ip link set eth1 up
echo BEFORE $(cat /proc/uptime)
sleep 100
echo AFTER $(cat /proc/uptime)
ping -c 1 10.0.0.2 >/dev/null
ping -c 5 -i 0.2 10.0.0.2
dmesg | grep -i -e warn -e error
/usr/sbin/poweroff -f
`

// An unmodified kernel with its own driver sleeps for 100 seconds at once, and finds
// that a ping takes what the cable does, to the microsecond.
func TestKernelTravels(t *testing.T) {
	need.Test(t, "ip", "ping", "poweroff")
	kernel := os.Getenv(kernelEnv)
	if kernel == "" {
		t.Skipf("needs a kernel: %s names none", kernelEnv)
	}
	dir, err := os.MkdirTemp("/dev/shm", "nicsim")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	init := filepath.Join(t.TempDir(), "init") // the guest has its own /dev
	require.NoError(t, os.WriteFile(init, []byte(guestInit), 0o700))

	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := New(Config{Path: filepath.Join(dir, "time.sock"), Guests: 1, Epoch: epoch}, log)
	require.NoError(t, err)
	model, err := nicsim.Find("82599")
	require.NoError(t, err)
	host := guest.NewHost(s.Wake, log)
	args := []string{
		"mem=256M", "rootfstype=hostfs", "rw", "init=" + init, "con=null", "con0=null,fd:1", "uml_dir=" + dir,
		"time-travel=ext:1:" + filepath.Join(dir, "time.sock"), "loglevel=4",
	}
	pool := new(nicsim.Pool)
	var ports []nicsim.Port
	for i := range 2 {
		d, err := model.New(nicsim.Config{Name: fmt.Sprint("n", i), MAC: [6]byte{2, 5: byte(i)}, Clock: s.Sim.Clock, Pool: pool})
		require.NoError(t, err)
		host.Add(d)
		ports = append(ports, d.Port())
		path := filepath.Join(dir, fmt.Sprintf("pci%d.sock", i))
		_, err = umlpci.Serve(host, umlpci.Config{Name: fmt.Sprint("n", i), Path: path, Function: d.Functions()[0], Ordered: true})
		require.NoError(t, err)
		args = append(args, "virtio_uml.device="+path+":1234")
	}
	delay := pair.Impairment{Delay: 3 * sim.Millisecond}
	cable, err := pair.New(s.Sim.Clock, pool, ports[0], ports[1], delay, delay, 1)
	require.NoError(t, err)
	s.Sim.Add(cable, host)
	s.Attend(host)
	s.Guard = host.Guard

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	ended := make(chan struct{})
	go func() { s.Run(ctx); host.Close(); close(ended) }()
	var out bytes.Buffer
	c := exec.CommandContext(ctx, kernel, args...)
	c.Stdout, c.Stderr = &out, &out
	c.Env = append(os.Environ(), "TMPDIR="+dir)
	begin := time.Now()
	require.NoError(t, c.Run(), "%s", &out)
	took := time.Since(begin)
	cancel()
	<-ended
	t.Logf("%v for %v\n%s", took, s.Sim.Clock.Now(), &out)
	require.Greater(t, s.Sim.Clock.Now(), 100*sim.Second)
	require.Len(t, regexp.MustCompile(`time=6\.00 ms`).FindAllString(out.String(), -1), 5)
	// The guest's clock has a resolution of its own.
	require.Regexp(t, `= (6\.000|5\.999)/(6\.000|5\.999)/6\.00[01]/0\.00[01] ms`, out.String())
}
