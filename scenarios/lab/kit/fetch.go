package kit

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

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
