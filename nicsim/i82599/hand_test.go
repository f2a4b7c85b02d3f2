package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/sim"
)

// hands play a driver by hand, one register and one descriptor at a time.
type hands struct {
	t     testing.TB
	d     *Device
	clock *sim.Clock
	pool  *nicsim.Pool
	wire  gauge
	mem   []byte
	tails map[int]uint32
}

// gauge is a wire with as much room as it is given, that keeps what it gets.
type gauge struct {
	room int
	sent []*nicsim.Frame
}

func (g *gauge) Room() int { return g.room }
func (g *gauge) Send(frames []*nicsim.Frame) {
	g.room -= len(frames)
	g.sent = append(g.sent, frames...)
}

const (
	handIOVA  = 0x4000_0000
	handRing  = 256 // descriptors
	handSlots = 16 << 10
)

func newHands(t testing.TB) *hands {
	h := &hands{t: t, clock: sim.NewVirtual(), pool: &nicsim.Pool{}, tails: map[int]uint32{}}
	h.wire.room = 1 << 20
	var err error
	h.d, err = newDevice(nicsim.Config{Name: "A", MAC: [6]byte{2, 0, 0, 0, 0, 2}, Clock: h.clock, Pool: h.pool})
	require.NoError(t, err)
	h.mem = make([]byte, numQueues*handSlots)
	require.NoError(t, h.d.fn.Memory.Map(handIOVA, h.mem, dma.Read|dma.Write))
	h.d.fn.ConfigWrite([]byte{6, 0}, 4)
	h.d.Port().Attach(&h.wire)
	h.d.Port().SetCarrier(true)
	h.write(0x4A80, 0x81000001) // DMATXCTL
	h.write(0x3000, 1)          // RXCTRL
	return h
}

func (h *hands) write(off, v uint32)       { h.d.writeReg(off, v) }
func (h *hands) read(off uint32) uint32    { return h.d.readReg(off) }
func (h *hands) set(name string, v uint32) { h.setAt(name, 0, v) }

func (h *hands) setAt(name string, i int, v uint32) {
	off, ok := table.Lookup(name, i)
	require.True(h.t, ok, name)
	h.write(off, v)
}

func (h *hands) get(name string) uint32 { return h.getAt(name, 0) }

func (h *hands) getAt(name string, i int) uint32 {
	off, ok := table.Lookup(name, i)
	require.True(h.t, ok, name)
	return h.read(off)
}

// openTx enables transmit queue q; its ring and one buffer share a slot of the
// memory.
func (h *hands) openTx(q int) {
	base := uint32(0x6000 + 0x40*q)
	h.write(base, handIOVA+uint32(q)*handSlots)
	h.write(base+8, handRing*ixgbe.Size)
	h.write(base+0x28, 1<<25)
}

// post gives the adapter n descriptors for the frame.
func (h *hands) post(q int, frame []byte, n int, flags ixgbe.TxFlags) {
	slot := h.mem[q*handSlots:][:handSlots]
	copy(slot[handRing*ixgbe.Size:], frame)
	for range n {
		ixgbe.AdvData{
			Addr:   handIOVA + uint64(q)*handSlots + handRing*ixgbe.Size,
			DTALEN: uint16(len(frame)), PAYLEN: uint32(len(frame)), Flags: flags | ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS,
		}.Put((*[16]byte)(slot[h.tails[q]*ixgbe.Size:]))
		h.tails[q] = (h.tails[q] + 1) % handRing
	}
	h.write(uint32(0x6018+0x40*q), h.tails[q])
}

// openRx enables receive queue q and posts n descriptors, with drop enable or
// without.
func (h *hands) openRx(q, n int, drop bool) {
	low := func(off uint32) uint32 { return rxQueueReg(0x1000+off, q) }
	slot := uint32(handIOVA + q*handSlots)
	for i := range n {
		ixgbe.AdvRx{Addr: uint64(slot + handRing*ixgbe.Size)}.Put((*[16]byte)(h.mem[q*handSlots+i*ixgbe.Size:]))
	}
	h.write(low(0), slot)
	h.write(low(8), handRing*ixgbe.Size)
	srrctl := uint32(2 | 1<<25)
	if drop {
		srrctl |= 1 << 28
	}
	h.write(low(0x14), srrctl)
	h.write(low(0x28), 1<<25)
	h.write(low(0x18), uint32(n))
}

// received returns the write-backs of queue q.
func (h *hands) received(q int) (out []ixgbe.AdvRxWB) {
	for i := range handRing {
		desc := (*[16]byte)(h.mem[q*handSlots+i*ixgbe.Size:])
		if binary.LittleEndian.Uint32(desc[8:])&1 == 0 {
			break
		}
		out = append(out, ixgbe.ParseAdvRxWB(desc))
	}
	return out
}

// deliver hands the port copies of a frame.
func (h *hands) deliver(n int, b []byte) {
	for range n {
		f := h.pool.Get(max(len(b), minFrameBytes))
		clear(f.Data)
		copy(f.Data, b)
		h.d.Port().Deliver([]*nicsim.Frame{f})
	}
}

// settle steps until nothing moves.
func (h *hands) settle() {
	for range 10000 {
		if h.clock.RunDue(64)+h.d.Step(256) == 0 {
			return
		}
	}
	h.t.Fatal("the adapter does not come to rest")
}

// pass lets virtual time go by, with all that happens in it.
func (h *hands) pass(by sim.Time) {
	until := h.clock.Now() + by
	for {
		h.settle()
		next, ok := h.clock.Next()
		if !ok || next > until {
			h.clock.AdvanceTo(until)
			h.settle()
			return
		}
		h.clock.AdvanceTo(next)
	}
}
