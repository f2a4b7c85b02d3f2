package report

import (
	"encoding/json"
	"strings"
)

// pkg is what scenarios are a package of, to readers of test2json.
const pkg = "nicsim.dev/scenarios"

// events is the stream of "go test -json" (go doc test2json).
type events struct{ printer }

type event struct {
	Action  string
	Package string
	Test    string  `json:",omitempty"`
	Elapsed float64 `json:",omitempty"` // seconds
	Output  string  `json:",omitempty"`
}

func (e *events) put(v event) {
	v.Package = pkg
	if e.err == nil {
		e.err = json.NewEncoder(e.out).Encode(v)
	}
}

func (e *events) Plan(int) { e.put(event{Action: "start"}) }

func (e *events) Result(r Result) {
	e.put(event{Action: "run", Test: r.Name})
	said := r.Output
	switch r.Status {
	case Skip:
		said = r.Reason + "\n"
	case Fail:
		said = r.Log + "\nreplay: " + r.Replay + "\n"
	}
	for line := range strings.Lines(said) {
		e.put(event{Action: "output", Test: r.Name, Output: line})
	}
	e.put(event{Action: r.Status.String(), Test: r.Name, Elapsed: r.Elapsed.Seconds()})
}

func (e *events) Close(t Totals) error {
	s := Pass
	switch t.ExitCode() {
	case ExitFail:
		s = Fail
	case ExitSkip:
		s = Skip
	}
	e.put(event{Action: s.String()})
	return e.err
}
