//go:build linux

package umlpci

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/guest"
)

// How the client lays out its memory, which is a memfd whose first page it keeps to
// itself. Guest addresses, user addresses and file offsets all differ, so that none
// is taken for another.
const (
	ramBytes  = 1 << 20
	ramOffset = 4096
	guestBase = 0x10_0000
	userBase  = 0x7f00_0000_0000

	ringEntries = 256
	descOff     = 0
	availOff    = 0x1000
	usedOff     = 0x2000
	ringBytes   = 0x3000 // of each ring
	dataOff     = 0x10000

	interruptBuffers = 10
	interruptBytes   = 20
)

// registers are the base address register of the function under test.
type registers struct {
	words   [64 << 10]uint32
	writes  []write
	onRead  func(off uint32)
	onWrite func(off, v uint32)
}

type write struct {
	off, v uint32
	lanes  pci.Lanes
}

func (r *registers) Read32(off uint32) uint32 {
	if r.onRead != nil {
		r.onRead(off)
	}
	return r.words[off/4]
}

func (r *registers) Write32(off, v uint32, lanes pci.Lanes) {
	r.words[off/4] = v
	if r.onWrite != nil {
		r.onWrite(off, v)
		return
	}
	r.writes = append(r.writes, write{off, v, lanes})
}

const (
	msixCapability = 0x70
	vectors        = 32
)

func newFunction(t testing.TB, regs *registers) *pci.Function {
	fn, err := pci.New(pci.ID{Vendor: 0x8086, Device: 0x10FB, Class: 0x020000, Pin: 2},
		[]pci.BAR{{Index: 0, Bytes: uint32(4 * len(regs.words)), Wide: true, Region: regs}, {Index: 4, Bytes: 4096}},
		pci.MSIX{At: msixCapability, Vectors: vectors, TableBAR: 4, PendingBAR: 4, PendingOff: 2048})
	require.NoError(t, err)
	fn.Memory = new(dma.Space)
	return fn
}

// reasons collects why clients were cut off.
type reasons struct {
	slog.Handler
	mu  sync.Mutex
	all []string
}

func (r *reasons) Enabled(context.Context, slog.Level) bool { return true }
func (r *reasons) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *reasons) Handle(_ context.Context, rec slog.Record) error {
	line := rec.Message
	rec.Attrs(func(a slog.Attr) bool { line += fmt.Sprintf(" %s=%v", a.Key, a.Value); return true })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, line)
	return nil
}

func (r *reasons) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return ""
	}
	return r.all[len(r.all)-1]
}

// rig is a function, its server, and a host that the test steps.
type rig struct {
	t      testing.TB
	regs   *registers
	fn     *pci.Function
	host   *guest.Host
	server *guest.Server
	log    *reasons
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, regs: new(registers), log: new(reasons)}
	r.fn = newFunction(t, r.regs)
	r.host = guest.NewHost(func() {}, slog.New(r.log))
	var err error
	r.server, err = Serve(r.host, Config{Name: "n0", Path: filepath.Join(t.TempDir(), "pci.sock"), Function: r.fn})
	require.NoError(t, err)
	t.Cleanup(r.host.Close)
	return r
}

// connect is a client that has connected and done nothing else.
func (r *rig) connect() *client {
	c := dial(r.t, r.server.Path())
	c.pump = func() { r.host.Step(256) }
	r.wait("the connection", r.server.Connected)
	return c
}

// wait steps the host until ok.
func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); r.host.Step(256) {
		require.True(r.t, time.Now().Before(deadline), "%s did not come; %s", what, r.log.last())
	}
}

// cutOff waits for the end of the session and returns the line in the log.
func (r *rig) cutOff() string {
	r.t.Helper()
	r.wait("the end", func() bool { return !r.server.Connected() })
	return r.log.last()
}

// client plays User Mode Linux: virtio_uml and virtio_pcidev.
type client struct {
	t    testing.TB
	sock *net.UnixConn
	pump func() // lets the server go on

	file  int
	ram   []byte // what the server is told of
	calls int    // our end of the channel
	spare []int  // what else to close
	rings [numRings]driverRing

	kicks int
	free  int // of the data area
}

// driverRing is the driver's side of a ring.
type driverRing struct {
	c     *client
	base  int // offset in ram
	avail uint16
	used  uint16
}

