package dma

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBytesStaysInsideItsRegion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Space
		low, high := make([]byte, 64), make([]byte, 64)
		require.NoError(t, s.Map(0x1000, low, Read|Write))
		require.NoError(t, s.Map(0x1040, high, Read))
		addr := Addr(rapid.Uint64().Draw(t, "addr"))
		if rapid.Bool().Draw(t, "near") {
			addr = 0xFF0 + addr%0xA0
		}
		n := rapid.IntRange(-1, 140).Draw(t, "n")
		access := rapid.SampledFrom([]Access{Read, Write}).Draw(t, "access")

		in := func(start, end Addr) bool {
			return addr >= start && addr < end && n >= 0 && Addr(n) <= end-addr
		}
		want := in(0x1000, 0x1040) || in(0x1040, 0x1080) && access == Read
		b := s.Bytes(addr, n, access)
		require.Equal(t, want, b != nil)
		require.Len(t, b, max(0, len(b)))
	})
}

func TestPiecesCrossAdjacentRegions(t *testing.T) {
	var s Space
	low, high := make([]byte, 64), make([]byte, 64)
	require.NoError(t, s.Map(0x1040, high, Read|Write))
	require.NoError(t, s.Map(0x1000, low, Read|Write))
	require.NoError(t, s.WriteAt([]byte("across"), 0x103D))
	require.Equal(t, "acr", string(low[61:]))
	require.Equal(t, "oss", string(high[:3]))
	got := make([]byte, 6)
	require.NoError(t, s.ReadAt(got, 0x103D))
	require.Equal(t, "across", string(got))

	var fault *Fault
	require.ErrorAs(t, s.WriteAt(make([]byte, 65), 0x1040), &fault)
	require.Equal(t, Fault{0x1040, 65, Write}, *fault)
}

func TestMapRefuses(t *testing.T) {
	var s Space
	require.NoError(t, s.Map(0x1000, make([]byte, 16), Read))
	require.ErrorIs(t, s.Map(0x100F, make([]byte, 16), Read), ErrOverlap)
	require.ErrorIs(t, s.Map(0xFFF, make([]byte, 2), Read), ErrOverlap)
	require.ErrorIs(t, s.Map(^Addr(0), make([]byte, 16), Read), ErrRange)
	require.ErrorIs(t, s.Unmap(0x1000, 8), ErrNoMap)
	require.NotNil(t, s.Bytes(0x1000, 16, Read))
	require.NoError(t, s.Unmap(0x1000, 16))
	require.Nil(t, s.Bytes(0x1000, 16, Read))
}

func TestWindow(t *testing.T) {
	var s Space
	mem := make([]byte, 64)
	require.NoError(t, s.Map(0x1000, mem, Read|Write))
	require.NoError(t, s.Map(0x2000, make([]byte, 64), Read))
	empty := s.Window(Read)
	_, ok := empty.Offset(0, 0)
	require.False(t, ok, "nothing was hit")

	require.NotNil(t, s.Bytes(0x1000, 1, Read))
	w := s.Window(Write)
	for _, c := range []struct {
		addr Addr
		n    int
		ok   bool
	}{{0x1000, 64, true}, {0x103F, 1, true}, {0x1000, 65, false}, {0x1040, 0, false}, {0xFFF, 1, false}, {0x2000, 1, false}, {^Addr(0), 1, false}, {0x1001, -1, false}} {
		_, ok := w.Offset(c.addr, c.n)
		require.Equal(t, c.ok, ok, "%d bytes at %#x", c.n, c.addr)
	}
	off, _ := w.Offset(0x1010, 3)
	w.Write(off, []byte{1, 2, 3})
	require.Equal(t, []byte{0, 1, 2, 3, 0}, mem[0xF:0x14])
	p := make([]byte, 2)
	w.Read(p, off)
	require.Equal(t, []byte{1, 2}, p)

	require.NotNil(t, s.Bytes(0x2000, 1, Read))
	locked := s.Window(Write)
	_, ok = locked.Offset(0x2000, 1)
	require.False(t, ok, "read only")
}
