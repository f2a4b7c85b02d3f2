//go:build linux

package vfiouser

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/dma"
)

// client is the other side of the protocol, as small as can be. Commands of the
// server are answered while it waits for a reply, from the memory in far.
type client struct {
	t    testing.TB
	conn *net.UnixConn
	id   uint16
	far  map[uint64][]byte // memory without file descriptors, by address
	// memoryOf is memory without file descriptors that a driver uses.
	memoryOf *dma.Space
	// meddle changes answers to the server.
	meddle func(h header, payload []byte) (header, []byte)

	reads, writes int
	order         []uint64 // addresses of writes
}

// patience is for how long a client waits for the server.
const patience = 10 * time.Second

func dial(t testing.TB, path string) *client {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &client{t: t, conn: c, far: map[uint64][]byte{}}
}

// connect dials and agrees on a version, as QEMU does.
func connect(t testing.TB, path string) *client {
	c := dial(t, path)
	c.agree()
	return c
}

const qemuCapabilities = `{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,"pgsizes":4096,"max_dma_maps":65535,"write_multiple":true}}`

func (c *client) agree() {
	reply, errno := c.call(cmdVersion, versionRequest(0, 0, qemuCapabilities))
	require.Zero(c.t, errno)
	require.Equal(c.t, []byte{0, 0, 0, 0}, reply[:4])
}

func versionRequest(major, minor uint16, data string) []byte {
	b := le.AppendUint16(le.AppendUint16(nil, major), minor)
	if data != "" {
		b = append(append(b, data...), 0)
	}
	return b
}

// send sends a command and returns its identity.
func (c *client) send(cmd command, flags uint32, payload []byte, fds ...int) uint16 {
	c.id++
	b := make([]byte, headerBytes, headerBytes+len(payload))
	header{id: c.id, cmd: cmd, bytes: uint32(headerBytes + len(payload)), flags: flags}.put(b)
	c.raw(append(b, payload...), fds...)
	return c.id
}

func (c *client) raw(b []byte, fds ...int) {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	c.conn.SetWriteDeadline(time.Now().Add(patience))
	for len(b) > 0 {
		n, _, err := c.conn.WriteMsgUnix(b, oob, nil)
		if err != nil {
			return // the server has gone; whoever waits for a reply will see
		}
		b, oob = b[n:], nil
	}
}

// read reads one message.
func (c *client) read() (header, []byte, error) {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	var b [headerBytes]byte
	if err := c.fill(b[:]); err != nil {
		return header{}, nil, err
	}
	h := parseHeader(b[:])
	if h.bytes < headerBytes || h.bytes > 2<<20 {
		return h, nil, fmt.Errorf("a message of %d bytes", h.bytes)
	}
	payload := make([]byte, h.bytes-headerBytes)
	return h, payload, c.fill(payload)
}

