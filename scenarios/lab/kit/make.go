package kit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// job is a part in the making.
type job struct {
	*setup
	part string
	root string   // where it is made
	debs []string // package files
	rec  *record
	now  atomic.Pointer[func() string]
}

// doing tells what is being done, as it goes on.
func (j *job) doing(now func() string) { j.now.Store(&now) }

// unpack puts the files of all packages into root.
func (j *job) unpack(ctx context.Context) error {
	var done atomic.Int64
	j.doing(func() string { return fmt.Sprintf("unpacked %d of %d packages", done.Load(), len(j.debs)) })
	for _, d := range j.debs {
		if err := j.run.run(ctx, command{args: []string{"dpkg-deb", "-x", d, j.root}}); err != nil {
			return err
		}
		done.Add(1)
	}
	return dropPrivileges(j.root)
}

// dropPrivileges takes from programs what an installed one gives whoever runs it.
func dropPrivileges(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) == 0 {
			return err
		}
		return os.Chmod(path, info.Mode().Perm())
	})
}

// unchanged says whether making a part would make what is there.
func (s *setup) unchanged(r recipe) bool {
	return s.kit.state(r) == Ready && s.kit.parts[r.name].Key == s.key(r)
}

func (s *setup) key(r recipe) string { return r.key(s.chosen[r.name].packages(), s.inputs(r)) }

func (s *setup) inputs(r recipe) map[string]string {
	keys := map[string]string{}
	for _, name := range r.inputs {
		if in := s.kit.parts[name]; in != nil {
			keys[name] = in.Key
		}
	}
	return keys
}

// make builds a part beside its place and puts it there when it is whole.
func (s *setup) make(ctx context.Context, r recipe) error {
	if s.unchanged(r) {
		s.p.say(r.name, "is the newest, %s", s.kit.parts[r.name].Version)
		return s.tidy(r.name)
	}
	begun := time.Now()
	j := &job{setup: s, part: r.name, rec: &record{
		Part: r.name, Key: s.key(r), Recipe: r.fingerprint(), Packages: s.chosen[r.name].packages(), Inputs: s.inputs(r),
	}}
	if c := s.chosen[r.name]; c != nil {
		j.rec.Suite = c.archive.suite
		for i, d := range c.debs {
			if i == 0 {
				j.rec.Version = d.version
			}
			j.debs = append(j.debs, c.archive.path(d))
		}
	}
	root, err := s.begin(r, j.rec.Key)
	if err != nil {
		return err
	}
	j.root = root
	s.p.say(r.name, "making %s", r.what)
	j.doing(func() string { return "making it" })
	err = s.p.during(r.name, func() string { return (*j.now.Load())() }, func() error { return r.build(ctx, j) })
	if err != nil {
		return err
	}
	if j.rec.Bytes, err = folderBytes(root); err != nil {
		return err
	}
	j.rec.Made = time.Now().UTC().Truncate(time.Second)
	j.rec.Seconds = float64((s.spent[r.name] + time.Since(begun)).Milliseconds()) / 1000
	if err := s.publish(j); err != nil {
		return err
	}
	for _, w := range j.rec.Warnings {
		s.p.say(r.name, "warning: %s", w)
	}
	s.p.say(r.name, "ready: %s, %s in %s", j.rec.Version, size(j.rec.Bytes), seconds(s.spent[r.name]+time.Since(begun)))
	return nil
}

// begin makes the folder in which a part with this key is built, which may hold
// what an interrupted setup has left of the same.
func (s *setup) begin(r recipe, key string) (string, error) {
	root := s.work(r.name + "-" + key)
	left, err := filepath.Glob(s.work(r.name + "-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range left {
		if ofPart := strings.TrimPrefix(filepath.Base(dir), r.name+"-"); len(ofPart) == len(key) && (dir != root || !r.resumes) {
			if err := os.RemoveAll(dir); err != nil {
				return "", err
			}
		}
	}
	return root, os.MkdirAll(root, 0o755)
}

// publish puts a part that is whole into its place.
func (s *setup) publish(j *job) error {
	if err := j.rec.write(j.root); err != nil {
		return err
	}
	place, old := s.kit.path(j.part), s.work("old-"+j.part)
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(place, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(j.root, place); err != nil {
		return err
	}
	s.kit.parts[j.part] = j.rec
	return errors.Join(os.RemoveAll(old), s.tidy(j.part))
}

// tidy removes the packages of a part that is made, except those that another
// one is still to be made of, and folders that are empty then.
func (s *setup) tidy(part string) error {
	c := s.chosen[part]
	delete(s.chosen, part)
	var errs []error
	if c != nil {
		for _, d := range c.debs {
			if !s.wants(c.archive.path(d)) {
				errs = append(errs, os.RemoveAll(c.archive.path(d)))
			}
		}
		removeEmpty(filepath.Join(c.archive.dir, "debs"))
	}
	removeEmpty(s.work(""))
	return errors.Join(errs...)
}

// removeEmpty removes a folder if nothing is in it.
func removeEmpty(dir string) { _ = os.Remove(dir) }

// wants says whether a part that is not made yet is made of a package.
func (s *setup) wants(path string) bool {
	for _, c := range s.chosen {
		if slices.ContainsFunc(c.debs, func(d deb) bool { return c.archive.path(d) == path }) {
			return true
		}
	}
	return false
}

func (s *setup) work(name string) string { return filepath.Join(s.kit.dir, "work", name) }
