package nicsim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFramesComeBackClean(t *testing.T) {
	var p Pool
	for _, n := range []int{0, 60, SmallFrameBytes, SmallFrameBytes + 1, MaxFrameBytes} {
		f := p.Get(n)
		require.Len(t, f.Data, n)
		require.Equal(t, Headroom, f.Room())
		f.ID, f.Flags = 7, BadFCS
		f.Push(4)
		p.Put(f)
		again := p.Get(n)
		require.Same(t, f, again)
		require.Len(t, f.Data, n)
		require.Equal(t, Headroom, f.Room())
		require.Zero(t, f.ID)
		require.Zero(t, f.Flags)
		p.Put(f)
	}
	require.Zero(t, p.Out())
}

func TestManyFramesAtOnce(t *testing.T) {
	var p Pool
	first := p.Get(60)
	p.Put(first)
	frames := make([]*Frame, 3)
	p.GetSmall(frames)
	require.Equal(t, 3, p.Out())
	require.Contains(t, frames, first)
	for i, f := range frames {
		f.ID = 9
		f.Size(SmallFrameBytes - i)
		require.Len(t, f.Data, SmallFrameBytes-i)
		require.Zero(t, f.ID)
	}
	require.NotSame(t, frames[0], frames[1])
	p.PutAll(frames)
	p.GetSmall(frames)
	require.Contains(t, frames, first)

	frames[1] = p.Get(MaxFrameBytes)
	require.Equal(t, 4, p.Out())
	p.PutAll(frames)
	require.Equal(t, 1, p.Out())
	require.Len(t, p.small, 2)
	require.Len(t, p.large, 1)

	p.small = make([]*Frame, poolDepth-1)
	p.PutAll(frames[:2:2])
	require.Len(t, p.small, poolDepth)
}
