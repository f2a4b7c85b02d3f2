//go:build linux

package tap

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/tapbridge/live"
)

const (
	// maxPacketBytes is the longest packet of a TAP: a super-segment of 64 KiB
	// with its link header and tags.
	maxPacketBytes = 65536 + 64
	// slabBytes and slabs bound what was read ahead of the adapter: the rest
	// waits in the kernel.
	slabBytes   = 512 << 10
	slabs       = 4
	slabPackets = 256
	// lendPackets is how many received packets are written to the kernel while
	// the adapter goes on with others.
	lendPackets = 32
)

// Bridge joins the queues of a TAP to those of a driver. It is stepped by the
// driver's owner; goroutines of its own read and write the TAP.
type Bridge struct {
	dev    *Device
	drv    driver.Driver
	tags   bool
	queues []*queue
	wg     sync.WaitGroup
	closed chan struct{}
	drops  [numDrops]atomic.Uint64
	gone   chan error
}

// counters of one direction, written by one goroutine and read by any.
type counters struct{ packets, bytes, gso, sums atomic.Uint64 }

func (c *counters) add(bytes int, gso, sum bool) {
	c.packets.Add(1)
	c.bytes.Add(uint64(bytes))
	if gso {
		c.gso.Add(1)
	}
	if sum {
		c.sums.Add(1)
	}
}

// slab is memory that packets are read into, one after the other.
type slab struct {
	bytes []byte
	used  int
	at    [slabPackets]struct{ from, to int }
	n     int
}

// queue is one queue of the TAP and one of the driver.
type queue struct {
	b    *Bridge
	i    int // of the driver
	raw  syscall.RawConn
	wake func()

	// From the kernel: slabs go round from free over full to current.
	free    chan *slab
	full    *live.Mailbox[*slab]
	current *slab
	posts   [slabPackets]driver.TxPacket
	next, n int
	from    counters

	// To the kernel: packets are lent to the writer, and Receive is not called
	// again before it is done with them.
	lent  atomic.Bool
	had   int // packets of the last Receive
	lend  chan int
	rx    [lendPackets]driver.RxPacket
	front front
	iov   []unix.Iovec
	errno unix.Errno
	to    counters
}

// NewBridge starts to carry packets between d and drv, which must have as many
// queues. The bridge owns d from then on. With tags, VLAN tags are inserted and
// stripped by the adapter, and the driver must be set to strip them. wake is
// called, from any goroutine, when Step has something to do.
func NewBridge(d *Device, drv driver.Driver, tags bool, wake func()) (*Bridge, error) {
	if len(d.queues) != drv.Queues() {
		return nil, fmt.Errorf("tap %s: it has %d queues and its driver %d, want the same", d.name, len(d.queues), drv.Queues())
	}
	b := &Bridge{dev: d, drv: drv, tags: tags, closed: make(chan struct{}), gone: make(chan error, 1)}
	for i, f := range d.queues {
		raw, err := f.SyscallConn()
		if err != nil {
			return nil, err
		}
		q := &queue{b: b, i: i, raw: raw, wake: wake, free: make(chan *slab, slabs), lend: make(chan int, 1)}
		q.full = live.NewMailbox[*slab](slabs, wake)
		for range slabs {
			q.free <- &slab{bytes: make([]byte, slabBytes)}
		}
		b.queues = append(b.queues, q)
	}
	for _, q := range b.queues {
		b.wg.Go(q.read)
		b.wg.Go(q.write)
	}
	return b, nil
}

// Stats returns the counters. Any goroutine may call it.
func (b *Bridge) Stats() Stats {
	var s Stats
	for _, q := range b.queues {
		s.FromKernel.sum(&q.from)
		s.ToKernel.sum(&q.to)
	}
	for i := range s.Drops {
		s.Drops[i] = b.drops[i].Load()
	}
	return s
}

func (c *Count) sum(from *counters) {
	c.Packets += from.packets.Load()
	c.Bytes += from.bytes.Load()
	c.GSOPackets += from.gso.Load()
	c.NeedsChecksum += from.sums.Load()
}

// Step implements sim.Stepper: it posts what was read and lends what was
// received to the writers.
func (b *Bridge) Step(budget int) int {
	n := 0
	for _, q := range b.queues {
		n += q.transmit(budget)
		n += q.receive()
	}
	return n
}

// transmit posts at most about budget packets.
func (q *queue) transmit(budget int) int {
	sent := 0
	for sent < budget {
		if q.current == nil && !q.takeSlab() {
			break
		}
		k := q.b.drv.Transmit(q.i, q.posts[q.next:q.n])
		q.next += k
		sent += k
		if q.next < q.n {
			break
		}
		q.free <- q.current // it has room for all slabs
		q.current = nil
	}
	return sent
}

