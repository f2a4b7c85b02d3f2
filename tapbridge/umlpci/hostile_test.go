//go:build linux

package umlpci

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/live"
)

// Each of these is sent by a client that has come so far, and must end its session
// for the reason given.
func TestBadMessagesEndTheSession(t *testing.T) {
	const (
		fresh = iota
		negotiated
		running
	)
	socketpair := func(c *client) int { return c.spare[0] }
	for _, m := range []struct {
		name    string
		after   int
		number  uint32
		flags   uint32
		payload []byte
		fds     func(*client) []int
		why     string
	}{
		{"unknown", fresh, 99, 1, nil, nil, "message 99"},
		{"no version", fresh, setOwner, 0, nil, nil, "flags 0x0"},
		{"a reply", fresh, setOwner, 5, nil, nil, "flags 0x5"},
		{"ack too early", fresh, setOwner, 9, nil, nil, "not agreed on"},
		{"size", fresh, setFeatures, 1, []byte{1}, nil, "1 bytes of payload, not 8"},
		{"huge", fresh, setFeatures, 1, make([]byte, maxPayloadBytes+1), nil, "bytes of payload"},
		{"features first", fresh, setFeatures, 1, uint64Bytes(offered), nil, "ahead of SET_PROTOCOL_FEATURES"},
		{"protocol first", fresh, setProtocolFeatures, 1, uint64Bytes(offeredProtocol), nil, "ahead of SET_OWNER"},
		{"memory first", fresh, setMemTable, 1, table(ramRegion), func(c *client) []int { return []int{c.file} }, "ahead of SET_FEATURES"},
		{"channel first", fresh, setSlaveChannel, 1, nil, func(c *client) []int { return []int{c.file} }, "ahead of SET_PROTOCOL_FEATURES"},
		{"ring first", fresh, setVringNum, 1, words(0, 256), nil, "ahead of SET_FEATURES"},
		{"config", fresh, getConfig, 1, words(0, 400, 0), nil, "do not hold"},
		{"config short", fresh, setConfig, 1, words(0), nil, "do not hold"},

		{"owner twice", negotiated, setOwner, 1, nil, nil, "has its owner"},
		{"protocol bits", negotiated, setProtocolFeatures, 1, uint64Bytes(1 << 20), nil, "not offered"},
		{"no in-band", negotiated, setProtocolFeatures, 1, uint64Bytes(protocolReplyAck), nil, "lacks in-band"},
		{"feature bits", negotiated, setFeatures, 1, uint64Bytes(1 << 20), nil, "not offered"},
		{"legacy", negotiated, setFeatures, 1, uint64Bytes(featureProtocol), nil, "lacks VIRTIO_F_VERSION_1"},
		{"stray fd", negotiated, setVringNum, 1, words(0, 256), func(c *client) []int { return []int{c.file} }, "1 file descriptors, not 0"},
		{"no channel", negotiated, setSlaveChannel, 1, nil, nil, "0 file descriptors, not 1"},
		{"channel is a file", negotiated, setSlaveChannel, 1, nil, func(c *client) []int { return []int{c.file} }, "neither a socket nor a pipe"},
		{"channel is an eventfd", negotiated, setSlaveChannel, 1, nil, func(c *client) []int {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			require.NoError(c.t, err)
			c.spare = append(c.spare, fd)
			return []int{fd}
		}, "neither a socket nor a pipe"},
		{"channel is a network socket", negotiated, setSlaveChannel, 1, nil, func(c *client) []int {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(c.t, err)
			c.spare = append(c.spare, fd)
			return []int{fd}
		}, "not a local one"},

		{"no regions", negotiated, setMemTable, 1, words(0, 0), nil, "0 regions"},
		{"short table", negotiated, setMemTable, 1, words(1), nil, "4 bytes of payload"},
		{"too many regions", negotiated, setMemTable, 1, table(ramRegion, ramRegion, ramRegion, ramRegion, ramRegion, ramRegion, ramRegion)[:240], nil, "bytes of payload for"},
		{"nine regions", negotiated, setMemTable, 1, words(9, 0), nil, "9 regions"},
		{"table without fds", negotiated, setMemTable, 1, table(ramRegion), nil, "0 file descriptors for 1"},
		{"table is a socket", negotiated, setMemTable, 1, table(ramRegion), func(c *client) []int { return []int{socketpair(c)} }, "a regular file or a memfd"},
		{"beyond the file", negotiated, setMemTable, 1, table([4]uint64{0, 1 << 40, 0, 0}), func(c *client) []int { return []int{c.file} }, "more than the file has"},
		{"offset wraps", negotiated, setMemTable, 1, table([4]uint64{0, 1 << 12, 0, ^uint64(0xFFF)}), func(c *client) []int { return []int{c.file} }, "more than the file has"},
		{"half a page", negotiated, setMemTable, 1, table([4]uint64{0, 100, 0, 0}), func(c *client) []int { return []int{c.file} }, "not whole pages"},
		{"nothing", negotiated, setMemTable, 1, table([4]uint64{0, 0, 0, 0}), func(c *client) []int { return []int{c.file} }, "not whole pages"},
		{"user wraps", negotiated, setMemTable, 1, table([4]uint64{0, 8192, ^uint64(0xFFF), 0}), func(c *client) []int { return []int{c.file} }, "wrap around"},
		{"guest wraps", negotiated, setMemTable, 1, table([4]uint64{^uint64(0xFFF), 8192, 0, 0}), func(c *client) []int { return []int{c.file} }, "wraps around"},
		{"guest overlaps", negotiated, setMemTable, 1, table([4]uint64{0, 8192, 0, 0}, [4]uint64{4096, 8192, 1 << 20, 0}), func(c *client) []int { return []int{c.file, c.file} }, "region 1: dma: the range overlaps"},
		{"user overlaps", negotiated, setMemTable, 1, table([4]uint64{0, 8192, 0, 0}, [4]uint64{1 << 20, 8192, 4096, 0}), func(c *client) []int { return []int{c.file, c.file} }, "overlap another region"},

		{"ring 2", negotiated, setVringNum, 1, words(2, 256), nil, "ring 2 of 2"},
		{"ring of 0", negotiated, setVringNum, 1, words(0, 0), nil, "power of two"},
		{"ring of 3", negotiated, setVringNum, 1, words(0, 3), nil, "power of two"},
		{"ring of 64 Ki", negotiated, setVringNum, 1, words(0, 65536), nil, "power of two"},
		{"base", negotiated, setVringBase, 1, words(0, 65536), nil, "beyond 16 bits"},
		{"log", negotiated, setVringAddr, 1, append(words(0, 1), make([]byte, 32)...), nil, "not logged"},
		{"enable nothing", negotiated, setVringEnable, 1, words(0, 1), nil, "no size or no place"},
		{"kick nothing", negotiated, vringKick, 1, words(0, 0), nil, "not enabled"},

		{"num while enabled", running, setVringNum, 1, words(0, 128), nil, "ring 0 is enabled"},
		{"base while enabled", running, setVringBase, 1, words(1, 0), nil, "ring 1 is enabled"},
		{"enable twice", running, setVringEnable, 1, words(0, 1), nil, "the ring is enabled"},
		{"enable 2", running, setVringEnable, 1, words(0, 2), nil, "neither on nor off"},
		{"features while enabled", running, setFeatures, 1, uint64Bytes(offered), nil, "while a ring is enabled"},
		{"protocol while enabled", running, setProtocolFeatures, 1, uint64Bytes(offeredProtocol), nil, "while a ring is enabled"},
		{"channel while enabled", running, setSlaveChannel, 1, nil, func(c *client) []int { return []int{socketpair(c)} }, "while a ring is enabled"},
		{"kick ring 7", running, vringKick, 1, words(7, 0), nil, "ring 7"},
	} {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t)
			c := r.connect()
			switch m.after {
			case negotiated:
				require.True(t, c.do(c.negotiation()...))
			case running:
				c.start()
			}
			var fds []int
			if m.fds != nil {
				fds = m.fds(c)
			}
			c.send(m.number, m.flags, m.payload, fds...)
			require.Contains(t, r.cutOff(), m.why)
			require.Nil(t, r.fn.Memory.Bytes(guestBase, 1, dma.Read))
			// The next one is served.
			require.Equal(t, uint32(0x10FB8086), r.connect().start().readConfig(0, 4))
		})
	}
}

