package scenarios

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// expectation is a line of a table: what is known to become of a case, and the
// driver's line that explains anything but a pass. A case that depends on how fast
// the guest is has two outcomes.
type expectation struct {
	name     string
	outcomes []outcome
	reason   string
}

// Names of what is no case of a test, but has a line in a table when it happens.
const (
	// startOfTest is a test that ends before any case does.
	startOfTest = "(start)"
	// endOfTest is a test that ends badly though none of its cases failed, or
	// before all of them ended.
	endOfTest = "(end)"
)

// parseExpectations reads a table: NAME OUTCOME REASON a line, where OUTCOME may be
// two with | between them; # begins a comment.
func parseExpectations(text string) ([]expectation, error) {
	var list []expectation
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		wrong := func(why string) error {
			return fmt.Errorf("line %d, %q: %s; expected: NAME pass|fail|skip|xfail REASON", n, strings.TrimSpace(line), why)
		}
		if len(f) < 2 {
			return nil, wrong("an outcome is missing")
		}
		e := expectation{name: f[0], reason: strings.Join(f[2:], " ")}
		for word := range strings.SplitSeq(f[1], "|") {
			if !slices.Contains([]outcome{passed, failed, skipped, expected}, outcome(word)) {
				return nil, wrong("no such outcome")
			}
			e.outcomes = append(e.outcomes, outcome(word))
		}
		switch {
		case f[1] != string(passed) && e.reason == "":
			return nil, wrong("the reason is missing")
		case slices.ContainsFunc(list, func(o expectation) bool { return o.name == e.name }):
			return nil, wrong("the case is there already")
		}
		list = append(list, e)
	}
	return list, nil
}

// programOf is how the kernel's tests call themselves: drivers/net/ping.py is ping.
func programOf(test string) string {
	base := path.Base(test)
	return strings.TrimSuffix(base, path.Ext(base))
}

// outcomes are all cases of a run, and its end if that was bad.
func outcomes(run ktapRun, ending string) []ktapCase {
	failures := slices.ContainsFunc(run.cases, func(c ktapCase) bool { return c.outcome == failed || c.outcome == timedOut })
	why := run.bail
	switch {
	case why != "":
	case run.planned > run.ended():
		why = fmt.Sprintf("%d of %d cases ended; %s", run.ended(), run.planned, ending)
	case ending != "" && !failures || len(run.cases) == 0:
		why = ending
	default:
		return run.cases
	}
	name := endOfTest
	if len(run.cases) == 0 {
		name = startOfTest
	}
	return append(slices.Clone(run.cases), ktapCase{name, failed, why})
}

// deviations compares what became of a test with its table, and returns what a
// person has to change in it: lines to be taken out begin with -, lines to be put
// in with +. It is empty if all is as expected.
func deviations(table []expectation, got []ktapCase) string {
	var b strings.Builder
	known := map[string]expectation{}
	for _, e := range table {
		known[e.name] = e
	}
	for _, c := range got {
		e, ok := known[c.name]
		delete(known, c.name)
		if slices.Contains(e.outcomes, c.outcome) {
			continue
		}
		if ok {
			fmt.Fprintln(&b, "-", e)
		}
		reason := c.why
		if c.outcome == passed {
			reason = ""
		}
		fmt.Fprintln(&b, "+", expectation{c.name, []outcome{c.outcome}, reason})
	}
	for _, e := range table {
		if _, left := known[e.name]; left {
			fmt.Fprintln(&b, "-", e)
		}
	}
	return b.String()
}

// String is the expectation as a line of a table.
func (e expectation) String() string {
	var words []string
	for _, o := range e.outcomes {
		words = append(words, string(o))
	}
	return strings.TrimSpace(fmt.Sprintf("%-32s %-5s %s", e.name, strings.Join(words, "|"), e.reason))
}
