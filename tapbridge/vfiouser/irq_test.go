//go:build linux

package vfiouser

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestInterruptInfo(t *testing.T) {
	_, _, c := rigged(t)
	for index, want := range []indexInfo{
		{16, irqEventFD | irqMaskable | irqAutoMasked, 0, 1},
		{16, irqEventFD | irqNoResize, 1, 1},
		{16, irqEventFD, 2, copierVectors},
		{16, irqEventFD | irqNoResize, 3, 1},
		{16, irqEventFD | irqNoResize, 4, 1},
	} {
		require.Equal(t, put(&want, 16), c.must(cmdGetIRQInfo, put(&indexInfo{argsz: 16, index: uint32(index)}, 16)))
	}
}

// msix turns message-signalled interrupts on.
func (c *client) msix() {
	c.master()
	c.config16(0x72, 0x8000)
}

func TestMSIX(t *testing.T) {
	_, _, c := rigged(t)
	fds := eventFDs(t, 4, unix.EFD_NONBLOCK)
	c.msix()
	raise := func(v uint32) { c.write32(0, cpRaise, v) }

	raise(5)
	c.assign(irqMSIX, 5, fds[0])
	require.EqualValues(t, 1, fired(t, fds[0]), "what was raised before is pending")
	raise(5)
	raise(5)
	require.EqualValues(t, 2, fired(t, fds[0]))

	c.assign(irqMSIX, 4, fds[1], fds[2], fds[3]) // replaces that of 5
	raise(5)
	fired(t, fds[2])
	silent(t, fds[0])

	// A range without descriptors takes them away; QEMU sends one for those of -1.
	c.must(cmdSetIRQs, irqRequestOf(irqMSIX, 4, 2, irqDataEventFD|irqActionTrigger))
	raise(4)
	raise(6)
	fired(t, fds[3])
	silent(t, fds[1])
	c.assign(irqMSIX, 4, fds[1])
	require.EqualValues(t, 1, fired(t, fds[1]))

	// Loopback, of some and of all.
	c.must(cmdSetIRQs, irqRequestOf(irqMSIX, 4, 3, irqDataBool|irqActionTrigger, 0, 1, 1))
	fired(t, fds[3])
	silent(t, fds[1])
	c.must(cmdSetIRQs, irqRequestOf(irqMSIX, 0, copierVectors, irqDataNone|irqActionTrigger))
	fired(t, fds[1])
	fired(t, fds[3])

	c.must(cmdSetIRQs, irqRequestOf(irqMSIX, 0, 0, irqDataNone|irqActionTrigger))
	raise(4)
	raise(6)
	silent(t, fds[1])
	c.must(cmdSetIRQs, irqRequestOf(irqMSIX, 0, copierVectors, irqDataEventFD|irqActionTrigger))
	c.assign(irqMSIX, 6, fds[3])
	require.EqualValues(t, 1, fired(t, fds[3]))
}

func TestMSI(t *testing.T) {
	_, _, c := rigged(t)
	fd := eventFDs(t, 1, unix.EFD_NONBLOCK)[0]
	c.master()
	c.config16(0x52, 1)
	c.write32(0, cpRaise, 7)
	c.assign(irqMSI, 0, fd)
	require.EqualValues(t, 1, fired(t, fd), "it was pending")
	c.write32(0, cpRaise, 7)
	require.EqualValues(t, 1, fired(t, fd))
	c.must(cmdSetIRQs, irqRequestOf(irqMSI, 0, 0, irqDataNone|irqActionTrigger))
	c.write32(0, cpRaise, 7)
	silent(t, fd)
}

