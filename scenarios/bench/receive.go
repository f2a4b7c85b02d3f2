package bench

import (
	"fmt"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// receiver is an adapter that frames are handed to as a wire does it, and the
// driver's side of its one receive ring.
type receiver struct {
	*adapter
	pool    *nicsim.Pool
	rdt     uint32
	next    int // descriptor that the driver looks at next
	headers bool
	batch   []*nicsim.Frame
	packets uint64
	last    []received
}

// received is what one packet's descriptors led to.
type received struct {
	header, bytes, merged int
	status                ixgbe.RxStatus
	buffer                int // the first one
}

// headersAt is where header buffers are, 256 bytes each.
const (
	headersAt         = ringArena
	headerBufferBytes = 256
	receiverArena     = headersAt + ringDescriptors*headerBufferBytes
)

func newReceiver(srrctl uint32, program func(a *adapter)) (*receiver, error) {
	r := &receiver{pool: new(nicsim.Pool), headers: srrctl&headerSplit != 0}
	var err error
	if r.adapter, err = newAdapter(sim.NewVirtual(), r.pool, "b", macB, make([]byte, receiverArena)); err != nil {
		return nil, err
	}
	r.dev.Port().Attach(deaf{r.pool})
	r.dev.Port().SetCarrier(true)
	program(r.adapter)
	r.receiveRing(0, ringAt, ringDescriptors, srrctl)
	r.write("RXCTRL", 0, 1)
	r.rdt = r.offset("RDT", 0)
	for i := range ringDescriptors {
		r.repost(i)
	}
	r.fn.Write32(0, r.rdt, ringDescriptors-1)
	return r, r.err
}

// deaf is a wire that nobody listens to.
type deaf struct{ pool *nicsim.Pool }

func (deaf) Room() int { return 64 }
func (w deaf) Send(frames []*nicsim.Frame) {
	for _, f := range frames {
		w.pool.Put(f)
	}
}

func (r *receiver) repost(i int) {
	d := ixgbe.AdvRx{Addr: bufferAt(i)}
	if r.headers {
		d.Header = headersAt + uint64(i)*headerBufferBytes
	}
	d.Put(r.desc(ringAt, i))
}

// deliver copies frames into those of a wire and hands them over.
func (r *receiver) deliver(frames [][]byte) {
	r.batch = r.batch[:0]
	for _, b := range frames {
		f := r.pool.Get(len(b))
		copy(f.Data, b)
		r.batch = append(r.batch, f)
	}
	r.dev.Port().Deliver(r.batch)
	r.dev.Step(len(frames))
}

// harvest takes every packet that is there and gives its buffers back.
func (r *receiver) harvest() error {
	r.last = r.last[:0]
	p := received{buffer: r.next}
	from := r.next
	for ixgbe.AdvRxDone(r.desc(ringAt, r.next)) {
		wb := ixgbe.ParseAdvRxWB(r.desc(ringAt, r.next))
		p.bytes += int(wb.PKTLEN)
		if wb.Info&ixgbe.RxSPH != 0 && r.headers {
			p.header = wb.Info.HDRLEN()
		}
		p.merged += max(wb.Info.RSCCNT()-1, 0)
		r.repost(r.next)
		if r.next = r.next + 1; r.next == ringDescriptors {
			r.next = 0
		}
		if wb.Status&ixgbe.RxEOP == 0 {
			continue
		}
		p.status = wb.Status
		r.last = append(r.last, p)
		r.packets++
		p = received{buffer: r.next}
	}
	if r.next == from {
		return fmt.Errorf("nothing arrived")
	}
	r.fn.Write32(0, r.rdt, uint32((r.next+ringDescriptors-1)%ringDescriptors))
	return nil
}
