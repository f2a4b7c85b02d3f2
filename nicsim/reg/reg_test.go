package reg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type dev struct {
	kicked []int
}

func table(t *testing.T) *Table[dev] {
	tab, err := NewTable(0x1000, []Row[dev]{
		{Name: "CTRL", Off: 0x0, Mode: SC, SelfClear: 1 << 26, Spec: "1"},
		{Name: "STATUS", Off: 0x8, Mode: RO, Reset: 7, Spec: "1"},
		{Name: "CAUSE", Off: 0x10, Mode: W1C, Reset: 0xFF, Spec: "1"},
		{Name: "COUNT", Off: 0x20, N: 2, Mode: RC, Spec: "1"},
		{Name: "TAIL", Off: 0x100, Stride: 0x40, N: 2, Mask: 0xFFFF, Spec: "1",
			Wrote: func(d *dev, i int, _, _ uint32) { d.kicked = append(d.kicked, i) }},
		{Name: "TAIL", Off: 0x800, Stride: 0x40, N: 2, First: 2, Mask: 0xFFFF, Spec: "1",
			Wrote: func(d *dev, i int, _, _ uint32) { d.kicked = append(d.kicked, i) }},
		{Name: "CAUSEALIAS", Alias: "CAUSE", Off: 0x14, Spec: "1"},
		{Name: "TAILALIAS", Alias: "TAIL", Off: 0x900, N: 4, Spec: "1"},
	})
	require.NoError(t, err)
	return tab
}

func TestModes(t *testing.T) {
	d := &dev{}
	f := NewFile(table(t), d)
	f.Write(0x0, 1<<26|5)
	require.Equal(t, uint32(5), f.Read(0))
	f.Write(0x8, 0)
	require.Equal(t, uint32(7), f.Read(8))
	f.Write(0x10, 0x0F)
	require.Equal(t, uint32(0xF0), f.Read(0x10))
	f.Set(0x24, 9)
	require.Equal(t, uint32(9), f.Read(0x24))
	require.Equal(t, uint32(0), f.Read(0x24))
}

func TestAliasesShareStorageAndBehaviour(t *testing.T) {
	d := &dev{}
	f := NewFile(table(t), d)
	f.Write(0x90C, 0x12345) // TAIL[3]
	require.Equal(t, uint32(0x2345), f.Read(0x840))
	require.Equal(t, []int{3}, d.kicked)
	require.Equal(t, "TAIL[3]", f.Table().Name(0x90C))
}

func TestUnknownAccessIsCounted(t *testing.T) {
	f := NewFile(table(t), &dev{})
	require.Zero(t, f.Read(0x44))
	f.Write(0xFFFFF0, 1)
	require.EqualValues(t, 1, f.UnknownReads)
	require.EqualValues(t, 1, f.UnknownWrites)
}

func TestTableRefuses(t *testing.T) {
	for name, rows := range map[string][]Row[dev]{
		"overlap":      {{Name: "A", Off: 0, N: 2, Spec: "1"}, {Name: "B", Off: 4, Spec: "1"}},
		"no section":   {{Name: "A", Off: 0}},
		"outside":      {{Name: "A", Off: 0x1000, Spec: "1"}},
		"unaligned":    {{Name: "A", Off: 2, Spec: "1"}},
		"lost alias":   {{Name: "A", Off: 0, Alias: "B", Spec: "1"}},
		"short target": {{Name: "A", Off: 0, N: 2, Alias: "B", Spec: "1"}, {Name: "B", Off: 8, Spec: "1"}},
	} {
		_, err := NewTable(0x1000, rows)
		require.Error(t, err, name)
	}
}

func TestMarkdownHasARowForEachRegister(t *testing.T) {
	require.Contains(t, table(t).Markdown(), "| CAUSEALIAS | 0x00014 | 1 | RW1C | 0xff | 1 |", "an alias is what it stands for")
	require.Contains(t, table(t).Markdown(), "| TAIL[2..3] | 0x00800 + 0x40*n | 2 | RW | 0x0 | 1 |")
}
