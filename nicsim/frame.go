// Package nicsim is what hardware models, wires and transports agree on:
// frames, ports, wires, models and what a probe may see of them.
package nicsim

import (
	"encoding/binary"
	"hash/crc32"

	"nicsim.dev/nicsim/sim"
)

const (
	// Headroom is free space ahead of a frame's data, for tags and encapsulation.
	Headroom = 128
	// MaxFrameBytes is the longest frame that a Frame holds: a jumbo of
	// 15.5 KiB (82599 datasheet 1.1) with tags and crypto overhead.
	MaxFrameBytes = largeStore - 2*Headroom
	// SmallFrameBytes is what fits the smaller of the two buffer sizes.
	SmallFrameBytes = smallStore - 2*Headroom

	smallStore, largeStore = 2048, 16384
)

// FrameFlags is what a wire knows of a frame besides its bytes.
type FrameFlags uint8

const (
	BadFCS FrameFlags = 1 << iota // damaged on the wire: the frame check sequence is wrong
)

// Frame is an Ethernet frame between an adapter and a wire, from the
// destination address to the last byte ahead of the frame check sequence. It
// has one owner at a time, who gives it on or puts it back into a Pool.
type Frame struct {
	Data  []byte
	At    sim.Time // when its last bit passed the port
	ID    uint64   // the same for a super-frame and for its segments; 0 if unknown
	Flags FrameFlags

	store []byte // smallStore or largeStore bytes
}

// Size gives a frame that was just taken from a pool n bytes of unspecified
// content, and nothing else.
func (f *Frame) Size(n int) {
	f.Data = f.Data[:n]
	f.ID, f.Flags = 0, 0
}

// Room returns how many bytes may be pushed ahead of Data.
func (f *Frame) Room() int { return cap(f.store) - cap(f.Data) }

// Push lengthens Data by n bytes at its front, n being at most Room.
func (f *Frame) Push(n int) {
	at := f.Room()
	f.Data = f.store[at-n : at+len(f.Data)]
}

// Pull shortens Data by n bytes at its front.
func (f *Frame) Pull(n int) { f.Data = f.Data[n:] }

// OwnFCS takes the last four bytes of Data as the frame check sequence that its
// sender put there, and marks the frame when it is wrong.
func (f *Frame) OwnFCS() {
	n := len(f.Data) - 4
	if n < 0 || crc32.ChecksumIEEE(f.Data[:n]) != binary.LittleEndian.Uint32(f.Data[n:]) {
		f.Flags |= BadFCS
	}
	f.Data = f.Data[:max(n, 0)]
}

// AppendFCS puts the frame check sequence behind Data: a wrong one for a damaged
// frame.
func (f *Frame) AppendFCS() {
	sum := crc32.ChecksumIEEE(f.Data)
	if f.Flags&BadFCS != 0 {
		sum = ^sum
	}
	f.Data = binary.LittleEndian.AppendUint32(f.Data, sum)
}

// Pad lengthens Data to n bytes with zeros.
func (f *Frame) Pad(n int) {
	old := len(f.Data)
	f.Data = f.Data[:n]
	clear(f.Data[old:])
}

// WireBytes is the frame's length on the wire, frame check sequence included.
func (f *Frame) WireBytes() int { return len(f.Data) + 4 }

// poolDepth bounds the frames that a pool keeps of each size.
const poolDepth = 8192

// Pool recycles frames. It belongs to one goroutine. The Data of the frames in it
// begin behind the headroom.
type Pool struct {
	small, large []*Frame
	colour       int
	made         int // frames made and not left to the garbage collector
	lastID       uint64
}

// Out returns how many frames are out: got and not yet put back.
func (p *Pool) Out() int { return p.made - len(p.small) - len(p.large) }

// NextID returns a packet's identity, for Frame.ID and Event.ID. It is not zero
// and, since adapters that meet on a wire share a pool, no other packet has it.
func (p *Pool) NextID() uint64 {
	p.lastID++
	return p.lastID
}

// Get returns a frame with n bytes of unspecified content, n being at most
// MaxFrameBytes.
func (p *Pool) Get(n int) *Frame {
	list, size := &p.small, smallStore
	if n > SmallFrameBytes {
		list, size = &p.large, largeStore
	}
	var f *Frame
	if last := len(*list) - 1; last >= 0 {
		f = (*list)[last]
		*list = (*list)[:last]
	} else {
		f = p.grow(size)
	}
	f.Size(n)
	return f
}

// GetSmall fills out with frames for at most SmallFrameBytes each, which Size is
// to give their lengths.
func (p *Pool) GetSmall(out []*Frame) {
	n := copy(out, p.small[max(0, len(p.small)-len(out)):])
	p.small = p.small[:len(p.small)-n]
	for ; n < len(out); n++ {
		out[n] = p.grow(smallStore)
	}
}

// grow makes a buffer. Each starts on another cache line than the one before,
// because equally large buffers would compete for the same few cache sets.
func (p *Pool) grow(size int) *Frame {
	p.made++
	p.colour = (p.colour + 1) % 16
	pad := p.colour * 64
	store := make([]byte, size+pad)[pad:]
	return &Frame{store: store, Data: store[Headroom:]}
}

// Put takes a frame back.
func (p *Pool) Put(f *Frame) {
	list := &p.small
	if cap(f.store) == largeStore {
		list = &p.large
	}
	if len(*list) == poolDepth {
		p.made--
		return
	}
	f.Data = f.store[Headroom:]
	*list = append(*list, f)
}

// PutAll takes frames back.
func (p *Pool) PutAll(frames []*Frame) {
	moved := false // or large
	for _, f := range frames {
		moved = moved || cap(f.Data) != smallStore-Headroom
	}
	if !moved && len(p.small)+len(frames) <= poolDepth {
		p.small = append(p.small, frames...)
		return
	}
	for _, f := range frames {
		p.Put(f)
	}
}