func dial(t testing.TB, path string) *client {
	sock, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	c := &client{t: t, sock: sock, file: -1, calls: -1}
	c.file, err = unix.MemfdCreate("guest", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(c.file, ramOffset+ramBytes))
	c.ram, err = unix.Mmap(c.file, ramOffset, ramBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	require.NoError(t, err)
	for i := range c.rings {
		c.rings[i] = driverRing{c: c, base: i * ringBytes}
	}
	t.Cleanup(c.close)
	return c
}

func (c *client) close() {
	c.sock.Close()
	if c.ram != nil {
		unix.Munmap(c.ram)
		unix.Close(c.file)
		c.ram = nil
	}
	if c.calls >= 0 {
		unix.Close(c.calls)
		c.calls = -1
	}
	guest.CloseAll(c.spare)
	c.spare = nil
}

// raw sends bytes and file descriptors as they are.
func (c *client) raw(b []byte, fds ...int) {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err := c.sock.WriteMsgUnix(b, oob, nil)
	if err != nil {
		require.ErrorIs(c.t, err, unix.EPIPE, "only the server may be gone")
	}
}

func (c *client) send(number, flags uint32, payload []byte, fds ...int) {
	c.raw(append(header(number, flags, len(payload)), payload...), fds...)
}

// receive returns the payload of the next reply, or nil if the session has ended.
func (c *client) receive(number uint32) []byte {
	c.t.Helper()
	var b []byte
	want := headerBytes
	for deadline := time.Now().Add(patience); len(b) < want; {
		require.True(c.t, time.Now().Before(deadline), "no reply to %d", number)
		if c.pump != nil {
			c.pump()
		}
		c.sock.SetReadDeadline(time.Now().Add(100 * time.Microsecond))
		part := make([]byte, want-len(b))
		n, err := c.sock.Read(part)
		b = append(b, part[:n]...)
		if ne, ok := err.(net.Error); err != nil && (!ok || !ne.Timeout()) {
			return nil
		}
		if n > 0 && len(b) == headerBytes {
			want += int(le.Uint32(b[8:]))
		}
	}
	require.Equal(c.t, number, le.Uint32(b))
	require.Equal(c.t, uint32(flagVersion|flagReply), le.Uint32(b[4:]))
	return b[headerBytes:]
}

// ask sends a message that has a reply of its own.
func (c *client) ask(number uint32, payload []byte) []byte {
	c.t.Helper()
	c.send(number, flagVersion, payload)
	return c.receive(number)
}

// tell sends a message and waits for its acknowledgement. It returns whether that
// came.
func (c *client) tell(number uint32, payload []byte, fds ...int) bool {
	c.t.Helper()
	c.send(number, flagVersion|flagNeedReply, payload, fds...)
	b := c.receive(number)
	if b != nil {
		require.Equal(c.t, make([]byte, 8), b)
	}
	return b != nil
}

func words(v ...uint32) []byte {
	var b []byte
	for _, w := range v {
		b = le.AppendUint32(b, w)
	}
	return b
}

// table is the payload of a memory table.
func table(regions ...[4]uint64) []byte {
	b := words(uint32(len(regions)), 0)
	for _, r := range regions {
		for _, v := range r {
			b = le.AppendUint64(b, v)
		}
	}
	return b
}

var ramRegion = [4]uint64{guestBase, ramBytes, userBase, ramOffset}

func (r *driverRing) addresses(i int) []byte {
	b := words(uint32(i), 0)
	for _, off := range []int{descOff, usedOff, availOff} {
		b = le.AppendUint64(b, userBase+uint64(r.base+off))
	}
	return le.AppendUint64(b, ^uint64(0))
}

// step is one message on the way to a running device.
type step struct {
	name    string
	number  uint32
	payload []byte
	fds     []int
	get     bool
}

// negotiation is what virtio_uml sends when it is loaded.
func (c *client) negotiation() []step { return c.negotiationBy(false) }

// negotiationBy has a pipe or, as the kernel does, a socket for a channel.
func (c *client) negotiationBy(pipe bool) []step {
	var fds [2]int
	var err error
	if pipe {
		err = unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK)
	} else {
		fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	}
	require.NoError(c.t, err)
	c.calls, c.spare = fds[0], append(c.spare, fds[1])
	return c.negotiationWith(fds[1])
}

