package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Selftests is the name of the part with the kernel's own tests.
const Selftests = "selftests"

// selftestTargets are the folders of the tests, below tools/testing/selftests.
const selftestTargets = "drivers/net drivers/net/hw"

// selftestNeeds are what the host has to have so that the tests' helpers are
// built: programs, and headers by their paths. Each is in a package of Debian's.
var selftestNeeds = []struct{ what, pkg string }{
	{"gcc", "gcc"},
	{cHeader, "libc6-dev"},
	{"make", "make"},
	{"clang", "clang"}, // for programs in BPF
	{"rsync", "rsync"},
	{"pkg-config", "pkg-config"},
	{"/usr/include/libelf.h", "libelf-dev"},
	{"/usr/include/zlib.h", "zlib1g-dev"},
}

// selftestRuns are what the host has to have so that the tests run, because a
// guest sees its files.
var selftestRuns = []struct{ what, pkg string }{
	{"python3", "python3"},
	{"bpftool", "bpftool"},
}

// selftestProducts are some of what is made: the helpers without which tests fail
// for no fault of an adapter's.
var selftestProducts = []string{
	"kselftest-list.txt", "net/lib/csum", "net/lib/gro", "net/lib/xdp_helper", "net/lib/xdp_dummy.bpf.o", "net/lib/xdp_native.bpf.o",
	"net/lib/ynl/pyynl/lib/ynl.py", "net/lib/specs/netdev.yaml", "drivers/net/napi_id_helper", "drivers/net/ping.py",
	"drivers/net/hw/csum.py",
}

// selftestsRecipe makes the part with the kernel's own tests of drivers.
func selftestsRecipe() recipe {
	return recipe{
		name: Selftests, what: "the kernel's own tests of network drivers", revision: 1, extra: selftestTargets, onRequest: true,
		inputs: []string{Source}, tools: []string{BuildTools}, build: buildSelftests,
	}
}

// HostPackagesError says what a host lacks, and the packages of Debian's that
// have it.
type HostPackagesError struct {
	For      string
	Lacks    []string
	Packages []string
}

func (e *HostPackagesError) Error() string {
	return fmt.Sprintf("this host has no %s, which %s: run \"apt-get install %s\"",
		strings.Join(e.Lacks, ", no "), e.For, strings.Join(e.Packages, " "))
}

// lacking adds what of a list is not there.
func (e *HostPackagesError) lacking(list []struct{ what, pkg string }, env []string) {
	for _, n := range list {
		var err error
		if filepath.IsAbs(n.what) {
			_, err = os.Stat(n.what)
		} else {
			_, err = lookPath(n.what, env)
		}
		if err != nil {
			e.Lacks, e.Packages = append(e.Lacks, n.what), append(e.Packages, n.pkg)
		}
	}
}

// orNil is the error, if anything is lacking.
func (e *HostPackagesError) orNil() error {
	if len(e.Lacks) == 0 {
		return nil
	}
	return e
}

// Selftests is a folder with the kernel's own tests of drivers, as "make install"
// has them: drivers/net/ping.py and so on. The error says too what the host lacks to
// run them.
func (k *Kit) Selftests() (string, error) {
	dir, err := k.file(Selftests, ".")
	if err != nil {
		return "", err
	}
	e := &HostPackagesError{For: "the kernel's tests run with"}
	env := []string{"PATH=" + GuestPath}
	e.lacking(selftestRuns, env)
	if len(e.Lacks) == 0 {
		python, err := lookPath("python3", env)
		if err != nil {
			return "", err
		}
		if err := exec.Command(python, "-c", "import yaml").Run(); err != nil {
			e.Lacks, e.Packages = []string{"yaml for " + python}, []string{"python3-yaml"}
		}
	}
	return dir, e.orNil()
}

// GuestPath is where commands in guests are looked for among the host's files.
const GuestPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// buildSelftests installs the tests and builds their helpers, all of it away from
// the source. Left out are helpers that are written in C and speak netlink (YNL_GEN_FILES:
// psp_responder, ncdevmem, toeplitz): their library is built inside the source.
func buildSelftests(ctx context.Context, j *job) error {
	e := &HostPackagesError{For: "the helpers of the kernel's tests are built with"}
	e.lacking(selftestNeeds, j.run.env())
	if err := e.orNil(); err != nil {
		return err
	}
	src, out, name := j.kit.path(Source), filepath.Join(j.root, "build"), filepath.Join(j.root, "build.log")
	log, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	build := func(dir string, args ...string) error {
		args = append([]string{"nice", "make", "-C", filepath.Join(src, dir), "ARCH=x86", "O=" + out, "-j" + strconv.Itoa(j.o.Jobs)}, args...)
		return j.run.run(ctx, command{args: args, both: log, log: name})
	}
	j.doing(func() string { return "installing the kernel's headers" })
	if err := build(".", "headers"); err != nil {
		return err
	}
	j.doing(func() string { return "building the tests' helpers" })
	err = build("tools/testing/selftests", "TARGETS="+selftestTargets, "FORCE_TARGETS=1", "YNL_GEN_FILES=", "install", "INSTALL_PATH="+j.root)
	if err != nil {
		return err
	}
	for _, p := range selftestProducts {
		if _, err := os.Stat(filepath.Join(j.root, p)); err != nil {
			return fmt.Errorf("the kernel's tests are not complete: %w; what make said is in %s", err, name)
		}
	}
	if src := j.kit.parts[Source]; src != nil {
		j.rec.Version = src.Version
	}
	return errors.Join(os.RemoveAll(out), os.Remove(name))
}
