package report

import "strings"

// text is for people.
type text struct {
	printer
	style Style
	group string
}

const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	reset  = "\x1b[0m"
)

func (t *text) paint(colour, s string) string {
	if !t.style.Colour || s == "" {
		return s
	}
	return colour + s + reset
}

func (t *text) Plan(int) {}

func (t *text) Result(r Result) {
	group, name, inGroup := strings.Cut(r.Name, "/")
	if !inGroup {
		group, name = "", r.Name
	}
	if group != t.group { // what is in none stands apart
		t.printf("%s\n", t.paint(bold, group))
	}
	t.group = group
	switch r.Status {
	case Pass:
		t.printf("  %s    %-28s %s\n", t.paint(green, "ok"), name, r.Why)
	case Skip:
		t.printf("  %s  %-28s %s\n", t.paint(yellow, "skip"), name, r.Reason)
	case Fail:
		t.printf("  %s  %-28s %s\n", t.paint(red, "FAIL"), name, r.Why)
	}
	if r.Status == Fail || t.style.Verbose {
		t.printf("%s", indent("        ", r.Log))
	}
	if r.Status == Fail && r.Replay != "" {
		t.printf("        replay: %s\n", t.paint(bold, r.Replay))
	}
	if r.Output != "" {
		t.printf("\n%s\n", r.Output)
	}
}

func (t *text) Close(n Totals) error {
	t.printf("%d passed, %d failed, %d skipped\n", n.Pass, n.Fail, n.Skip)
	return t.err
}
