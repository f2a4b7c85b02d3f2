//go:build linux

package umlpci

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/live"
)

func TestOffersWhatTheKernelNeeds(t *testing.T) {
	c := newRig(t).connect()
	c.send(setOwner, flagVersion, nil)
	require.Equal(t, uint64Bytes(1<<30|1<<32), c.ask(getFeatures, nil))
	require.Equal(t, uint64Bytes(1<<3|1<<5|1<<9|1<<14), c.ask(getProtocolFeatures, nil))
	config := words(0, 4, 0, 0xDEADBEEF)
	require.Equal(t, words(0, 4, 0, 0), c.ask(getConfig, config))
}

func TestConfigurationSpace(t *testing.T) {
	c := newRig(t).connect().start()
	require.Equal(t, uint32(0x10FB8086), c.readConfig(0, 4))
	require.Equal(t, uint32(0x10FB), c.readConfig(2, 2))
	require.Equal(t, uint32(0x10), c.readConfig(3, 1))
	require.Len(t, c.call(configRead, 0, 8, 0, nil, 8), 8)
	c.writeConfig(0x04, 0x0006, 2)
	require.Equal(t, uint32(6), c.readConfig(0x04, 2))
	c.writeConfig(0x3C, 0x55, 1)
	require.Equal(t, uint32(0x55), c.readConfig(0x3C, 1))
}

func TestRegisters(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	require.Equal(t, ^uint32(0), c.read32(0, 8), "memory is not decoded yet")
	c.writeConfig(0x04, pci.CommandMemory, 2)
	r.regs.words[2], r.regs.words[3] = 0x11223344, 0x55667788
	require.Equal(t, uint32(0x11223344), c.read32(0, 8))
	require.Equal(t, []byte{0x33}, c.call(mmioRead, 0, 1, 9, nil, 1))
	require.Equal(t, []byte{0x22, 0x11}, c.call(mmioRead, 0, 2, 10, nil, 2))
	require.Equal(t, words(0x11223344, 0x55667788), c.call(mmioRead, 0, 8, 8, nil, 8))
	bulk := c.call(mmioRead, 0, 4096, 0, nil, 4096)
	require.Equal(t, words(0x11223344, 0x55667788), bulk[8:16])

	c.write32(0, 0x100, 0xCAFE)
	c.call(mmioWrite, 0, 1, 0x103, []byte{0xAA}, 0)
	c.call(mmioWrite, 0, 8, 0x108, words(1, 2), 0)
	require.Equal(t, []write{{0x100, 0xCAFE, pci.AllLanes}, {0x100, 0xAA000000, 8}, {0x108, 1, pci.AllLanes}, {0x10C, 2, pci.AllLanes}}, r.regs.writes)
}

// The kernel sends memset_io as a write of configuration space with a BAR's number.
func TestMemset(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.writeConfig(0x04, pci.CommandMemory, 2)
	data := []byte{0xA5, 1, 2, 3, 4, 5, 6, 7} // one byte and what was on the stack
	for _, m := range []struct {
		op, bar byte
		size    int
		off     uint64
	}{{configWrite, 0, 16, 0x200}, {configWrite, 0, 8, 0x2000}, {mmioMemset, 0, 4, 0x40}} {
		r.regs.writes = nil
		c.call(m.op, m.bar, m.size, m.off, data, 0)
		require.Len(t, r.regs.writes, m.size/4)
		for i, w := range r.regs.writes {
			require.Equal(t, write{uint32(m.off) + 4*uint32(i), 0xA5A5A5A5, pci.AllLanes}, w)
		}
	}
	c.call(configWrite, 4, 16, 0, data, 0) // the table of messages, in BAR 4
	require.Equal(t, uint32(0xA5A5A5A5), c.read32(4, 8))
}

