//go:build linux

package vfiouser

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestRegionInfo(t *testing.T) {
	_, _, c := rigged(t)
	for index, size := range []uint64{4096, 0, 32, 0, 8192, 0, 0, 4096, 0} {
		flags := uint32(0)
		if size > 0 {
			flags = 3
		}
		reply := c.must(cmdGetRegionInfo, put(&regionInfo{argsz: 48, index: uint32(index)}, 32))
		require.Equal(t, put(&regionInfo{32, flags, uint32(index), 0, size, 0}, 32), reply, "region %d", index)
		reply = c.must(cmdGetRegionIOFDs, put(&indexInfo{argsz: 16, index: uint32(index)}, 16))
		require.Equal(t, put(&indexInfo{16, 0, uint32(index), 0}, 16), reply, "no sub-regions, so the head only")
	}
}

// Any length and alignment is what the function itself would answer.
func TestRegionsAnswerAsTheFunctionDoes(t *testing.T) {
	_, _, c := rigged(t)
	twin := newCopier(t)
	c.master()
	twin.fn.ConfigWrite([]byte{6, 0}, 4)
	for i := range uint32(64) {
		if off := 4 * i; off != cpBell && off != cpRaise && off != cpLine {
			c.write32(0, uint64(off), 0x01020304*i+i)
			twin.fn.Write32(0, off, 0x01020304*i+i)
		}
	}
	for _, a := range []struct {
		region uint32
		off    uint64
		n      uint32
	}{
		{0, 0, 4}, {0, 1, 1}, {0, 2, 2}, {0, 3, 3}, {0, 5, 8}, {0, 0, 4096}, {0, 4095, 1}, {0, 4096, 0}, {0, 7, 0},
		{4, 0, 8192}, {2, 0, 4}, {regionConfig, 0, 4096}, {regionConfig, 3, 5}, {regionConfig, 4095, 1}, {regionConfig, 0x10, 4},
	} {
		want := make([]byte, a.n)
		if a.region == regionConfig {
			twin.fn.ConfigRead(want, int(a.off))
		} else {
			twin.fn.Read(int(a.region), want, a.off)
		}
		got, errno := c.regionRead(a.region, a.off, a.n)
		require.Zero(t, errno)
		require.True(t, bytes.Equal(want, got), "%+v", a)
	}
	require.Zero(t, c.regionWrite(0, 0, 1, 2, 3, 4, 5, 6, 7, 8))
	require.Equal(t, uint32(0x08070605), c.read32(0, 4))
	require.Zero(t, c.regionWrite(0, 0x1A, 0xFF), "parts of registers are the model's business")
	require.Zero(t, c.regionWrite(0, 0))
}

func TestConfigurationSpace(t *testing.T) {
	_, _, c := rigged(t)
	require.Equal(t, []byte{0xF4, 0x1A, 0x34, 0x12}, must(c.regionRead(regionConfig, 0, 4))(t))
	require.Zero(t, c.regionWrite(regionConfig, 0x10, 0xFF, 0xFF, 0xFF, 0xFF))
	require.Equal(t, []byte{4, 0xF0, 0xFF, 0xFF}, must(c.regionRead(regionConfig, 0x10, 4))(t))
	require.Equal(t, ^uint32(0), c.read32(0, 0), "memory accesses are not decoded yet")
}

func TestManyWritesInOne(t *testing.T) {
	_, _, c := rigged(t)
	c.master()
	entry := func(region uint32, off uint64, n uint32, v uint64) []byte {
		return le.AppendUint64(put(&regionAccess{off, region, n}, 16), v)
	}
	writes := func(entries ...[]byte) []byte {
		return append(le.AppendUint64(nil, uint64(len(entries))), bytes.Join(entries, nil)...)
	}
	reply := c.must(cmdRegionWriteMulti, writes(entry(0, 0, 4, 7), entry(0, 4, 8, 9<<32|8), entry(0, 4, 4, 11)))
	require.Equal(t, le.AppendUint64(nil, 3), reply)
	require.Equal(t, []uint32{7, 11, 9}, []uint32{c.read32(0, 0), c.read32(0, 4), c.read32(0, 8)}, "in order")
	reply = c.must(cmdRegionWriteMulti, writes(entry(0, 0, 4, 1), entry(9, 0, 4, 2), entry(0, 0, 4, 3)))
	require.Equal(t, le.AppendUint64(nil, 1), reply, "up to the first that cannot be done")
	require.Equal(t, uint32(1), c.read32(0, 0))
	require.Equal(t, le.AppendUint64(nil, 0), c.must(cmdRegionWriteMulti, writes()))
	c.send(cmdRegionWriteMulti, noReply, writes(entry(0, 0, 4, 5)))
	require.Equal(t, uint32(5), c.read32(0, 0))
}

// A client may ask for much before it reads; it is not cut off, and no more is done for
// it than fits.
func TestClientThatAsksForMuchBeforeItReads(t *testing.T) {
	r, _, c := rigged(t)
	const asks = 4000
	go func() {
		for range asks {
			c.send(cmdRegionRead, 0, put(&regionAccess{0, regionConfig, 4096}, 16))
		}
	}()
	for i := range asks {
		h, p, err := c.read()
		require.NoError(t, err, "reply %d: %v", i, r.log)
		require.Len(t, p, 16+4096)
		require.Zero(t, h.flags&errorFlag)
	}
}

func TestMessagesThatCrossReads(t *testing.T) {
	_, _, c := rigged(t)
	_, fd := sharedMemory(t, 4096)
	// Byte by byte, with the descriptor at the first.
	b := make([]byte, headerBytes)
	header{1, cmdDMAMap, headerBytes + dmaMapBytes, 0, 0}.put(b)
	b = append(b, put(&dmaMap{32, 3, 0, 0, 4096}, 32)...)
	for i := range b {
		if i == 0 {
			c.raw(b[:1], fd)
			continue
		}
		c.raw(b[i : i+1])
	}
	h, _, err := c.read()
	require.NoError(t, err)
	require.Equal(t, header{1, cmdDMAMap, headerBytes, typeReply, 0}, h)
	c.must(cmdDMAUnmap, put(&dmaUnmap{24, 0, 0, 4096}, 24))
}

// Pipelined commands: each descriptor goes with its message.
func TestDescriptorsOfPipelinedCommands(t *testing.T) {
	_, _, c := rigged(t)
	fds := eventFDs(t, 3, unix.EFD_NONBLOCK)
	_, memfd := sharedMemory(t, 4096)
	var ids []uint16
	ids = append(ids, c.send(cmdGetInfo, 0, put(&deviceInfo{argsz: 16}, 16)))
	ids = append(ids, c.send(cmdSetIRQs, 0, irqRequestOf(2, 0, 2, irqDataEventFD|irqActionTrigger), fds[:2]...))
	ids = append(ids, c.send(cmdDMAMap, 0, put(&dmaMap{32, 3, 0, 0, 4096}, 32), memfd))
	ids = append(ids, c.send(cmdGetInfo, 0, put(&deviceInfo{argsz: 16}, 16)))
	ids = append(ids, c.send(cmdSetIRQs, 0, irqRequestOf(2, 2, 1, irqDataEventFD|irqActionTrigger), fds[2]))
	for _, id := range ids {
		h, _, err := c.wait(id)
		require.NoError(t, err)
		require.Zero(t, h.errno, "%v", h.cmd)
	}
	for i, fd := range fds {
		c.must(cmdSetIRQs, irqRequestOf(2, uint32(i), 1, irqDataNone|irqActionTrigger))
		require.EqualValues(t, 1, fired(t, fd))
	}
}