func (c *client) fill(b []byte) error {
	for len(b) > 0 {
		n, err := c.conn.Read(b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// wait returns the next reply, which is to be that of id.
func (c *client) wait(id uint16) (header, []byte, error) {
	for {
		h, payload, err := c.read()
		if err != nil {
			return h, nil, err
		}
		if h.flags&typeBits == typeReply {
			require.Equal(c.t, id, h.id)
			return h, payload, nil
		}
		c.serve(h, payload)
	}
}

// serve answers a command of the server.
func (c *client) serve(h header, p []byte) {
	var m dmaAccess
	m.parse(p)
	h.flags = typeReply
	reply := make([]byte, dmaAccessBytes)
	m.put(reply)
	at := c.at(m.addr, m.count)
	switch {
	case at == nil:
		h.flags, h.errno, reply = typeReply|errorFlag, unix.EFAULT, nil
	case h.cmd == cmdDMARead:
		c.reads++
		reply = append(reply, at...)
	case h.cmd == cmdDMAWrite:
		c.writes++
		c.order = append(c.order, m.addr)
		copy(at, p[dmaAccessBytes:])
		reply = reply[:dmaWrittenBytes]
	}
	if c.meddle != nil {
		h, reply = c.meddle(h, reply)
	}
	h.bytes = uint32(headerBytes + len(reply))
	b := make([]byte, headerBytes)
	h.put(b)
	c.raw(append(b, reply...))
}

func (c *client) at(addr, n uint64) []byte {
	if c.memoryOf != nil {
		return c.memoryOf.Bytes(dma.Addr(addr), int(n), dma.Read|dma.Write)
	}
	for start, mem := range c.far {
		if addr >= start && addr-start+n <= uint64(len(mem)) {
			return mem[addr-start:][:n]
		}
	}
	return nil
}

// call does a command and returns the reply, or the error in it.
func (c *client) call(cmd command, payload []byte, fds ...int) ([]byte, unix.Errno) {
	c.t.Helper()
	id := c.send(cmd, 0, payload, fds...)
	h, reply, err := c.wait(id)
	require.NoError(c.t, err, "%v", cmd)
	require.Equal(c.t, cmd, h.cmd)
	if h.flags&errorFlag != 0 {
		require.Empty(c.t, reply, "an error reply is only a header")
		return nil, h.errno
	}
	require.Zero(c.t, h.errno)
	return reply, 0
}

// must is call for what succeeds.
func (c *client) must(cmd command, payload []byte, fds ...int) []byte {
	c.t.Helper()
	reply, errno := c.call(cmd, payload, fds...)
	require.Zero(c.t, errno, "%v", cmd)
	return reply
}

// ended waits for the server to close the connection, past any replies.
func (c *client) ended() {
	c.t.Helper()
	for {
		if _, _, err := c.read(); err != nil {
			require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded, "the server has not cut the client off")
			return
		}
	}
}

func put[T interface{ put([]byte) }](m T, n int, data ...byte) []byte {
	b := make([]byte, n)
	m.put(b)
	return append(b, data...)
}

func (c *client) regionRead(region uint32, offset uint64, n uint32) ([]byte, unix.Errno) {
	reply, errno := c.call(cmdRegionRead, put(&regionAccess{offset, region, n}, regionAccessBytes))
	if errno != 0 {
		return nil, errno
	}
	var m regionAccess
	m.parse(reply)
	require.Equal(c.t, regionAccess{offset, region, n}, m)
	return reply[regionAccessBytes:], 0
}

func (c *client) regionWrite(region uint32, offset uint64, data ...byte) unix.Errno {
	reply, errno := c.call(cmdRegionWrite, put(&regionAccess{offset, region, uint32(len(data))}, regionAccessBytes, data...))
	if errno == 0 {
		require.Equal(c.t, put(&regionAccess{offset, region, uint32(len(data))}, regionAccessBytes), reply)
	}
	return errno
}

func (c *client) read32(bar uint32, off uint64) uint32 {
	b, errno := c.regionRead(bar, off, 4)
	require.Zero(c.t, errno)
	return le.Uint32(b)
}

func (c *client) write32(bar uint32, off uint64, v uint32) {
	require.Zero(c.t, c.regionWrite(bar, off, le.AppendUint32(nil, v)...))
}

// post writes without waiting.
func (c *client) post(bar uint32, off uint64, v uint32) {
	c.send(cmdRegionWrite, noReply, put(&regionAccess{off, bar, 4}, regionAccessBytes, le.AppendUint32(nil, v)...))
}

func (c *client) config16(off uint64, v uint16) {
	require.Zero(c.t, c.regionWrite(regionConfig, off, le.AppendUint16(nil, v)...))
}

// master turns on memory accesses and bus mastering.
func (c *client) master() { c.config16(4, 0x6) }

// memory makes n bytes of shared memory and maps them at addr.
func (c *client) memory(addr uint64, n int) ([]byte, int) {
	mem, fd := sharedMemory(c.t, n)
	c.must(cmdDMAMap, put(&dmaMap{dmaMapBytes, dmaReadable | dmaWriteable, 0, addr, uint64(n)}, dmaMapBytes), fd)
	return mem, fd
}

func sharedMemory(t testing.TB, n int) ([]byte, int) {
	fd, err := unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(fd, int64(n)))
	mem, err := unix.Mmap(fd, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	require.NoError(t, err)
	t.Cleanup(func() {
		unix.Munmap(mem)
		unix.Close(fd)
	})
	return mem, fd
}

// farMemory maps n bytes at addr that are reached by messages.
func (c *client) farMemory(addr uint64, n int) []byte {
	mem := make([]byte, n)
	c.far[addr] = mem
	c.must(cmdDMAMap, put(&dmaMap{dmaMapBytes, dmaReadable | dmaWriteable, 0, addr, uint64(n)}, dmaMapBytes))
	return mem
}

// eventFDs makes n eventfds.
func eventFDs(t testing.TB, n, flags int) []int {
	fds := make([]int, n)
	for i := range fds {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|flags)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		fds[i] = fd
	}
	return fds
}

func irqRequestOf(index, start, count, flags uint32, data ...byte) []byte {
	return put(&irqSet{uint32(irqSetBytes + len(data)), flags, index, start, count}, irqSetBytes, data...)
}

// assign sets eventfds from vector start on.
func (c *client) assign(index, start uint32, fds ...int) {
	c.t.Helper()
	c.must(cmdSetIRQs, irqRequestOf(index, start, uint32(len(fds)), irqDataEventFD|irqActionTrigger), fds...)
}

// fired waits for an eventfd to be signalled and returns its count.
func fired(t testing.TB, fd int) uint64 {
	t.Helper()
	return signalled(t, fd, patience)
}

// silent says that an eventfd is not signalled.
func silent(t testing.TB, fd int) {
	t.Helper()
	require.Zero(t, signalled(t, fd, 20*time.Millisecond))
}

func signalled(t testing.TB, fd int, wait time.Duration) uint64 {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, int(wait.Milliseconds()))
	require.NoError(t, err)
	if n == 0 {
		return 0
	}
	var b [8]byte
	_, err = unix.Read(fd, b[:])
	require.NoError(t, err)
	return le.Uint64(b[:])
}
