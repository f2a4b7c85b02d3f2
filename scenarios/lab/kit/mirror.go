package kit

import (
	"bufio"
	"context"
	"os"
	"strings"
)

// mirror is where Debian's archive is, and which release of it the host is.
type mirror struct {
	url     string
	release string // "bookworm"; empty on a host that is no Debian
}

// targetFormat is what apt-get prints of each index that the host's sources
// name. Of one that was never fetched it prints the last three as they are here.
const targetFormat = "$(REPO_URI)\t$(RELEASE)\t$(CODENAME)\t$(ORIGIN)\t$(LABEL)"

// findMirror asks the host's apt where it fetches Debian from.
func findMirror(ctx context.Context, r *runner) (mirror, error) {
	var text strings.Builder
	// First the indexes that are there, of which more is known, then all that the
	// sources name: a fresh machine has none yet.
	for _, option := range []string{"--release-info", "--no-release-info"} {
		some, err := r.output(ctx, "apt-get", "indextargets", option, "--format", targetFormat, "Created-By: Packages")
		if err != nil {
			return mirror{}, err
		}
		text.WriteString(some)
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		release = nil // then only what apt says counts
	}
	return parseTargets(text.String(), hostRelease(string(release)))
}

// parseTargets finds the mirror in what apt prints. Archives of security updates
// are no mirrors of the whole.
func parseTargets(text, host string) (mirror, error) {
	m := mirror{release: host}
	seen := 0
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 5 {
			continue
		}
		seen++
		url, release, codename, origin, label := f[0], f[1], f[2], f[3], f[4]
		known := origin == "Debian" && label == "Debian"
		// Whose an archive is that was never asked is not known, but a Debian has
		// its own release from there.
		fresh := origin == "$(ORIGIN)" && host != "" && (release == host || codename == host)
		if known || fresh {
			m.url = url
			return m, nil
		}
	}
	if seen == 0 {
		return m, &MirrorError{"apt has no sources"}
	}
	return m, &MirrorError{"none of apt's sources is Debian's"}
}

// hostRelease is the codename in a Debian's os-release.
func hostRelease(text string) string {
	field := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		field[name] = strings.Trim(value, `"'`)
	}
	if field["ID"] != "debian" {
		return ""
	}
	return field["VERSION_CODENAME"]
}
