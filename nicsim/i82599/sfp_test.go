package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// wires drives I2CCTL as a driver does.
type wires struct{ *bench }

const tI2CCTL = 0x28

func (w wires) set(clock, data bool) {
	var v uint32
	if clock {
		v |= 2
	}
	if data {
		v |= 8
	}
	w.write(tI2CCTL, v)
}

func (w wires) line() bool { return w.read(tI2CCTL)&4 != 0 }

func (w wires) start() {
	w.set(false, true)
	w.set(true, true)
	w.set(true, false)
	w.set(false, false)
}

func (w wires) stop() {
	w.set(false, false)
	w.set(true, false)
	w.set(true, true)
}

func (w wires) bit(v bool) bool {
	w.set(false, v)
	w.set(true, v)
	got := w.line()
	w.set(false, v)
	return got
}

// out sends a byte and says whether it was acknowledged.
func (w wires) out(v byte) bool {
	for i := 7; i >= 0; i-- {
		bit := v>>i&1 != 0
		require.Equal(w.t, bit, w.bit(bit), "the slave does not pull")
	}
	return !w.bit(true)
}

func (w wires) in(more bool) (v byte) {
	for range 8 {
		v <<= 1
		if w.bit(true) {
			v |= 1
		}
	}
	w.bit(!more)
	return v
}

// get reads n bytes at off of the memory that answers to dev, 0xA0 or 0xA2.
func (w wires) get(dev, off byte, n int) []byte {
	w.start()
	require.True(w.t, w.out(dev))
	require.True(w.t, w.out(off))
	w.start()
	require.True(w.t, w.out(dev|1))
	b := make([]byte, n)
	for i := range b {
		b[i] = w.in(i < n-1)
	}
	w.stop()
	require.True(w.t, w.line(), "released")
	return b
}

func sum8(b []byte) (s byte) {
	for _, v := range b {
		s += v
	}
	return s
}

func TestModuleIsA10GBaseSR(t *testing.T) {
	w := wires{newBench(t, 0)}
	id := w.get(0xA0, 0, 128)
	require.Equal(t, []byte{3, 4, 7, 0x10}, id[:4])
	require.Equal(t, "nicsim.dev      ", string(id[20:36]))
	require.Equal(t, "SFP-10GSR       ", string(id[40:56]))
	require.EqualValues(t, 850, binary.BigEndian.Uint16(id[60:]))
	require.Equal(t, sum8(id[:63]), id[63])
	require.Equal(t, sum8(id[64:95]), id[95])
	require.Equal(t, []byte{0x68, 0xC0, 0x08}, id[92:95])

	diag := w.get(0xA2, 0, 128)
	require.Equal(t, sum8(diag[:95]), diag[95])
	require.EqualValues(t, 35*256, binary.BigEndian.Uint16(diag[96:]))
	for i := range 5 { // each value between its warnings, and these between its alarms
		at := func(k int) int {
			v := binary.BigEndian.Uint16(diag[8*i+2*k:])
			if i == 0 {
				return int(int16(v))
			}
			return int(v)
		}
		v := int(binary.BigEndian.Uint16(diag[96+2*i:]))
		if i == 4 {
			require.Zero(t, v, "no light arrives")
			v = 5000
		}
		require.Greater(t, at(0), at(2))
		require.Greater(t, at(2), v)
		require.Greater(t, v, at(3))
		require.Greater(t, at(3), at(1))
	}
	require.Equal(t, byte(2), diag[110], "receiver loss of signal")
	w.d.Port().SetCarrier(true)
	require.Zero(t, w.get(0xA2, 110, 1)[0])
	require.NotZero(t, binary.BigEndian.Uint16(w.get(0xA2, 104, 2)))
}

