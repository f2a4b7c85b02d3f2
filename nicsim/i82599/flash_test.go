package i82599

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// flashPins drives the pins of FLA as a driver does.
type flashPins struct{ *bench }

const tFLA = 0x1001C

// command selects the chip, sends bytes and takes n bytes of reply.
func (p flashPins) command(n int, send ...byte) (reply []byte) {
	p.write(tFLA, 1<<4|1<<1)
	require.NotZero(p.t, p.read(tFLA)&(1<<5), "granted")
	p.write(tFLA, 1<<4)
	for _, b := range send {
		for i := 7; i >= 0; i-- {
			bit := uint32(b>>i&1) << 2
			p.write(tFLA, 1<<4|bit)
			p.write(tFLA, 1<<4|bit|1)
			p.write(tFLA, 1<<4|bit)
		}
	}
	for range n {
		var v byte
		for range 8 {
			p.write(tFLA, 1<<4|1)
			v = v<<1 | byte(p.read(tFLA)>>3&1)
			p.write(tFLA, 1<<4)
		}
		reply = append(reply, v)
	}
	p.write(tFLA, 1<<4|1<<1)
	return reply
}

func TestFlashByItsPins(t *testing.T) {
	p := flashPins{newBench(t, 0)}
	require.Equal(t, []byte{0xFF, 0xFF}, p.command(2, 3, 0, 1, 0), "it comes erased")
	p.command(0, 6)
	p.command(0, 2, 0, 1, 0, 0x12)
	require.Equal(t, []byte{0xFF}, p.command(1, 3, 0, 1, 0), "EEC.FWE protects it")

	p.write(tEEC, p.read(tEEC)&^0x30|0x20)
	p.command(0, 2, 0, 1, 0, 0x12)
	require.Equal(t, []byte{0xFF}, p.command(1, 3, 0, 1, 0), "not without the latch")
	p.command(0, 6)
	require.Equal(t, []byte{2}, p.command(1, 5))
	p.command(0, 2, 0, 1, 0xFF, 0xF0, 0x0F) // the second byte wraps inside the page
	require.Equal(t, []byte{0}, p.command(1, 5), "writing ends the latch")
	require.Equal(t, []byte{0xF0}, p.command(1, 3, 0, 1, 0xFF))
	require.Equal(t, []byte{0x0F}, p.command(1, 3, 0, 1, 0))
	p.command(0, 6)
	p.command(0, 2, 0, 1, 0, 0xF3)
	require.Equal(t, []byte{0x03}, p.command(1, 3, 0, 1, 0), "programming only clears bits")

	p.command(0, 6)
	p.command(0, 2, 1, 0, 0, 0x55) // another sector
	p.command(0, 6)
	p.command(0, 0x52, 0, 1, 0) // the opcode of FLOP, 7:0
	require.Equal(t, []byte{0xFF}, p.command(1, 3, 0, 1, 0))
	require.Equal(t, []byte{0x55}, p.command(1, 3, 1, 0, 0))
	p.write(tFLA, 1<<31|1<<4|1<<1)
	require.Zero(t, p.read(tFLA)>>30)
	require.Equal(t, []byte{0xFF}, p.command(1, 3, 1, 0, 0))
}

func FuzzPinsOfFlash(f *testing.F) {
	f.Add([]byte{0x12, 0x10, 0x14, 0x15, 0x14, 0x11, 0x12})
	f.Fuzz(func(t *testing.T, moves []byte) {
		b := newBench(t, 0)
		b.write(tEEC, b.read(tEEC)&^0x30|0x20)
		for _, m := range moves {
			b.write(tFLA, uint32(m&0x17)|uint32(m>>7)<<31)
			require.Zero(t, b.read(tFLA)>>30, "neither erasing nor busy for long")
		}
	})
}
