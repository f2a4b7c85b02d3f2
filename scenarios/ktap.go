package scenarios

import (
	"regexp"
	"strconv"
	"strings"
)

// outcome is what became of a case of a kernel's test.
type outcome string

const (
	passed   outcome = "pass"
	failed   outcome = "fail"
	skipped  outcome = "skip"
	expected outcome = "xfail" // it failed, and whoever wrote it knew
	// timedOut is a failure for want of an answer. No table may expect it: a guest
	// that hangs fails every case, and those that are expected to fail as well.
	timedOut outcome = "timeout"
)

// ktapCase is a case of a test.
type ktapCase struct {
	name    string
	outcome outcome
	why     string // what the test says of it
}

// ktapRun is what a test has printed in KTAP (Documentation/dev-tools/ktap.rst in
// the kernel's source): the cases that have ended, and how many were announced.
type ktapRun struct {
	cases   []ktapCase
	planned int    // -1 if no number was announced
	bail    string // why the test gave up, if it says so
}

var (
	ktapPlan   = regexp.MustCompile(`^1\.\.(\d+)`)
	ktapResult = regexp.MustCompile(`^(not )?ok\b\s*(?:\d+)?\s*(?:-\s+)?([^#]*?)\s*(?:#\s*(.*))?$`)
	ktapBail   = regexp.MustCompile(`^Bail out!\s*(.*)$`)
	// ktapDiagnosis is a line for people; the kernel's Python tests begin those of a
	// traceback with a word.
	ktapDiagnosis = regexp.MustCompile(`^#\s*(?:[A-Z]\w+( \w+)?\|)?\s*(.*)$`)
	// ktapTimeout is how the kernel's runner, and Python, say that something took too
	// long.
	ktapTimeout = regexp.MustCompile(`^TIMEOUT\b|\bTimeoutExpired:`)
)

// parseKTAP reads what a test has printed, which may end anywhere. Cases are
// called as in the output, without the name of the program, which the kernel's
// tests put ahead of each; a subtest is called parent/child, and comes before its
// parent. A name that comes again is numbered.
func parseKTAP(program, text string) ktapRun {
	run := ktapRun{planned: -1}
	var indents []int // of run.cases
	diagnosis := ""   // the last one since a result
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \r\n")
		bare := strings.TrimLeft(line, " ")
		indent := len(line) - len(bare)
		if m := ktapResult.FindStringSubmatch(bare); m != nil {
			c := ktapCase{name: ktapName(program, m[2])}
			c.outcome, c.why = ktapOutcome(m[1] != "", m[3])
			if c.outcome == failed && c.why == "" {
				c.why = diagnosis
			}
			if c.outcome == failed && ktapTimeout.MatchString(c.why) {
				c.outcome = timedOut
			}
			for i := len(indents) - 1; i >= 0 && indents[i] > indent; i-- {
				run.cases[i].name = c.name + "/" + run.cases[i].name
			}
			run.cases, indents, diagnosis = append(run.cases, c), append(indents, indent), ""
		} else if m := ktapDiagnosis.FindStringSubmatch(bare); m != nil {
			if m[2] != "" {
				diagnosis = m[2]
			}
		} else if m := ktapPlan.FindStringSubmatch(line); m != nil {
			run.planned, _ = strconv.Atoi(m[1])
		} else if m := ktapBail.FindStringSubmatch(line); m != nil {
			run.bail = "it bailed out: " + m[1]
		}
	}
	seen := map[string]bool{}
	for i := range run.cases {
		c := &run.cases[i]
		name := c.name
		for n := 2; seen[c.name]; n++ {
			c.name = name + "#" + strconv.Itoa(n)
		}
		seen[c.name] = true
	}
	return run
}

// ended is how many of the announced cases have ended.
func (r ktapRun) ended() (n int) {
	for _, c := range r.cases {
		if !strings.Contains(c.name, "/") {
			n++
		}
	}
	return n
}

// ktapName makes one word of a case's name.
func ktapName(program, text string) string {
	name := strings.Join(strings.Fields(strings.TrimPrefix(text, program+".")), "_")
	if name == "" {
		return "case"
	}
	return name
}

// ktapOutcome is what the words behind a result make of it.
func ktapOutcome(not bool, words string) (outcome, string) {
	first, rest, _ := strings.Cut(words, " ")
	switch strings.ToUpper(strings.TrimRight(first, ":")) {
	case "SKIP":
		return skipped, strings.TrimSpace(rest)
	case "XFAIL", "TODO":
		return expected, strings.TrimSpace(rest)
	}
	if not {
		return failed, words
	}
	return passed, words
}
