package dma

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// elsewhere is remote memory that keeps account of what is asked of it. What was
// written is there at Sync.
type elsewhere struct {
	start Addr
	mem   []byte
	log   []string
	queue []func()
	fails bool
}

var errElsewhere = errors.New("no answer")

func (e *elsewhere) Read(p []byte, addr Addr) error {
	if e.fails {
		return errElsewhere
	}
	e.log = append(e.log, fmt.Sprintf("read %x+%d", addr, len(p)))
	e.Sync()
	copy(p, e.mem[addr-e.start:])
	return nil
}

func (e *elsewhere) Write(p []byte, addr Addr) error {
	if e.fails {
		return errElsewhere
	}
	e.log = append(e.log, fmt.Sprintf("write %x+%d", addr, len(p)))
	b := bytes.Clone(p)
	e.queue = append(e.queue, func() { copy(e.mem[addr-e.start:], b) })
	return nil
}

func (e *elsewhere) Sync() error {
	for _, f := range e.queue {
		f()
	}
	e.queue = nil
	return nil
}

func (e *elsewhere) took() []string {
	log := e.log
	e.log = nil
	return log
}

func newRemote(t *testing.T) (*Space, *elsewhere) {
	s, e := &Space{}, &elsewhere{start: 0x1000, mem: make([]byte, 0x1000)}
	s.SetRemote(e)
	require.NoError(t, s.MapRemote(0x1000, 0x1000, Read|Write))
	return s, e
}

func TestRemoteIsCopied(t *testing.T) {
	s, e := newRemote(t)
	copy(e.mem[0x10:], "hello")
	b := s.Bytes(0x1010, 5, Read)
	require.Equal(t, "hello", string(b))
	require.Equal(t, "ell", string(s.Bytes(0x1011, 3, Read)), "of the same copy")
	require.Equal(t, []string{"read 1010+5"}, e.took())
	w := s.Window(Read)
	off, ok := w.Offset(0x1012, 2)
	require.True(t, ok)
	var p [2]byte
	w.Read(p[:], off)
	require.Equal(t, "ll", string(p[:]))

	copy(b, "HELLO")
	require.Equal(t, "hello", string(e.mem[0x10:0x15]))
	require.NoError(t, s.Flush())
	require.Equal(t, "HELLO", string(e.mem[0x10:0x15]))
	require.NoError(t, s.Flush())
	require.Equal(t, []string{"write 1010+5"}, e.took(), "once")
	copy(b, "world")
	require.NoError(t, s.Settle())
	require.Equal(t, "world", string(e.mem[0x10:0x15]), "a slice is good until the turn ends")
	e.took()
	s.Bytes(0x1010, 5, Read)
	require.Equal(t, []string{"read 1010+5"}, e.took(), "a new turn, a new copy")
}

func TestOnlyWhatChangedIsWritten(t *testing.T) {
	s, e := newRemote(t)
	ring := s.Bytes(0x1000, 0x100, Read|Write)
	e.took()
	ring[0x25], ring[0x31], ring[0x8F] = 1, 1, 1
	copy(e.mem[0x40:], "the driver's own")
	require.NoError(t, s.Settle())
	require.Equal(t, []string{"write 1020+32", "write 1080+16"}, e.took(), "units that differ, those beside each other at once")
	require.Equal(t, "the driver's own", string(e.mem[0x40:0x50]))
	odd := s.Bytes(0x1203, 30, Write)
	e.took()
	odd[0], odd[29] = 1, 1
	require.NoError(t, s.Flush())
	require.Equal(t, []string{"write 1203+13", "write 1220+1"}, e.took(), "units lie at multiples of their length")
}

func TestPayloadIsWrittenAheadOfTheRing(t *testing.T) {
	s, e := newRemote(t)
	ring := s.Bytes(0x1000, 64, Read|Write)
	payload := s.Bytes(0x1800, 64, Write)
	e.took()
	ring[0], payload[0] = 1, 1
	require.NoError(t, s.Settle())
	require.Equal(t, []string{"write 1800+16", "write 1000+16"}, e.took())

	// The ring is kept, and looked at again when asked.
	changes := s.Changes()
	e.mem[0x20] = 7
	require.NoError(t, s.Refresh())
	require.EqualValues(t, 7, ring[0x20])
	require.Equal(t, changes, s.Changes())
	require.Equal(t, []string{"read 1000+64"}, e.took())
	require.Same(t, &ring[0], &s.Bytes(0x1000, 64, Read|Write)[0])
	require.Empty(t, e.took())
}