// A command in one buffer, one cut at odd places, and one behind an indirect
// descriptor are the same.
func TestBuffersMayBeCutAnywhere(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.writeConfig(0x04, pci.CommandMemory, 2)
	h := append([]byte{mmioWrite, 0, 0, 0}, words(8, 0x20, 0, 0x01020304, 0x05060708)...)
	ring := &c.rings[commandRing]
	for _, cuts := range [][]int{{24}, {3, 14, 7}, {16, 1, 7}, {1, 22, 1}} {
		for _, indirect := range []bool{false, true} {
			r.regs.writes = nil
			at := c.alloc(len(h))
			copy(c.ram[at:], h)
			start := c.alloc(1024)
			for i, n := range cuts {
				flags := uint16(descriptorNext)
				if i == len(cuts)-1 {
					flags = 0
				}
				if indirect {
					d := c.ram[start+16*i:]
					le.PutUint64(d, guestBase+uint64(at))
					le.PutUint32(d[8:], uint32(n))
					le.PutUint16(d[12:], flags)
					le.PutUint16(d[14:], uint16(i+1))
				} else {
					ring.descriptor(100+i, guestBase+uint64(at), n, flags, uint16(101+i))
				}
				at += n
			}
			if indirect {
				ring.descriptor(100, guestBase+uint64(start), 16*len(cuts), descriptorIndirect, 0)
			}
			ring.post(100)
			r.host.Step(256)
			require.Equal(t, []write{{0x20, 0x01020304, pci.AllLanes}, {0x24, 0x05060708, pci.AllLanes}}, r.regs.writes, "%v %v", cuts, indirect)
			_, _, ok := ring.reap()
			require.True(t, ok)
		}
	}
}

func TestInterrupts(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.enableMessages()
	c.called()
	r.fn.Raise(3)
	r.fn.Raise(1)
	r.host.Step(256)
	require.Equal(t, []int{interruptRing}, c.called(), "one call for both")
	require.Equal(t, [][2]uint64{{message, 103}, {message, 101}}, c.interrupts(true))

	c.write32(4, 16*3+12, 1) // masked by the table, which is a register of the function
	r.fn.Raise(3)
	r.host.Step(256)
	require.Empty(t, c.interrupts(true))
	c.write32(4, 16*3+12, 0)
	require.Equal(t, [][2]uint64{{message, 103}}, c.interrupts(true))
}

// The guest has ten buffers for interrupts. The others wait, and go out in order
// when buffers come back, by a kick while the loop sleeps.
func TestInterruptsWaitForBuffers(t *testing.T) {
	for _, asleep := range []bool{false, true} {
		r := newRig(t)
		c := r.connect().start()
		c.enableMessages()
		r.host.Awake()
		r.host.Step(256)
		for i := range 25 {
			r.fn.Raise(i)
		}
		if asleep {
			r.host.Rest(new(live.Rest))
		}
		r.host.Step(256)
		var all [][2]uint64
		for len(all) < 25 {
			before := c.kicks
			got := c.interrupts(true)
			require.NotEmpty(t, got)
			require.LessOrEqual(t, len(got), interruptBuffers)
			all = append(all, got...)
			c.kick(interruptRing)
			require.Equal(t, asleep && len(all) < 25, c.kicks > before, "a kick while somebody waits for it")
			r.host.Step(256)
		}
		for i, m := range all {
			require.Equal(t, [2]uint64{message, uint64(100 + i)}, m)
		}
		require.Empty(t, c.interrupts(true))
	}
}

func TestPinInterrupt(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	r.fn.SetLine(true)
	r.fn.SetLine(false)
	r.fn.SetLine(true)
	require.Equal(t, [][2]uint64{{legacyPin, 2}, {legacyPin, 2}}, c.interrupts(false), "pin B")
	for range interruptBuffers {
		r.fn.SetLine(false)
		r.fn.SetLine(true)
	}
	require.Len(t, c.interrupts(false), interruptBuffers-2)
	c.postInterruptBuffer()
	r.host.Step(256)
	require.Equal(t, [][2]uint64{{legacyPin, 2}}, c.interrupts(false), "it is still asserted")
	r.fn.SetLine(false)
	r.fn.SetLine(true)
	r.fn.SetLine(false)
	c.postInterruptBuffer()
	r.host.Step(256)
	require.Empty(t, c.interrupts(false), "it no longer is")
}

func TestCallsObeyTheGuest(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.enableMessages()
	c.called()
	avail := c.rings[interruptRing].at(availOff)
	le.PutUint16(avail, availNoInterrupt)
	r.fn.Raise(0)
	r.host.Step(256)
	require.Empty(t, c.called())
	require.Len(t, c.interrupts(true), 1)
	le.PutUint16(c.rings[interruptRing].at(availOff), 0)
	r.fn.Raise(0)
	r.host.Step(256)
	require.Equal(t, []int{interruptRing}, c.called())
}

