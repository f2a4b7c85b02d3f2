package kit

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// programDirs are where packages have their programs; libraryDirs where they
// have libraries, themselves or in folders for one program.
var (
	programDirs = []string{"usr/bin", "usr/sbin"}
	libraryDirs = []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"}
)

const loader = "ld-linux-x86-64.so.2"

// program is a script that runs a program of an unpacked tree.
type program struct {
	name string   // of the script
	path string   // of the program, in the tree
	up   string   // from the script's folder to the tree
	env  []string // NAME=VALUE, where $root is the tree
	args []string // before those of a person
}

// tree is unpacked packages whose programs run with their own libraries.
type tree struct {
	root    string
	loader  string
	library []string // folders
}

// openTree looks for the loader and the libraries in root.
func openTree(root string) (*tree, error) {
	t := &tree{root: root}
	for _, dir := range libraryDirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			in, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			if t.loader == "" && d.Name() == loader {
				t.loader = filepath.Join(in, loader)
			}
			if strings.HasPrefix(d.Name(), "lib") && strings.Contains(d.Name(), ".so.") && !slices.Contains(t.library, in) {
				t.library = append(t.library, in)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if t.loader == "" {
		return nil, fmt.Errorf("no %s is among the unpacked packages", loader)
	}
	return t, nil
}

// find is where a program is in the tree.
func (t *tree) find(name string) (string, error) {
	for _, dir := range programDirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(filepath.Join(t.root, path)); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("no program %s is among the unpacked packages", name)
}

// wrap makes scripts in bin for programs of the tree.
func (t *tree) wrap(programs ...program) error {
	bin := filepath.Join(t.root, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		var err error
		if p.path, err = t.find(p.name); err != nil {
			return err
		}
		p.up = ".."
		if err := os.WriteFile(filepath.Join(bin, p.name), []byte(t.script(p)), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// script runs a program through the loader it was built with. It finds the tree
// by its own place, so that the tree may be copied into a guest.
func (t *tree) script(p program) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	b.WriteString("case $0 in */*) root=${0%/*}/" + p.up + " ;; *) echo \"$0: run it by its path\" >&2; exit 127 ;; esac\n")
	for _, v := range p.env {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s=\"%s\"\n", name, value)
	}
	var library []string
	for _, dir := range t.library {
		library = append(library, "$root/"+dir)
	}
	fmt.Fprintf(&b, "exec \"$root/%s\" --argv0 \"$0\" --library-path \"%s\" \"$root/%s\"", t.loader, strings.Join(library, ":"), p.path)
	for _, a := range p.args {
		fmt.Fprintf(&b, " \"%s\"", a)
	}
	b.WriteString(" \"$@\"\n")
	return b.String()
}

// isProgram says whether path is a program that wants a loader.
func isProgram(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
