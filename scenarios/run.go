package scenarios

import (
	"context"
	"io"
	"runtime"

	"nicsim.dev/scenarios/metrics"
	"nicsim.dev/scenarios/report"
)

// DefaultSeed is the seed of a run that names none.
const DefaultSeed = 1

// Options is how scenarios are run.
type Options struct {
	Seed    uint64
	Verbose bool
	Require bool           // what would be skipped fails
	Capture string         // folder for one pcapng a scenario; empty for none
	Workers int            // scenarios at a time; 0 means one a processor
	Metrics *metrics.Board // is given the counters of adapters; may be nil
	On      string         // what runs guests where a script leaves it open: uml, which is the default, or qemu
}

// Run runs scripts, several at a time, and reports them in order. The plan is
// the caller's to report.
func Run(ctx context.Context, scripts []Script, o Options, rep report.Reporter) report.Totals {
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	results := make([]chan report.Result, len(scripts))
	for i := range results {
		results[i] = make(chan report.Result, 1)
	}
	next := make(chan int)
	for range workers {
		go func() {
			for i := range next {
				results[i] <- try(scripts[i], o)
			}
		}()
	}
	go func() {
		defer close(next)
		for i := range scripts {
			if ctx.Err() != nil {
				results[i] <- report.Result{
					Name: scripts[i].Name, Why: scripts[i].Why(), Status: report.Skip, Reason: "interrupted",
				}
				continue
			}
			next <- i
		}
	}()
	var totals report.Totals
	for i := range results {
		r := <-results[i]
		totals.Add(r.Status)
		rep.Result(r)
	}
	return totals
}

// Files says what "nicsim run" runs, and how it reports.
type Files struct {
	Paths       []string // as Load takes them
	Format      string   // one of report.Formats
	MetricsAddr string   // where counters are served; empty for nowhere
	Options     Options
	Style       report.Style
}

// RunFiles runs files; a run of the whole suite ends with the closing scene.
func RunFiles(ctx context.Context, f Files, out io.Writer) (report.Totals, error) {
	rep, err := report.New(f.Format, out, f.Style)
	if err != nil {
		return report.Totals{}, &UsageError{err}
	}
	scripts, err := Load(f.Paths...)
	if err != nil {
		return report.Totals{}, &UsageError{err}
	}
	o := f.Options
	if f.MetricsAddr != "" {
		o.Metrics = new(metrics.Board)
		served, cancel := context.WithCancel(ctx)
		defer cancel()
		if _, _, err := o.Metrics.Serve(served, f.MetricsAddr); err != nil {
			return report.Totals{}, err
		}
	}
	whole := len(f.Paths) == 0
	if whole {
		rep.Plan(len(scripts) + 1)
	} else {
		rep.Plan(len(scripts))
	}
	totals := Run(ctx, scripts, o, rep)
	if whole && ctx.Err() == nil {
		r := closingScene(ctx, closingBytes, o)
		totals.Add(r.Status)
		rep.Result(r)
	}
	return totals, rep.Close(totals)
}
