package kit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The releases that parts come from: the newest, then the one before with its
// backports.
const (
	forky     = "forky"
	backports = "trixie-backports"
	trixie    = "trixie"
)

// keyring is what Debian's archive is signed with.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// archive is a suite of Debian's archive seen by an apt of our own: it has its
// own lists and believes that nothing is installed, so that the libraries of a
// program are all fetched, and the host's apt is left alone.
type archive struct {
	suite string
	dir   string
	run   *runner
}

// deb is a package file of an archive.
type deb struct {
	name, version string
	file          string // its name in the folder of downloads
	bytes         int64
	sha256        string
}

// aptConfig is read after the host's configuration, of which proxies are kept
// and hooks are not.
const aptConfig = `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::NeverAutoRemove;
#clear DPkg;
Dir::State "%[1]s";
Dir::State::status "%[1]s/status";
Dir::State::extended_states "%[1]s/extended_states";
Dir::State::lists "%[1]s/lists";
Dir::Cache "%[1]s";
Dir::Cache::archives "%[1]s/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "%[1]s";
APT::Sandbox::User "root";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Default-Release "%[2]s";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::ForceHash "SHA256";
Debug::NoLocking "true";
`

// openArchive prepares an apt for a suite in dir.
func openArchive(dir, suite, mirror string, r *runner) (*archive, error) {
	a := &archive{suite, filepath.Join(dir, suite), r}
	for _, sub := range []string{"lists/partial", "archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(a.dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"apt.conf": fmt.Sprintf(aptConfig, a.dir, suite), "sources.list": sourceList(suite, mirror), "status": "",
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// sourceList has a suite, and of backports also what they are built upon.
func sourceList(suite, mirror string) string {
	signed := ""
	if _, err := os.Stat(keyring); err == nil {
		signed = "signed-by=" + keyring + " "
	}
	var b strings.Builder
	suites := []string{suite}
	if base, ok := strings.CutSuffix(suite, "-backports"); ok {
		suites = append(suites, base)
	}
	for _, s := range suites {
		fmt.Fprintf(&b, "deb [%sarch=amd64 target=Packages] %s %s main\n", signed, mirror, s)
	}
	return b.String()
}

func (a *archive) command(program string, args ...string) []string {
	return append([]string{program, "-q", "-c", filepath.Join(a.dir, "apt.conf")}, args...)
}

// update fetches the lists of packages; what has not changed is not fetched
// again.
func (a *archive) update(ctx context.Context) error {
	return a.run.run(ctx, command{args: a.command("apt-get", "update")})
}

// names are the packages whose names match.
func (a *archive) names(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	text, err := a.run.output(ctx, a.command("apt-cache", "pkgnames")...)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Fields(text), func(s string) bool { return !pattern.MatchString(s) }), nil
}

// closure is packages with all that they depend on.
func (a *archive) closure(ctx context.Context, packages ...string) ([]deb, error) {
	text, err := a.run.output(ctx, append(a.command("apt-get", "install", "--print-uris", "-qq"), packages...)...)
	if err != nil {
		return nil, err
	}
	return parseURIs(text)
}

// parseURIs reads what apt-get --print-uris prints: 'URI' FILE BYTES SHA256:HASH.
func parseURIs(text string) ([]deb, error) {
	var list []deb
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "'") {
			continue
		}
		f := append(strings.Fields(line), "", "", "")
		parts := strings.Split(strings.TrimSuffix(f[1], ".deb"), "_")
		bytes, err := strconv.ParseInt(f[2], 10, 64)
		hash, ok := strings.CutPrefix(f[3], "SHA256:")
		if err != nil || len(parts) != 3 || !ok {
			return nil, fmt.Errorf("apt-get says %q, want 'URI' NAME_VERSION_ARCHITECTURE.deb BYTES SHA256:HASH", line)
		}
		version, err := url.PathUnescape(parts[1])
		if err != nil {
			return nil, fmt.Errorf("apt-get says %q: %w", line, err)
		}
		list = append(list, deb{parts[0], version, f[1], bytes, hash})
	}
	return list, nil
}

// fetch downloads packages. It goes on with half of one, and takes none for
// whole whose hash is not the archive's: apt itself looks only at the length of
// what it finds.
func (a *archive) fetch(ctx context.Context, debs []deb) error {
	args := a.command("apt-get", "download")
	for _, d := range debs {
		args = append(args, d.name+"="+d.version)
	}
	var damaged error
	for range 2 { // the second time to replace what an interrupted one has left
		if err := a.run.run(ctx, command{args: args, dir: filepath.Join(a.dir, "debs")}); err != nil {
			return err
		}
		damaged = nil
		for _, d := range debs {
			if err := a.check(d); err != nil {
				damaged = errors.Join(damaged, err, os.RemoveAll(a.path(d)))
			}
		}
		if damaged == nil {
			return nil
		}
	}
	return damaged
}

// check says whether a fetched package is the archive's.
func (a *archive) check(d deb) error {
	f, err := os.Open(a.path(d))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != d.sha256 {
		return fmt.Errorf("%s has SHA-256 %s, want %s", a.path(d), got, d.sha256)
	}
	return nil
}

// path is where a package is when it has been fetched.
func (a *archive) path(d deb) string { return filepath.Join(a.dir, "debs", d.file) }

// fetched is how many bytes of packages are there.
func (a *archive) fetched(debs []deb) int64 {
	var sum int64
	for _, d := range debs {
		if info, err := os.Stat(a.path(d)); err == nil {
			sum += min(info.Size(), d.bytes)
		}
	}
	return sum
}

// release is the first numbers of a version: 11.1 of "1:11.1.2+ds-3".
type release struct{ major, minor int }

func (v release) less(w release) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v release) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

var leadingRelease = regexp.MustCompile(`^(?:\d+:)?(\d+)\.(\d+)`)

func parseRelease(version string) release {
	m := leadingRelease.FindStringSubmatch(version)
	if m == nil {
		return release{}
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return release{major, minor}
}
