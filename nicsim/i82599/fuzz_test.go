package i82599

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel/craft"
)

// sink is a wire that loses everything, and takes so many frames at a time.
type sink struct {
	pool *nicsim.Pool
	room int
}

func (s *sink) Room() int { return s.room }
func (s *sink) Send(frames []*nicsim.Frame) {
	for _, f := range frames {
		s.pool.Put(f)
	}
}

// prey is an adapter among those who mean it harm.
type prey struct {
	d      *Device
	clock  *sim.Clock
	pool   *nicsim.Pool
	wire   sink
	all    []byte // what is mapped, between bytes that are not
	mem    []byte // that it may write
	mapped bool
	seq    [4]uint32 // of flows
}

const (
	preyIOVA  = 0x10000
	preyBytes = 64 << 10
	preyEdge  = 4 << 10 // bytes before, between and behind
	turn      = 256     // budget of a turn
	turnMost  = 4 * turn
)

func newPrey(t testing.TB) *prey {
	p := &prey{clock: sim.NewVirtual(), pool: &nicsim.Pool{}}
	d, err := newDevice(nicsim.Config{Name: "A", MAC: [6]byte{2, 0, 0, 0, 0, 2}, Clock: p.clock, Pool: p.pool})
	require.NoError(t, err)
	p.d = d
	// Forbidden, writable, forbidden, read-only, forbidden.
	p.all = bytes.Repeat([]byte{guard}, 3*preyEdge+2*preyBytes)
	p.mem = p.all[preyEdge:][:preyBytes]
	clear(p.mem)
	p.remap(t, true)
	require.NoError(t, d.fn.Memory.Map(preyIOVA+preyBytes, p.all[2*preyEdge+preyBytes:][:preyBytes], dma.Read))
	p.wire = sink{pool: p.pool, room: 256}
	d.Port().Attach(&p.wire)
	d.Port().SetCarrier(true)
	d.fn.ConfigWrite([]byte{6, 0}, 4)
	return p
}

func (p *prey) remap(t testing.TB, on bool) {
	if on && !p.mapped {
		require.NoError(t, p.d.fn.Memory.Map(preyIOVA, p.mem, dma.Read|dma.Write))
	}
	if !on && p.mapped {
		require.NoError(t, p.d.fn.Memory.Unmap(preyIOVA, len(p.mem)))
	}
	p.mapped = on
}

// segment is the next of a TCP flow.
func (p *prey) segment(flow, n int, flags byte) []byte {
	s := craft.Packet{IPv6: flow == 3, Proto: craft.TCP, SrcPort: uint16(flow + 1), DstPort: 9, Seq: p.seq[flow], Flags: flags, Payload: craft.Payload(n)}
	p.seq[flow] += uint32(n)
	return s.Frame()
}

func (p *prey) deliver(b []byte, flags nicsim.FrameFlags) {
	f := p.pool.Get(max(len(b), minFrameBytes))
	clear(f.Data)
	copy(f.Data, b)
	f.Flags = flags
	p.d.Port().Deliver([]*nicsim.Frame{f})
}

// turn steps once.
func (p *prey) turn(t testing.TB, by sim.Time) {
	if n := p.d.Step(turn); n > turnMost {
		t.Fatalf("a turn of %d did %d units of work", turn, n)
	}
	p.clock.AdvanceTo(p.clock.Now() + by)
	p.clock.RunDue(64)
}

