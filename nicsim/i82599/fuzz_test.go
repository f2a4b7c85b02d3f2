package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/sim"
)

// sink is a wire that loses everything.
type sink struct {
	pool   *nicsim.Pool
	frames int
}

func (s *sink) Room() int { return 256 }
func (s *sink) Send(frames []*nicsim.Frame) {
	s.frames += len(frames)
	for _, f := range frames {
		s.pool.Put(f)
	}
}

// hostile plays a driver and a wire that mean harm: its input is a program of
// accesses to registers and memory, frames and turns.
func hostile(t testing.TB, program []byte) *Device {
	clock, pool := sim.NewVirtual(), &nicsim.Pool{}
	d, err := newDevice(nicsim.Config{Name: "A", MAC: [6]byte{2, 0, 0, 0, 0, 1}, Clock: clock, Pool: pool})
	require.NoError(t, err)
	mem := make([]byte, 64<<10)
	require.NoError(t, d.fn.Memory.Map(0x10000, mem, dma.Read|dma.Write))
	d.Port().Attach(&sink{pool: pool})
	d.Port().SetCarrier(true)
	d.fn.ConfigWrite([]byte{6, 0}, 4)
	for i := 0; len(program) >= 6 && i < 512; i++ {
		op, at, v := program[0], binary.LittleEndian.Uint16(program[1:]), binary.LittleEndian.Uint32(program[2:])
		program = program[6:]
		switch op % 8 {
		case 0: // a register of the first queues or the whole space
			d.fn.Write32(0, uint32(at)<<2&(regSpace-4), v)
		case 1: // a ring register: queue 0 or 1 of either side
			base := [...]uint32{0x1000, 0x6000, 0x1040, 0x6040}[at&3]
			off := [...]uint32{0, 4, 8, 0x10, 0x18, 0x28, 0x14, 0x2C, 0x38, 0x3C}[at>>2%10]
			d.fn.Write32(0, base+off, v)
		case 2: // memory
			n := copy(mem[int(at)%len(mem):], program[:min(len(program), int(v%64))])
			program = program[n:]
		case 3:
			d.fn.Read32(0, uint32(at)<<2&(regSpace-4))
		case 4: // a frame from the wire
			n := min(len(program), int(v%2000))
			f := pool.Get(max(n, 14))
			copy(f.Data, program[:n])
			f.Flags = nicsim.FrameFlags(at & 1)
			d.Port().Deliver([]*nicsim.Frame{f})
			program = program[n:]
		case 5:
			d.fn.ConfigWrite([]byte{byte(v)}, int(at&0xFF))
		case 6: // queues that work, so that descriptors are read
			d.fn.ConfigWrite([]byte{6, 0}, 4)
			d.fn.Write32(0, 0x3000, 1)
			d.fn.Write32(0, 0x4A80, 0x81000001)
			for _, q := range [...]uint32{0x1000, 0x6000} {
				d.fn.Write32(0, q, 0x10000+uint32(at)&0x7F80)
				d.fn.Write32(0, q+8, 0x400)
				d.fn.Write32(0, q+0x28, 1<<25)
				d.fn.Write32(0, q+0x18, v&0x3F)
			}
		case 7:
			if d.Step(256) > 4096 {
				t.Fatal("a turn of 256 did unbounded work")
			}
			clock.AdvanceTo(clock.Now() + sim.Time(at))
			clock.RunDue(64)
		}
	}
	for range 64 {
		if d.Step(256)+clock.RunDue(64) == 0 {
			break
		}
	}
	return d
}

// FuzzHostileDriver holds that nothing a driver or a wire does makes the adapter
// panic, work without bound, or stay broken after a reset.
func FuzzHostileDriver(f *testing.F) {
	f.Add([]byte{6, 0, 0, 9, 0, 0, 7, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		d := hostile(t, program)
		d.fn.ConfigWrite([]byte{6, 0}, 4)
		d.fn.Write32(0, atCTRL, ctrlReset)
		require.Zero(t, d.fn.Read32(0, atCTRL)&ctrlReset)
		require.Zero(t, d.Step(256))
	})
}