func TestPin(t *testing.T) {
	_, _, c := rigged(t)
	fds := eventFDs(t, 2, unix.EFD_NONBLOCK)
	fd := fds[0]
	c.master()
	mask := func(flags uint32, data ...byte) {
		c.must(cmdSetIRQs, irqRequestOf(irqINTx, 0, 1, flags, data...))
	}
	c.write32(0, cpLine, 1)
	c.assign(irqINTx, 0, fd)
	require.EqualValues(t, 1, fired(t, fd), "it was asserted")
	c.write32(0, cpLine, 0)
	c.write32(0, cpLine, 1)
	silent(t, fd) // it masked itself
	mask(irqDataNone | irqActionUnmask)
	require.EqualValues(t, 1, fired(t, fd), "still asserted")
	c.write32(0, cpLine, 0)
	mask(irqDataNone | irqActionUnmask)
	silent(t, fd)
	mask(irqDataBool|irqActionMask, 0)
	c.write32(0, cpLine, 1)
	require.EqualValues(t, 1, fired(t, fd), "a boolean that is false does nothing")
	c.write32(0, cpLine, 0)
	mask(irqDataBool|irqActionUnmask, 1)
	mask(irqDataBool|irqActionMask, 1)
	c.write32(0, cpLine, 1)
	silent(t, fd)
	mask(irqDataNone | irqActionTrigger)
	require.EqualValues(t, 1, fired(t, fd), "loopback minds no mask")
	c.assign(irqINTx, 0, fds[1])
	silent(t, fds[1]) // another eventfd does not unmask
	c.must(cmdSetIRQs, irqRequestOf(irqINTx, 0, 0, irqDataNone|irqActionTrigger))
	c.assign(irqINTx, 0, fds[1])
	require.EqualValues(t, 1, fired(t, fds[1]), "set up anew, it does")
	c.config16(4, 0x406) // INTx disable
	mask(irqDataNone | irqActionUnmask)
	silent(t, fds[1])
}

func TestErrorAndRequest(t *testing.T) {
	_, _, c := rigged(t)
	fds := eventFDs(t, 2, unix.EFD_NONBLOCK)
	c.assign(irqError, 0, fds[0])
	c.assign(irqRequest, 0, fds[1])
	c.must(cmdSetIRQs, irqRequestOf(irqError, 0, 1, irqDataNone|irqActionTrigger))
	fired(t, fds[0])
	silent(t, fds[1])
}

// full is an eventfd whose counter has no room.
func full(t testing.TB, flags int) int {
	fd := eventFDs(t, 1, flags)[0]
	_, err := unix.Write(fd, le.AppendUint64(nil, ^uint64(1)))
	require.NoError(t, err)
	return fd
}

// A full eventfd blocks nobody, and is signalled when there is room again.
func TestFullEventFD(t *testing.T) {
	for name, flags := range map[string]int{"blocking": 0, "non-blocking": unix.EFD_NONBLOCK} {
		t.Run(name, func(t *testing.T) {
			_, _, c := rigged(t)
			fd := full(t, flags)
			c.msix()
			c.assign(irqMSIX, 0, fd)
			began := time.Now()
			c.write32(0, cpRaise, 0)
			c.must(cmdSetIRQs, irqRequestOf(irqMSIX, 0, 1, irqDataNone|irqActionTrigger))
			require.Less(t, time.Since(began), time.Second)
			require.Equal(t, ^uint64(1), fired(t, fd))
			c.read32(0, 0)
			require.EqualValues(t, 1, fired(t, fd))
			got, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			require.NoError(t, err)
			require.Equal(t, flags&unix.EFD_NONBLOCK, got&unix.O_NONBLOCK, "the client's descriptor is left as it was")
		})
	}
}

// A client that fills a blocking eventfd between the look and the write holds up the
// loop for a moment, and never again.
func TestBlockingWriteIsRescued(t *testing.T) {
	fd := full(t, 0)
	g, err := newSignal(fd)
	require.NoError(t, err)
	began := time.Now()
	require.True(t, g.writeWithin(writePatience))
	require.Less(t, time.Since(began), time.Second)
	require.False(t, g.blocking)
}
