//go:build linux

package kit

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// checkHost says whether parts for this machine exist.
func checkHost() error {
	if runtime.GOARCH != "amd64" {
		return &HostError{runtime.GOOS + "/" + runtime.GOARCH}
	}
	return nil
}

// ownGroup puts a command into a process group of its own, which ends as a whole
// when its context does: make and apt have children.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// tryLock takes the lock on f unless somebody has it. It is held until f is
// closed everywhere, in children too.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
