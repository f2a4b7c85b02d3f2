//go:build linux

package guest

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of what clients have mapped: of one, and of all of a host, because the kernel
// bounds the mappings of a process (vm.max_map_count, 65530) and this one needs some
// for itself.
const (
	MaxMappings      = 8192
	maxMappingsOfAll = 32768
	maxMappedBytes   = 1 << 42
)

// ErrTooMuch is more memory than a client may map.
var ErrTooMuch = errors.New("guest: too much is mapped")

// slow are file systems on which somebody else decides when a page arrives, and so
// when an adapter goes on that touches it.
var slow = []int64{
	unix.FUSE_SUPER_MAGIC, unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC,
	unix.V9FS_MAGIC, unix.CEPH_SUPER_MAGIC, unix.AFS_SUPER_MAGIC, unix.CODA_SUPER_MAGIC,
}

// Map maps n bytes at off of the file that fd names, which stays the caller's. The
// file must have them: what it loses later ends the session (see Host.Step).
func (c *Conn) Map(fd int, off, n uint64, writable bool) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("its file descriptor: %w", err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return nil, fmt.Errorf("its file descriptor: %w", err)
	}
	page := uint64(unix.Getpagesize())
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("memory must come with a regular file or a memfd, not one of mode %#o", st.Mode)
	case slices.Contains(slow, int64(fs.Type)):
		return nil, fmt.Errorf("memory must not be a file on a network or in user space (file system %#x)", fs.Type)
	case n == 0 || off%page != 0 || n%page != 0:
		return nil, fmt.Errorf("%d bytes at %#x of a file are not whole pages", n, off)
	case off+n < off || off+n > uint64(st.Size):
		return nil, fmt.Errorf("%d bytes at %#x are more than the file has, %d", n, off, st.Size)
	case len(c.memory) == MaxMappings || c.host.mappings == maxMappingsOfAll:
		return nil, fmt.Errorf("%w: %d ranges of this client, %d of all", ErrTooMuch, len(c.memory), c.host.mappings)
	case n > maxMappedBytes-c.mapped:
		return nil, fmt.Errorf("%w: %d bytes more than %d", ErrTooMuch, n, c.mapped)
	}
	b, err := unix.Mmap(fd, int64(off), int(n), protection(writable), unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes: %w", n, err)
	}
	c.memory = append(c.memory, b)
	c.mapped += n
	c.host.mappings++
	return b, nil
}

func protection(writable bool) int {
	if writable {
		return unix.PROT_READ | unix.PROT_WRITE
	}
	return unix.PROT_READ
}

// Unmap takes back what Map returned. Nobody may hold a slice of it any more.
func (c *Conn) Unmap(b []byte) {
	i := slices.IndexFunc(c.memory, func(m []byte) bool { return unsafe.SliceData(m) == unsafe.SliceData(b) })
	if i >= 0 {
		c.memory = slices.Delete(c.memory, i, i+1)
		c.forget(b)
	}
}

func (c *Conn) forget(b []byte) {
	unix.Munmap(b)
	c.mapped -= uint64(len(b))
	c.host.mappings--
}

func (c *Conn) unmapAll() {
	for _, b := range c.memory {
		c.forget(b)
	}
	c.memory = nil
}

// blank puts empty memory in place of all that the client shared, so that an adapter,
// perhaps interrupted amid its work, is put in order without touching it.
func (c *Conn) blank() {
	for _, b := range c.memory {
		unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_FIXED|unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	}
}

// maps says whether addr lies in the client's memory.
func (c *Conn) maps(addr uintptr) bool {
	return slices.ContainsFunc(c.memory, func(m []byte) bool { return within(m, addr) })
}

// within says whether addr is an address inside b.
func within(b []byte, addr uintptr) bool {
	return addr-uintptr(unsafe.Pointer(unsafe.SliceData(b))) < uintptr(len(b))
}
