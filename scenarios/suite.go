// Package scenarios turns scripts into runs: it reads them, builds the topology
// they ask for, steps it, and says what became of it.
package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	root "nicsim.dev"
)

// bundled is where the suite that is built in has its scripts.
const bundled = "testdata/scripts"

// scriptExt is how the names of scripts end.
const scriptExt = ".txtar"

// Script is one scenario to be run.
type Script struct {
	Name string // path below the suite's folder, without extension
	Path string // what a person types to run it
	Text []byte
}

// Why is what the first line says.
func (s Script) Why() string {
	first, _, _ := bytes.Cut(s.Text, []byte("\n"))
	return strings.TrimSpace(strings.TrimPrefix(string(first), "#"))
}

var needsGuest = regexp.MustCompile(`(?m)^need .*\b(guest|uml|qemu)\b`)

// Guests is what runs the kernels that a script boots: both kinds where it leaves
// that open, nothing for one that boots none.
func (s Script) Guests() []string {
	m := needsGuest.FindSubmatch(s.Text)
	switch {
	case m == nil:
		return nil
	case string(m[1]) == "guest":
		return []string{onUML, onQEMU}
	}
	return []string{string(m[1])}
}

// errNoScripts is wrapped when a path holds no script.
var errNoScripts = errors.New("a script (*.txtar) or a folder of them was expected")

// Load finds the scripts that args name: files, folders, or, where the host has
// no such file, those of the bundled suite; all of the bundled suite with no
// args.
func Load(args ...string) ([]Script, error) {
	if len(args) == 0 {
		return walk(root.Testdata, bundled, bundled)
	}
	var all []Script
	for _, arg := range args {
		found, err := load(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func load(arg string) ([]Script, error) {
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, inside := range []string{arg, arg + scriptExt, path.Join(bundled, arg), path.Join(bundled, arg) + scriptExt} {
			if info, err := fs.Stat(root.Testdata, inside); err == nil {
				if info.IsDir() {
					return walk(root.Testdata, inside, inside)
				}
				s, err := read(root.Testdata, inside, inside)
				return []Script{s}, err
			}
		}
		return nil, fmt.Errorf("%s: %w", arg, errNoScripts)
	case err != nil:
		return nil, err
	case info.IsDir():
		return walk(os.DirFS(arg), ".", arg)
	}
	s, err := read(os.DirFS(filepath.Dir(arg)), filepath.Base(arg), arg)
	return []Script{s}, err
}

// walk returns the scripts in folder dir of fsys, which a person calls shown, in
// order of name.
func walk(fsys fs.FS, dir, shown string) ([]Script, error) {
	var all []Script
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, scriptExt) {
			return err
		}
		below, _ := strings.CutPrefix(name, dir+"/")
		s, err := read(fsys, name, path.Join(filepath.ToSlash(shown), below))
		all = append(all, s)
		return err
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: %w", shown, errNoScripts)
	}
	slices.SortFunc(all, func(a, b Script) int { return strings.Compare(a.Path, b.Path) })
	return all, err
}

func read(fsys fs.FS, name, shown string) (Script, error) {
	text, err := fs.ReadFile(fsys, name)
	id := strings.TrimSuffix(filepath.ToSlash(shown), scriptExt)
	if _, below, ok := strings.Cut(id, bundled+"/"); ok {
		id = below
	} else if path.IsAbs(id) {
		id = path.Base(id)
	}
	return Script{Name: id, Path: shown, Text: text}, err
}
