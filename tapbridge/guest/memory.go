//go:build linux

package guest

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxMappings bounds what one client may have mapped.
const maxMappings = 65536

// Map maps n bytes at off of the file that fd names, which stays the caller's. The
// file must have them: what it loses later ends the session (see Host.Step).
func (c *Conn) Map(fd int, off, n uint64, writable bool) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("its file descriptor: %w", err)
	}
	page := uint64(unix.Getpagesize())
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("memory must come with a regular file or a memfd, not one of mode %#o", st.Mode)
	case n == 0 || off%page != 0 || n%page != 0:
		return nil, fmt.Errorf("%d bytes at %#x of a file are not whole pages", n, off)
	case off+n < off || off+n > uint64(st.Size):
		return nil, fmt.Errorf("%d bytes at %#x are more than the file has, %d", n, off, st.Size)
	case len(c.memory) == maxMappings:
		return nil, fmt.Errorf("more than %d mappings", maxMappings)
	}
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	b, err := unix.Mmap(fd, int64(off), int(n), prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	c.memory = append(c.memory, b)
	return b, nil
}

// Unmap takes back what Map returned. Nobody may hold a slice of it any more.
func (c *Conn) Unmap(b []byte) {
	i := slices.IndexFunc(c.memory, func(m []byte) bool { return unsafe.SliceData(m) == unsafe.SliceData(b) })
	if i >= 0 {
		c.memory = slices.Delete(c.memory, i, i+1)
		unix.Munmap(b)
	}
}

// maps says whether addr lies in the client's memory.
func (c *Conn) maps(addr uintptr) bool {
	return slices.ContainsFunc(c.memory, func(m []byte) bool { return within(m, addr) })
}