func TestRingsMustBeInMemory(t *testing.T) {
	for _, m := range []struct {
		desc, used, avail uint64
		why               string
	}{
		{userBase + ramBytes - 16, userBase, userBase, "not all in memory"},
		{userBase, userBase + ramBytes - 4, userBase, "not all in memory"},
		{userBase, userBase, userBase - 4, "not all in memory"},
		{userBase, userBase, ^uint64(0), "not all in memory"},
		{userBase + 8, userBase, userBase, "not aligned"},
		{userBase, userBase + 2, userBase, "not aligned"},
		{userBase, userBase, userBase + 2, "not aligned"},
	} {
		r := newRig(t)
		c := r.connect()
		require.True(t, c.do(c.negotiation()...))
		require.True(t, c.do(c.ringSetup()[:2]...))
		addr := words(0, 0)
		for _, v := range []uint64{m.desc, m.used, m.avail, 0} {
			addr = le.AppendUint64(addr, v)
		}
		require.True(t, c.tell(setVringAddr, addr))
		require.False(t, c.tell(setVringEnable, words(0, 1)))
		require.Contains(t, r.cutOff(), m.why)
	}
}

func TestRingNeedsAChannel(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	steps := c.negotiation()
	steps = slices.DeleteFunc(steps, func(s step) bool { return s.number == setSlaveChannel })
	require.True(t, c.do(steps...))
	require.False(t, c.do(c.ringSetup()...))
	require.Contains(t, r.cutOff(), "ahead of SET_SLAVE_REQ_FD")
}

