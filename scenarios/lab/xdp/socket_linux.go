package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// chunkBytes is the room of a frame, a page: with less, the 82599, whose
	// buffers are whole KiB (82599 datasheet 8.2.3.8.7), takes no full packet
	// behind the headroom.
	chunkBytes = 4096
	// chunks are enough for two sockets that each have stock frames to receive
	// into and as many under way to be sent.
	chunks = 256
	stock  = 64
	// trafficPatience is how long packets may take.
	trafficPatience = 10 * time.Second
	pollMS          = 5
)

// umem is the memory of frames, which sockets share.
type umem struct {
	memory []byte
	free   []uint64 // offsets of chunks
	first  *socket  // that has registered it
}

func newUMEM() (*umem, error) {
	memory, err := unix.Mmap(-1, 0, chunks*chunkBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	u := &umem{memory: memory}
	for i := range chunks {
		u.give(uint64(i * chunkBytes))
	}
	return u, nil
}

// take takes a free chunk.
func (u *umem) take() (uint64, bool) {
	if len(u.free) == 0 {
		return 0, false
	}
	last := len(u.free) - 1
	at := u.free[last]
	u.free = u.free[:last]
	return at, true
}

// give frees the chunk that an address lies in.
func (u *umem) give(at uint64) { u.free = append(u.free, at&^(chunkBytes-1)) }

// data is a packet's.
func (u *umem) data(d unix.XDPDesc) []byte { return u.memory[d.Addr:][:d.Len:d.Len] }

// socket is an AF_XDP socket on a queue.
type socket struct {
	fd         int
	memory     *umem
	fill       *ring[uint64] // frames for the kernel to receive into
	completion *ring[uint64] // frames that were sent
	rx, tx     *ring[unix.XDPDesc]
	filled     int // frames the kernel has for receiving
	sending    int // frames it has for sending
}

// bind makes a socket on a queue. The first one decides for all that share the
// memory whether packets are copied.
func (u *umem) bind(p place, zeroCopy bool) (*socket, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s := &socket{fd: fd, memory: u}
	if err := s.setUp(p, zeroCopy); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}

func (s *socket) setUp(p place, zeroCopy bool) error {
	at := &unix.SockaddrXDP{Flags: unix.XDP_USE_NEED_WAKEUP | unix.XDP_COPY, Ifindex: uint32(p.Index), QueueID: p.queue}
	if zeroCopy {
		at.Flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_ZEROCOPY
	}
	if first := s.memory.first; first != nil {
		at.Flags, at.SharedUmemFD = unix.XDP_SHARED_UMEM, uint32(first.fd)
	} else if err := s.register(); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	if err := s.mapRings(); err != nil {
		return fmt.Errorf("rings: %w", err)
	}
	if err := s.restock(); err != nil {
		return err
	}
	if err := unix.Bind(s.fd, at); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	options, err := unix.GetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_OPTIONS)
	if err != nil {
		return fmt.Errorf("options: %w", err)
	}
	if got := options&unix.XDP_OPTIONS_ZEROCOPY != 0; got != zeroCopy {
		return fmt.Errorf("zero copy is %t, %t was asked for", got, zeroCopy)
	}
	if s.memory.first == nil {
		s.memory.first = s
	}
	return nil
}

// register gives the memory to the kernel (struct xdp_umem_reg).
func (s *socket) register() error {
	var reg []byte
	reg = binary.NativeEndian.AppendUint64(reg, uint64(uintptr(unsafe.Pointer(&s.memory.memory[0]))))
	reg = binary.NativeEndian.AppendUint64(reg, uint64(len(s.memory.memory)))
	reg = binary.NativeEndian.AppendUint32(reg, chunkBytes)
	reg = binary.NativeEndian.AppendUint32(reg, 0) // headroom of our own
	reg = binary.NativeEndian.AppendUint64(reg, 0) // flags, metadata
	return unix.SetsockoptString(s.fd, unix.SOL_XDP, unix.XDP_UMEM_REG, string(reg))
}

func (s *socket) mapRings() (err error) {
	for _, which := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING, unix.XDP_TX_RING} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, which, ringSlots); err != nil {
			return err
		}
	}
	var at unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(at))
	if _, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)), 0); e != 0 {
		return e
	}
	if s.fill, err = mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_FILL_RING, at.Fr); err != nil {
		return err
	}
	if s.completion, err = mapRing[uint64](s.fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, at.Cr); err != nil {
		return err
	}
	if s.rx, err = mapRing[unix.XDPDesc](s.fd, unix.XDP_PGOFF_RX_RING, at.Rx); err != nil {
		return err
	}
	s.tx, err = mapRing[unix.XDPDesc](s.fd, unix.XDP_PGOFF_TX_RING, at.Tx)
	return err
}

// restock gives the kernel frames to receive into.
func (s *socket) restock() error {
	for s.filled < stock {
		at, ok := s.memory.take()
		if !ok {
			return nil
		}
		if !s.fill.put(at) {
			return errors.New("the fill ring has no room for what it had before")
		}
		s.filled++
	}
	return nil
}

// reap takes back the frames that were sent.
func (s *socket) reap() {
	for {
		at, ok := s.completion.take()
		if !ok {
			return
		}
		s.sending--
		s.memory.give(at)
	}
}

// wake makes the kernel look into the rings if it sleeps. It may have its reasons
// not to look now, and is asked again.
func (s *socket) wake() error {
	var errs []error
	if s.fill.sleeps() {
		_, _, err := unix.Recvfrom(s.fd, nil, unix.MSG_DONTWAIT)
		errs = append(errs, err)
	}
	if s.sending > 0 && s.tx.sleeps() {
		errs = append(errs, unix.Sendto(s.fd, nil, unix.MSG_DONTWAIT, nil))
	}
	for _, err := range errs {
		switch err {
		case nil, unix.EAGAIN, unix.EBUSY, unix.ENOBUFS, unix.ENETDOWN, unix.EINTR:
		default:
			return fmt.Errorf("wake: %w", err)
		}
	}
	return nil
}

func (s *socket) close() error { return unix.Close(s.fd) }
