package vlan_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
	"nicsim.dev/offloads/vlan"
)

// inRoom puts a frame into a buffer with room ahead of it.
func inRoom(roomBytes int, frame []byte) []byte { return slices.Concat(make([]byte, roomBytes), frame) }

func TestTags(t *testing.T) {
	p := craft.Packet{Payload: craft.Payload(10)}
	plain := p.Frame()
	p.Tags = []craft.Tag{craft.VLAN(0x6123)}
	single := p.Frame()
	p.Tags = []craft.Tag{craft.Outer(0xE005), craft.VLAN(0x6123)}
	double := p.Frame()
	p.Tags = p.Tags[:1]
	outer := p.Frame()

	buf := inRoom(8, plain)
	off := vlan.Push(buf, 8, vlan.First, 0x8100, 0x6123)
	require.Equal(t, single, buf[off:])
	off = vlan.Push(buf, off, vlan.First, 0x88A8, 0xE005)
	require.Equal(t, double, buf[off:])
	require.Zero(t, off)

	tci, off := vlan.Pop(buf, off, vlan.Second)
	require.Equal(t, uint16(0x6123), tci)
	require.Equal(t, uint16(0x123), vlan.VID(tci))
	require.Equal(t, outer, buf[off:], "the outer tag stays")
	off = vlan.Push(buf, off, vlan.Second, 0x8100, 0x6123)
	require.Equal(t, double, buf[off:])
	_, off = vlan.Pop(buf, off, vlan.First)
	tci, off = vlan.Pop(buf, off, vlan.First)
	require.Equal(t, uint16(0x6123), tci)
	require.Equal(t, plain, buf[off:])
}

func TestNoRoom(t *testing.T) {
	buf := craft.Payload(20)
	want := bytes.Clone(buf)
	require.Equal(t, 3, vlan.Push(buf, 3, vlan.First, 0x8100, 1), "no room ahead")
	require.Equal(t, 9, vlan.Push(buf, 9, vlan.First, 0x8100, 1), "not that long")
	_, off := vlan.Pop(buf, 5, vlan.First)
	require.Equal(t, 5, off, "the tag is cut")
	require.Equal(t, want, buf)
}

// FuzzTags holds that tags come and go as in the slow version, and that no
// offset makes a change panic.
func FuzzTags(f *testing.F) {
	f.Add(craft.Packet{}.Frame(), 4, 12, uint16(0x8100), uint16(5))
	f.Fuzz(func(t *testing.T, buf []byte, off, at int, tpid, tci uint16) {
		want := bytes.Clone(buf)
		pushed := vlan.Push(buf, off, at, tpid, tci)
		if pushed == off {
			require.Equal(t, want, buf)
			got, popped := vlan.Pop(buf, off, at)
			if popped != off {
				require.Equal(t, refmodel.PopTag(want[off:], at), buf[popped:])
				require.Equal(t, uint16(want[off+at+2])<<8|uint16(want[off+at+3]), got)
			}
			return
		}
		require.Equal(t, refmodel.PushTag(want[off:], at, tpid, tci), buf[pushed:])
		got, popped := vlan.Pop(buf, pushed, at)
		require.Equal(t, tci, got)
		require.Equal(t, want[off:], buf[popped:])
	})
}

func BenchmarkPushPop(b *testing.B) {
	buf := inRoom(4, craft.Packet{}.Frame())
	for b.Loop() {
		vlan.Pop(buf, vlan.Push(buf, 4, vlan.First, 0x8100, 5), vlan.First)
	}
}