func (c *client) negotiationWith(channel int) []step {
	return []step{
		{name: "SET_OWNER", number: setOwner},
		{name: "GET_FEATURES", number: getFeatures, get: true},
		{name: "GET_PROTOCOL_FEATURES", number: getProtocolFeatures, get: true},
		{name: "SET_PROTOCOL_FEATURES", number: setProtocolFeatures, payload: uint64Bytes(offeredProtocol)},
		{name: "SET_SLAVE_REQ_FD", number: setSlaveChannel, fds: []int{channel}},
		{name: "SET_FEATURES", number: setFeatures, payload: uint64Bytes(offered)},
	}
}

// rings is what it sends when its driver looks for its rings.
func (c *client) ringSetup() []step {
	steps := []step{{name: "SET_MEM_TABLE", number: setMemTable, payload: table(ramRegion), fds: []int{c.file}}}
	for i := range c.rings {
		steps = append(steps,
			step{name: "SET_VRING_NUM", number: setVringNum, payload: words(uint32(i), ringEntries)},
			step{name: "SET_VRING_BASE", number: setVringBase, payload: words(uint32(i), uint32(c.rings[i].avail))},
			step{name: "SET_VRING_ADDR", number: setVringAddr, payload: c.rings[i].addresses(i)})
	}
	for i := range c.rings {
		steps = append(steps, step{name: "SET_VRING_ENABLE", number: setVringEnable, payload: words(uint32(i), 1)})
	}
	return steps
}

func (c *client) do(steps ...step) bool {
	c.t.Helper()
	ok := true
	for _, s := range steps {
		if s.get {
			ok = c.ask(s.number, s.payload) != nil
		} else {
			// As the kernel does: acknowledgements from the agreement on.
			if s.number == setOwner {
				c.send(s.number, flagVersion, s.payload, s.fds...)
				continue
			}
			ok = c.tell(s.number, s.payload, s.fds...)
		}
		if !ok {
			return false
		}
	}
	return true
}

// start brings the device up and posts the buffers for interrupts.
func (c *client) start() *client {
	c.t.Helper()
	require.True(c.t, c.do(c.negotiation()...))
	require.True(c.t, c.do(c.ringSetup()...))
	for range interruptBuffers {
		c.postInterruptBuffer()
	}
	c.kick(interruptRing)
	return c
}

func (r *driverRing) at(off int) []byte { return r.c.ram[r.base+off:] }

func (r *driverRing) descriptor(i int, addr uint64, n int, flags, next uint16) {
	d := r.at(descOff + 16*i)
	le.PutUint64(d, addr)
	le.PutUint32(d[8:], uint32(n))
	le.PutUint16(d[12:], flags)
	le.PutUint16(d[14:], next)
}

// post makes a chain available.
func (r *driverRing) post(head uint16) {
	le.PutUint16(r.at(availOff+4+2*int(r.avail%ringEntries)), head)
	r.avail++
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&r.at(availOff)[0])), uint32(r.avail)<<16)
}

func (r *driverRing) usedWord() uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.at(usedOff)[0])))
}

// reap returns the next used entry, if there is one.
func (r *driverRing) reap() (head uint32, n int, ok bool) {
	if uint16(r.usedWord()>>16) == r.used {
		return 0, 0, false
	}
	e := r.at(usedOff + 4 + 8*int(r.used%ringEntries))
	r.used++
	return le.Uint32(e), int(le.Uint32(e[4:])), true
}

// alloc returns the offset of n bytes of data, never the same twice in a row.
func (c *client) alloc(n int) int {
	n = (n + 15) &^ 15
	if dataOff+c.free+n > ramBytes {
		c.free = 0
	}
	c.free += n
	return dataOff + c.free - n
}

// kick notifies the server if it wants to be.
func (c *client) kick(ring int) {
	c.t.Helper()
	if c.rings[ring].usedWord()&usedNoNotify != 0 {
		return
	}
	c.kicks++
	c.tell(vringKick, words(uint32(ring), 0))
}

// command posts a command with the data of a write in a buffer of its own, and room
// for room bytes of an answer. It returns where that is.
func (c *client) command(op, bar byte, size int, addr uint64, data []byte, room int) (answer []byte) {
	r := &c.rings[commandRing]
	h := make([]byte, commandHeaderBytes)
	h[0], h[1] = op, bar
	le.PutUint32(h[4:], uint32(size))
	le.PutUint64(h[8:], addr)
	// Descriptors are used in turn; no more than a few commands are ever posted.
	d := int(r.avail) * 4 % ringEntries
	at := c.alloc(len(h))
	copy(c.ram[at:], h)
	pieces := [][3]int{{at, len(h), 0}}
	if len(data) > 0 {
		at := c.alloc(len(data))
		copy(c.ram[at:], data)
		pieces = append(pieces, [3]int{at, len(data), 0})
	}
	if room > 0 {
		at := c.alloc(room)
		answer = c.ram[at : at+room]
		pieces = append(pieces, [3]int{at, room, descriptorWrite})
	}
	for i, p := range pieces {
		flags := uint16(p[2])
		if i < len(pieces)-1 {
			flags |= descriptorNext
		}
		r.descriptor(d+i, guestBase+uint64(p[0]), p[1], flags, uint16(d+i+1))
	}
	r.post(uint16(d))
	return answer
}

