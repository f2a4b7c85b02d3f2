//go:build linux

package kit

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/need"
)

// fakeArchive stands in for apt and dpkg: an archive of one package, busybox in
// the version that the file "version" says. While there is a file "slow",
// unpacking does not end.
func fakeArchive(t *testing.T) (dir string) {
	dir = t.TempDir()
	write(t, filepath.Join(dir, "version"), "1%3a1.38.0-3", 0o644)
	write(t, filepath.Join(dir, "deb"), "#!/bin/sh\necho busybox $1\n", 0o644)
	write(t, filepath.Join(dir, "bin/apt-get"), `#!/bin/sh
echo "$@" >>`+dir+`/calls
name=busybox-static_$(cat `+dir+`/version)_amd64.deb
case "$*" in
*indextargets*) printf 'http://mirror.test/debian/\tforky\tforky\tDebian\tDebian\n' ;;
*--print-uris*) echo "'http://mirror.test/b' $name $(wc -c <`+dir+`/deb) SHA256:$(sha256sum `+dir+`/deb | cut -d' ' -f1)" ;;
*download*) test -e $name || cp `+dir+`/deb $name ;;
esac
`, 0o755)
	write(t, filepath.Join(dir, "bin/apt-cache"), "#!/bin/sh\n", 0o755)
	write(t, filepath.Join(dir, "bin/dpkg-deb"), `#!/bin/sh
mkdir -p "$3/usr/bin"
if [ -e `+dir+`/slow ]; then sleep 1000 & echo $! >`+dir+`/child; wait; fi
cp "$2" "$3/usr/bin/busybox"
chmod 6755 "$3/usr/bin/busybox"
`, 0o755)
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	return dir
}

func calls(t *testing.T, archive string) int {
	b, err := os.ReadFile(filepath.Join(archive, "calls"))
	if os.IsNotExist(err) {
		return 0
	}
	require.NoError(t, err)
	return bytes.Count(b, []byte("\n"))
}

func TestSetupMakesAPartOnce(t *testing.T) {
	archive, dir := fakeArchive(t), t.TempDir()
	var out bytes.Buffer
	o := Options{Dir: dir, Parts: []string{Busybox}, Progress: &out}
	k, err := Setup(t.Context(), o)
	require.NoError(t, err, "%s", &out)
	path, err := k.Busybox()
	require.NoError(t, err)
	said, err := exec.Command(path, "hello").Output()
	require.NoError(t, err)
	require.Equal(t, "busybox hello\n", string(said))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode(), "nothing runs as somebody else")
	require.Regexp(t, `(?m)^busybox    ready: 1:1.38.0-3, .* in .* s$`, out.String())
	status := open(t, dir).Status()[0]
	require.Equal(t, "1:1.38.0-3", status.Version)
	require.Equal(t, "forky", status.Suite)
	require.Positive(t, status.Bytes)
	require.NoDirExists(t, filepath.Join(dir, "work"))
	require.NoDirExists(t, filepath.Join(dir, "apt/forky/debs"))

	before := calls(t, archive)
	_, err = Setup(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, before, calls(t, archive), "what is ready needs no network")
}

func TestUpdateLooksForSomethingNewer(t *testing.T) {
	archive, dir := fakeArchive(t), t.TempDir()
	o := Options{Dir: dir, Parts: []string{Busybox}, Update: true}
	first, err := Setup(t.Context(), o)
	require.NoError(t, err)
	key := first.parts[Busybox].Key
	same, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, first.parts[Busybox].Made, same.parts[Busybox].Made)
	write(t, filepath.Join(archive, "version"), "1%3a1.39.0-1", 0o644)
	newer, err := Setup(t.Context(), o)
	require.NoError(t, err)
	require.NotEqual(t, key, newer.parts[Busybox].Key)
	require.Equal(t, "1:1.39.0-1", newer.parts[Busybox].Version)
}

func TestDamagedDownloadIsReplaced(t *testing.T) {
	archive, dir := fakeArchive(t), t.TempDir()
	left := filepath.Join(dir, "apt/forky/debs/busybox-static_1%3a1.38.0-3_amd64.deb")
	write(t, left, "#!/bin/sh\necho somebody $\n", 0o644)
	k, err := Setup(t.Context(), Options{Dir: dir, Parts: []string{Busybox}})
	require.NoError(t, err)
	path, err := k.Busybox()
	require.NoError(t, err)
	said, err := exec.Command(path, "hello").Output()
	require.NoError(t, err)
	require.Equal(t, "busybox hello\n", string(said))

	write(t, filepath.Join(archive, "bin/sha256sum"), "#!/bin/sh\necho 0a\n", 0o755)
	_, err = Setup(t.Context(), Options{Dir: t.TempDir(), Parts: []string{Busybox}})
	require.ErrorContains(t, err, ", want 0a")
}

func TestVersionTooOldIsSaidOfEachSuite(t *testing.T) {
	archive := fakeArchive(t)
	write(t, filepath.Join(archive, "version"), "1%3a1.20.0-1", 0o644)
	_, err := Setup(t.Context(), Options{Dir: t.TempDir(), Parts: []string{Busybox}})
	var missing *PackageError
	require.ErrorAs(t, err, &missing)
	require.ErrorContains(t, err, "forky: busybox-static is 1.20, want 1.30 or newer\ntrixie-backports: ")
}

