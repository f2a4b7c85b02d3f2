//go:build linux

package umlpci

import (
	"fmt"

	"nicsim.dev/nicsim/pci"
)

// A command is its operation, a base address register, two bytes of nothing, the
// size of the access, its address, and the data of a write (struct
// virtio_pcidev_msg).
const (
	configRead  = 1
	configWrite = 2
	mmioRead    = 3
	mmioWrite   = 4
	mmioMemset  = 5
	legacyPin   = 6
	message     = 7

	commandHeaderBytes = 16

	// maxCommandBytes bounds one access, whose dwords are all done in one turn of
	// the loop; drivers copy some hundred bytes at a time.
	maxCommandBytes = 64 << 10
	// accessesPerWork is how many dwords count as one unit of a turn's budget.
	accessesPerWork = 4
)

// callEvery is how many answered writes may lie unseen. Guests that allocate each
// (before 7.2) see to them on a call or at the next read; later ones have room for
// 20, and wait for us in a loop when it is used up. That is cheap while we do nothing
// else; so they are told of fewer as well when there is an interrupt to tell them of.
const (
	callEvery         = 32
	callWithInterrupt = 4
)

// commands does at most about budget of what the guest has asked for.
func (s *session) commands(budget int) (work int, err error) {
	r := &s.rings[commandRing]
	n, err := r.waiting()
	if err != nil {
		return 0, err
	}
	for ; n > 0 && work < budget; n-- {
		head, err := r.take(s.fn.Memory)
		if err != nil {
			return work, err
		}
		written, size, err := s.command(r)
		if err != nil {
			return work, err
		}
		r.give(head, written)
		work += 1 + size/(4*accessesPerWork)
		if r.unreaped() >= callEvery {
			s.showCommands()
		}
	}
	return work, nil
}

// showCommands has the guest look at the writes that were answered.
func (s *session) showCommands() {
	r := &s.rings[commandRing]
	r.reaped = r.done
	s.calls |= 1 << commandRing
}

// command does the access that the chain describes.
func (s *session) command(r *ring) (written, size int, err error) {
	var header [commandHeaderBytes]byte
	if gather(header[:], r.out, 0) < commandHeaderBytes {
		return 0, 0, fmt.Errorf("a command shorter than its header")
	}
	op, bar := header[0], int(header[1])
	n, addr := le.Uint32(header[4:]), le.Uint64(header[8:])
	if n == 0 || n > maxCommandBytes {
		return 0, 0, fmt.Errorf("operation %d on %d bytes", op, n)
	}
	size = int(n)
	if op == configWrite && !isConfigAccess(bar, size, addr) {
		op = mmioMemset
	}
	switch op {
	case configRead, mmioRead:
		return size, size, s.read(r, op, bar, size, addr)
	case configWrite, mmioWrite:
		data := s.data(r, size)
		if data == nil {
			return 0, 0, fmt.Errorf("a write of %d bytes does not hold them", size)
		}
		if op == configWrite {
			s.fn.ConfigWrite(data, int(addr))
		} else {
			s.fn.Write(bar, data, addr)
		}
	case mmioMemset:
		data := s.data(r, 1)
		if data == nil {
			return 0, 0, fmt.Errorf("a memset without its byte")
		}
		fill := s.scratch[:size]
		for i, b := 0, data[0]; i < size; i++ {
			fill[i] = b
		}
		s.fn.Write(bar, fill, addr)
	default:
		return 0, 0, fmt.Errorf("operation %d", op)
	}
	return 0, size, nil
}

// isConfigAccess tells a write to configuration space from a memset of a base
// address register, which the guest sends under the same number (7.2
// virtio_pcidev_bar_set): the latter may name a register, is not limited to the
// widths of an access, and lies anywhere. One of BAR 0 that looks like the former
// is taken for it, as it cannot be told.
func isConfigAccess(bar, size int, addr uint64) bool {
	return bar == 0 && isWidth(size) && addr <= uint64(pci.ConfigBytes-size)
}

func isWidth(size int) bool { return size <= 8 && size&(size-1) == 0 }

func (s *session) read(r *ring, op byte, bar, size int, addr uint64) error {
	if op == configRead && (!isWidth(size) || addr > uint64(pci.ConfigBytes-size)) {
		return fmt.Errorf("a read of %d bytes at %#x of configuration space", size, addr)
	}
	room := 0
	for _, b := range r.in {
		room += len(b)
	}
	if room < size {
		return fmt.Errorf("a read of %d bytes has room for %d", size, room)
	}
	// The answer goes to its place by one copy, so that reads are not torn.
	data := s.scratch[:size]
	if op == configRead {
		s.fn.ConfigRead(data, int(addr))
	} else {
		s.fn.Read(bar, data, addr)
	}
	for _, b := range r.in {
		data = data[copy(b, data):]
	}
	s.conn.Answered()
	return nil
}

// data returns the n bytes behind a command's header, copied, since the guest may
// change them, or nil if there are not as many.
func (s *session) data(r *ring, n int) []byte {
	data := s.scratch[:n]
	if gather(data, r.out, commandHeaderBytes) < n {
		return nil
	}
	return data
}

// gather copies what the pieces hold from byte skip on, and returns how much.
func gather(to []byte, pieces [][]byte, skip int) (n int) {
	for _, p := range pieces {
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		n += copy(to[n:], p[skip:])
		skip = 0
	}
	return n
}