func TestRemoteFaults(t *testing.T) {
	s, e := newRemote(t)
	for _, b := range [][]byte{
		s.Bytes(0xFFF, 2, Read), s.Bytes(0x1FFF, 2, Read), s.Bytes(0x2000, 1, Read), s.Bytes(0x1000, -1, Read),
	} {
		require.Nil(t, b)
	}
	require.NotNil(t, s.Bytes(0x1000, 0, Read))
	require.NoError(t, s.MapRemote(0x4000, 0x1000, Read))
	require.Nil(t, s.Bytes(0x4000, 1, Write))
	require.ErrorIs(t, s.MapRemote(0x1FFF, 1, Read), ErrOverlap)
	require.ErrorIs(t, s.MapRemote(0x8000, 0, Read), ErrRange)
	require.ErrorIs(t, s.MapRemote(^Addr(0), 2, Read), ErrRange)
	e.fails = true
	require.Nil(t, s.Bytes(0x1100, 1, Read))
	e.fails = false
	b := s.Bytes(0x1100, 1, Read)
	b[0] = 1
	e.fails = true
	require.ErrorIs(t, s.Settle(), errElsewhere)
	e.fails = false
	require.NoError(t, s.Settle())
	require.Empty(t, s.distant.copies, "what could not be written is lost")
	require.NoError(t, s.Unmap(0x1000, 0x1000))
	require.Nil(t, s.Bytes(0x1100, 1, Read))
	s.Clear()
	require.Nil(t, s.Bytes(0x4000, 1, Read))
}

// Memory that may only be written is not read.
func TestWriteOnlyRemote(t *testing.T) {
	s, e := &Space{}, &elsewhere{start: 0x1000, mem: make([]byte, 0x1000)}
	s.SetRemote(e)
	require.NoError(t, s.MapRemote(0x1000, 0x1000, Write))
	copy(s.Bytes(0x1000, 40, Write), "written")
	require.NoError(t, s.Settle())
	require.Equal(t, []string{"write 1000+40"}, e.took())
	require.Equal(t, "written", string(e.mem[:7]))
}

func TestCopiesAreBounded(t *testing.T) {
	s, e := &Space{}, &elsewhere{start: 0, mem: make([]byte, 80<<20)}
	s.SetRemote(e)
	require.NoError(t, s.MapRemote(0, 80<<20, Read|Write))
	require.Nil(t, s.Bytes(0, maxCopyBytes+1, Read))
	got := 0
	for i := range Addr(80) {
		if s.Bytes(i*maxCopyBytes, maxCopyBytes, Read|Write) != nil {
			got++
		}
	}
	require.Equal(t, maxCopiesBytes/maxCopyBytes, got)
	changes := s.Changes()
	require.NoError(t, s.Settle())
	require.NotEqual(t, changes, s.Changes(), "whoever still uses a ring looks it up again")
	require.NotNil(t, s.Bytes(0, maxCopyBytes, Read|Write))
}

// Whatever a device does, memory elsewhere ends up as memory here would.
func TestRemoteIsAsGoodAsMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var near, far Space
		e := &elsewhere{start: 0x1000, mem: make([]byte, 0x1000)}
		mem := make([]byte, 0x1000)
		far.SetRemote(e)
		if err := errors.Join(near.Map(0x1000, mem[:0x800:0x800], Read|Write), near.Map(0x1800, mem[0x800:], Read|Write),
			far.MapRemote(0x1000, 0x800, Read|Write), far.MapRemote(0x1800, 0x800, Read|Write)); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			addr := Addr(0xFF0 + rapid.IntRange(0, 0x1020).Draw(t, "addr"))
			n := rapid.IntRange(0, 100).Draw(t, "n")
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				p := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "p")
				if (near.WriteAt(p, addr) == nil) != (far.WriteAt(p, addr) == nil) {
					t.Fatal("one write fails")
				}
			case 1:
				a, b := make([]byte, n), make([]byte, n)
				if (near.ReadAt(a, addr) == nil) != (far.ReadAt(b, addr) == nil) || !bytes.Equal(a, b) {
					t.Fatalf("%x is read as %x", a, b)
				}
			case 2:
				a, b := near.Bytes(addr, n, Read|Write), far.Bytes(addr, n, Read|Write)
				if (a == nil) != (b == nil) || !bytes.Equal(a, b) {
					t.Fatalf("%x is %x", a, b)
				}
				for i := range a {
					a[i] += byte(i)
					b[i] += byte(i)
				}
			case 3:
				far.Flush()
			case 4:
				far.Settle()
				far.Refresh()
			}
		}
		far.Settle()
		if !bytes.Equal(mem, e.mem) {
			t.Fatal("memory differs")
		}
	})
}
