package kit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The names of parts.
const (
	Busybox    = "busybox"
	Tools      = "tools"
	QEMU       = "qemu"
	Stock      = "stock"
	Stock612   = "stock-6.12"
	Source     = "source"
	BuildTools = "buildtools"
	UML        = "uml"
	UMLSMP     = "uml-smp"
)

// hostSuite stands for the host's own release of Debian.
const hostSuite = ""

// recipe is how a part is made.
type recipe struct {
	name string
	what string // for a person
	// revision grows when build makes something else of the same packages; extra
	// is what else the outcome depends on.
	revision int
	extra    string
	// inputs are parts that this one is made of, tools those it is made with: a
	// part is stale when an input has changed, but not when a tool has.
	inputs, tools []string
	onRequest     bool // not made unless asked for by name
	resumes       bool // build goes on with what an interrupted one left
	suites        []string
	choose        chooser // nil when it needs no packages
	build         func(context.Context, *job) error
}

// recipes are all parts, each after those it needs, the quick ones first.
func recipes() []recipe {
	missing := missingTools()
	return []recipe{
		{
			name: Busybox, what: "a shell for an initramfs", revision: 1,
			suites: []string{forky, backports},
			choose: packages(release{1, 30}, only("busybox-static"), "busybox-static"), build: buildBusybox,
		},
		{
			name: Tools, what: "network programs for guests", revision: 1,
			suites: []string{forky, backports},
			choose: packages(release{6, 1}, orLibrary(toolPackages...), toolPackages...), build: buildTools,
		},
		{
			name: QEMU, what: "QEMU with vfio-user-pci", revision: 1,
			suites: []string{forky, backports},
			choose: packages(release{10, 1}, orLibrary(qemuPackages...), qemuPackages...), build: buildQEMU,
		},
		{
			name: Stock, what: "Debian's kernel", revision: 1,
			suites: []string{forky, backports},
			choose: packages(release{7, 2}, kernelPackage, "linux-image-amd64", "kmod"), build: buildStock,
		},
		{
			name: Stock612, what: "Debian's kernel 6.12, which has aer_inject", revision: 1, onRequest: true,
			suites: []string{trixie},
			choose: packages(release{6, 12}, kernelPackage, "linux-image-amd64", "kmod"), build: buildStock,
		},
		{
			name: BuildTools, what: "what a kernel build needs and this host lacks", revision: 1, extra: strings.Join(missing, " "),
			suites: []string{hostSuite},
			choose: toolchain(missing), build: buildBuildTools,
		},
		{
			name: Source, what: "kernel source", revision: 2, tools: []string{BuildTools},
			suites: []string{forky, backports},
			choose: newestSource, build: buildSource,
		},
		{
			name: UML, what: "User Mode Linux", revision: 1, extra: umlFragment,
			inputs: []string{Source}, tools: []string{BuildTools}, resumes: true,
			build: func(ctx context.Context, j *job) error { return buildUML(ctx, j, umlFragment) },
		},
		{
			name: UMLSMP, what: "User Mode Linux with several processors", revision: 1, extra: umlFragment + smpFragment,
			inputs: []string{Source}, tools: []string{BuildTools}, resumes: true,
			build: func(ctx context.Context, j *job) error { return buildUML(ctx, j, umlFragment, smpFragment) },
		},
		selftestsRecipe(),
		gatewayRecipe(),
	}
}

// Parts are the names of all parts.
func Parts() []string {
	var names []string
	for _, r := range recipes() {
		names = append(names, r.name)
	}
	return names
}

// selected are the recipes of parts, or of the usual ones.
func selected(parts []string) ([]recipe, error) {
	all := recipes()
	for _, p := range parts {
		if !slices.ContainsFunc(all, func(r recipe) bool { return r.name == p }) {
			return nil, &UnknownPartError{p}
		}
	}
	return slices.DeleteFunc(all, func(r recipe) bool {
		return !slices.Contains(parts, r.name) && (len(parts) > 0 || r.onRequest)
	}), nil
}

// fingerprint changes when a recipe does.
func (r recipe) fingerprint() string { return digest(r.name, fmt.Sprint(r.revision), r.extra) }

// key names what a recipe makes of these packages and inputs.
func (r recipe) key(packages []string, inputs map[string]string) string {
	parts := append([]string{r.fingerprint()}, packages...)
	for _, name := range r.inputs {
		parts = append(parts, inputs[name])
	}
	return digest(parts...)
}

// digest is a short hash of strings, none of which can pass for two.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// chooser finds the packages of a part in an archive. The first is the one whose
// version is the part's.
type chooser func(context.Context, *archive) ([]deb, error)

// packages chooses packages by name, the first in at least a version, and of
// what they depend on those that keep wants.
func packages(least release, keep func(string) bool, names ...string) chooser {
	return func(ctx context.Context, a *archive) ([]deb, error) {
		all, err := a.closure(ctx, names...)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(d deb) bool { return !keep(d.name) })
		at := slices.IndexFunc(all, func(d deb) bool { return d.name == names[0] })
		if at < 0 {
			return nil, fmt.Errorf("%s is not what apt-get would fetch for it", names[0])
		}
		if v := parseRelease(all[at].version); v.less(least) {
			return nil, fmt.Errorf("%s is %s, want %s or newer", names[0], v, least)
		}
		all[0], all[at] = all[at], all[0]
		return all, nil
	}
}

// only keeps the named packages.
func only(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

// orLibrary keeps the named packages and libraries. What else a package depends
// on is for its installation, which there is none of.
func orLibrary(names ...string) func(string) bool {
	return func(name string) bool {
		return slices.Contains(names, name) || strings.HasPrefix(name, "lib") || name == "zlib1g"
	}
}

// kernelPackage keeps a kernel's packages, and depmod with its libraries.
func kernelPackage(name string) bool {
	for _, prefix := range []string{"linux-base-", "linux-image-", "linux-binary-", "linux-modules-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return orLibrary("kmod")(name)
}

// leastKernel is the oldest kernel worth building UML from: earlier ones lose
// posted writes when the device's command ring is full.
var leastKernel = release{7, 2}

var sourcePackage = regexp.MustCompile(`^linux-source-(\d+\.\d+)$`)

// newestSource chooses the newest kernel source of an archive.
func newestSource(ctx context.Context, a *archive) ([]deb, error) {
	names, err := a.names(ctx, sourcePackage)
	if err != nil {
		return nil, err
	}
	name, err := newest(names)
	if err != nil {
		return nil, err
	}
	return packages(leastKernel, only(name), name)(ctx, a)
}

func newest(names []string) (string, error) {
	var name string
	var best release
	for _, n := range names {
		if m := sourcePackage.FindStringSubmatch(n); m != nil && best.less(parseRelease(m[1])) {
			name, best = n, parseRelease(m[1])
		}
	}
	if best.less(leastKernel) {
		return "", fmt.Errorf("the newest kernel source is %s, want %s or newer", best, leastKernel)
	}
	return name, nil
}
