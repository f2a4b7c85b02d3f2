package seal

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/sim"
)

// maxBytes is the most that one question is answered with; the asker asks again.
const maxBytes = 256

// question is struct seccomp_notif, answer struct seccomp_notif_resp (seccomp_unotify(2)).
type question struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	at         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	value int64
	err   int32
	flags uint32
}

// Requests to the listener: _IOWR('!', 0, question) and _IOWR('!', 1, answer).
const (
	ioReceive = 3<<30 | uintptr(unsafe.Sizeof(question{}))<<16 | '!'<<8
	ioSend    = 3<<30 | uintptr(unsafe.Sizeof(answer{}))<<16 | '!'<<8 | 1
)

// serve takes the listener from the socket and answers what it brings.
func serve(socket *os.File, seed uint64) {
	defer socket.Close()
	listener, ok := receive(int(socket.Fd()))
	if !ok {
		return
	}
	defer unix.Close(listener)
	rng := sim.Rand(seed, "getrandom")
	for {
		// Without an asker left there is an event other than POLLIN.
		p := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err == unix.EINTR {
			continue
		} else if err != nil || p[0].Revents&unix.POLLIN == 0 {
			return
		}
		var q question
		if control(listener, ioReceive, unsafe.Pointer(&q)) != 0 {
			continue // the asker is gone
		}
		a := answer{id: q.id}
		if n, errno := fill(&q, rng); errno == 0 {
			a.value = int64(n)
		} else {
			a.err = -int32(errno)
		}
		control(listener, ioSend, unsafe.Pointer(&a))
	}
}

func receive(socket int) (fd int, ok bool) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, false
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return 0, false
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, false
	}
	return fds[0], true
}

func control(fd int, request uintptr, p unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(p))
	return errno
}

// fill writes the asker's bytes.
func fill(q *question, rng *rand.Rand) (int, unix.Errno) {
	n := int(min(q.args[1], maxBytes))
	b := make([]byte, 0, maxBytes+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	if n == 0 {
		return 0, 0
	}
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(n)
	done, err := unix.ProcessVMWritev(int(q.pid), local, []unix.RemoteIovec{{Base: uintptr(q.args[0]), Len: n}}, 0)
	if err != nil {
		return 0, unix.EFAULT
	}
	return done, 0
}
