// Package dma is a guest's memory as a device on its bus sees it: I/O
// addresses that lead to bytes, with permissions.
package dma

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"unsafe"
)

// Addr is an I/O address: what a driver puts into a descriptor.
type Addr uint64

// Access is what a device may do with a range.
type Access uint8

const (
	Read Access = 1 << iota
	Write
)

// MaxRegions bounds the mappings of one space, as VFIO's type 1 IOMMU does
// (dma_entry_limit is 65535 there).
const MaxRegions = 65535

// Errors of Map and Unmap.
var (
	ErrOverlap = errors.New("dma: the range overlaps one that is mapped")
	ErrRange   = errors.New("dma: the range is empty or wraps around")
	ErrLimit   = errors.New("dma: too many mappings")
	ErrNoMap   = errors.New("dma: no mapping covers exactly this range")
)

// Fault is a device's access to memory that it may not touch.
type Fault struct {
	Addr   Addr
	Bytes  int
	Access Access
}

func (f *Fault) Error() string {
	verb := "read"
	if f.Access&Write != 0 {
		verb = "write"
	}
	return fmt.Sprintf("dma: %s of %d bytes at %#x is outside the device's memory", verb, f.Bytes, uint64(f.Addr))
}

type region struct {
	start, end Addr // end is exclusive
	mem        []byte
	access     Access
	remote     bool // mem is a copy, or nil
}

// Space holds the mappings of one device. It belongs to the goroutine that
// owns the device.
type Space struct {
	regions []region // in order of start
	hot     region   // the region of the last hit, or a copy of a part of it
	changes uint64
	distant distant
}

// Changes counts the mappings made and removed: who keeps a slice of memory
// gets it anew when the count differs.
func (s *Space) Changes() uint64 { return s.changes }

// Map makes mem answer at addr.
func (s *Space) Map(addr Addr, mem []byte, access Access) error {
	return s.insert(region{start: addr, end: addr + Addr(len(mem)), mem: mem, access: access})
}

func (s *Space) insert(r region) error {
	if r.end <= r.start {
		return fmt.Errorf("%w: up to %#x from %#x", ErrRange, uint64(r.end), uint64(r.start))
	}
	if len(s.regions) == MaxRegions {
		return ErrLimit
	}
	i := s.after(r.start)
	if i > 0 && s.regions[i-1].end > r.start || i < len(s.regions) && s.regions[i].start < r.end {
		return fmt.Errorf("%w: %d bytes at %#x", ErrOverlap, uint64(r.end-r.start), uint64(r.start))
	}
	s.regions = slices.Insert(s.regions, i, r)
	s.changes++
	return nil
}

// Unmap removes the mapping of n bytes at addr.
func (s *Space) Unmap(addr Addr, n int) error {
	i := s.after(addr) - 1
	if i < 0 || s.regions[i].start != addr || s.regions[i].end != addr+Addr(n) {
		return fmt.Errorf("%w: %d bytes at %#x", ErrNoMap, n, uint64(addr))
	}
	s.regions = slices.Delete(s.regions, i, i+1)
	s.forget()
	return nil
}

// Clear removes all mappings. What was written to copies of remote memory is lost.
func (s *Space) Clear() {
	s.regions = nil
	s.forget()
}

// forget makes everybody look anew for what they knew.
func (s *Space) forget() {
	s.distant.copies, s.distant.bytes = nil, 0
	s.hot = region{}
	s.changes++
}

// after returns the place of the first region that starts beyond addr.
func (s *Space) after(addr Addr) int {
	return sort.Search(len(s.regions), func(i int) bool { return s.regions[i].start > addr })
}

func (s *Space) find(addr Addr) bool {
	i := s.after(addr) - 1
	if i < 0 || addr >= s.regions[i].end {
		return false
	}
	s.hot = s.regions[i]
	return true
}

