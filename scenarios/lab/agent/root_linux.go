package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// scratch is where the guest's own changes are kept, in memory. Every host has the
// folder, and what is below it is seen again in the root that is made there.
const scratch = "/tmp"

// enterRoot makes a root of the host's files, which are mounted read-only, under an
// overlay in memory, and enters it.
func enterRoot(setup Setup) error {
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount %s: %w", scratch, err)
	}
	upper, work, root := scratch+"/upper", scratch+"/work", scratch+"/root"
	for _, d := range []string{upper, work, root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=/,upperdir=%s,workdir=%s", upper, work)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("overlay over the host's files: %w", err)
	}
	for _, w := range setup.Writable {
		if err := mountWritable(root, w); err != nil {
			return fmt.Errorf("%s: %w", w.Path, err)
		}
	}
	if err := unix.Chroot(root); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := mountKernel(); err != nil {
		return err
	}
	if err := placeSelf(setup.Self); err != nil {
		return err
	}
	if setup.Modules != "" {
		return placeModules(setup)
	}
	return nil
}

// placeSelf puts this program where a guest's shell finds it.
func placeSelf(self string) error {
	const name = "/usr/local/bin/nicsim"
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(self, name)
}

// placeModules puts the kernel's modules, which lie elsewhere on the host, where
// programs look for them, and something to load them with where the host has
// nothing.
func placeModules(setup Setup) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	at := "/lib/modules/" + unix.ByteSliceToString(u.Release[:])
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(setup.Modules, at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("modules of %s: %w", setup.Modules, err)
	}
	if _, err := os.Stat(modprobe); errors.Is(err, os.ErrNotExist) {
		return os.Symlink(setup.Busybox, modprobe)
	}
	return nil
}

// modprobe is what the kernel calls for a module.
const modprobe = "/sbin/modprobe"

func mountWritable(root string, w Writable) error {
	at := filepath.Join(root, w.Path)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if w.Share == "" {
		return unix.Mount("none", at, "hostfs", 0, w.Path)
	}
	return unix.Mount(w.Share, at, "9p", 0, "trans=virtio,version=9p2000.L,msize=512000")
}

// mountKernel mounts what a kernel shows of itself. What it was built without is
// left out.
func mountKernel() error {
	for _, m := range []struct {
		kind, at, options string
		required          bool
	}{
		{"proc", "/proc", "", true},
		{"sysfs", "/sys", "", true},
		{"devtmpfs", "/dev", "", true},
		{"devpts", "/dev/pts", "mode=0620,ptmxmode=0666", false},
		{"tmpfs", "/dev/shm", "", false},
		{"tmpfs", "/run", "mode=0755", true},
		{"debugfs", "/sys/kernel/debug", "", false},
		{"tracefs", "/sys/kernel/tracing", "", false},
		{"bpf", "/sys/fs/bpf", "", false},
		{"cgroup2", "/sys/fs/cgroup", "", false},
	} {
		err := os.MkdirAll(m.at, 0o755)
		if err == nil {
			err = unix.Mount(m.kind, m.at, m.kind, 0, m.options)
		}
		if err != nil && m.required {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.at, err)
		}
	}
	var errs []error
	for name, to := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, "/dev/"+name); err != nil && !errors.Is(err, os.ErrExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
