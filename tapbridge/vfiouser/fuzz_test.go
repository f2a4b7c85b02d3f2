//go:build linux

package vfiouser

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/live"
)

// arena is a host with one served device, stepped by hand.
type arena struct {
	*rig
	d      *copier
	server *guest.Server
	path   string
	fds    []int // memory, an eventfd, a full blocking eventfd, a pipe, a read-only file
}

func newArena(t testing.TB) *arena {
	r := newRig(t)
	a := &arena{rig: r, d: newCopier(t), path: r.dir + "/nic0"}
	var err error
	a.server, err = Serve(r.host, Config{Name: "nic0", Path: a.path, Function: a.d.fn})
	require.NoError(t, err)
	r.host.Add(a.d)
	t.Cleanup(r.host.Close)
	_, memfd := sharedMemory(t, 1<<20)
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	null, err := os.Open("/dev/null")
	require.NoError(t, err)
	t.Cleanup(func() {
		unix.Close(pipe[0])
		unix.Close(pipe[1])
		null.Close()
	})
	a.fds = []int{memfd, eventFDs(t, 1, unix.EFD_NONBLOCK)[0], full(t, 0), pipe[1], int(null.Fd())}
	return a
}

// attend turns the host until done, and fails when that takes forever.
func (a *arena) attend(t *testing.T, done func() bool) {
	for end := time.Now().Add(patience); !done(); {
		if a.host.Step(64) == 0 {
			a.host.Rest(new(live.Rest))
			time.Sleep(10 * time.Microsecond)
			a.host.Awake()
		}
		require.True(t, time.Now().Before(end), "the host hangs")
	}
}

// session runs one client, whose messages f sends. Another goroutine reads what comes
// back, and answers the server's own commands, right or wrong.
func (a *arena) session(t *testing.T, lie byte, f func(c *client)) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: a.path, Net: "unix"})
	require.NoError(t, err)
	c := &client{t: t, conn: conn}
	a.attend(t, a.server.Connected)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		replies := &client{t: t, conn: conn, far: map[uint64][]byte{0: make([]byte, 1<<20)}}
		replies.meddle = func(h header, p []byte) (header, []byte) {
			if len(p) > 0 {
				p[int(lie)%len(p)] ^= lie
			}
			return h, p[:len(p)-int(lie>>4)%(len(p)+1)]
		}
		for {
			h, p, err := replies.read()
			if err != nil {
				return
			}
			if h.flags&typeBits != typeReply && len(p) >= dmaAccessBytes {
				replies.serve(h, p)
			}
		}
	}()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		f(c)
		conn.CloseWrite()
	}()
	a.attend(t, func() bool { return !a.server.Connected() })
	conn.Close()
	<-sent
	<-answered
	require.False(t, a.d.fn.BusMaster())
	require.Equal(t, uint32(0), a.d.regs[cpDone/4])
}

// FuzzSession feeds any bytes to a session, raw or behind a good beginning.
func FuzzSession(f *testing.F) {
	good := func(cmd command, payload []byte) []byte {
		b := make([]byte, headerBytes)
		header{1, cmd, uint32(headerBytes + len(payload)), 0, 0}.put(b)
		return append(b, payload...)
	}
	f.Add(false, good(cmdVersion, versionRequest(0, 0, qemuCapabilities)))
	f.Add(true, good(cmdDMAMap, put(&dmaMap{32, 3, 0, 0, 4096}, 32)))
	f.Add(true, good(cmdSetIRQs, irqRequestOf(2, 0, 1, irqDataBool|irqActionTrigger, 1)))
	f.Add(true, good(cmdRegionWrite, put(&regionAccess{4, 7, 2}, 16, 6, 0)))
	f.Add(true, good(cmdRegionRead, put(&regionAccess{0, 7, 4096}, 16))[:20])
	a := newArena(f)
	f.Fuzz(func(t *testing.T, agree bool, data []byte) {
		a.session(t, 0, func(c *client) {
			if agree {
				c.send(cmdVersion, 0, versionRequest(0, 1, ""))
			}
			c.raw(data)
		})
	})
}

// FuzzRequests makes well-formed messages of any content, with any descriptors, in any
// order, with jobs for the device in between.
func FuzzRequests(f *testing.F) {
	f.Add(byte(0), []byte("\x02\x01........."))
	f.Add(byte(0), []byte{0x82, 1, 3, 0x0A, 0, 0, 0x8A, 1, 1, 0x1D, 0, 0})
	f.Add(byte(0x31), []byte{0x12, 0, 0, 0x1D, 0, 0, 0x1D, 0, 0, 0x1D, 0, 0})
	fds := -1
	a := newArena(f)
	f.Fuzz(func(t *testing.T, lie byte, script []byte) {
		a.session(t, lie, func(c *client) {
			c.send(cmdVersion, 0, versionRequest(0, 1, `{"capabilities":{"max_data_xfer_size":3000}}`))
			c.send(cmdRegionWrite, 0, put(&regionAccess{4, 7, 2}, 16, 6, 0))
			for ; len(script) >= 3; script = script[3:] {
				a.request(c, script[0], script[1], script[2])
			}
		})
		if now := openFDs(t); fds < 0 {
			fds = now
		} else {
			require.LessOrEqual(t, now, fds+8, "descriptors leak") // some are of the test's own connections
		}
	})
}

// request sends what three bytes stand for: likely values, so that something happens.
func (a *arena) request(c *client, kind, x, y byte) {
	var flags uint32
	if kind&0x40 != 0 {
		flags = noReply
	}
	var fds []int
	if kind&0x80 != 0 {
		fds = []int{a.fds[int(x)%len(a.fds)]}
	}
	page := uint64(y) % 16 * 0x8000
	switch command(kind & 0x1F) {
	case cmdDMAMap:
		c.send(cmdDMAMap, flags, put(&dmaMap{32, uint32(x)%4 | 1, uint64(x>>6) * 4096, page, uint64(x>>4+1) * 4096}, 32), fds...)
	case cmdDMAUnmap:
		c.send(cmdDMAUnmap, flags, put(&dmaUnmap{24, uint32(x & 3), page, uint64(x>>4+1) * 4096}, 24), fds...)
	case cmdSetIRQs:
		c.send(cmdSetIRQs, flags, irqRequestOf(uint32(x)%6, uint32(y)%72, uint32(x>>4)%3, 1<<(y%3)|8<<(x%3), 1, 0), fds...)
	case cmdRegionRead:
		c.send(cmdRegionRead, flags, put(&regionAccess{uint64(y) * 17, uint32(x) % 10, uint32(x) * 9}, 16))
	case cmdRegionWrite:
		c.send(cmdRegionWrite, flags, put(&regionAccess{uint64(y), uint32(x) % 10, 4}, 16, x, y, x, 0))
	case cmdRegionWriteMulti:
		c.send(cmdRegionWriteMulti, flags, append(le.AppendUint64(nil, 1), put(&regionAccess{uint64(y), uint32(x) % 10, uint32(x) % 10}, 24)...))
	case 29: // a job for the device
		for off, v := range map[uint64]uint32{cpFrom: uint32(page), cpTo: uint32(x) * 0x1000, cpBytes: uint32(y) * 50, cpRing: uint32(x&0x0F) * 0x4000} {
			c.post(0, off, v)
		}
		c.post(0, cpBell, 1)
	default:
		c.send(command(kind&0x1F), flags, []byte{x, 0, 0, 0, y, 0, 0, 0, x & 7, 0, 0, 0, y & 1, 0, 0, 0}, fds...)
	}
}
