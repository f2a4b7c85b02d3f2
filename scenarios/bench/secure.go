package bench

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"time"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// Frames that an adapter seals and opens: a driver posts them in clear and the wire gets
// them sealed, or the wire delivers them sealed and the driver finds them opened. The
// reference is the bare cipher of Go's library on as many bytes.

const (
	secureRing        = 128
	secureBufferBytes = 16 << 10
	secureBuffers     = 1 << 20 // where they are
	secureBurst       = burst / 2
	tagBytes          = 16 // that the cipher adds
)

var secureKey = []byte("a key of 16 byte")

// secureSizes are those of IP packets, but for the smallest, which is the text's.
var secureSizes = []int{64, 1500, 9000}

// bothSides measures sending and receiving, at each size.
func bothSides(prepare func(side string, size int) (*secureLoad, error)) func(context.Context, *Options) ([]Result, error) {
	return func(ctx context.Context, o *Options) (results []Result, err error) {
		for _, size := range secureSizes {
			for _, side := range []string{"tx", "rx"} {
				name := fmt.Sprintf("%s-%d", side, size)
				l, err := prepare(side, size)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				bare := newBareCipher(side, l.text)
				c := contest{
					ours: load{run: l.run, check: l.check, least: 2 * secureRing}, reference: load{run: bare.run, check: bare.check},
					unit: "GB/s", scale: 1e-9 * float64(l.text),
				}
				r, err := c.measure(o)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				r.Name, r.Against = name, "Go's AES-GCM"
				results = append(results, r)
			}
		}
		return results, ctx.Err()
	}
}

// secureLoad is an adapter whose driver sends frames that it seals, or receives frames that
// it opens.
type secureLoad struct {
	*adapter
	side  string
	text  int           // bytes that are sealed in each frame
	plain []byte        // a frame as the driver posts it
	flags ixgbe.TxFlags // by which the adapter is asked to seal it
	// sealed are frames as the wire delivers them, in turn.
	sealed [][]byte
	// sent says whether a frame is what the wire should have got, and opened whether a
	// buffer begins with what the driver should.
	sent, opened func(b []byte) bool

	pool         *nicsim.Pool
	wire         secureWire
	doorbell     uint32
	next, packet int
	batch        []*nicsim.Frame
}

// secureWire keeps the last frame.
type secureWire struct {
	pool *nicsim.Pool
	last []byte
}

func (*secureWire) Room() int { return burst }
func (w *secureWire) Send(frames []*nicsim.Frame) {
	w.last = append(w.last[:0], frames[len(frames)-1].Data...)
	w.pool.PutAll(frames)
}

// newSecureLoad powers an adapter on, for jumbo frames and with its engines enabled.
func newSecureLoad(side string, text int) (*secureLoad, error) {
	l := &secureLoad{side: side, text: text, pool: new(nicsim.Pool)}
	var err error
	if l.adapter, err = newAdapter(sim.NewVirtual(), l.pool, "a", macB, make([]byte, secureBuffers+secureRing*secureBufferBytes)); err != nil {
		return nil, err
	}
	l.wire.pool = l.pool
	l.dev.Port().Attach(&l.wire)
	l.dev.Port().SetCarrier(true)
	l.write("SECTXCTRL", 0, 4)
	l.write("SECRXCTRL", 0, 0)
	l.write("HLREG0", 0, 0x0801040B|4)
	l.write("MAXFRS", 0, 9600<<16)
	return l, nil
}

func secureBuffer(i int) uint64 { return secureBuffers + uint64(i)*secureBufferBytes }

// open opens the ring of its side. A context goes into the first descriptor of a transmit
// ring.
func (l *secureLoad) open(ctx *ixgbe.AdvContext) (*secureLoad, error) {
	if l.side == "tx" {
		l.transmitRing(0, ringAt, secureRing)
		l.doorbell = l.offset("TDT", 0)
		if ctx != nil {
			ctx.Put(l.desc(ringAt, 0))
			l.next = 1
		}
		for i := range secureRing {
			copy(l.mem[secureBuffer(i):], l.plain)
		}
		return l, l.err
	}
	l.receiveRing(0, ringAt, secureRing, oneBuffer)
	l.write("SRRCTL", 0, oneBuffer|15) // 15 KiB a buffer
	l.write("RXCTRL", 0, 1)
	l.doorbell = l.offset("RDT", 0)
	for i := range secureRing {
		ixgbe.AdvRx{Addr: secureBuffer(i)}.Put(l.desc(ringAt, i))
	}
	l.fn.Write32(0, l.doorbell, secureRing-1)
	return l, l.err
}