func TestWithoutAptThatIsWhatIsSaid(t *testing.T) {
	r := &runner{}
	_, err := r.output(t.Context(), "apt-get-that-is-nowhere", "update")
	var missing *ProgramError
	require.ErrorAs(t, err, &missing)
	require.EqualError(t, err, "apt-get-that-is-nowhere is missing: the lab's parts come from Debian's archive by apt-get and dpkg-deb; "+
		"on a machine without them give a kernel and a QEMU of your own with --kernel and --qemu")
}

// An interrupted setup leaves no part and no process, and the next one succeeds.
func TestInterruptedSetupIsGoneOnWith(t *testing.T) {
	archive, dir := fakeArchive(t), t.TempDir()
	write(t, filepath.Join(archive, "slow"), "", 0o644)
	child := filepath.Join(archive, "child")
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Dir: dir, Parts: []string{Busybox}}
	done := make(chan error)
	go func() {
		_, err := Setup(ctx, o)
		done <- err
	}()
	require.Eventually(t, func() bool { b, _ := os.ReadFile(child); return len(b) > 1 }, 30*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	pid, err := os.ReadFile(child)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return gone(strings.TrimSpace(string(pid))) }, 30*time.Second, time.Millisecond, "a child is left")
	require.NoDirExists(t, filepath.Join(dir, Busybox))
	require.DirExists(t, filepath.Join(dir, "work"))

	require.NoError(t, os.Remove(filepath.Join(archive, "slow")))
	k, err := Setup(t.Context(), o)
	require.NoError(t, err)
	_, err = k.Busybox()
	require.NoError(t, err)
}

// gone says whether a process has ended; one that nobody has waited for has too.
func gone(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}

func TestTwoSetupsTakeTurns(t *testing.T) {
	archive, dir := fakeArchive(t), t.TempDir()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, err := Setup(t.Context(), Options{Dir: dir, Parts: []string{Busybox}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(filepath.Join(archive, "calls"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(b), " download "), "one made it and the others found it:\n%s", b)
}

func TestWaitingForALockCanBeInterrupted(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	held, err := lock(t.Context(), dir, newProgress(&out))
	require.NoError(t, err)
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = lock(ctx, dir, newProgress(&out))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Regexp(t, `waiting for another setup in .* \(process \d+\)\n`, out.String())
}

// fakeSource is a kernel whose first build fails half way.
const fakeSource = `
defconfig:
	echo CONFIG_UML=y >$(O)/.config
olddefconfig:
	sed -i s/CONFIG_PACKET=y/CONFIG_PACKET=m/ $(O)/.config
linux:
	@echo "  CC      a.o"; test -e $(O)/half || { touch $(O)/half; echo it broke; exit 1; }
	printf '#!/bin/sh\necho 7.2.12-nicsim\n' >$(O)/linux; chmod +x $(O)/linux
	touch $(O)/System.map
`

func TestKernelBuildIsGoneOnWith(t *testing.T) {
	need.Test(t, "make", "nice")
	fakeArchive(t)
	dir := t.TempDir()
	put(t, dir, Source, func(r *record) { r.Version = "7.2.12-1" })
	put(t, dir, BuildTools, nil)
	write(t, filepath.Join(dir, Source, "Makefile"), fakeSource, 0o644)
	o := Options{Dir: dir, Parts: []string{UML}}
	t.Setenv("MAKEFLAGS", "--dry-run")
	_, err := Setup(t.Context(), o)
	var failed *CommandError
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Said, "it broke")
	require.FileExists(t, failed.Log)
	require.Equal(t, Missing, stateOf(t, dir, UML))

	_, err = Setup(t.Context(), Options{Dir: dir, Parts: []string{Busybox}})
	require.NoError(t, err, "another part leaves the half of this one alone")
	var out bytes.Buffer
	o.Progress = &out
	k, err := Setup(t.Context(), o)
	require.NoError(t, err)
	path, err := k.UML()
	require.NoError(t, err)
	require.FileExists(t, path)
	require.NoDirExists(t, filepath.Join(dir, UML, "build"))
	rec := open(t, dir).parts[UML]
	require.Equal(t, "7.2.12-nicsim", rec.Release)
	require.Equal(t, "7.2.12-1", rec.Version)
	require.Equal(t, []string{`"CONFIG_PACKET=y" is not in effect in this kernel`}, rec.Warnings)
	require.Contains(t, out.String(), "uml        warning: "+rec.Warnings[0])
}

func TestAFailedPartKeepsThoseThatNeedItFromBeingMade(t *testing.T) {
	archive, dir := fakeArchive(t), t.TempDir()
	put(t, dir, BuildTools, nil)
	k, err := Setup(t.Context(), Options{Dir: dir, Parts: []string{UML, Busybox}})
	require.ErrorContains(t, err, "source: no suite of Debian's archive gave")
	require.ErrorContains(t, err, "uml: needs source, which failed")
	_, err = k.Busybox()
	require.NoError(t, err, "the other is made")
	require.Positive(t, calls(t, archive))
}
