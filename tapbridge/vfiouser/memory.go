//go:build linux

package vfiouser

import (
	"errors"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/tapbridge/guest"
)

// maxDMAMaps bounds what a client may have mapped at a time.
const maxDMAMaps = guest.MaxMappings

// maxAddr keeps ranges from wrapping, and lengths in an int.
const maxAddr = 1 << 62

// mapping is a range of the client's memory.
type mapping struct {
	bytes uint64
	mem   []byte // nil without a file descriptor
}

// mapMemory is DMA_MAP. What no client in its right mind does, such as mapping over
// what is mapped, ends the session once it has been told.
func (s *session) mapMemory(p []byte) error {
	var m dmaMap
	m.parse(p)
	var access dma.Access
	if m.flags&dmaReadable != 0 {
		access |= dma.Read
	}
	if m.flags&dmaWriteable != 0 {
		access |= dma.Write
	}
	switch {
	case m.argsz < dmaMapBytes:
		return refused(unix.EINVAL, "argsz is %d, less than %d", m.argsz, dmaMapBytes)
	case access == 0 || m.flags&^(dmaReadable|dmaWriteable) != 0:
		return refused(unix.EINVAL, "flags %#x are not a way to access memory", m.flags)
	case m.bytes == 0 || m.addr%pageBytes != 0 || m.bytes%pageBytes != 0:
		return refused(unix.EINVAL, "%d bytes at %#x are not whole pages of %d", m.bytes, m.addr, pageBytes)
	case len(s.fds) > 1:
		return violated(unix.EINVAL, "%d file descriptors, not one", len(s.fds))
	case len(s.fds) == 0 && m.offset != 0:
		return refused(unix.EINVAL, "an offset, %#x, without a file descriptor", m.offset)
	case m.bytes > maxAddr || m.addr+m.bytes < m.addr:
		return violated(unix.EINVAL, "%d bytes at %#x are no range of addresses", m.bytes, m.addr)
	case len(s.memory) == maxDMAMaps:
		return refused(unix.ENOSPC, "more than %d ranges (max_dma_maps)", maxDMAMaps)
	}
	at, one := dma.Addr(m.addr), mapping{bytes: m.bytes}
	if len(s.fds) == 0 {
		if err := s.space.MapRemote(at, m.bytes, access); err != nil {
			return mapError(err)
		}
		s.memory[at] = one
		return nil
	}
	mem, err := s.conn.Map(s.fds[0], m.offset, m.bytes, access&dma.Write != 0)
	if err != nil {
		return mapError(err)
	}
	if err := s.space.Map(at, mem, access); err != nil {
		s.conn.Unmap(mem)
		return mapError(err)
	}
	one.mem = mem
	s.memory[at] = one
	return nil
}

// mapError answers a range that cannot be mapped. "A command to map over an existing
// region must be failed by the server with EEXIST" (VFIO_USER_DMA_MAP).
func mapError(err error) error {
	if errors.Is(err, guest.ErrTooMuch) || errors.Is(err, dma.ErrLimit) {
		return refused(unix.ENOSPC, "%v", err)
	}
	errno := unix.EINVAL
	if e, ok := errors.AsType[unix.Errno](err); ok {
		errno = e
	}
	if errors.Is(err, dma.ErrOverlap) {
		errno = unix.EEXIST
	}
	return violated(errno, "%v", err)
}

// unmapMemory is DMA_UNMAP. The adapter is between two steps: nothing is in flight.
func (s *session) unmapMemory(p []byte) ([]byte, error) {
	var m dmaUnmap
	m.parse(p)
	switch {
	case m.argsz < dmaUnmapBytes:
		return nil, tooSmall(m.argsz, dmaUnmapBytes)
	case m.flags&unmapDirtyBitmap != 0:
		return nil, refused(unix.ENOTSUP, "memory is not watched for writes")
	case m.flags&^unmapAll != 0:
		return nil, refused(unix.EINVAL, "flags %#x", m.flags)
	case m.flags&unmapAll != 0 && (m.addr != 0 || m.bytes != 0):
		return nil, refused(unix.EINVAL, "all is to be unmapped, and %d bytes at %#x", m.bytes, m.addr)
	}
	if m.flags&unmapAll != 0 {
		s.space.Clear()
		for at, one := range s.memory {
			s.drop(at, one)
		}
	} else {
		at := dma.Addr(m.addr)
		one, ok := s.memory[at]
		if !ok || one.bytes != m.bytes {
			return nil, refused(unix.ENOENT, "%d bytes at %#x are not what was mapped", m.bytes, m.addr)
		}
		if err := s.space.Unmap(at, int(m.bytes)); err != nil {
			return nil, err
		}
		s.drop(at, one)
	}
	return append(s.scratch(0), p[:dmaUnmapBytes]...), nil
}

// drop forgets a range that the adapter can no longer reach.
func (s *session) drop(at dma.Addr, one mapping) {
	if one.mem != nil {
		s.conn.Unmap(one.mem)
	}
	delete(s.memory, at)
}
