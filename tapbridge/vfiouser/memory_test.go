//go:build linux

package vfiouser

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDMAByMappedMemory(t *testing.T) {
	r, d, c := rigged(t)
	mem, fd := c.memory(0x1_0000_0000, 1<<20)
	c.master()
	copy(mem, "from the guest")
	c.job(0x1_0000_0000, 0x1_0000_8000, 14)
	c.done(1)
	require.Equal(t, "from the guest", string(mem[0x8000:][:14]))

	// The same file at another place, from an offset, for reading only.
	c.must(cmdDMAMap, put(&dmaMap{32, dmaReadable, 0x8000, 0x4000, 0x1000}, 32), fd)
	c.job(0x4000, 0x1_0000_9000, 14)
	c.done(2)
	require.Equal(t, "from the guest", string(mem[0x9000:][:14]))
	c.job(0x1_0000_0000, 0x4000, 14)
	c.done(3)
	r.faults(d, 1)

	entry := put(&dmaUnmap{24, 0, 0x4000, 0x1000}, 24)
	require.Equal(t, entry, c.must(cmdDMAUnmap, entry))
	_, errno := c.call(cmdDMAUnmap, entry)
	require.Equal(t, unix.ENOENT, errno)
	_, errno = c.call(cmdDMAUnmap, put(&dmaUnmap{24, 0, 0x1_0000_0000, 0x1000}, 24))
	require.Equal(t, unix.ENOENT, errno, "a part of a mapping is none")
	c.job(0x4000, 0x1_0000_9000, 14)
	c.done(4)
	r.faults(d, 2)

	all := put(&dmaUnmap{24, unmapAll, 0, 0}, 24)
	require.Equal(t, all, c.must(cmdDMAUnmap, all))
	c.job(0x1_0000_0000, 0x1_0000_8000, 14)
	c.done(5)
	r.faults(d, 3)
	c.must(cmdDMAMap, put(&dmaMap{32, 3, 0, 0x1_0000_0000, 1 << 20}, 32), fd)
}

