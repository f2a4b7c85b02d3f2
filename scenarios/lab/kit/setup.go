package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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
// out what is ready and will stay so.
func (s *setup) plan(wanted []recipe) []recipe {
	all := recipes()
	needed, remade := map[string]bool{}, map[string]bool{}
	for _, r := range wanted {
		needed[r.name] = true
	}
	for _, r := range all {
		remade[r.name] = s.o.Update || s.kit.state(r) != Ready ||
			slices.ContainsFunc(r.inputs, func(in string) bool { return needed[in] && remade[in] })
	}
	for _, r := range slices.Backward(all) {
		if needed[r.name] && remade[r.name] {
			for _, n := range slices.Concat(r.inputs, r.tools) {
				needed[n] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(r recipe) bool { return !needed[r.name] || !remade[r.name] })
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