// Bytes returns the n bytes of memory at addr, or nil if they do not lie in one
// region that permits access. The slice is the guest's memory itself and its
// capacity ends with it.
func (s *Space) Bytes(addr Addr, n int, access Access) []byte {
	off := addr - s.hot.start
	if addr < s.hot.start || off >= Addr(len(s.hot.mem)) {
		if !s.find(addr) {
			return nil
		}
		if s.hot.remote {
			return s.copyOf(addr, n, access)
		}
		off = addr - s.hot.start
	}
	if n < 0 || Addr(n) > Addr(len(s.hot.mem))-off || s.hot.access&access != access {
		if s.hot.remote {
			return s.copyOf(addr, n, access)
		}
		return nil
	}
	return s.hot.mem[off : off+Addr(n) : off+Addr(n)]
}

// Window is the region of the last hit, for who looks at many addresses in turn.
// It is good until the mappings change.
type Window struct {
	start Addr
	bytes Offset
	base  unsafe.Pointer
}

// Window returns the region of the last hit if it permits access, else a window
// on nothing.
func (s *Space) Window(access Access) Window {
	if s.hot.access&access != access || len(s.hot.mem) == 0 {
		return Window{}
	}
	return Window{s.hot.start, Offset(len(s.hot.mem)), unsafe.Pointer(unsafe.SliceData(s.hot.mem))}
}

// Offset is a place in a window.
type Offset uint64

// Offset says whether n bytes at addr are in the window, and where.
func (w *Window) Offset(addr Addr, n int) (Offset, bool) {
	off := Offset(addr - w.start)
	return off, off < w.bytes && Offset(n) <= w.bytes-off
}

// Read copies the memory at off, as long as p and found by Offset, into p.
func (w *Window) Read(p []byte, off Offset) {
	move(unsafe.Pointer(unsafe.SliceData(p)), unsafe.Add(w.base, off), len(p))
}

// Write copies p to the memory at off, as long as p and found by Offset.
func (w *Window) Write(off Offset, p []byte) {
	move(unsafe.Add(w.base, off), unsafe.Pointer(unsafe.SliceData(p)), len(p))
}

// move copies n bytes: 32 to 64 of them as four quarters that may overlap, without
// a call.
func move(dst, src unsafe.Pointer, n int) {
	type quarter = [16]byte // what the compiler copies in one piece
	if uint(n-32) <= 32 {
		*(*quarter)(dst) = *(*quarter)(src)
		*(*quarter)(unsafe.Add(dst, 16)) = *(*quarter)(unsafe.Add(src, 16))
		*(*quarter)(unsafe.Add(dst, n-32)) = *(*quarter)(unsafe.Add(src, n-32))
		*(*quarter)(unsafe.Add(dst, n-16)) = *(*quarter)(unsafe.Add(src, n-16))
		return
	}
	copy(unsafe.Slice((*byte)(dst), n), unsafe.Slice((*byte)(src), n))
}

// Pieces appends to out the memory of n bytes at addr, in as many pieces as it
// has adjacent regions. On a fault out is returned as it was.
func (s *Space) Pieces(out [][]byte, addr Addr, n int, access Access) ([][]byte, error) {
	if b := s.Bytes(addr, n, access); b != nil {
		return append(out, b), nil
	}
	whole := len(out)
	for at, left := addr, n; left > 0; {
		if !s.find(at) {
			return out[:whole], &Fault{addr, n, access}
		}
		k := min(Addr(left), s.hot.end-at)
		b := s.Bytes(at, int(k), access)
		if b == nil {
			return out[:whole], &Fault{addr, n, access}
		}
		out = append(out, b)
		at, left = at+k, left-int(k)
	}
	return out, nil
}

// ReadAt copies memory at addr into p.
func (s *Space) ReadAt(p []byte, addr Addr) error {
	pieces, err := s.Pieces(nil, addr, len(p), Read)
	for _, b := range pieces {
		p = p[copy(p, b):]
	}
	return err
}

// WriteAt copies p into memory at addr.
func (s *Space) WriteAt(p []byte, addr Addr) error {
	pieces, err := s.Pieces(nil, addr, len(p), Write)
	for _, b := range pieces {
		p = p[copy(b, p):]
	}
	return err
}
