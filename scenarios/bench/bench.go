// Package bench measures the adapter, each benchmark beside a reference that
// does the same work in the plainest way. The two run in turn, in one process,
// on the same input, several rounds; medians count. Machines differ, ratios
// hold.
//
// What a benchmark did is checked before it is measured: a number for work that
// was not done is an error.
package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"nicsim.dev/scenarios"
)

// Result is what a benchmark found.
type Result struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Reference float64 `json:"reference"` // in the same unit
	// Ratio says how many times as good as the reference: of a rate more is
	// better, of a cost less is.
	Ratio float64 `json:"ratio"`

	Against string `json:"-"` // what the reference is
	Note    string `json:"-"` // what else there is to say
}

// Options is how benchmarks run.
type Options struct {
	JSON     bool          // one object a line in place of a table
	Rounds   int           // 0 means 25
	Round    time.Duration // how long each of the two runs in a round; 0 means 20 ms
	Progress io.Writer     // told what is being done; nil for nobody
}

// Many short rounds, so that on a machine with other work most of them see the
// two sides under the same conditions.
const (
	defaultRounds = 25
	defaultRound  = 20 * time.Millisecond
	maxRounds     = 1000
)

// benchmark is one of those that there are.
type benchmark struct {
	name    string
	against string // what the reference is, for the table
	run     func(o *Options) (Result, error)
	// many is run for a benchmark that measures several things, each named behind its
	// own name and a dash.
	many func(ctx context.Context, o *Options) ([]Result, error)
	// long is set for one that is only run when it is named.
	long bool
}

// benchmarks are all of them, in the order in which they run.
var benchmarks = slices.Concat([]benchmark{
	{name: "ring64", against: "a bare loop over descriptors", run: compare(newRing64)},
}, wireguard, []benchmark{
	{name: "tso-limit", against: "one copy and one checksum pass", run: compare(newTSOLimit)},
	{name: "rsc", against: "gVisor's GRO", run: compare(newRSC)},
	{name: "rss", against: "Toeplitz without tables", run: compare(newRSS)},
	{name: "checksum", against: "gVisor's headers and checksum", run: compare(newChecksum)},
	{name: "hdrsplit", against: "a plain copy", run: compare(newHeaderSplit)},
	{name: "esp", many: esp},
	{name: "macsec", many: bothSides(newLinkSec)},
	{name: "demo", against: "the same stacks on gVisor's pipe", run: compare(newDemo)},
	{name: "memory", against: "the limit", run: memory},
	{name: "suite", against: "the limit", run: suite()},
}, guestBenchmarks)

// Names lists the benchmarks in the order in which they run.
func Names() []string {
	names := make([]string, len(benchmarks))
	for i := range benchmarks {
		names[i] = benchmarks[i].name
	}
	return names
}

// Run runs the named benchmarks, or all, and writes each result as it comes, until ctx is
// done. The error is a scenarios.UsageError for a name that is not known.
func Run(ctx context.Context, w io.Writer, o Options, names ...string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	return run(ctx, w, o, chosen)
}

func run(ctx context.Context, w io.Writer, o Options, chosen []benchmark) error {
	if o.Rounds <= 0 {
		o.Rounds = defaultRounds
	}
	o.Rounds = min(o.Rounds, maxRounds)
	if o.Round <= 0 {
		o.Round = defaultRound
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	p := printer{w: w, json: o.JSON}
	for _, b := range chosen {
		fmt.Fprintf(o.Progress, "%s ", b.name)
		results, err := b.measure(ctx, &o)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		fmt.Fprintln(o.Progress)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		for _, r := range results {
			if err := p.print(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *benchmark) measure(ctx context.Context, o *Options) ([]Result, error) {
	if b.many != nil {
		results, err := b.many(ctx, o)
		for i := range results {
			results[i].Name = b.name + "-" + results[i].Name
		}
		return results, err
	}
	r, err := b.run(o)
	r.Name, r.Against = b.name, b.against
	return []Result{r}, err
}

func choose(names []string) ([]benchmark, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(benchmarks), func(b benchmark) bool { return b.long }), nil
	}
	var chosen []benchmark
	for _, name := range names {
		found := false
		for _, b := range benchmarks {
			if b.name == name {
				chosen, found = append(chosen, b), true
			}
		}
		if !found {
			return nil, &scenarios.UsageError{
				Err: fmt.Errorf("%q: one of these was expected: %s", name, strings.Join(Names(), ", ")),
			}
		}
	}
	return chosen, nil
}
