package kit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Options is what to set up.
type Options struct {
	Dir      string    // where; empty means DefaultDir
	Parts    []string  // which, with those they need; empty means the usual ones
	Mirror   string    // of Debian's archive; empty means the host's
	Progress io.Writer // where a person watches; nil means nowhere
	Jobs     int       // compilers at a time; 0 means one for each processor
	Update   bool      // looks whether the archive has something newer for parts that are ready
}

// setup is one run of Setup.
type setup struct {
	kit      *Kit
	o        Options
	p        *progress
	run      *runner
	mirror   mirror
	archives map[string]opened
	chosen   map[string]*choice
	spent    map[string]time.Duration
	failed   map[string]error
}

// opened is an archive, or why there is none, which is found out once.
type opened struct {
	*archive
	err error
}

// choice is what a part is made of.
type choice struct {
	archive *archive
	debs    []deb
}

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
	return nil
}

// Setup makes the parts that are missing or stale and says where all are. When
// nothing is to be done it is quick and needs no network. A part that fails does
// not keep others from being made; the error names each that did.
func Setup(ctx context.Context, o Options) (*Kit, error) {
	k, err := Open(o.Dir)
	if err != nil {
		return nil, err
	}
	wanted, err := selected(o.Parts)
	if err != nil {
		return nil, err
	}
	if !o.Update && !slices.ContainsFunc(wanted, func(r recipe) bool { return k.state(r) != Ready }) {
		return k, nil
	}
	if err := checkHost(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return nil, err
	}
	p := newProgress(o.Progress)
	held, err := lock(ctx, k.dir, p)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	// Another setup may have done it meanwhile.
	if k, err = Open(k.dir); err != nil {
		return nil, err
	}
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	s := &setup{
		kit: k, o: o, p: p, run: &runner{held: held, path: filepath.Join(k.path(BuildTools), "usr/bin")},
		archives: map[string]opened{}, chosen: map[string]*choice{}, spent: map[string]time.Duration{}, failed: map[string]error{},
	}
	return k, s.all(ctx, s.plan(wanted))
}

// plan adds to the wanted parts those that are needed to make them, and leaves
// out what is ready unless there may be something newer.
func (s *setup) plan(wanted []recipe) []recipe {
	all := recipes()
	needed := map[string]bool{}
	for _, r := range slices.Backward(all) {
		asked := slices.ContainsFunc(wanted, func(w recipe) bool { return w.name == r.name })
		if !asked && !needed[r.name] || s.kit.state(r) == Ready && !s.o.Update {
			continue
		}
		needed[r.name] = true
		for _, n := range slices.Concat(r.inputs, r.tools) {
			needed[n] = true
		}
	}
	return slices.DeleteFunc(all, func(r recipe) bool {
		return !needed[r.name] || s.kit.state(r) == Ready && !s.o.Update
	})
}

// all fetches everything first, for which a person has to be online, and then
// builds.
func (s *setup) all(ctx context.Context, todo []recipe) error {
	for _, stage := range []func(context.Context, recipe) error{s.fetch, s.make} {
		for _, r := range todo {
			if s.failed[r.name] != nil {
				continue
			}
			begun := time.Now()
			err := s.needs(r)
			if err == nil {
				err = stage(ctx, r)
			}
			s.spent[r.name] += time.Since(begun)
			if ctx.Err() != nil {
				s.p.say("setup", "interrupted; the next setup goes on from here")
				return ctx.Err()
			}
			if err != nil {
				s.failed[r.name] = err
				first, _, _ := strings.Cut(err.Error(), "\n")
				s.p.say(r.name, "failed: %s", first)
			}
		}
	}
	var errs []error
	for _, r := range todo {
		if err := s.failed[r.name]; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, err))
		}
	}
	return errors.Join(errs...)
}

// needs is why a part cannot be made when one that it needs could not.
func (s *setup) needs(r recipe) error {
	for _, n := range slices.Concat(r.inputs, r.tools) {
		if s.failed[n] != nil {
			return fmt.Errorf("needs %s, which failed", n)
		}
	}
	return nil
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

func (s *setup) aptDir() string { return filepath.Join(s.kit.dir, "apt") }

// archive is the archive of a suite with its lists up to date.
func (s *setup) archive(ctx context.Context, suite string) (*archive, error) {
	suite = cmp.Or(suite, s.mirror.release, trixie)
	o, ok := s.archives[suite]
	if !ok {
		o.archive, o.err = openArchive(s.aptDir(), suite, s.mirror.url, s.run)
		if o.err == nil {
			o.err = s.p.during("setup", func() string { return "updating the list of packages of " + suite },
				func() error { return o.update(ctx) })
		}
		s.archives[suite] = o
	}
	return o.archive, o.err
}

func (s *setup) findMirror(ctx context.Context) error {
	if s.mirror.url != "" {
		return nil
	}
	for _, program := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := lookPath(program, s.run.env()); err != nil {
			return &ProgramError{program}
		}
	}
	m, err := findMirror(ctx, s.run)
	if s.o.Mirror != "" {
		m.url, err = s.o.Mirror, nil
	}
	s.mirror = m
	return err
}

// fetch finds the packages of a part and downloads them.
func (s *setup) fetch(ctx context.Context, r recipe) error {
	if r.choose == nil {
		return nil
	}
	if err := s.findMirror(ctx); err != nil {
		return err
	}
	failed := &PackageError{Part: r.name}
	for _, suite := range r.suites {
		var debs []deb
		a, err := s.archive(ctx, suite)
		if err == nil {
			debs, err = r.choose(ctx, a)
		}
		if err != nil {
			failed.Tried = append(failed.Tried, fmt.Errorf("%s: %w", cmp.Or(suite, s.mirror.release, trixie), err))
			continue
		}
		c := &choice{a, debs}
		s.chosen[r.name] = c
		if s.unchanged(r) || len(debs) == 0 {
			return nil
		}
		return s.download(ctx, r, c)
	}
	return failed
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

// packages are NAME=VERSION of each package.
func (c *choice) packages() []string {
	if c == nil {
		return nil
	}
	var list []string
	for _, d := range c.debs {
		list = append(list, d.name+"="+d.version)
	}
	slices.Sort(list)
	return list
}

func (s *setup) download(ctx context.Context, r recipe, c *choice) error {
	var total int64
	for _, d := range c.debs {
		total += d.bytes
	}
	have := c.archive.fetched(c.debs)
	begun := time.Now()
	s.p.say(r.name, "%s from %s: %s, %s, of which %s is here", c.debs[0].version, c.archive.suite, count(len(c.debs), "package"), size(total), size(have))
	err := s.p.during(r.name,
		func() string {
			return fmt.Sprintf("downloaded %s of %s", size(c.archive.fetched(c.debs)), size(total))
		},
		func() error { return c.archive.fetch(ctx, c.debs) })
	if err == nil {
		s.p.say(r.name, "downloaded in %s", seconds(time.Since(begun)))
	}
	return err
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
	if err := errors.Join(s.publish(j), s.tidy(r.name)); err != nil {
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
	return os.RemoveAll(old)
}
