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