func TestBusAnswersNobodyElse(t *testing.T) {
	w := wires{newBench(t, 0)}
	for _, dev := range []byte{0xA4, 0xAE, 0xF8, 0x00} {
		w.start()
		require.False(t, w.out(dev), "%#x", dev)
		w.stop()
	}
	w.d.Plug(false)
	w.start()
	require.False(t, w.out(0xA0))
	w.stop()
	require.Equal(t, byte(3), func() byte { w.d.Plug(true); return w.get(0xA0, 0, 1)[0] }())
	require.False(t, func() bool { k := wires{newBench(t, 0x10F7)}; k.start(); return k.out(0xA0) }(), "a backplane has no module")
}

func TestReadsGoOnWhereTheLastOneEnded(t *testing.T) {
	w := wires{newBench(t, 0)}
	first := w.get(0xA0, 20, 4)
	w.start()
	require.True(t, w.out(0xA1))
	rest := []byte{w.in(true), w.in(false)}
	w.stop()
	require.Equal(t, "nicsim", string(append(first, rest...)))
}

func TestModuleTakesWhatSoftwareMayWrite(t *testing.T) {
	w := wires{newBench(t, 0)}
	put := func(dev, off byte, data ...byte) {
		w.start()
		require.True(t, w.out(dev))
		require.True(t, w.out(off))
		for _, v := range data {
			require.True(t, w.out(v))
		}
		w.stop()
	}
	put(0xA2, 200, 1, 2, 3)
	put(0xA2, 96, 0xFF)
	put(0xA0, 20, 'X')
	require.Equal(t, []byte{1, 2, 3}, w.get(0xA2, 200, 3))
	require.Equal(t, byte(35), w.get(0xA2, 96, 1)[0])
	require.Equal(t, byte('n'), w.get(0xA0, 20, 1)[0])

	w.d.Port().SetCarrier(true)
	put(0xA2, 110, 1<<6) // soft disable
	require.Equal(t, byte(1<<6), w.get(0xA2, 110, 1)[0])
	require.Zero(t, binary.BigEndian.Uint16(w.get(0xA2, 102, 2)), "no light leaves")
	require.Zero(t, w.read(0x42A4)&(1<<7))
}

func TestPinsOfTheCage(t *testing.T) {
	b := newBench(t, 0)
	b.write(tGPIE, 1<<2)
	b.write(tEIMS, 1<<26)
	require.NotZero(t, b.read(0x20)&4, "a module is in")
	b.d.Plug(false)
	require.Zero(t, b.read(0x20)&4)
	require.True(t, b.line)
	require.Equal(t, uint32(1<<26), b.read(tEICR)&(1<<26))
	b.write(0x20, b.read(0x20)|1<<10|1<<2) // SDP2 as an output, high
	require.NotZero(t, b.read(0x20)&4)
}

func TestLaserPin(t *testing.T) {
	b := newBench(t, 0)
	var wire lamp
	b.d.Port().Attach(&wire)
	require.True(t, wire.on)
	b.d.Port().SetCarrier(true)
	require.NotZero(t, b.read(0x42A4)&(1<<7))
	b.write(0x20, b.read(0x20)|8) // SDP3 off
	require.False(t, wire.on)
	require.Zero(t, b.read(0x42A4)&(1<<7))
	require.Equal(t, byte(1<<7), wires{b}.get(0xA2, 110, 1)[0])
	b.write(0x20, b.read(0x20)&^8)
	require.True(t, wire.on)
	require.NotZero(t, b.read(0x42A4)&(1<<7))
}

// lamp is a wire that shows the port's signal.
type lamp struct {
	cable
	on bool
}

func (l *lamp) SetSignal(on bool) { l.on = on }

func FuzzI2C(f *testing.F) {
	f.Add([]byte{3, 2, 0, 1, 0, 1, 3, 1})
	f.Fuzz(func(t *testing.T, moves []byte) {
		b := newBench(t, 0)
		for _, m := range moves {
			b.write(tI2CCTL, uint32(m)*2)
			b.read(tI2CCTL)
		}
		w := wires{b}
		for range 9 { // what a driver does to clear the bus
			w.bit(true)
		}
		w.stop()
		require.Equal(t, byte(3), w.get(0xA0, 0, 1)[0])
	})
}