// What the rings say may be anything.
func TestBadRingsEndTheSession(t *testing.T) {
	commandAt := func(c *client, op, bar byte, size uint32, addr uint64, n int) (at uint64) {
		off := c.alloc(max(n, commandHeaderBytes))
		clear(c.ram[off : off+n])
		c.ram[off], c.ram[off+1] = op, bar
		le.PutUint32(c.ram[off+4:], size)
		le.PutUint64(c.ram[off+8:], addr)
		return guestBase + uint64(off)
	}
	for _, m := range []struct {
		name string
		do   func(c *client, r *driverRing)
		why  string
	}{
		{"index jumps", func(c *client, r *driverRing) { r.avail += ringEntries; r.post(0) }, "257 entries of a ring of 256"},
		{"index goes back", func(c *client, r *driverRing) { r.avail -= 2; r.post(0) }, "65535 entries"},
		{"head", func(c *client, r *driverRing) { r.post(256) }, "descriptor 256"},
		{"loop", func(c *client, r *driverRing) {
			r.descriptor(0, guestBase, 16, descriptorNext, 1)
			r.descriptor(1, guestBase, 16, descriptorNext, 0)
			r.post(0)
		}, "has no end"},
		{"next", func(c *client, r *driverRing) { r.descriptor(0, guestBase, 16, descriptorNext, 300); r.post(0) }, "leads to descriptor 300"},
		{"outside", func(c *client, r *driverRing) { r.descriptor(0, 0, 16, 0, 0); r.post(0) }, "outside the device's memory"},
		{"past the end", func(c *client, r *driverRing) { r.descriptor(0, guestBase+ramBytes-8, 16, 0, 0); r.post(0) }, "outside the device's memory"},
		{"wraps", func(c *client, r *driverRing) { r.descriptor(0, ^uint64(7), 16, 0, 0); r.post(0) }, "outside the device's memory"},
		{"huge", func(c *client, r *driverRing) { r.descriptor(0, guestBase, 1<<31, 0, 0); r.post(0) }, "a descriptor of"},
		{"order", func(c *client, r *driverRing) {
			r.descriptor(0, guestBase, 16, descriptorWrite|descriptorNext, 1)
			r.descriptor(1, guestBase, 16, 0, 0)
			r.post(0)
		}, "behind buffers to write"},
		{"indirect nested", func(c *client, r *driverRing) {
			r.descriptor(0, guestBase, 16, descriptorIndirect, 0) // itself
			r.post(0)
		}, "wrong indirect"},
		{"indirect chained", func(c *client, r *driverRing) {
			r.descriptor(0, guestBase, 16, descriptorIndirect|descriptorNext, 0)
			r.post(0)
		}, "wrong indirect"},
		{"indirect size", func(c *client, r *driverRing) { r.descriptor(0, guestBase, 17, descriptorIndirect, 0); r.post(0) }, "wrong indirect"},
		{"indirect outside", func(c *client, r *driverRing) { r.descriptor(0, 0, 16, descriptorIndirect, 0); r.post(0) }, "outside the device's memory"},
		{"empty", func(c *client, r *driverRing) { r.descriptor(0, guestBase, 0, 0, 0); r.post(0) }, "shorter than its header"},
		{"short", func(c *client, r *driverRing) { r.descriptor(0, guestBase, 15, 0, 0); r.post(0) }, "shorter than its header"},
		{"no operation", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, 0, 0, 4, 0, 20), 20, 0, 0)
			r.post(0)
		}, "operation 0"},
		{"interrupt", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, message, 0, 4, 0, 20), 20, 0, 0)
			r.post(0)
		}, "operation 7"},
		{"no size", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, mmioRead, 0, 0, 0, 16), 16, 0, 0)
			r.post(0)
		}, "on 0 bytes"},
		{"huge size", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, mmioMemset, 0, 1<<30, 0, 17), 17, 0, 0)
			r.post(0)
		}, "on 1073741824 bytes"},
		{"no room", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, mmioRead, 0, 4, 0, 16), 16, 0, 0)
			r.post(0)
		}, "has room for 0"},
		{"no data", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, mmioWrite, 0, 4, 0, 16), 16, 0, 0)
			r.post(0)
		}, "does not hold them"},
		{"no byte", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, mmioMemset, 0, 4, 0, 16), 16, 0, 0)
			r.post(0)
		}, "without its byte"},
		{"config width", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, configRead, 0, 3, 0, 16), 16, descriptorNext, 1)
			r.descriptor(1, guestBase+dataOff, 16, descriptorWrite, 0)
			r.post(0)
		}, "3 bytes at 0x0 of configuration space"},
		{"config beyond", func(c *client, r *driverRing) {
			r.descriptor(0, commandAt(c, configRead, 0, 4, 4093, 16), 16, descriptorNext, 1)
			r.descriptor(1, guestBase+dataOff, 16, descriptorWrite, 0)
			r.post(0)
		}, "4 bytes at 0xffd of configuration space"},
	} {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t)
			c := r.connect().start()
			m.do(c, &c.rings[commandRing])
			require.Contains(t, r.cutOff(), m.why)
		})
	}
}