// Answered writes that an older guest has not reaped are brought to its attention; a
// guest that reuses its descriptors has reaped them.
func TestUnseenWritesAreCalledFor(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	r.host.Awake()
	r.host.Step(256)
	c.called()
	for range callEvery {
		c.command(mmioWrite, 0, 4, 0, words(1), 0)
		r.host.Step(256)
	}
	require.Equal(t, []int{commandRing}, c.called())
	for {
		if _, _, ok := c.rings[commandRing].reap(); !ok {
			break
		}
	}
	ring := &c.rings[commandRing]
	at := c.alloc(20)
	copy(c.ram[at:], append([]byte{mmioWrite, 0, 0, 0}, words(4, 0, 0, 1)...))
	for range 4 * callEvery {
		ring.descriptor(200, guestBase+uint64(at), 20, 0, 0)
		ring.post(200)
		r.host.Step(256)
		_, _, ok := ring.reap()
		require.True(t, ok)
	}
	require.Empty(t, c.called())
}

// While the loop is awake the guest need not kick; when it sleeps, every command
// comes with a kick, which is acknowledged when the command is done.
func TestKicksAreWantedWhileAsleep(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.readConfig(0, 4)
	require.Positive(t, c.kicks)
	r.host.Awake()
	r.host.Step(256)
	before := c.kicks
	for range 100 {
		c.readConfig(0, 4)
	}
	require.Equal(t, before, c.kicks)
	r.host.Rest(new(live.Rest))
	r.host.Step(256)
	pump := c.pump
	for range 10 {
		answer := c.command(configRead, 0, 4, 0, nil, 4)
		c.kick(commandRing)
		require.Equal(t, uint32(0x10FB8086), le.Uint32(answer))
		_, _, ok := c.rings[commandRing].reap()
		require.True(t, ok)
	}
	c.pump = pump
	require.Equal(t, before+10, c.kicks)
}

// On a live loop that goes to sleep between accesses none is lost.
func TestNoKickIsLost(t *testing.T) {
	regs, log := new(registers), new(reasons)
	fn := newFunction(t, regs)
	loop, c := liveRig(t, fn, log)
	defer loop()
	c.start()
	c.writeConfig(0x04, pci.CommandMemory, 2)
	for i := range 300 {
		off := uint64(i%100) * 4
		c.write32(0, off, uint32(i))
		require.Equal(t, uint32(i), c.read32(0, off))
		if i%3 == 0 {
			time.Sleep(time.Duration(i) * time.Microsecond)
		}
	}
	require.Positive(t, c.kicks)
}

func TestNewMemoryTableReplacesTheOld(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	require.NotNil(t, r.fn.Memory.Bytes(guestBase, ramBytes, dma.Write))
	// The same file elsewhere in the guest; rings stay at their user addresses.
	require.True(t, c.tell(setMemTable, table([4]uint64{0x5000_0000, ramBytes, userBase, ramOffset}), c.file))
	require.Nil(t, r.fn.Memory.Bytes(guestBase, 1, dma.Read))
	require.NotNil(t, r.fn.Memory.Bytes(0x5000_0000, ramBytes, dma.Write))
	require.True(t, c.tell(setMemTable, table(ramRegion), c.file))
	require.Equal(t, uint32(0x10FB8086), c.readConfig(0, 4))
	require.False(t, c.tell(setMemTable, table([4]uint64{guestBase, ramBytes, 0x1000, ramOffset}), c.file))
	require.Contains(t, r.cutOff(), "ring 0, which is enabled")
}

// The driver is unloaded and loaded again: rings stop and start on one connection.
func TestRingsStopAndStart(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	for range 3 {
		require.Equal(t, uint32(0x10FB8086), c.readConfig(0, 4))
		require.True(t, c.tell(setVringEnable, words(interruptRing, 0)))
		require.True(t, c.tell(setVringEnable, words(commandRing, 0)))
		r.fn.SetLine(true)
		r.fn.SetLine(false)
		require.NotNil(t, c.ask(getFeatures, nil))
		clear(c.ram[:2*ringBytes])
		for i := range c.rings {
			c.rings[i].avail, c.rings[i].used = 0, 0
		}
		require.True(t, c.do(c.ringSetup()...))
		for range interruptBuffers {
			c.postInterruptBuffer()
		}
	}
}

