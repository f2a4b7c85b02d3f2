// Package seal starts a program to which chance comes from a seed: a kernel in User
// Mode Linux that is to do the same each time.
package seal

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Word starts this program as a launcher of the program behind it.
const Word = "guest-sealed"

// Command makes cmd a command whose every getrandom(2) is answered from seed. This
// program is its launcher. What it returns is to be called when cmd runs or could not
// be started.
func Command(cmd *exec.Cmd, self string, seed uint64) (started func(), err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "seal"), os.NewFile(uintptr(pair[1]), "seal")
	const firstExtra = 3 // os/exec numbers extra files from here
	fd := firstExtra + len(cmd.ExtraFiles)
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	cmd.Args = append([]string{self, Word, strconv.Itoa(fd), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = self
	go serve(ours, seed)
	return func() { theirs.Close() }, nil
}

// Main becomes the program that args name, behind the number of a socket. Whoever has
// its other end is sent the questions that getrandom(2) asks from then on.
func Main(args []string) int {
	if len(args) < 2 {
		return 2
	}
	// The filter is this thread's, and so the program's.
	runtime.LockOSThread()
	socket, err := strconv.Atoi(args[0])
	if err == nil {
		err = filter(socket)
	}
	if err == nil {
		// The same addresses each time (personality(2), ADDR_NO_RANDOMIZE).
		const sameAddresses = 0x0040000
		if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, sameAddresses, 0, 0); errno != 0 {
			err = errno
		}
	}
	if err == nil {
		err = syscall.Exec(args[1], args[1:], os.Environ())
	}
	fmt.Fprintf(os.Stderr, "nicsim: %s: %v\n", args[1], err)
	return 126
}

// Offsets into struct seccomp_data (seccomp(2)).
const (
	offNumber = 0
	offArch   = 4
)

func filter(socket int) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offArch},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: unix.AUDIT_ARCH_X86_64},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_GETRANDOM},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	whole := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&whole)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	unix.CloseOnExec(socket)
	return unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(fd)), nil, 0)
}
