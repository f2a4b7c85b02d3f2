package live

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bed is where the owner of a loop sleeps: its thread, in one system call, for all that
// it waits for. Whoever would wake it by way of a goroutine that waits in its place
// pays for two wake-ups.
type Bed struct {
	bell *os.File // an eventfd
	fd   int32    // the same
	fds  []unix.PollFd
}

// NewBed returns a bed.
func NewBed() *Bed {
	// It blocks, in name only: the Go runtime would watch one that does not.
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		panic(os.NewSyscallError("eventfd", err)) // out of descriptors before it begins
	}
	return &Bed{bell: os.NewFile(uintptr(fd), "eventfd"), fd: int32(fd)}
}

var bell = [8]byte{1} // the increment of an eventfd

// Wake ends a sleep, or the next one. Any goroutine may call it.
func (b *Bed) Wake() { b.bell.Write(bell[:]) }

// Sleep waits for Wake or what else ends a rest.
func (b *Bed) Sleep(r *Rest) {
	b.fds = append(b.fds[:0], unix.PollFd{Fd: b.fd, Events: unix.POLLIN})
	for _, s := range r.Sockets {
		b.fds = append(b.fds, s.Poll())
	}
	long := r.Patience < 0 || r.Patience > napTime
	first := r.Patience
	if long {
		first = napTime
	}
	n := b.nap(first)
	if n == 0 && long {
		n = b.sleep(r.Patience)
	}
	if n > 0 && b.fds[0].Revents != 0 {
		var count [8]byte
		unix.Read(int(b.fd), count[:])
	}
}

// napTime is how long a sleep is one that the Go runtime is not told of. It would give
// the thread's place to others, look every 20 us whether they need it, and take it back
// in the end: more than what wakes a busy loop costs.
const napTime = 3 * time.Millisecond

// nap waits for at most so long. A collector of garbage that wants the
// thread ends it, by a signal.
func (b *Bed) nap(patience time.Duration) int {
	t := unix.NsecToTimespec(int64(patience))
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(b.fds))), uintptr(len(b.fds)),
		uintptr(unsafe.Pointer(&t)), 0, 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

// sleep waits for what is left of a patience after a nap.
func (b *Bed) sleep(patience time.Duration) int {
	var until *unix.Timespec
	if patience >= 0 {
		t := unix.NsecToTimespec(int64(patience - napTime))
		until = &t
	}
	n, err := unix.Ppoll(b.fds, until, nil)
	if err != nil {
		return -1
	}
	return n
}

// Poll is the socket for poll(2).
func (s Socket) Poll() unix.PollFd {
	p := unix.PollFd{Fd: int32(s.FD), Events: unix.POLLIN}
	if s.Full {
		p.Events |= unix.POLLOUT
	}
	return p
}

// yield lets others have the processor, if there are any: above all the guest that
// the loop waits for, when the host has put both on one core.
func yield() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
