//go:build linux

package umlpci

import (
	"fmt"

	"nicsim.dev/nicsim/dma"
)

// maxRegions is how many regions a table may have (vhost-user,
// "VHOST_MEMORY_BASELINE_NREGIONS"); the guest sends one.
const maxRegions = 8

const regionBytes = 32

// region is a part of the guest's memory. Descriptors hold guest addresses, which
// the function's Memory knows; the addresses of rings are those of the guest's
// process.
type region struct {
	guest dma.Addr
	user  uint64
	mem   []byte
}

// setMemTable maps the guest's memory in place of what was mapped before.
func (s *session) setMemTable(p []byte, fds []int) error {
	if s.features == 0 {
		return fmt.Errorf("ahead of SET_FEATURES")
	}
	if len(p) < 8 {
		return fmt.Errorf("%d bytes of payload", len(p))
	}
	n := le.Uint32(p)
	switch {
	case n == 0 || n > maxRegions:
		return fmt.Errorf("%d regions, not 1 to %d", n, maxRegions)
	case len(p) != 8+int(n)*regionBytes:
		return fmt.Errorf("%d bytes of payload for %d regions", len(p), n)
	case len(fds) != int(n):
		return fmt.Errorf("%d file descriptors for %d regions", len(fds), n)
	}
	s.unmap()
	for i := range int(n) {
		if err := s.mapRegion(p[8+i*regionBytes:], fds[i]); err != nil {
			return fmt.Errorf("region %d: %w", i, err)
		}
	}
	for i := range s.rings {
		if s.rings[i].enabled {
			if err := s.locate(&s.rings[i]); err != nil {
				return fmt.Errorf("ring %d, which is enabled: %w", i, err)
			}
		}
	}
	return nil
}

func (s *session) mapRegion(p []byte, fd int) error {
	addr, n, user, off := le.Uint64(p), le.Uint64(p[8:]), le.Uint64(p[16:]), le.Uint64(p[24:])
	if user+n < user {
		return fmt.Errorf("%d bytes at user address %#x wrap around", n, user)
	}
	for _, r := range s.regions {
		if user < r.user+uint64(len(r.mem)) && r.user < user+n {
			return fmt.Errorf("%d bytes at user address %#x overlap another region", n, user)
		}
	}
	mem, err := s.conn.Map(fd, off, n, true)
	if err != nil {
		return err
	}
	if err := s.fn.Memory.Map(dma.Addr(addr), mem, dma.Read|dma.Write); err != nil {
		s.conn.Unmap(mem)
		return err
	}
	s.regions = append(s.regions, region{dma.Addr(addr), user, mem})
	return nil
}

// unmap takes all memory away from the function and from the rings.
func (s *session) unmap() {
	for i := range s.rings {
		s.rings[i].forget()
	}
	for _, r := range s.regions {
		// It is mapped, so there is no error.
		_ = s.fn.Memory.Unmap(r.guest, len(r.mem))
		s.conn.Unmap(r.mem)
	}
	s.regions = nil
}

// user returns the n bytes at a user address, or nil.
func (s *session) user(addr, n uint64) []byte {
	for _, r := range s.regions {
		if off := addr - r.user; addr >= r.user && off < uint64(len(r.mem)) && n <= uint64(len(r.mem))-off {
			return r.mem[off : off+n : off+n]
		}
	}
	return nil
}