func TestReadOnlyFileIsNotWritten(t *testing.T) {
	r, _, c := rigged(t)
	_, fd := sharedMemory(t, 4096)
	readOnly, err := unix.Open(procFD(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(readOnly)
	c.must(cmdDMAMap, put(&dmaMap{32, dmaReadable, 0, 0, 4096}, 32), readOnly)
	_, errno := c.call(cmdDMAMap, put(&dmaMap{32, dmaReadable | dmaWriteable, 0, 0x10000, 4096}, 32), readOnly)
	require.Equal(t, unix.EACCES, errno)
	c.ended()
	r.logged("EACCES")
}

func TestManyMaps(t *testing.T) {
	r, _, c := rigged(t)
	_, fd := sharedMemory(t, 8192)
	request := func(i int) []byte {
		return put(&dmaMap{32, 3, uint64(i%2) * 4096, uint64(i) * 8192, 4096}, 32)
	}
	for i := range maxDMAMaps {
		c.send(cmdDMAMap, noReply, request(i), fd)
	}
	_, errno := c.call(cmdDMAMap, request(maxDMAMaps), fd)
	require.Equal(t, unix.ENOSPC, errno, "%v", r.log)
	c.must(cmdDMAUnmap, put(&dmaUnmap{24, 0, 8192, 4096}, 24))
	c.must(cmdDMAMap, request(1), fd)
}

// A client has all its memory elsewhere: nothing is shared.
func TestDMAByMessages(t *testing.T) {
	r, d, c := rigged(t)
	near := c.farMemory(0x10000, 0x4000)
	next := c.farMemory(0x14000, 0x4000)
	c.master()
	copy(near, "from the guest")
	c.job(0x10000, 0x14100, 14)
	c.done(1)
	require.Equal(t, "from the guest", string(next[0x100:][:14]))
	require.Equal(t, 1, c.writes, "what was not changed is not written")
	c.job(0x10000, 0x14100, 14)
	c.done(2)
	require.Equal(t, 1, c.writes)
	r.faults(d, 0)

	// Out of its mappings there is nothing, and no question is asked.
	reads := c.reads
	c.job(0x17FFF, 0x9000, 2)
	c.job(0x9000, 0x17FFF, 4)
	c.done(4)
	r.faults(d, 2)
	require.Equal(t, reads, c.reads)

	// The client's own error is a fault; the session goes on.
	far := c.far[0x10000]
	delete(c.far, 0x10000)
	c.job(0x10000, 0x14000, 14)
	c.done(5)
	r.faults(d, 3)
	c.far[0x10000] = far
	c.job(0x10000, 0x14000, 14)
	c.done(6)
	require.Equal(t, "from the guest", string(next[:14]))
}

// Data is there before the interrupt that tells of it, payload before the ring, and a
// ring is looked at again when the driver has been heard of.
func TestOrderOfDMAByMessages(t *testing.T) {
	r, d, c := rigged(t)
	mem := c.farMemory(0x10000, 0x10000)
	fd := eventFDs(t, 1, unix.EFD_NONBLOCK)[0]
	c.msix()
	c.assign(irqMSIX, 1, fd)
	c.write32(0, cpRing, 0x18000)
	copy(mem[0x8010:], "the driver's own")
	for i := range 5 {
		copy(mem, bytes.Repeat([]byte{byte(i + 1)}, 5000))
		le.PutUint32(mem[0x8000:], uint32(100*i)) // the driver changes the ring
		c.order = nil
		c.job(0x10000, 0x14000, 5000)
		for signalled(t, fd, 0) == 0 { // the client serves while it waits
			c.read32(0, cpDone)
		}
		require.Equal(t, mem[:5000], mem[0x4000:][:5000])
		require.EqualValues(t, 100*i+1, le.Uint32(mem[0x8000:]))
		require.Equal(t, uint64(0x18000), c.order[len(c.order)-1])
		require.Len(t, c.order, 2)
		require.Equal(t, "the driver's own", string(mem[0x8010:][:16]))
	}
	r.faults(d, 0)
}

func TestSmallPieces(t *testing.T) {
	r := newRig(t)
	_, path := r.serve("nic0")
	r.run()
	c := dial(t, path)
	c.must(cmdVersion, versionRequest(0, 1, `{"capabilities":{"max_data_xfer_size":512}}`))
	mem := c.farMemory(0x10000, 0x40000)
	c.master()
	for i := range mem[:100000] {
		mem[i] = byte(i * 7)
	}
	c.job(0x10000, 0x30000, 100000)
	c.done(1)
	require.True(t, bytes.Equal(mem[:100000], mem[0x20000:][:100000]))
	require.Equal(t, 2*196, c.reads)
	require.Equal(t, 196, c.writes, "more than are in flight at a time")
}

// Requests that come while an answer is awaited are handled after it, in order.
func TestRequestsAmidDMA(t *testing.T) {
	_, _, c := rigged(t)
	mem := c.farMemory(0x10000, 0x4000)
	c.master()
	copy(mem, "from the guest")
	c.job(0x10000, 0x12000, 14)
	h, p, err := c.read() // the server asks, and waits
	require.NoError(t, err)
	require.Equal(t, cmdDMARead, h.cmd)
	fd := eventFDs(t, 1, unix.EFD_NONBLOCK)[0]
	ids := []uint16{
		c.send(cmdRegionWrite, 0, put(&regionAccess{cpMany, 0, 4}, 16, 1, 0, 0, 0)),
		c.send(cmdSetIRQs, 0, irqRequestOf(2, 0, 1, irqDataEventFD|irqActionTrigger), fd),
		c.send(cmdRegionWrite, 0, put(&regionAccess{cpMany, 0, 4}, 16, 2, 0, 0, 0)),
		c.send(cmdRegionRead, 0, put(&regionAccess{cpMany, 0, 4}, 16)),
	}
	c.serve(h, p)
	for _, id := range ids {
		h, p, err = c.wait(id)
		require.NoError(t, err)
		require.Zero(t, h.errno)
	}
	require.Equal(t, uint32(2), le.Uint32(p[16:]))
	c.done(1)
	require.Equal(t, "from the guest", string(mem[0x2000:][:14]))
}

// What a client can do wrong when it is asked for its memory.
func TestBadAnswersEndTheSession(t *testing.T) {
	for name, bad := range map[string]struct {
		meddle func(header, []byte) (header, []byte)
		want   string
	}{
		"another identity": {func(h header, p []byte) (header, []byte) { h.id ^= 0x8000; return h, p }, "was not asked"},
		"another command":  {func(h header, p []byte) (header, []byte) { h.cmd = cmdReset; return h, p }, "was not asked"},
		"another address":  {func(h header, p []byte) (header, []byte) { p[0] ^= 1; return h, p }, "to a DMA_READ"},
		"less data":        {func(h header, p []byte) (header, []byte) { return h, p[:len(p)-1] }, "to a DMA_READ"},
		"nothing":          {func(h header, p []byte) (header, []byte) { return h, nil }, "to a DMA_READ"},
		"a wrong count": {func(h header, p []byte) (header, []byte) {
			if h.cmd == cmdDMAWrite {
				p[8]--
			}
			return h, p
		}, "does not match a DMA_WRITE"},
		"half an answer": {func(h header, p []byte) (header, []byte) {
			if h.cmd == cmdDMAWrite {
				return h, p[:8]
			}
			return h, p
		}, "does not match a DMA_WRITE"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, c := rigged(t)
			c.meddle = bad.meddle
			mem := c.farMemory(0x10000, 0x4000)
			c.master()
			copy(mem, "from the guest")
			c.job(0x10000, 0x12000, 14)
			for {
				h, p, err := c.read()
				if err != nil {
					break
				}
				c.serve(h, p)
			}
			r.logged("client cut off")
			r.logged(bad.want)
		})
	}
}

// A client that does not answer costs the others a moment, and itself the connection.
func TestNoAnswerEndsTheSession(t *testing.T) {
	r := newRig(t)
	_, path := r.serve("nic0")
	_, other := r.serve("nic1")
	r.run()
	c, bystander := connect(t, path), connect(t, other)
	c.farMemory(0x10000, 0x4000)
	c.master()
	c.job(0x10000, 0x12000, 14)
	c.ended()
	r.logged("no answer within")
	bystander.must(cmdGetInfo, put(&deviceInfo{argsz: 16}, 16))
	connect(t, path)
}

func TestClientDiesAmidDMA(t *testing.T) {
	for name, cmd := range map[string]command{"reading": cmdDMARead, "writing": cmdDMAWrite} {
		t.Run(name, func(t *testing.T) {
			r, _, c := rigged(t)
			mem := c.farMemory(0x10000, 0x4000)
			c.master()
			copy(mem, "from the guest")
			c.job(0x10000, 0x12000, 14)
			for {
				h, p, err := c.read()
				require.NoError(t, err)
				if h.cmd == cmd {
					break
				}
				c.serve(h, p)
			}
			c.conn.Close()
			r.logged("client cut off")
			r.logged("amid a " + cmd.String())
		})
	}
}
