// Package reg keeps a device's registers as a table that can be reviewed
// against its datasheet: one row a register, or an array of equal registers.
//
// A Table is built once for a model and shared; a File holds the values of one
// device. All registers are 32 bits wide and addressed by byte offset.
package reg

import (
	"fmt"
	"strings"
)

// Mode is how software sees a register.
type Mode uint8

const (
	RW  Mode = iota // read and write; only bits in Mask change
	RO              // writes are ignored
	W1C             // a one written to a bit in Mask clears it
	RC              // read to clear: a read returns the value and clears it
	WO              // reads return zero
	SC              // read and write; bits in SelfClear read as zero after a write
)

var modeNames = [...]string{RW: "RW", RO: "RO", W1C: "RW1C", RC: "RC", WO: "WO", SC: "RW/SC"}

func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Row is one register, or N registers Stride bytes apart, of a device D.
type Row[D any] struct {
	Name   string // as the datasheet spells it
	Title  string // what it is, in a few words
	Off    uint32 // byte offset of the first instance
	Stride uint32 // bytes between instances; 0 means 4
	N      int    // number of instances; 0 means 1
	First  int    // index of the first instance, for arrays that continue elsewhere
	Alias  string // name of the row whose storage this range shares
	Reset  uint32
	Mask   uint32 // bits that software may change; 0 in a RW, W1C or SC row means all
	Mode   Mode
	Spec   string // section of the datasheet

	SelfClear uint32 // for SC: bits that do not stay set
	Secret    bool   // part of a key: not for traces

	// Read, if set, supplies the value in place of storage. Wrote is called
	// after storage has changed, with the old value and the value that was
	// written (unmasked).
	Read  func(d *D, i int) uint32
	Wrote func(d *D, i int, old, v uint32)
}

func (r *Row[D]) count() int { return max(r.N, 1) }

func (r *Row[D]) stride() uint32 {
	if r.Stride == 0 {
		return 4
	}
	return r.Stride
}

func (r *Row[D]) writable() uint32 {
	if r.Mask == 0 {
		return ^uint32(0)
	}
	return r.Mask
}

// Instance names instance i of the row: "TDT[3]", or "CTRL" when there is one.
func (r *Row[D]) Instance(i int) string {
	if r.count() == 1 && r.First == 0 {
		return r.Name
	}
	return fmt.Sprintf("%s[%d]", r.Name, i)
}

// cell says what answers at one 32-bit word of the register space.
type cell struct {
	row   int32  // index into rows, -1 when none
	index int32  // instance, counted from the row's First
	slot  uint32 // word in a File that holds the value
}

// Table is the register space of a model.
type Table[D any] struct {
	rows  []Row[D]
	cells []cell
}

// NewTable builds the table of a register space of size bytes. It refuses rows
// that overlap, leave the space, cite no section, or alias a row that is not
// there.
func NewTable[D any](size uint32, groups ...[]Row[D]) (*Table[D], error) {
	t := &Table[D]{cells: make([]cell, size/4)}
	for i := range t.cells {
		t.cells[i].row = -1
	}
	for _, g := range groups {
		t.rows = append(t.rows, g...)
	}
	for i := range t.rows {
		if err := t.place(i); err != nil {
			return nil, err
		}
	}
	return t, t.linkAliases()
}

func (t *Table[D]) place(i int) error {
	r := &t.rows[i]
	if r.Name == "" || r.Spec == "" {
		return fmt.Errorf("reg: row %q at %#x: name and section are required", r.Name, r.Off)
	}
	for k := range r.count() {
		off := r.Off + uint32(k)*r.stride()
		if off%4 != 0 || int(off/4) >= len(t.cells) {
			return fmt.Errorf("reg: %s[%d] at %#x is unaligned or outside the register space", r.Name, k, off)
		}
		c := &t.cells[off/4]
		if c.row >= 0 {
			return fmt.Errorf("reg: %s at %#x overlaps %s", r.Name, off, t.rows[c.row].Name)
		}
		*c = cell{row: int32(i), index: int32(r.First + k), slot: off / 4}
	}
	return nil
}

// linkAliases lets the cells of alias rows use the storage, the mode and the
// behaviour of the rows they name.
func (t *Table[D]) linkAliases() error {
	for i := range t.rows {
		r := &t.rows[i]
		if r.Alias == "" {
			continue
		}
		for k := range r.count() {
			target, ok := t.Lookup(r.Alias, r.First+k)
			if !ok {
				return fmt.Errorf("reg: %s aliases %s[%d], which no row covers", r.Name, r.Alias, r.First+k)
			}
			t.cells[(r.Off+uint32(k)*r.stride())/4] = t.cells[target/4]
		}
	}
	return nil
}

// Lookup returns the byte offset of instance i of the named register.
func (t *Table[D]) Lookup(name string, i int) (off uint32, ok bool) {
	for k := range t.rows {
		r := &t.rows[k]
		if r.Name == name && r.Alias == "" && i >= r.First && i < r.First+r.count() {
			return r.Off + uint32(i-r.First)*r.stride(), true
		}
	}
	return 0, false
}

