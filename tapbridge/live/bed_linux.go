package live

import (
	"os"
	"syscall"
	"time"

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

// Sleep waits for Wake or one of the sockets, for no longer than patience.
func (b *Bed) Sleep(sockets []Socket, patience time.Duration) {
	b.fds = append(b.fds[:0], unix.PollFd{Fd: b.fd, Events: unix.POLLIN})
	for _, s := range sockets {
		b.fds = append(b.fds, s.Poll())
	}
	var until *unix.Timespec
	if patience >= 0 {
		t := unix.NsecToTimespec(int64(patience))
		until = &t
	}
	if n, err := unix.Ppoll(b.fds, until, nil); err == nil && n > 0 && b.fds[0].Revents != 0 {
		var count [8]byte
		unix.Read(int(b.fd), count[:])
	}
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
