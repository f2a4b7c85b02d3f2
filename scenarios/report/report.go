// Package report prints what became of scenarios: for people, and in the
// formats that test harnesses read.
package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Status is what became of a scenario.
type Status uint8

const (
	Pass Status = iota
	Fail
	Skip
)

func (s Status) String() string { return [...]string{"pass", "fail", "skip"}[s] }

// Result is one scenario's outcome.
type Result struct {
	Name    string // "04-tso/10-ipv4"
	Why     string // the first line of its script
	Status  Status
	Reason  string // of a failure or a skip, in one line
	Log     string // what the script printed and did
	Replay  string // the command that repeats it
	Output  string // shown even when it passed
	Elapsed time.Duration
}

// Totals counts results.
type Totals struct{ Pass, Fail, Skip int }

// Add counts one.
func (t *Totals) Add(s Status) {
	switch s {
	case Pass:
		t.Pass++
	case Fail:
		t.Fail++
	default:
		t.Skip++
	}
}

// Exit codes, of which 4 is kselftest's (Linux tools/testing/selftests/kselftest.h).
const (
	ExitPass  = 0
	ExitFail  = 1
	ExitUsage = 2
	ExitSkip  = 4
)

// ExitCode is what a program that ran them returns.
func (t Totals) ExitCode() int {
	switch {
	case t.Fail > 0:
		return ExitFail
	case t.Pass == 0 && t.Skip > 0:
		return ExitSkip
	}
	return ExitPass
}

// Reporter is told of results in the order of the scenarios.
type Reporter interface {
	Plan(n int)
	Result(r Result)
	Close(t Totals) error
}

// Style is how text is dressed.
type Style struct {
	Verbose bool
	Colour  bool
}

// Formats are the names that New knows.
var Formats = []string{"text", "ktap", "json", "junit"}

// New returns a reporter in the named format.
func New(format string, out io.Writer, s Style) (Reporter, error) {
	p := printer{out: out}
	switch format {
	case "text":
		return &text{printer: p, style: s}, nil
	case "ktap":
		return &ktap{printer: p}, nil
	case "json":
		return &events{printer: p}, nil
	case "junit":
		return &junit{out: out}, nil
	}
	return nil, fmt.Errorf("no format is named %q; there are: %s", format, strings.Join(Formats, ", "))
}

// printer keeps the first error of its writer.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

// indent puts prefix ahead of each line of s.
func indent(prefix, s string) string {
	s = strings.TrimRight(s, "\n")
	if s == "" {
		return ""
	}
	return prefix + strings.ReplaceAll(s, "\n", "\n"+prefix) + "\n"
}
