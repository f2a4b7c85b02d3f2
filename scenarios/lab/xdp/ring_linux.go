package xdp

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ringSlots is the size of each ring, a power of two: more than a burst of a script.
const ringSlots = 128

// ring is one that this process and the kernel share: one of them puts entries in,
// the other takes them out. T is uint64 for frames alone, unix.XDPDesc for packets.
type ring[T uint64 | unix.XDPDesc] struct {
	memory                    []byte
	producer, consumer, flags *uint32
	slots                     []T
}

// mapRing maps a ring of a socket, which has the size ringSlots.
func mapRing[T uint64 | unix.XDPDesc](fd int, page int64, at unix.XDPRingOffset) (*ring[T], error) {
	var entry T
	size := int(at.Desc) + ringSlots*int(unsafe.Sizeof(entry))
	memory, err := unix.Mmap(fd, page, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	word := func(offset uint64) *uint32 { return (*uint32)(unsafe.Pointer(&memory[offset])) }
	return &ring[T]{
		memory: memory, producer: word(at.Producer), consumer: word(at.Consumer), flags: word(at.Flags),
		slots: unsafe.Slice((*T)(unsafe.Pointer(&memory[at.Desc])), ringSlots),
	}, nil
}

// put adds an entry if there is room.
func (r *ring[T]) put(v T) bool {
	p := *r.producer // ours
	if p-atomic.LoadUint32(r.consumer) == ringSlots {
		return false
	}
	r.slots[p%ringSlots] = v
	atomic.StoreUint32(r.producer, p+1)
	return true
}

// take removes an entry if there is one.
func (r *ring[T]) take() (v T, ok bool) {
	c := *r.consumer // ours
	if atomic.LoadUint32(r.producer) == c {
		return v, false
	}
	v = r.slots[c%ringSlots]
	atomic.StoreUint32(r.consumer, c+1)
	return v, true
}

// sleeps says that the kernel looks into the ring only when it is woken.
func (r *ring[T]) sleeps() bool { return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0 }
