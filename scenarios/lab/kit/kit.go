package kit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// State is whether a part can be used.
type State string

const (
	Ready   State = "ready"
	Missing State = "missing"
	Stale   State = "stale" // made by another recipe, or of parts that have changed
)

// Kit is a folder with parts.
type Kit struct {
	dir   string
	parts map[string]*record
}

// PartStatus is what there is of a part.
type PartStatus struct {
	Name     string   `json:"part"`
	What     string   `json:"what"`
	State    State    `json:"state"`
	Optional bool     `json:"optional,omitempty"` // made only when asked for by name
	Version  string   `json:"version,omitempty"`
	Release  string   `json:"release,omitempty"` // what a kernel calls itself
	Suite    string   `json:"suite,omitempty"`   // of Debian's archive
	Bytes    int64    `json:"bytes,omitempty"`
	Path     string   `json:"path,omitempty"`
	Seconds  float64  `json:"seconds,omitempty"` // that making it took
	Warnings []string `json:"warnings,omitempty"`
}

// Kernel is a kernel for QEMU with its modules.
type Kernel struct {
	Image   string // vmlinuz
	Modules string // lib/modules/RELEASE, with modules.dep
	Config  string // what it was configured with
	Release string // what uname -r says
}

// DefaultDir is where parts are unless a person says otherwise: nicsim in
// XDG_CACHE_HOME or ~/.cache.
func DefaultDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("a folder for the lab: %w; set XDG_CACHE_HOME", err)
	}
	return filepath.Join(cache, "nicsim"), nil
}

// Open says what is in dir, or in DefaultDir when dir is empty. It is quick and
// needs no network; nothing has to be there yet.
func Open(dir string) (*Kit, error) {
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	k := &Kit{dir: dir, parts: map[string]*record{}}
	for _, r := range recipes() {
		rec, err := readRecord(k.path(r.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		k.parts[r.name] = rec
	}
	return k, nil
}

// Dir is the folder.
func (k *Kit) Dir() string { return k.dir }

func (k *Kit) path(part string) string { return filepath.Join(k.dir, part) }

// state says whether a part is there as its recipe would make it.
func (k *Kit) state(r recipe) State {
	rec := k.parts[r.name]
	if rec == nil {
		return Missing
	}
	if rec.Recipe != r.fingerprint() {
		return Stale
	}
	for _, input := range r.inputs {
		// An input that was thrown away does not make what came of it worse.
		in := k.parts[input]
		if in != nil && (in.Key != rec.Inputs[input] || in.Recipe != recipeOf(input).fingerprint()) {
			return Stale
		}
	}
	return Ready
}

// recipeOf finds the recipe of a part that another one is made of.
func recipeOf(part string) recipe {
	for _, r := range recipes() {
		if r.name == part {
			return r
		}
	}
	panic("kit: no recipe makes " + part)
}

// Status lists all parts.
func (k *Kit) Status() []PartStatus {
	var list []PartStatus
	for _, r := range recipes() {
		s := PartStatus{Name: r.name, What: r.what, State: k.state(r), Optional: r.onRequest}
		if rec := k.parts[r.name]; rec != nil {
			s.Version, s.Release, s.Suite, s.Bytes = rec.Version, rec.Release, rec.Suite, rec.Bytes
			s.Path, s.Seconds, s.Warnings = k.path(r.name), rec.Seconds, rec.Warnings
		}
		list = append(list, s)
	}
	return list
}

// file is a path in a part that is ready.
func (k *Kit) file(part string, elem ...string) (string, error) {
	for _, r := range recipes() {
		if r.name != part {
			continue
		}
		if s := k.state(r); s != Ready {
			return "", &MissingError{part, s}
		}
		return filepath.Join(append([]string{k.path(part)}, elem...)...), nil
	}
	return "", &UnknownPartError{part}
}

// UML is a User Mode Linux with time travel.
func (k *Kit) UML() (string, error) { return k.file(UML, umlProgram) }

// UMLSMP is a User Mode Linux that takes ncpus=.
func (k *Kit) UMLSMP() (string, error) { return k.file(UMLSMP, umlProgram) }

// QEMU is a qemu-system-x86_64 that finds its libraries and firmware itself.
func (k *Kit) QEMU() (string, error) { return k.file(QEMU, "bin", qemuProgram) }

// Busybox is a static busybox.
func (k *Kit) Busybox() (string, error) { return k.file(Busybox, "busybox") }

// ToolsBin is a folder for a guest's PATH: ethtool, ip, tc, ping and others, which
// run with libraries of their own.
func (k *Kit) ToolsBin() (string, error) { return k.file(Tools, "bin") }

// Source is the kernel source that the User Mode Linux is built from.
func (k *Kit) Source() (string, error) { return k.file(Source) }

// Stock is Debian's kernel.
func (k *Kit) Stock() (Kernel, error) { return k.kernel(Stock) }

// Stock612 is Debian's kernel 6.12, which Setup makes when asked for by name.
func (k *Kit) Stock612() (Kernel, error) { return k.kernel(Stock612) }

func (k *Kit) kernel(part string) (Kernel, error) {
	root, err := k.file(part)
	if err != nil {
		return Kernel{}, err
	}
	return kernelIn(root, k.parts[part].Release), nil
}