// At returns the row and the instance that answer at byte offset off.
func (t *Table[D]) At(off uint32) (r *Row[D], i int, ok bool) {
	if int(off/4) >= len(t.cells) || t.cells[off/4].row < 0 {
		return nil, 0, false
	}
	c := t.cells[off/4]
	return &t.rows[c.row], int(c.index), true
}

// Name names the register at off: "RDT[3]", or its address when no row covers it.
func (t *Table[D]) Name(off uint32) string {
	if r, i, ok := t.At(off); ok {
		return r.Instance(i)
	}
	return fmt.Sprintf("%#05x", off)
}

// Secret says whether the register at off holds part of a key.
func (t *Table[D]) Secret(off uint32) bool {
	r, _, ok := t.At(off)
	return ok && r.Secret
}

// Rows returns the rows in the order they were given.
func (t *Table[D]) Rows() []Row[D] { return t.rows }

// Behave attaches behaviour to the rows of the named register, the ranges where
// an array continues included. It panics when no row has that name: the caller
// and the table are parts of one program.
func (t *Table[D]) Behave(name string, read func(d *D, i int) uint32, wrote func(d *D, i int, old, v uint32)) {
	found := false
	for k := range t.rows {
		if r := &t.rows[k]; r.Name == name && r.Alias == "" {
			r.Read, r.Wrote, found = read, wrote, true
		}
	}
	if !found {
		panic("reg: no register is named " + name)
	}
}

// File holds the register values of one device.
type File[D any] struct {
	table *Table[D]
	dev   *D
	vals  []uint32

	// UnknownReads and UnknownWrites count accesses that no row covers.
	UnknownReads, UnknownWrites uint64
}

// NewFile returns the registers of d, at their reset values.
func NewFile[D any](t *Table[D], d *D) *File[D] {
	f := &File[D]{table: t, dev: d, vals: make([]uint32, len(t.cells))}
	f.Reset(nil)
	return f
}

// Table returns the table that f follows.
func (f *File[D]) Table() *Table[D] { return f.table }

// Reset puts every register for which keep is false, or keep is nil, at its
// reset value. No behaviour is called.
func (f *File[D]) Reset(keep func(r *Row[D]) bool) {
	for k := range f.table.rows {
		r := &f.table.rows[k]
		if r.Alias != "" || (keep != nil && keep(r)) {
			continue
		}
		for i := range r.count() {
			f.vals[(r.Off+uint32(i)*r.stride())/4] = r.Reset
		}
	}
}

// Read answers a read by software at byte offset off. Where no row covers off
// it returns zero and counts the access.
func (f *File[D]) Read(off uint32) uint32 {
	if int(off/4) >= len(f.table.cells) || f.table.cells[off/4].row < 0 {
		f.UnknownReads++
		return 0
	}
	c := f.table.cells[off/4]
	r := &f.table.rows[c.row]
	if r.Read != nil {
		return r.Read(f.dev, int(c.index))
	}
	v := f.vals[c.slot]
	switch r.Mode {
	case WO:
		return 0
	case RC:
		f.vals[c.slot] = 0
	}
	return v
}

// Write takes a write by software at byte offset off.
func (f *File[D]) Write(off, v uint32) {
	if int(off/4) >= len(f.table.cells) || f.table.cells[off/4].row < 0 {
		f.UnknownWrites++
		return
	}
	c := f.table.cells[off/4]
	r := &f.table.rows[c.row]
	old := f.vals[c.slot]
	switch m := r.writable(); r.Mode {
	case RW, WO:
		f.vals[c.slot] = old&^m | v&m
	case SC:
		f.vals[c.slot] = (old&^m | v&m) &^ r.SelfClear
	case W1C:
		f.vals[c.slot] = old &^ (v & m)
	}
	if r.Wrote != nil {
		r.Wrote(f.dev, int(c.index), old, v)
	}
}

// Get returns the stored value at byte offset off, with no side effect.
func (f *File[D]) Get(off uint32) uint32 { return f.vals[f.table.cells[off/4].slot] }

// Set stores a value at byte offset off, whatever software may change.
func (f *File[D]) Set(off, v uint32) { f.vals[f.table.cells[off/4].slot] = v }

// Markdown prints the table for people, one line a row.
func (t *Table[D]) Markdown() string {
	var b strings.Builder
	b.WriteString("| register | offset | count | mode | reset | section | what |\n|---|---|---|---|---|---|---|\n")
	for i := range t.rows {
		r := &t.rows[i]
		off := fmt.Sprintf("%#05x", r.Off)
		if r.count() > 1 {
			off += fmt.Sprintf(" + %#x*n", r.stride())
		}
		title, is := r.Title, r
		if r.Alias != "" {
			is, _, _ = t.At(r.Off)
			title = strings.TrimSpace(title + " (alias of " + r.Alias + ")")
		}
		name := r.Name
		if r.count() > 1 || r.First > 0 {
			name = fmt.Sprintf("%s[%d..%d]", r.Name, r.First, r.First+r.count()-1)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %#x | %s | %s |\n", name, off, r.count(), is.Mode, is.Reset, r.Spec, title)
	}
	return b.String()
}