// takeSlab describes the packets of the next slab to the driver.
func (q *queue) takeSlab() bool {
	var one [1]*slab
	if q.full.Take(one[:]) == 0 {
		return false
	}
	q.current, q.next, q.n = one[0], 0, 0
	for _, span := range q.current.at[:q.current.n] {
		b := q.current.bytes[span.from:span.to]
		h := parseVnet(b)
		post := &q.posts[q.n]
		if err := h.describe(post, b[vnetBytes:], q.b.tags); err != nil {
			q.b.drops[DropBadHeader].Add(1)
			continue
		}
		q.from.add(len(b)-vnetBytes, post.GSO != driver.NoGSO, post.NeedsChecksum)
		q.n++
	}
	return true
}

// receive lends received packets to the writer. Giving back those it had counts
// as work, because the adapter may have waited for their buffers.
func (q *queue) receive() int {
	if q.lent.Load() {
		return 0
	}
	back := q.had
	q.had = q.b.drv.Receive(q.i, q.rx[:])
	if q.had > 0 {
		q.lent.Store(true)
		q.lend <- q.had // it is empty, because nothing was lent
	}
	return back + q.had
}

// read fills slabs from the TAP until it is closed.
func (q *queue) read() {
	for {
		var s *slab
		select {
		case s = <-q.free:
		case <-q.b.closed:
			return
		}
		s.used, s.n = 0, 0
		var failed error
		err := q.raw.Read(func(fd uintptr) bool {
			failed = s.fill(int(fd))
			return s.n > 0 || failed != nil
		})
		if s.n > 0 {
			q.full.Put(s)
		}
		if err := errors.Join(err, failed); err != nil {
			select {
			case q.b.gone <- err:
			default:
			}
			return
		}
	}
}

// fill reads packets until there are none, or no room.
func (s *slab) fill(fd int) error {
	const align = 64
	for s.n < len(s.at) && len(s.bytes)-s.used >= maxPacketBytes+vnetBytes {
		n, err := unix.Read(fd, s.bytes[s.used:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return os.NewSyscallError("read", err)
		}
		if n >= vnetBytes {
			s.at[s.n].from, s.at[s.n].to = s.used, s.used+n
			s.n++
			s.used += (n + align - 1) &^ (align - 1)
		}
	}
	return nil
}

// write hands lent packets to the kernel.
func (q *queue) write() {
	attempt := q.attempt // once, so that it is not allocated for each packet
	for {
		var n int
		select {
		case n = <-q.lend:
		case <-q.b.closed:
			return
		}
		for i := range q.rx[:n] {
			p := &q.rx[i]
			q.gather(p)
			if err := q.raw.Write(attempt); err != nil {
				return
			}
			q.settle(p)
		}
		q.lent.Store(false)
		q.wake()
	}
}

// gather lists what a packet consists of for the kernel.
func (q *queue) gather(p *driver.RxPacket) {
	q.front.compose(p)
	q.iov = append(q.iov[:0], iovec(q.front.bytes[:q.front.size]))
	for i, b := range p.Pieces {
		if i == 0 {
			b = b[q.front.skip:]
		}
		if len(b) > 0 {
			q.iov = append(q.iov, iovec(b))
		}
	}
}

func iovec(b []byte) unix.Iovec {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	return v
}

// attempt writes what was gathered, and returns false to be called again when
// the TAP takes more.
func (q *queue) attempt(fd uintptr) bool {
	for {
		_, _, q.errno = unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&q.iov[0])), uintptr(len(q.iov)))
		if q.errno != unix.EINTR {
			return q.errno != unix.EAGAIN
		}
	}
}

// settle counts a packet that was written or not.
func (q *queue) settle(p *driver.RxPacket) {
	switch q.errno {
	case 0:
		flags, gso := q.front.bytes[0], q.front.bytes[1]
		q.to.add(driver.Bytes(p.Pieces), gso != vnetGSONone, flags&vnetNeedsChecksum != 0)
	case unix.EIO:
		q.b.drops[DropDown].Add(1)
	case unix.EINVAL:
		q.b.drops[DropRefused].Add(1)
	default:
		q.b.drops[DropFailed].Add(1)
	}
}

// Name returns the name of the TAP.
func (b *Bridge) Name() string { return b.dev.Name() }

// Gone receives an error when the TAP cannot be read any more, such as when
// somebody deleted the interface.
func (b *Bridge) Gone() <-chan error { return b.gone }

// Close removes the interface and ends the bridge's goroutines. The loop that
// steps the bridge must have ended.
func (b *Bridge) Close() error {
	close(b.closed)
	for _, q := range b.queues {
		q.full.Close()
	}
	err := b.dev.Close()
	b.wg.Wait()
	return err
}
