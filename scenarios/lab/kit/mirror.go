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
// name; origin, label and codename are known only after an update.
const targetFormat = "$(REPO_URI)\t$(RELEASE)\t$(CODENAME)\t$(ORIGIN)\t$(LABEL)"

// findMirror asks the host's apt where it fetches Debian from.
func findMirror(ctx context.Context, r *runner) (mirror, error) {
	text, err := r.output(ctx, "apt-get", "indextargets", "--format", targetFormat, "Created-By: Packages")
	if err != nil {
		return mirror{}, err
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		release = nil // then only what apt says counts
	}
	return parseTargets(text, hostRelease(string(release)))
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
		// An apt that was never updated does not know whose the archive is, but a
		// Debian has its own release from there.
		fresh := origin == "" && host != "" && (release == host || codename == host)
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
