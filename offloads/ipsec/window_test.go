package ipsec

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel"
)

func TestWindow(t *testing.T) {
	w, err := NewWindow(64, false)
	require.NoError(t, err)
	require.False(t, w.Fresh(0))
	for _, seq := range []uint64{1, 2, 100, 37, 99} {
		require.True(t, w.Fresh(seq), seq)
		w.Accept(seq)
		require.False(t, w.Fresh(seq), seq)
	}
	require.False(t, w.Fresh(36)) // 64 below the highest
	require.True(t, w.Fresh(38))
	require.EqualValues(t, 100, w.Top())

	w.Accept(1<<32 - 1) // far ahead: nothing of before is left
	require.True(t, w.Fresh(1<<32-64))
	require.False(t, w.Fresh(1<<32-65))
}

// The cases of RFC 4303 A2.1: the window within one subspace of 2^32, and over two.
func TestTheHighHalfOfASequenceNumber(t *testing.T) {
	w, err := NewWindow(64, true)
	require.NoError(t, err)
	for _, c := range []struct {
		top uint64
		low uint32
		seq uint64
		ok  bool
	}{
		{0, 1, 1, true},
		{0, 0xFFFFFFF0, 0, false}, // would be of before the first
		{5<<32 + 1000, 1001, 5<<32 + 1001, true},
		{5<<32 + 1000, 937, 5<<32 + 937, true}, // the lowest of the window
		{5<<32 + 1000, 936, 6<<32 + 936, true}, // below it: of the next subspace
		{5<<32 + 10, 0xFFFFFFF0, 4<<32 + 0xFFFFFFF0, true},
		{5<<32 + 10, 11, 5<<32 + 11, true},
		{5<<32 + 0xFFFFFFFF, 0, 6 << 32, true},
	} {
		w.top = c.top
		seq, ok := w.Whole(c.low)
		require.Equal(t, c.ok, ok, "%#x after %#x", c.low, c.top)
		if ok {
			require.Equal(t, c.seq, seq, "%#x after %#x", c.low, c.top)
		}
	}
}

func TestAWindowHasItsBounds(t *testing.T) {
	for _, size := range []int{-1, 0, 31, 4097} {
		_, err := NewWindow(size, false)
		require.ErrorContains(t, err, "32 to 4096")
	}
}

// FuzzWindow holds the window equal to one that forgets nothing.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(64), true, uint64(1<<32-20), []byte{1, 0, 0, 0, 200, 0, 0, 0, 30, 0, 0, 128})
	f.Add(uint16(32), false, uint64(0), []byte{5, 0, 0, 0, 5, 0, 0, 0, 255, 255, 255, 255})
	f.Add(uint16(4096), true, uint64(7<<32), []byte{0, 16, 0, 0, 1, 0, 0, 0, 255, 15, 0, 0})
	f.Fuzz(func(t *testing.T, size uint16, esn bool, start uint64, steps []byte) {
		size = MinWindow + size%(MaxWindow-MinWindow+1)
		w, err := NewWindow(int(size), esn)
		require.NoError(t, err)
		ref := &refmodel.Window{Size: uint64(size), ESN: esn, Accepted: map[uint64]bool{}}
		if esn && start > 0 && start < 1<<40 {
			w.Accept(start)
			ref.Accept(start)
		}
		for ; len(steps) >= 4; steps = steps[4:] {
			// A distance from the highest number, both ways, or any number at all.
			v := binary.LittleEndian.Uint32(steps)
			low := v
			if v>>24 < 0xF0 {
				low = uint32(ref.Top) + v&0x3FFF - 0x2000
			}
			seq, ok := w.Whole(low)
			refSeq, refOK := ref.Whole(low)
			require.Equal(t, refOK, ok)
			if !ok {
				continue
			}
			require.Equal(t, refSeq, seq)
			fresh := ref.Fresh(seq)
			require.Equal(t, fresh, w.Fresh(seq), "%#x after %#x", seq, ref.Top)
			if fresh && v&1 == 0 {
				w.Accept(seq)
				ref.Accept(seq)
				require.Equal(t, ref.Top, w.Top())
			}
		}
	})
}