// attack plays a driver and a wire that mean harm: the program is accesses to
// registers and memory, frames and turns.
func (p *prey) attack(t testing.TB, program []byte) {
	d := p.d
	for i := 0; len(program) >= 6 && i < 512; i++ {
		op, at, v := program[0], binary.LittleEndian.Uint16(program[1:]), binary.LittleEndian.Uint32(program[2:])
		program = program[6:]
		switch op % 12 {
		case 0: // a register of the first queues or the whole space
			d.fn.Write32(0, uint32(at)<<2&(regSpace-4), v)
		case 1: // a ring register: queue 0 or 1 of either side
			base := [...]uint32{0x1000, 0x6000, 0x1040, 0x6040}[at&3]
			off := [...]uint32{0, 4, 8, 0x10, 0x18, 0x28, 0x14, 0x2C, 0x38, 0x3C}[at>>2%10]
			d.fn.Write32(0, base+off, v)
		case 2: // memory
			n := copy(p.mem[int(at)%len(p.mem):], program[:min(len(program), int(v%64))])
			program = program[n:]
		case 3:
			d.fn.Read32(0, uint32(at)<<2&(regSpace-4))
		case 4: // a frame from the wire
			n := min(len(program), int(v%2000))
			p.deliver(program[:n], nicsim.FrameFlags(at&1))
			program = program[n:]
		case 5:
			d.fn.ConfigWrite([]byte{byte(v)}, int(at&0xFF))
		case 6: // queues that work, so that descriptors are read
			d.fn.ConfigWrite([]byte{6, 0}, 4)
			d.fn.Write32(0, 0x3000, 1)
			d.fn.Write32(0, 0x4A80, 0x81000001)
			for _, q := range [...]uint32{0x1000, 0x6000} {
				d.fn.Write32(0, q, preyIOVA+uint32(at)&0x7F80)
				d.fn.Write32(0, q+8, 0x400)
				d.fn.Write32(0, q+0x28, 1<<25)
				d.fn.Write32(0, q+0x18, v&0x3F)
			}
		case 7:
			p.turn(t, sim.Time(at))
		case 8: // a segment of a flow
			p.deliver(p.segment(int(at&3), int(v%1400), 0x10|byte(at>>2&8)), 0)
		case 9:
			p.remap(t, at&1 != 0)
		case 10:
			d.Port().SetCarrier(at&1 != 0)
			p.wire.room = int(v % 300)
		case 11: // receive with coalescing and header split of some kind
			d.fn.Write32(0, 0x1014, v&0x3F1F|uint32(at&7)<<25)
			d.fn.Write32(0, 0x102C, 1|uint32(at)&0xC)
			d.fn.Write32(0, 0xEA00, 1<<4)
		}
	}
}

// FuzzHostileDriver holds that nothing a driver or a wire does makes the adapter
// panic, work without bound, write where it may not, lose track of a frame, or
// stay broken after a reset.
func FuzzHostileDriver(f *testing.F) {
	f.Add([]byte{6, 0, 0, 9, 0, 0, 7, 0, 0, 0, 0, 0})
	for seed := range 6 {
		// Queues that work, some frames of flows, time and anything else.
		program := []byte{6, 0, 0, 40, 0, 0, 11, byte(seed), 2, 2, 1, 0}
		x := uint32(seed + 1)
		for range 120 {
			x = x*1664525 + 1013904223
			op := [...]byte{8, 8, 8, 7, 1, 2, 9, 10, 11, 0, 4, 6}[x>>24%12]
			program = append(program, op, byte(x>>8), byte(x>>16), byte(x>>4), byte(x>>12), byte(x>>20))
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		p := newPrey(t)
		d := p.d
		p.attack(t, program)
		for range 64 {
			p.turn(t, 10*sim.Microsecond)
		}
		require.GreaterOrEqual(t, p.pool.Out(), 0)
		d.fn.ConfigWrite([]byte{0, 0}, atPM+4) // D0
		d.fn.ConfigWrite([]byte{6, 0}, 4)
		d.fn.Write32(0, atCTRL, ctrlReset)
		require.Zero(t, d.fn.Read32(0, atCTRL)&ctrlReset)
		require.Zero(t, d.Step(turn))
		require.Zero(t, p.pool.Out(), "frames got and not put back")
		edge := bytes.Repeat([]byte{guard}, preyEdge)
		require.Equal(t, edge, p.all[:preyEdge])
		require.Equal(t, edge, p.all[preyEdge+preyBytes:][:preyEdge])
		readOnly := p.all[2*preyEdge+preyBytes:]
		require.Equal(t, bytes.Repeat([]byte{guard}, len(readOnly)), readOnly)

		// A driver that knows what it does finds an adapter that works.
		d.fn.Reset(pci.FLR)
		d.fn.ConfigWrite([]byte{6, 0}, 4)
		p.remap(t, true)
		clear(p.mem)
		d.Port().SetCarrier(true)
		p.wire.room = 256
		sent := d.stats.txFrames.n
		for _, q := range [...]uint32{0x1000, 0x6000} {
			d.fn.Write32(0, q, preyIOVA)
			d.fn.Write32(0, q+8, 0x80)
			d.fn.Write32(0, q+0x28, 1<<25)
		}
		binary.LittleEndian.PutUint64(p.mem, preyIOVA+0x1000)
		copy(p.mem[8:], []byte{60, 0, 0x30, 0x2B, 0, 0, 15, 0}) // 60 bytes, EOP, IFCS, RS, PAYLEN 60
		d.fn.Write32(0, 0x4A80, 0x81000001)
		d.fn.Write32(0, 0x6018, 1)
		for range 8 {
			p.turn(t, sim.Millisecond)
		}
		require.Equal(t, sent+1, d.stats.txFrames.n)
		require.EqualValues(t, 1, p.mem[12]&1, "DD")
	})
}