// A base address register that is not there reads as ones and takes writes, as on a
// bus: it is not a mistake of the transport's.
func TestNobodyDecodes(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.writeConfig(0x04, pci.CommandMemory, 2)
	require.Equal(t, ^uint32(0), c.read32(3, 0))
	require.Equal(t, ^uint32(0), c.read32(255, 0))
	require.Equal(t, ^uint32(0), c.read32(0, 1<<40))
	c.write32(200, 0, 1)
	c.write32(0, 1<<63, 1)
}

func TestBadInterruptBuffers(t *testing.T) {
	for _, m := range []struct {
		n     int
		flags uint16
	}{{interruptBytes - 1, descriptorWrite}, {interruptBytes, 0}} {
		r := newRig(t)
		c := r.connect()
		require.True(t, c.do(c.negotiation()...))
		require.True(t, c.do(c.ringSetup()...))
		c.enableMessages()
		c.rings[interruptRing].descriptor(0, guestBase+dataOff, m.n, m.flags, 0)
		c.rings[interruptRing].post(0)
		r.fn.Raise(0)
		require.Contains(t, r.cutOff(), errNoInterruptBuffer.Error())
	}
}

// A guest that does not read its channel, here a pipe that is full and made to block,
// is cut off; it cannot make the loop wait.
func TestChannelNeverBlocks(t *testing.T) {
	for _, pipe := range []bool{true, false} {
		r := newRig(t)
		c := r.connect()
		require.True(t, c.do(c.negotiationBy(pipe)...))
		require.NoError(t, unix.SetNonblock(c.spare[0], false))
		require.True(t, c.do(c.ringSetup()...))
		c.enableMessages()
		cut := false
		for i := 0; i < 100_000 && !cut; i++ {
			c.postInterruptBuffer()
			r.fn.Raise(0)
			r.host.Step(256)
			cut = !r.server.Connected()
		}
		require.True(t, cut)
		require.Contains(t, r.log.last(), "the channel for calls is full")
	}
}