func TestDisconnectGivesTheFunctionBack(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.enableMessages()
	resets := 0
	r.fn.OnReset(func(why pci.Cause) {
		require.Equal(t, pci.TransportReset, why)
		resets++
		require.Nil(t, r.fn.Memory.Bytes(guestBase, 1, dma.Read), "memory goes first")
		r.fn.Raise(0)
	})
	c.close()
	require.Contains(t, r.cutOff(), "disconnected")
	require.Equal(t, 1, resets)
	require.False(t, r.fn.BusMaster())
	require.Equal(t, pci.INTx, r.fn.Mode())
	r.fn.SetLine(true) // nobody listens
}

func TestReconnectLeaksNothing(t *testing.T) {
	r := newRig(t)
	count := func() (fds, maps int) {
		d, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		m, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		return len(d), bytes.Count(m, []byte("memfd:guest"))
	}
	var fds, maps int
	for i := range 101 {
		c := r.connect()
		require.True(t, c.do(c.negotiationBy(i%2 == 0)...))
		require.True(t, c.do(c.ringSetup()...))
		require.Equal(t, uint32(0x10FB8086), c.readConfig(0, 4))
		c.close()
		require.Contains(t, r.cutOff(), "disconnected")
		if i == 0 {
			fds, maps = count()
		}
	}
	nowFDs, nowMaps := count()
	require.Equal(t, maps, nowMaps)
	require.LessOrEqual(t, nowFDs, fds+2, "collections may be late by a few") // memfds are closed by us
}

// liveRig serves a function on a live loop. The returned function ends it.
func liveRig(t testing.TB, fn *pci.Function, log *reasons) (stop func(), c *client) {
	l := live.New()
	host := guest.NewHost(l.Wake, slog.New(log))
	server, err := Serve(host, Config{Name: "n0", Path: filepath.Join(t.TempDir(), "pci.sock"), Function: fn})
	require.NoError(t, err)
	l.Sim.Add(host)
	l.AddSleeper(host)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.Run(ctx); close(done) }()
	c = dial(t, server.Path())
	return func() { c.close(); cancel(); <-done; host.Close() }, c
}

// awakeRig has a guest that takes messages and has no call to hear, and a host that is
// awake.
func awakeRig(t *testing.T) (*rig, *client) {
	r := newRig(t)
	c := r.connect().start()
	c.enableMessages()
	r.host.Awake()
	r.host.Step(256)
	c.called()
	return r, c
}

// A guest that leaves an interrupt alone is called again, after longer and longer, until
// it takes it; meanwhile the loop does not sleep for longer than that.
func TestInterruptsThatAreMissed(t *testing.T) {
	r, c := awakeRig(t)
	patience := func() time.Duration {
		rest := live.Rest{Patience: live.Forever}
		r.host.Rest(&rest)
		r.host.Awake()
		return rest.Patience
	}
	require.Equal(t, live.Forever, patience())
	r.fn.Raise(0)
	calls, began := 0, time.Now()
	for calls < 4 {
		r.host.Step(256)
		calls += len(c.called())
		require.GreaterOrEqual(t, patience(), time.Duration(0))
		require.LessOrEqual(t, patience(), nudgeAfter<<maxNudges)
	}
	require.GreaterOrEqual(t, time.Since(began), 7*nudgeAfter, "1, 2 and 4 of them")
	require.Len(t, c.interrupts(true), 1)
	r.host.Step(256)
	require.Equal(t, live.Forever, patience())
	time.Sleep(10 * nudgeAfter)
	r.host.Step(256)
	require.Empty(t, c.called())
}

// An interrupt has the guest look at the writes that were answered, if there are some.
func TestInterruptsBringAnswersAlong(t *testing.T) {
	r, c := awakeRig(t)
	for range callWithInterrupt {
		c.command(mmioWrite, 0, 4, 0, words(1), 0)
	}
	r.host.Step(256)
	require.Empty(t, c.called())
	r.fn.Raise(0)
	r.host.Step(256)
	require.Equal(t, []int{commandRing, interruptRing}, c.called())
	require.Len(t, c.interrupts(true), 1)
	r.fn.Raise(0)
	r.host.Step(256)
	require.Equal(t, []int{interruptRing}, c.called(), "nothing is new")
}
