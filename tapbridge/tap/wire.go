//go:build linux

package tap

import (
	"errors"
	"os"
	"sync"

	"nicsim.dev/nicsim"
	"nicsim.dev/tapbridge/live"
)

const (
	// wireFrames bounds what waits on a wire, each way.
	wireFrames = 1024
	// wireBatch is how many frames are handed on at a time.
	wireBatch = 64
	// minFrameBytes is what a sender pads frames to (IEEE 802.3 3.2.8), which the
	// kernel leaves to its drivers.
	minFrameBytes = 60
)

// Wire is the cable from an adapter's port to a TAP: the host's kernel is the
// adapter's peer. Frames pass as they are, one at a time and without offloads, as on
// a cable. It is stepped by the adapter's owner; goroutines of its own read and write
// the TAP.
type Wire struct {
	dev    *Device
	port   nicsim.Port
	pool   *nicsim.Pool
	in     *live.Mailbox[[]byte] // from the kernel
	out    *live.Mailbox[[]byte] // to the kernel
	more   chan struct{}
	spare  chan []byte
	wg     sync.WaitGroup
	batch  [wireBatch][]byte
	frames []*nicsim.Frame
}

// NewWire makes the interface and connects it to port. Frames go back to pool, which
// like the port is the owner's.
func NewWire(cfg DeviceConfig, port nicsim.Port, pool *nicsim.Pool, wake func()) (*Wire, error) {
	cfg.Queues, cfg.Offloads = 1, 0
	dev, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	w := &Wire{dev: dev, port: port, pool: pool, more: make(chan struct{}, 1), spare: make(chan []byte, wireFrames)}
	w.in = live.NewMailbox[[]byte](wireFrames, wake)
	w.out = live.NewMailbox[[]byte](wireFrames, func() {
		select {
		case w.more <- struct{}{}:
		default:
		}
	})
	port.Attach(w)
	port.SetCarrier(true)
	w.wg.Go(w.read)
	w.wg.Go(w.write)
	return w, nil
}

// Room implements nicsim.Wire.
func (w *Wire) Room() int { return wireFrames - w.out.Len() }

// Send implements nicsim.Wire. A damaged frame goes no further, because a TAP has no
// frame check sequence; nor does one for which a MAC control frame took the room.
func (w *Wire) Send(frames []*nicsim.Frame) {
	for _, f := range frames {
		if f.Flags&nicsim.BadFCS == 0 {
			b := append(w.buffer()[:vnetBytes], f.Data...)
			clear(b[:vnetBytes])
			w.out.TryPut(b)
		}
		w.pool.Put(f)
	}
}

func (w *Wire) buffer() []byte {
	select {
	case b := <-w.spare:
		return b
	default:
		return make([]byte, vnetBytes+nicsim.MaxFrameBytes)
	}
}

func (w *Wire) recycle(b []byte) {
	select {
	case w.spare <- b[:cap(b)]:
	default:
	}
}

// Step delivers what the kernel has sent.
func (w *Wire) Step(int) int {
	n := w.in.Take(w.batch[:])
	w.frames = w.frames[:0]
	for _, b := range w.batch[:n] {
		if data := b[vnetBytes:]; len(data) <= nicsim.MaxFrameBytes {
			f := w.pool.Get(max(len(data), minFrameBytes))
			clear(f.Data[copy(f.Data, data):])
			w.frames = append(w.frames, f)
		}
		w.recycle(b)
	}
	if len(w.frames) > 0 {
		w.port.Deliver(w.frames)
	}
	return n
}

func (w *Wire) read() {
	for {
		b := w.buffer()
		n, err := w.dev.queues[0].Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil || n < vnetBytes {
			if err != nil {
				return
			}
			continue
		}
		w.in.Put(b[:n])
	}
}

func (w *Wire) write() {
	var batch [wireBatch][]byte
	for range w.more {
		for n := w.out.Take(batch[:]); n > 0; n = w.out.Take(batch[:]) {
			for _, b := range batch[:n] {
				w.dev.queues[0].Write(b)
				w.recycle(b)
			}
		}
	}
}

// Close removes the interface. The owner must not step the wire any more.
func (w *Wire) Close() error {
	w.in.Close()
	err := w.dev.Close()
	close(w.more)
	w.wg.Wait()
	return err
}