func TestChannelClosed(t *testing.T) {
	r := newRig(t)
	c := r.connect().start()
	c.enableMessages()
	unix.Close(c.calls)
	c.calls = -1
	r.fn.Raise(0)
	require.Contains(t, r.cutOff(), "disconnected")
}

// dies runs a register write amid which the function writes to the guest's memory,
// after the guest has done something to it.
func dies(t *testing.T, what func(r *rig, c *client)) (r *rig, c *client) {
	r = newRig(t)
	c = r.connect().start()
	c.writeConfig(0x04, pci.CommandMemory|pci.CommandMaster, 2)
	r.regs.onWrite = func(_, v uint32) {
		b := r.fn.Memory.Bytes(guestBase+dma.Addr(v), 4096, dma.Write)
		b[0] = 1
		what(r, c)
		for i := range b {
			b[i] = 0x5A
		}
	}
	c.command(mmioWrite, 0, 4, 0, words(ramBytes/2), 0)
	return r, c
}

func TestGuestDiesAmidDMA(t *testing.T) {
	r, _ := dies(t, func(_ *rig, c *client) { c.close() })
	require.Contains(t, r.cutOff(), "disconnected")
	r.regs.onWrite = nil
	require.Equal(t, uint32(0x10FB8086), r.connect().start().readConfig(0, 4))
}

// Memory that is taken away from under a mapping ends the session that shared it.
func TestMemoryVanishesAmidDMA(t *testing.T) {
	r, _ := dies(t, func(r *rig, c *client) { require.NoError(r.t, unix.Ftruncate(c.file, 0)) })
	require.Contains(t, r.cutOff(), "is gone")
	r.regs.onWrite = nil
	require.Equal(t, uint32(0x10FB8086), r.connect().start().readConfig(0, 4))
}

// So do rings that vanish while nobody does anything, and going to sleep.
func TestRingsVanish(t *testing.T) {
	for _, asleep := range []bool{false, true} {
		r := newRig(t)
		c := r.connect().start()
		r.host.Awake()
		r.host.Step(256)
		require.NoError(t, unix.Ftruncate(c.file, 0))
		if asleep {
			r.host.Rest(new(live.Rest))
			r.host.Awake()
			r.host.Rest(new(live.Rest))
		}
		require.Contains(t, r.cutOff(), "is gone")
	}
}

// One guest's end is not noticed by another's.
func TestOthersLive(t *testing.T) {
	r := newRig(t)
	fn := newFunction(t, new(registers))
	other, err := Serve(r.host, Config{Name: "n1", Path: r.server.Path() + "1", Function: fn})
	require.NoError(t, err)
	c := r.connect().start()
	d := dial(t, other.Path())
	d.pump = c.pump
	d.start()
	c.raw([]byte("garbage, and more of it"))
	require.Contains(t, r.cutOff(), "cut off")
	require.True(t, other.Connected())
	require.Equal(t, uint32(0x10FB8086), d.readConfig(0, 4))
	require.NotNil(t, fn.Memory.Bytes(guestBase, 1, dma.Read))
}

func TestTruncatedMessage(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	c.raw(header(setFeatures, flagVersion, 8))
	r.host.Step(256)
	require.True(t, r.server.Connected())
	c.sock.Close()
	require.Contains(t, r.cutOff(), "amid a message")
}

// Descriptors that come with messages that do not want them are closed.
func TestStrayDescriptorsAreClosed(t *testing.T) {
	r := newRig(t)
	c := r.connect()
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer file.Close()
	before, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	c.send(setOwner, flagVersion, nil, int(file.Fd()), int(file.Fd()))
	require.Contains(t, r.cutOff(), "2 file descriptors")
	after, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	require.Less(t, len(after), len(before)+1)
}
