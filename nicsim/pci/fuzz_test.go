package pci

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// fixed lists configuration bits that no access may change: offset and mask.
var fixed = []struct {
	off  int
	mask uint32
}{
	{0x00, ^uint32(0)}, {0x08, ^uint32(0)}, {0x2C, ^uint32(0)}, {0x34, ^uint32(0)},
	{pmAt, ^uint32(0)}, {pmAt + 4, 0x6008}, {msiAt, 0xFF8EFFFF}, {msixAt, 0x3FFFFFFF}, {msixAt + 4, ^uint32(0)}, {msixAt + 8, ^uint32(0)},
	{expressAt, ^uint32(0)}, {expressAt + 4, ^uint32(0)}, {expressAt + 0xC, ^uint32(0)}, {expressAt + 0x10, 0xFFFF0000},
	{vpdAt, 0xFFFF}, {aerAt, ^uint32(0)}, {aerAt + 0x18, 0xA0}, {serialAt, ^uint32(0)}, {serialAt + 4, ^uint32(0)}, {serialAt + 8, ^uint32(0)},
	{ariAt, ^uint32(0)}, {ariAt + 4, ^uint32(0)},
}

// walk follows both capability lists and returns the identities it met.
func walk(t *testing.T, f *Function) []uint32 {
	var ids []uint32
	b := make([]byte, 4)
	f.ConfigRead(b[:1], 0x34)
	for at := int(b[0]); at != 0; at = int(b[1]) {
		f.ConfigRead(b, at)
		ids = append(ids, uint32(b[0]))
		require.Less(t, len(ids), 48)
	}
	for at := 0x100; at != 0; {
		f.ConfigRead(b, at)
		v := binary.LittleEndian.Uint32(b)
		ids = append(ids, v&0xFFFF)
		at = int(v >> 20)
		require.Less(t, len(ids), 1024)
	}
	return ids
}

func FuzzAccesses(f *testing.F) {
	f.Add([]byte{1, 4, 0, 7, 0, 3, 0xA8, 0, 0x10, 0x80})
	f.Add([]byte{1, 4, 0, 6, 0, 1, 0x72, 0, 0, 0x80, 4, 0x0C, 0, 0, 0, 6, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		fn, _ := endpoint(t, false)
		irq := &sink{room: 5}
		fn.SetInterrupter(irq)
		ids := walk(t, fn)
		require.Equal(t, []uint32{1, 5, 0x11, 0x10, 3, 1, 3, 0xE}, ids)
		before := make([]uint32, len(fixed))
		for i, x := range fixed {
			before[i] = get32(fn, x.off) & x.mask
		}
		p := make([]byte, 8)
		for len(program) >= 12 {
			op, off, n, data := program[0], binary.LittleEndian.Uint16(program[1:]), int(program[3]%8)+1, program[4:12]
			program = program[12:]
			at := uint64(off)
			switch op % 8 {
			case 0:
				fn.ConfigRead(p[:n], int(off)-8)
			case 1, 2:
				fn.ConfigWrite(data[:n], int(off%4112)-8)
			case 3:
				fn.Read(int(data[0]%8)-1, p[:n], at<<uint(data[1]%52))
			case 4:
				fn.Write(int(data[0]%8)-1, data[:n], at<<uint(data[1]%52))
			case 5:
				fn.Raise(int(off%70) - 2)
			case 6:
				fn.SetLine(off&1 != 0)
				fn.Report(Error(op), [4]uint32{})
			case 7:
				irq.room += n
				fn.Retry()
			}
		}
		require.Equal(t, ids, walk(t, fn))
		for i, x := range fixed {
			require.Equal(t, before[i], get32(fn, x.off)&x.mask, "offset %#x", x.off)
		}
	})
}
