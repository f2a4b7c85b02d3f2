//go:build linux

package vfiouser

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/tapbridge/guest"
)

// Bounds of asking the client for its memory.
const (
	// answerPatience is for how long the loop stands still for an answer, and all its
	// adapters with it.
	answerPatience = time.Second
	// maxWrites is how many writes may be on their way.
	maxWrites = 64
	// maxKept bounds the messages that come meanwhile: a client can wait for
	// answers to these, and otherwise has no business to send more.
	maxKept      = 4096
	maxKeptBytes = 4 << 20
)

// remote is memory that the client has not shared: it is asked by DMA_READ and
// DMA_WRITE, and the adapter waits for the answer.
type remote struct {
	s      *session
	piece  int // bytes that the client takes in a message
	lastID uint16
	writes []asked // in flight

	keeping []keptMessage
	bytes   int
}

// asked is a command of ours without an answer.
type asked struct {
	id    uint16
	addr  dma.Addr
	count int
}

// keptMessage is a message that came while an answer was awaited.
type keptMessage struct {
	bytes []byte
	fds   []int
}

// errFailed is the client's error for an access. The session goes on, and the adapter
// sees a fault.
var errFailed = errors.New("the client failed it")

// Read fills p with the client's memory at addr.
func (r *remote) Read(p []byte, addr dma.Addr) error {
	for len(p) > 0 {
		n := min(len(p), r.piece)
		if err := r.read(p[:n], addr); err != nil {
			return r.ended(err)
		}
		p, addr = p[n:], addr+dma.Addr(n)
	}
	return nil
}

func (r *remote) read(p []byte, addr dma.Addr) error {
	if r.s.dead != nil {
		return r.s.dead
	}
	a := asked{r.ask(cmdDMARead, addr, len(p), nil), addr, len(p)}
	for {
		h, reply, err := r.answer()
		switch {
		case err != nil:
			return fmt.Errorf("amid a DMA_READ of %d bytes at %#x: %w", a.count, uint64(addr), err)
		case h.id != a.id || h.cmd != cmdDMARead:
			if err := r.written(h, reply); err != nil {
				return err
			}
			continue
		case h.flags&errorFlag != 0:
			return fmt.Errorf("%w: DMA_READ of %d bytes at %#x: %v", errFailed, a.count, uint64(addr), h.errno)
		}
		var m dmaAccess
		if len(reply) >= dmaAccessBytes {
			m.parse(reply)
		}
		if m.addr != uint64(addr) || m.count != uint64(len(p)) || len(reply) != dmaAccessBytes+len(p) {
			return fmt.Errorf("an answer of %d bytes, for %d at %#x, to a DMA_READ of %d at %#x", len(reply), m.count, m.addr, len(p), uint64(addr))
		}
		copy(p, reply[dmaAccessBytes:])
		return nil
	}
}

// Write sends p to the client's memory at addr.
func (r *remote) Write(p []byte, addr dma.Addr) error {
	for len(p) > 0 {
		if r.s.dead != nil {
			return r.s.dead
		}
		if len(r.writes) == maxWrites {
			if err := r.await(); err != nil {
				return r.ended(err)
			}
		}
		n := min(len(p), r.piece)
		r.writes = append(r.writes, asked{r.ask(cmdDMAWrite, addr, n, p[:n]), addr, n})
		p, addr = p[n:], addr+dma.Addr(n)
	}
	return nil
}

// Sync waits for the answers to all writes.
func (r *remote) Sync() error {
	for len(r.writes) > 0 {
		if err := r.await(); err != nil {
			return r.ended(err)
		}
	}
	return nil
}

// await takes the answer to one write.
func (r *remote) await() error {
	h, reply, err := r.answer()
	if err != nil {
		return fmt.Errorf("amid a DMA_WRITE of %d bytes at %#x: %w", r.writes[0].count, uint64(r.writes[0].addr), err)
	}
	return r.written(h, reply)
}

// written checks the answer to a write. One that the client failed is lost, as posted
// writes on a bus are.
func (r *remote) written(h header, reply []byte) error {
	i := slices.IndexFunc(r.writes, func(a asked) bool { return a.id == h.id })
	if i < 0 || h.cmd != cmdDMAWrite {
		return fmt.Errorf("a reply to a %v that was not asked", h.cmd)
	}
	a := r.writes[i]
	r.writes = slices.Delete(r.writes, i, i+1)
	if h.flags&errorFlag != 0 {
		r.s.logRefusal(fmt.Errorf("%w: DMA_WRITE of %d bytes at %#x: %v", errFailed, a.count, uint64(a.addr), h.errno))
		return nil
	}
	if len(reply) < dmaWrittenBytes || le.Uint64(reply) != uint64(a.addr) || uint64(le.Uint32(reply[8:])) != uint64(a.count) {
		return fmt.Errorf("an answer that does not match a DMA_WRITE of %d bytes at %#x", a.count, uint64(a.addr))
	}
	return nil
}

// ended ends the session, unless the client only failed the access.
func (r *remote) ended(err error) error {
	switch {
	case errors.Is(err, errFailed):
		r.s.logRefusal(err)
	case r.s.dead == nil:
		r.s.dead = err
	}
	return err
}

func (r *remote) ask(cmd command, addr dma.Addr, n int, data []byte) uint16 {
	r.lastID++
	var b [headerBytes + dmaAccessBytes]byte
	header{id: r.lastID, cmd: cmd, bytes: uint32(len(b) + len(data))}.put(b[:])
	m := dmaAccess{uint64(addr), uint64(n)}
	m.put(b[headerBytes:])
	r.s.conn.Queue(b[:], data)
	return r.lastID
}

// answer waits for a reply, and keeps what else comes for later.
func (r *remote) answer() (header, []byte, error) {
	c := r.s.conn
	for until := time.Now().Add(answerPatience); ; {
		message, fds, err := c.Next(headerBytes, messageBytes)
		switch {
		case err != nil:
			return header{}, nil, err
		case message == nil:
			if err := c.Wait(time.Until(until)); err != nil {
				return header{}, nil, err
			}
			continue
		}
		h := parseHeader(message)
		if h.flags&typeBits != typeReply {
			if err := r.keep(message, fds); err != nil {
				return header{}, nil, err
			}
			continue
		}
		if len(fds) > 0 {
			guest.CloseAll(fds)
			return header{}, nil, fmt.Errorf("%d file descriptors with a reply", len(fds))
		}
		return h, message[headerBytes:], nil
	}
}

func (r *remote) keep(message []byte, fds []int) error {
	if len(r.keeping) == maxKept || len(message) > maxKeptBytes-r.bytes {
		guest.CloseAll(fds)
		return fmt.Errorf("more than %d messages while an answer was awaited", len(r.keeping))
	}
	r.keeping = append(r.keeping, keptMessage{slices.Clone(message), fds})
	r.bytes += len(message)
	return nil
}

// kept returns the first of the messages that came meanwhile.
func (r *remote) kept() (keptMessage, bool) {
	if len(r.keeping) == 0 {
		return keptMessage{}, false
	}
	m := r.keeping[0]
	r.keeping = r.keeping[1:]
	r.bytes -= len(m.bytes)
	return m, true
}

func (r *remote) close() {
	for _, m := range r.keeping {
		guest.CloseAll(m.fds)
	}
	r.keeping = nil
}
