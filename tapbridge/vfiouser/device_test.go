//go:build linux

package vfiouser

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/live"
)

// copier is a device that copies memory: software writes where from, where to and how
// much, and at last to the doorbell; then it raises vector 1, or its pin.
type copier struct {
	fn    *pci.Function
	regs  [64]uint32
	rings int
	keeps []byte // a slice that it keeps from step to step, as a ring
	epoch uint64
	resets,
	faults int
}

// Registers of a copier.
const (
	cpFrom  = 0x00 // 64 bits
	cpTo    = 0x08 // 64 bits
	cpBytes = 0x10
	cpBell  = 0x14
	cpLine  = 0x18 // sets the pin
	cpDone  = 0x1C // jobs done
	cpRing  = 0x20 // 64 bits: 32 bytes, of which the first 16 are a counter that it keeps
	cpRaise = 0x28 // raises a vector
	cpMany  = 0x2C // copies so many times in a step
)

const copierVectors = 70

func newCopier(t testing.TB) *copier {
	d := &copier{}
	fn, err := pci.New(
		pci.ID{Vendor: 0x1AF4, Device: 0x1234, Class: 0x020000, Pin: 1},
		[]pci.BAR{
			{Index: 0, Bytes: 4096, Wide: true, Region: d},
			{Index: 2, Bytes: 32, IO: true},
			{Index: 4, Bytes: 8192},
		},
		pci.PM{At: 0x40}, pci.MSI{At: 0x50}, pci.MSIX{At: 0x70, Vectors: copierVectors, TableBAR: 4, PendingBAR: 4, PendingOff: 4096},
		pci.Express{At: 0xA0, DeviceCapabilities: 1 << 28},
	)
	require.NoError(t, err)
	d.fn = fn
	fn.OnReset(func(pci.Cause) {
		d.regs, d.rings, d.keeps, d.epoch = [64]uint32{}, 0, nil, 0
		d.resets++
	})
	return d
}

func (d *copier) Read32(off uint32) uint32 {
	if off/4 < uint32(len(d.regs)) {
		return d.regs[off/4]
	}
	return 0
}

func (d *copier) Write32(off, v uint32, lanes pci.Lanes) {
	if lanes != pci.AllLanes || off/4 >= uint32(len(d.regs)) {
		return
	}
	d.regs[off/4] = v
	switch off {
	case cpBell:
		d.rings++
	case cpLine:
		d.fn.SetLine(v != 0)
	case cpRaise:
		d.fn.Raise(int(v))
	}
}

func (d *copier) addr(off int) dma.Addr {
	return dma.Addr(d.regs[off/4]) | dma.Addr(d.regs[off/4+1])<<32
}

func (d *copier) Step(int) int {
	work := d.rings
	for ; d.rings > 0; d.rings-- {
		for range max(1, d.regs[cpMany/4]) {
			d.copyOnce()
		}
		d.count()
		d.regs[cpDone/4]++
		d.fn.Raise(1)
	}
	return work
}

func (d *copier) copyOnce() {
	n := int(d.regs[cpBytes/4])
	from := d.fn.Memory.Bytes(d.addr(cpFrom), n, dma.Read)
	to := d.fn.Memory.Bytes(d.addr(cpTo), n, dma.Write)
	if from == nil || to == nil || !d.fn.BusMaster() {
		d.faults++
		return
	}
	copy(to, from)
}

func (d *copier) count() {
	at := d.addr(cpRing)
	if at == 0 {
		return
	}
	if d.keeps == nil || d.epoch != d.fn.Memory.Changes() {
		d.keeps, d.epoch = d.fn.Memory.Bytes(at, 32, dma.Read|dma.Write), d.fn.Memory.Changes()
	}
	if d.keeps == nil {
		d.faults++
		return
	}
	le.PutUint32(d.keeps, le.Uint32(d.keeps)+1)
}

// logbook is what a host logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// rig is a host on a running loop with some served devices.
type rig struct {
	t    testing.TB
	loop *live.Loop
	host *guest.Host
	log  *logbook
	dir  string
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, loop: live.New(), log: &logbook{}}
	var err error
	r.dir, err = os.MkdirTemp("", "vfiouser") // short, for a socket's path
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(r.dir) })
	r.host = guest.NewHost(r.loop.Wake, slog.New(slog.NewTextHandler(r.log, nil)))
	r.loop.Sim.Add(r.host)
	r.loop.AddSleeper(r.host)
	return r
}

// run turns the loop to the end of the test.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.loop.Run(ctx) })
	r.t.Cleanup(func() {
		cancel()
		wg.Wait()
		r.host.Close()
	})
}

// serve adds a copier and returns its socket.
func (r *rig) serve(name string) (*copier, string) {
	d := newCopier(r.t)
	path := filepath.Join(r.dir, name)
	_, err := Serve(r.host, Config{Name: name, Path: path, Function: d.fn})
	require.NoError(r.t, err)
	r.host.Add(d)
	return d, path
}

// do runs f between two turns of the loop.
func (r *rig) do(f func()) { require.NoError(r.t, r.loop.Do(f)) }

// logged waits for the log to tell of something.
func (r *rig) logged(want string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.log.String(), want) }, patience, 1e6, "the log does not tell %q:\n%v", want, r.log)
}

// faults says how often the device could not reach memory.
func (r *rig) faults(d *copier, want int) {
	r.t.Helper()
	var got int
	r.do(func() { got = d.faults })
	require.Equal(r.t, want, got)
}

// rigged is a rig with one client of one copier.
func rigged(t testing.TB) (*rig, *copier, *client) {
	r := newRig(t)
	d, path := r.serve("nic0")
	r.run()
	return r, d, connect(t, path)
}

// job makes the device copy, and waits for its interrupt.
func (c *client) job(from, to uint64, n uint32) {
	c.write32(0, cpFrom, uint32(from))
	c.write32(0, cpFrom+4, uint32(from>>32))
	c.write32(0, cpTo, uint32(to))
	c.write32(0, cpTo+4, uint32(to>>32))
	c.write32(0, cpBytes, n)
	c.post(0, cpBell, 1)
}

// done waits until the device has done n jobs.
func (c *client) done(n uint32) {
	c.t.Helper()
	for range 100000 {
		if c.read32(0, cpDone) == n {
			return
		}
	}
	require.FailNow(c.t, fmt.Sprintf("%d jobs were not done", n))
}
