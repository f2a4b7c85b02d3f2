package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// kernelIn is a kernel in the folder that buildStock has made.
func kernelIn(root, release string) Kernel {
	return Kernel{
		Image:   filepath.Join(root, "vmlinuz"),
		Modules: filepath.Join(root, "lib/modules", release),
		Config:  filepath.Join(root, "config"),
		Release: release,
	}
}

// buildStock unpacks a kernel of Debian's and lists what its modules depend on.
// Its image, modules and configuration get places that do not depend on the
// release, whose packages have them in various ones.
func buildStock(ctx context.Context, j *job) error {
	if err := j.unpack(ctx); err != nil {
		return err
	}
	modules, err := one(j.root, "usr/lib/modules/*/kernel", "lib/modules/*/kernel")
	if err != nil {
		return err
	}
	modules = filepath.Dir(modules)
	j.rec.Release = filepath.Base(modules)
	k := kernelIn(j.root, j.rec.Release)
	if modules != k.Modules {
		if err := os.MkdirAll(filepath.Dir(k.Modules), 0o755); err != nil {
			return err
		}
		if err := os.Rename(modules, k.Modules); err != nil {
			return err
		}
	}
	for place, patterns := range map[string][]string{
		k.Image:  {"lib/modules/*/vmlinuz", "boot/vmlinuz-*"},
		k.Config: {"lib/modules/*/config", "boot/config-*"},
	} {
		from, err := one(j.root, patterns...)
		if err != nil {
			return err
		}
		if err := os.Rename(from, place); err != nil {
			return err
		}
	}
	t, err := openTree(j.root)
	if err != nil {
		return err
	}
	if err := t.wrap(program{name: "depmod"}); err != nil {
		return err
	}
	j.doing(func() string { return "listing what modules depend on" })
	if _, err := j.run.output(ctx, filepath.Join(j.root, "bin/depmod"), "-b", j.root, j.rec.Release); err != nil {
		return err
	}
	list, err := os.Stat(filepath.Join(k.Modules, "modules.dep"))
	if err != nil {
		return err
	}
	if list.Size() == 0 {
		return fmt.Errorf("depmod found no modules in %s", k.Modules)
	}
	var errs []error
	for _, left := range []string{"bin", "boot", "etc", "usr"} { // depmod's, and documentation
		errs = append(errs, os.RemoveAll(filepath.Join(j.root, left)))
	}
	return errors.Join(errs...)
}

// one is the file in root that matches the first pattern that any matches.
func one(root string, patterns ...string) (string, error) {
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(root, p))
		if err != nil {
			return "", err
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return "", fmt.Errorf("the unpacked packages have %d of %s, want one", len(found), p)
		}
	}
	return "", fmt.Errorf("the unpacked packages have none of %v", patterns)
}
