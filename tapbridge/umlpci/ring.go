//go:build linux

package umlpci

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"nicsim.dev/nicsim/dma"
)

// maxRing is the longest ring; the guest's have 256 entries.
const maxRing = 1024

// Flags of a descriptor, and of the two halves of a ring (virtio 1.2 2.7.5 to
// 2.7.8).
const (
	descriptorNext     = 1
	descriptorWrite    = 2 // the device writes
	descriptorIndirect = 4

	availNoInterrupt = 1
	usedNoNotify     = 1

	descriptorBytes = 16
)

// ring is a split virtqueue in the guest's memory. Nothing that it says is
// trusted.
type ring struct {
	num                           uint16 // entries, a power of two; 0 until told
	descAddr, availAddr, usedAddr uint64 // user addresses
	placed                        bool   // the addresses have been told
	enabled                       bool

	desc, avail, used []byte // nil unless enabled and mapped

	next    uint16 // the next available entry
	done    uint16 // the next used entry
	quiet   bool   // the guest is told not to kick
	out, in [][]byte

	// reaped is one more than the last used entry that the guest has surely seen:
	// a descriptor that comes again was reaped, and so was all before it.
	reaped uint16
	usedAt [maxRing]uint16 // for each head, one more than its last used entry
}

// locate finds the ring in memory.
func (s *session) locate(r *ring) error {
	n := uint64(r.num)
	desc, avail, used := s.user(r.descAddr, n*descriptorBytes), s.user(r.availAddr, 4+2*n), s.user(r.usedAddr, 4+8*n)
	switch {
	case desc == nil || avail == nil || used == nil:
		return fmt.Errorf("its parts at %#x, %#x and %#x are not all in memory", r.descAddr, r.availAddr, r.usedAddr)
	case r.descAddr%16 != 0 || r.availAddr%4 != 0 || r.usedAddr%4 != 0:
		// Virtio asks for two of the available ring; its flags and index are
		// loaded as one word here.
		return fmt.Errorf("its parts at %#x, %#x and %#x are not aligned", r.descAddr, r.availAddr, r.usedAddr)
	}
	r.desc, r.avail, r.used = desc, avail, used
	r.publish()
	return nil
}

// forget lets go of the memory.
func (r *ring) forget() {
	r.desc, r.avail, r.used = nil, nil, nil
	clear(r.out[:cap(r.out)])
	clear(r.in[:cap(r.in)])
}

// word is the flags and the index of either half, which lie in one word.
func word(half []byte) *uint32 { return (*uint32)(unsafe.Pointer(unsafe.SliceData(half))) }

// publish tells the guest how far the ring is done, and whether to kick. What was
// written before is seen by who sees it.
func (r *ring) publish() {
	if r.used == nil {
		return
	}
	w := uint32(r.done) << 16
	if r.quiet {
		w |= usedNoNotify
	}
	atomic.StoreUint32(word(r.used), w)
}

// hush tells the guest whether to kick. It kicks for what it makes available after
// it has seen that; what came before is found by looking once more.
func (r *ring) hush(quiet bool) {
	if quiet != r.quiet {
		r.quiet = quiet
		r.publish()
	}
}

// waiting returns how many entries are available.
func (r *ring) waiting() (int, error) {
	if r.avail == nil {
		return 0, nil
	}
	n := uint16(atomic.LoadUint32(word(r.avail))>>16) - r.next
	if n > r.num {
		return 0, fmt.Errorf("%d entries of a ring of %d are said to be available", n, r.num)
	}
	return int(n), nil
}

// wantsCall says whether the guest wants to be told of used entries.
func (r *ring) wantsCall() bool {
	return r.avail != nil && atomic.LoadUint32(word(r.avail))&availNoInterrupt == 0
}

// take follows the chain of the next available entry, and leaves its buffers in
// out, which the guest has written, and in, which it waits for.
func (r *ring) take(m *dma.Space) (head uint16, err error) {
	head = le.Uint16(r.avail[4+2*int(r.next&(r.num-1)):])
	r.next++
	if head >= r.num {
		return 0, fmt.Errorf("descriptor %d of a ring of %d", head, r.num)
	}
	if r.usedAt[head]-r.reaped <= r.unreaped() {
		r.reaped = r.usedAt[head]
	}
	r.out, r.in = r.out[:0], r.in[:0]
	table, i, within := r.desc, head, false
	for range r.num { // a longer chain has a loop
		d := table[int(i)*descriptorBytes:][:descriptorBytes]
		addr, n, flags := dma.Addr(le.Uint64(d)), le.Uint32(d[8:]), le.Uint16(d[12:])
		if flags&descriptorIndirect != 0 {
			if within || flags&descriptorNext != 0 || n == 0 || n%descriptorBytes != 0 || n > uint32(r.num)*descriptorBytes {
				return 0, fmt.Errorf("a wrong indirect descriptor, of %d bytes", n)
			}
			if table = m.Bytes(addr, int(n), dma.Read); table == nil {
				return 0, &dma.Fault{Addr: addr, Bytes: int(n), Access: dma.Read}
			}
			i, within = 0, true
			continue
		}
		if err := r.add(m, addr, n, flags&descriptorWrite != 0); err != nil {
			return 0, err
		}
		if flags&descriptorNext == 0 {
			return head, nil
		}
		if i = le.Uint16(d[14:]); int(i) >= len(table)/descriptorBytes {
			return 0, fmt.Errorf("a chain leads to descriptor %d of %d", i, len(table)/descriptorBytes)
		}
	}
	return 0, errors.New("a chain of descriptors has no end")
}

func (r *ring) add(m *dma.Space, addr dma.Addr, n uint32, write bool) error {
	access := dma.Read
	if write {
		access = dma.Write
	}
	if n > maxCommandBytes {
		return fmt.Errorf("a descriptor of %d bytes", n)
	}
	b := m.Bytes(addr, int(n), access)
	switch {
	case b == nil:
		return &dma.Fault{Addr: addr, Bytes: int(n), Access: access}
	case write:
		r.in = append(r.in, b)
	case len(r.in) > 0:
		return errors.New("a chain has buffers to read behind buffers to write") // virtio 1.2 2.7.4.2
	default:
		r.out = append(r.out, b)
	}
	return nil
}

// give returns an entry of whose buffers n bytes were written.
func (r *ring) give(head uint16, n int) {
	e := r.used[4+8*int(r.done&(r.num-1)):]
	le.PutUint32(e, uint32(head))
	le.PutUint32(e[4:], uint32(n))
	r.done++
	r.usedAt[head] = r.done
	r.publish()
}

// unreaped returns how many used entries the guest may not have seen yet.
func (r *ring) unreaped() uint16 { return r.done - r.reaped }