// call does a command and waits for it, as for a read.
func (c *client) call(op, bar byte, size int, addr uint64, data []byte, room int) []byte {
	c.t.Helper()
	answer := c.command(op, bar, size, addr, data, room)
	c.kick(commandRing)
	r := &c.rings[commandRing]
	for deadline := time.Now().Add(patience); ; {
		_, n, ok := r.reap()
		if ok && r.used == r.avail {
			require.Equal(c.t, room, n)
			return answer
		}
		if !ok && c.pump != nil {
			c.pump()
		}
		require.True(c.t, time.Now().Before(deadline), "no answer")
	}
}

func (c *client) readConfig(off, n int) uint32 {
	c.t.Helper()
	b := append(c.call(configRead, 0, n, uint64(off), nil, n), 0, 0, 0)
	return le.Uint32(b)
}

func (c *client) writeConfig(off int, v uint32, n int) {
	c.t.Helper()
	// The kernel always sends eight bytes of data.
	c.call(configWrite, 0, n, uint64(off), binary.LittleEndian.AppendUint64(nil, uint64(v)), 0)
}

func (c *client) read32(bar byte, off uint64) uint32 {
	c.t.Helper()
	return le.Uint32(c.call(mmioRead, bar, 4, off, nil, 4))
}

func (c *client) write32(bar byte, off uint64, v uint32) {
	c.t.Helper()
	c.call(mmioWrite, bar, 4, off, words(v), 0)
}

// enableMessages gives vector i data 100+i and lets the function use them.
func (c *client) enableMessages() {
	c.t.Helper()
	c.writeConfig(0x04, pci.CommandMemory|pci.CommandMaster, 2)
	for i := range vectors {
		for j, v := range []uint32{0xA0000, 0, uint32(100 + i), 0} {
			c.write32(4, uint64(16*i+4*j), v)
		}
	}
	c.writeConfig(msixCapability+2, 1<<15, 2)
}

func (c *client) postInterruptBuffer() {
	r := &c.rings[interruptRing]
	d := int(r.avail) % ringEntries
	r.descriptor(d, guestBase+uint64(c.alloc(interruptBytes)), interruptBytes, descriptorWrite, 0)
	r.post(uint16(d))
}

// interrupts takes what interrupts have come, and gives their buffers back if asked.
// Each is its operation and its data, or the pin's number.
func (c *client) interrupts(giveBack bool) (got [][2]uint64) {
	c.t.Helper()
	r := &c.rings[interruptRing]
	for {
		head, n, ok := r.reap()
		if !ok {
			return got
		}
		require.Equal(c.t, interruptBytes, n)
		at := le.Uint64(r.at(descOff+16*int(head))) - guestBase
		m := c.ram[at:][:interruptBytes]
		require.Equal(c.t, uint32(4), le.Uint32(m[4:]))
		v := uint64(le.Uint32(m[16:]))
		if m[0] == legacyPin {
			v = le.Uint64(m[8:])
		} else {
			require.Equal(c.t, uint64(0xA0000), le.Uint64(m[8:]))
		}
		got = append(got, [2]uint64{uint64(m[0]), v})
		if giveBack {
			c.postInterruptBuffer()
		}
	}
}

// called returns for which rings the server has called, in order.
func (c *client) called() (rings []int) {
	c.t.Helper()
	b := make([]byte, 4096)
	n, err := unix.Read(c.calls, b)
	if err != nil {
		return nil
	}
	require.Zero(c.t, n%20)
	for ; n > 0; b, n = b[20:], n-20 {
		require.Equal(c.t, words(slaveVringCall, flagVersion, 8), b[:12])
		rings = append(rings, int(le.Uint32(b[12:])))
	}
	return rings
}

// patience is how long a test waits for what must come.
const patience = 5 * time.Second