// run leaves out what it takes to make the frames that a wire delivers.
func (l *secureLoad) run(n int) (done int, took time.Duration, err error) {
	for done < n {
		if l.side == "rx" {
			l.arrive()
		}
		begin := time.Now()
		if l.side == "tx" {
			l.send()
		} else if err := l.receive(); err != nil {
			return done, took, err
		}
		took += time.Since(begin)
		done += secureBurst
	}
	return done, took, nil
}

// send posts a burst and lets it leave.
func (l *secureLoad) send() {
	n := len(l.plain)
	for range secureBurst {
		ixgbe.AdvData{
			Addr: secureBuffer(l.next), DTALEN: uint16(n), PAYLEN: uint32(n), Flags: ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS | l.flags,
		}.Put(l.desc(ringAt, l.next))
		l.next = (l.next + 1) % secureRing
	}
	l.fn.Write32(0, l.doorbell, uint32(l.next))
	l.dev.Step(sim.StepBudget)
}

// arrive makes a burst of frames.
func (l *secureLoad) arrive() {
	l.batch = l.batch[:0]
	for range secureBurst {
		b := l.sealed[l.packet%len(l.sealed)]
		l.packet++
		f := l.pool.Get(len(b))
		copy(f.Data, b)
		l.batch = append(l.batch, f)
	}
}

// receive lets them arrive and gives their buffers back.
func (l *secureLoad) receive() error {
	l.dev.Port().Deliver(l.batch)
	l.dev.Step(sim.StepBudget)
	last := l.desc(ringAt, (l.next+secureBurst-1)%secureRing)
	if !ixgbe.AdvRxDone(last) {
		return fmt.Errorf("frame %d did not arrive", l.packet)
	}
	if wb := ixgbe.ParseAdvRxWB(last); wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR) != ixgbe.RxSECP {
		return fmt.Errorf("frame %d was not opened: status %v", l.packet, wb.Status)
	}
	for range secureBurst {
		ixgbe.AdvRx{Addr: secureBuffer(l.next)}.Put(l.desc(ringAt, l.next))
		l.next = (l.next + 1) % secureRing
	}
	l.fn.Write32(0, l.doorbell, uint32((l.next+secureRing-1)%secureRing))
	return nil
}

func (l *secureLoad) check() error {
	last := l.mem[secureBuffer((l.next+secureRing-1)%secureRing):]
	switch {
	case l.side == "tx" && !l.sent(l.wire.last):
		return fmt.Errorf("what was sent is not what Go's library seals")
	case l.side == "rx" && !l.opened(last):
		return fmt.Errorf("what was received is not what was sealed")
	}
	return l.drops()
}

func goGCM() cipher.AEAD {
	block, err := aes.NewCipher(secureKey)
	if err != nil {
		panic(err) // the key is a constant
	}
	c, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return c
}

// bareCipher is the reference. It has as many buffers as the driver, each with a text of its
// own, so that it finds them in the same cache.
type bareCipher struct {
	gcm           cipher.AEAD
	side          string
	nonce, header []byte
	plain, sealed []byte
	from          [secureRing][]byte
	work          []byte
	next          int
}

func newBareCipher(side string, text int) *bareCipher {
	b := &bareCipher{gcm: goGCM(), side: side, nonce: make([]byte, 12), header: make([]byte, 8), plain: make([]byte, text)}
	fill(b.plain, 1)
	b.sealed = b.gcm.Seal(nil, b.nonce, b.plain, b.header)
	b.work = make([]byte, len(b.sealed))
	for i := range b.from {
		if b.from[i] = bytes.Clone(b.plain); side == "rx" {
			b.from[i] = bytes.Clone(b.sealed)
		}
	}
	return b
}

func (b *bareCipher) run(n int) (int, time.Duration, error) {
	for range n {
		from := b.from[b.next]
		b.next = (b.next + 1) % secureRing
		if b.side == "tx" {
			b.gcm.Seal(b.work[:0], b.nonce, from, b.header)
		} else if _, err := b.gcm.Open(b.work[:0], b.nonce, from, b.header); err != nil {
			return 0, 0, err
		}
	}
	return n, 0, nil
}

func (b *bareCipher) check() error {
	want := b.sealed
	if b.side != "tx" {
		want = b.plain
	}
	if !bytes.Equal(b.work[:len(want)], want) {
		return fmt.Errorf("the reference's own text is wrong")
	}
	return nil
}
