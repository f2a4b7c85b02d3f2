//go:build linux

package vfiouser

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/dma"
)

func procFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func openFDs(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

func mappings(t testing.TB) int {
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return bytes.Count(maps, []byte("memfd:guest"))
}

func TestSocketIsTheUsersOwn(t *testing.T) {
	r := newRig(t)
	_, path := r.serve("nic0")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600)|fs.ModeSocket, info.Mode())
	r.host.Close()
	require.NoFileExists(t, path)
}

func TestServeNeedsAFunction(t *testing.T) {
	_, err := Serve(newRig(t).host, Config{Name: "nic0", Path: "x"})
	require.ErrorContains(t, err, "no function")
}

// A client that comes again finds the device as after power-on, and nothing of the
// last one is left: neither descriptors nor mappings.
func TestReconnect(t *testing.T) {
	r := newRig(t)
	d, path := r.serve("nic0")
	r.run()
	var fds, maps int
	for i := range 110 {
		c := connect(t, path)
		c.master()
		mem, fd := sharedMemory(t, 1<<16)
		c.must(cmdDMAMap, put(&dmaMap{32, 3, 0, 0x10000, 1 << 16}, 32), fd)
		events := eventFDs(t, 8, unix.EFD_NONBLOCK)
		c.assign(irqMSIX, 0, events...)
		c.assign(irqINTx, 0, events[0])
		c.msix()
		require.Zero(t, c.read32(0, cpDone), "connection %d", i)
		copy(mem, "payload")
		c.job(0x10000, 0x18000, 7)
		fired(t, events[1])
		require.Equal(t, "payload", string(mem[0x8000:][:7]))
		if i%2 == 0 {
			c.raw([]byte{1, 2, 3}) // goes amid a message
		}
		c.conn.Close()
		unix.Munmap(mem)
		unix.Close(fd)
		for _, e := range events {
			unix.Close(e)
		}
		if i == 9 {
			r.gone(d)
			fds, maps = openFDs(t), mappings(t)
		}
	}
	r.gone(d)
	require.LessOrEqual(t, openFDs(t), fds)
	require.Equal(t, maps, mappings(t))
	r.do(func() {
		require.Equal(t, 110, d.resets)
		require.Nil(t, d.fn.Memory.Bytes(0x10000, 4, dma.Read))
		require.False(t, d.fn.BusMaster())
	})
}

// gone waits until the device has no client.
func (r *rig) gone(d *copier) {
	require.Eventually(r.t, func() bool {
		gone := false
		r.do(func() { gone = d.fn.Memory.Bytes(0x10000, 4, dma.Read) == nil })
		return gone
	}, patience, time.Millisecond)
}

func TestOneClientAtATime(t *testing.T) {
	r, _, c := rigged(t)
	second := dial(t, c.conn.RemoteAddr().String())
	second.ended()
	r.logged("turned away")
	c.must(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16))
}

// Memory that a client takes back from under the device ends its session; the process,
// the other client and the device live on.
func TestVanishedMemory(t *testing.T) {
	r := newRig(t)
	d, path := r.serve("nic0")
	_, other := r.serve("nic1")
	r.run()
	bystander := connect(t, other)
	for range 3 {
		c := connect(t, path)
		c.master()
		mem, fd := c.memory(0x10000, 1<<16)
		c.write32(0, cpRing, 0x1F000)
		copy(mem, "payload")
		c.job(0x10000, 0x18000, 7)
		c.done(1)
		require.NoError(t, unix.Ftruncate(fd, 0))
		c.post(0, cpBell, 1)
		c.ended()
		r.logged("which it had shared, is gone")
		bystander.must(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16))
	}
	c := connect(t, path)
	c.master()
	mem, _ := c.memory(0x10000, 1<<16)
	copy(mem, "payload")
	c.job(0x10000, 0x18000, 7)
	c.done(1)
	require.Equal(t, "payload", string(mem[0x8000:][:7]))
	r.do(func() { require.Equal(t, 3, d.resets) })
}
