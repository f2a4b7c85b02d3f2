package kit

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// buildProgram is a program that a kernel build needs, and the packages that
// have it.
type buildProgram struct {
	name     string
	packages []string
	env      []string
}

// buildPrograms are those that a Debian may lack: the rest is essential there.
var buildPrograms = []buildProgram{
	{name: "gcc", packages: []string{"gcc", "libc6-dev"}},
	{name: "ld", packages: []string{"binutils"}},
	{name: "make", packages: []string{"make"}},
	{name: "flex", packages: []string{"flex"}, env: []string{"M4=$root/usr/bin/m4"}},
	{name: "bison", packages: []string{"bison"}, env: []string{"M4=$root/usr/bin/m4", "BISON_PKGDATADIR=$root/usr/share/bison"}},
	{name: "bc", packages: []string{"bc"}},
	{name: "xz", packages: []string{"xz-utils"}},
	{name: "perl", packages: []string{"perl-base"}, env: []string{"PERL5LIB=$root/usr/lib/x86_64-linux-gnu/perl-base"}},
}

// cHeader is what a compiler is of no use without.
const cHeader = "/usr/include/stdio.h"

// missingTools are the programs that the host lacks.
func missingTools() []string {
	env := []string{"PATH=" + os.Getenv("PATH") + ":/usr/bin:/bin"}
	var missing []string
	for _, p := range buildPrograms {
		_, err := lookPath(p.name, env)
		if p.name == "gcc" && err == nil {
			_, err = os.Stat(cHeader)
		}
		if err != nil {
			missing = append(missing, p.name)
		}
	}
	return missing
}

// toolchain chooses the packages of the missing programs; nil when none is.
func toolchain(missing []string) chooser {
	if len(missing) == 0 {
		return nil
	}
	var names []string
	for _, p := range buildPrograms {
		if slices.Contains(missing, p.name) {
			names = append(names, p.packages...)
		}
	}
	return packages(release{}, toolchainPackage(names), names...)
}

// toolchainPackage keeps a compiler's packages: they are many, and none is a
// library by its name only.
func toolchainPackage(names []string) func(string) bool {
	return func(name string) bool {
		for _, prefix := range []string{"gcc", "cpp", "binutils", "linux-libc-dev", "m4"} {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return orLibrary(names...)(name)
	}
}

// buildBuildTools unpacks what the host lacks. A compiler's programs run each
// other by their paths, so each gets its script in its own place.
func buildBuildTools(ctx context.Context, j *job) error {
	if len(j.debs) == 0 {
		j.rec.Version = "the host's"
		return nil
	}
	if err := j.unpack(ctx); err != nil {
		return err
	}
	t, err := openTree(j.root)
	if err != nil {
		return err
	}
	for _, dir := range []string{"usr/bin", "usr/lib/gcc", "usr/libexec/gcc"} {
		err := filepath.WalkDir(filepath.Join(j.root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !isProgram(path) {
				return err
			}
			return t.replace(path)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return j.tryCompiler(ctx)
}

// movedSuffix is what the name of a program ends with whose script has its name.
const movedSuffix = ".elf"

// replace puts a script into the place of a program.
func (t *tree) replace(path string) error {
	if err := os.Rename(path, path+movedSuffix); err != nil {
		return err
	}
	in, err := filepath.Rel(t.root, path)
	if err != nil {
		return err
	}
	up, err := filepath.Rel(filepath.Dir(in), ".")
	if err != nil {
		return err
	}
	p := program{path: in + movedSuffix, up: up}
	name := filepath.Base(path)
	for _, b := range buildPrograms {
		if b.name == name {
			p.env = b.env
		}
	}
	if compiler.MatchString(name) {
		p.args = []string{"--sysroot=$root"} // headers and libraries are in the tree too
	}
	return os.WriteFile(path, []byte(t.script(p)), 0o755)
}

var compiler = regexp.MustCompile(`-(gcc|cpp)-\d+$`)

// tryCompiler compiles and runs a program with what was unpacked.
func (j *job) tryCompiler(ctx context.Context) error {
	usr := filepath.Join(j.root, "usr/bin")
	if _, err := os.Stat(filepath.Join(usr, "gcc")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	source, out := filepath.Join(j.root, "try.c"), filepath.Join(j.root, "try")
	if err := os.WriteFile(source, []byte("#include <stdio.h>\nint main(void) { return puts(\"ok\") < 0; }\n"), 0o644); err != nil {
		return err
	}
	path := "PATH=" + usr + ":" + os.Getenv("PATH")
	if err := j.run.run(ctx, command{args: []string{filepath.Join(usr, "gcc"), source, "-o", out}, env: []string{path}}); err != nil {
		return err
	}
	_, err := j.run.output(ctx, out)
	return errors.Join(err, os.Remove(source), os.Remove(out))
}
