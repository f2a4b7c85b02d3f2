package report

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var results = []Result{
	{Name: "01-a/10-x", Why: "Because.", Status: Pass, Elapsed: time.Second},
	{Name: "01-a/20-y", Why: "Also.", Status: Fail, Reason: "y.txtar:3: no", Log: "line 1\nFAIL: y.txtar:3: no <&>\x00\x1b\n", Replay: "nicsim run -seed 7 y"},
	{Name: "02-b/10-z", Status: Skip, Reason: "needs root: not run as root"},
}

func printed(t *testing.T, format string, s Style) string {
	t.Helper()
	var out strings.Builder
	r, err := New(format, &out, s)
	require.NoError(t, err)
	var n Totals
	r.Plan(len(results))
	for _, x := range results {
		n.Add(x.Status)
		r.Result(x)
	}
	require.NoError(t, r.Close(n))
	return out.String()
}

func TestKTAP(t *testing.T) {
	require.Equal(t, "KTAP version 1\n1..3\nok 1 01-a/10-x\n# line 1\n# FAIL: y.txtar:3: no <&>\x00\x1b\n# replay: nicsim run -seed 7 y\n"+
		"not ok 2 01-a/20-y\nok 3 02-b/10-z # SKIP needs root: not run as root\n"+
		"# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0\n", printed(t, "ktap", Style{}))
}

func TestTextHasColourOnlyWhenAsked(t *testing.T) {
	plain := printed(t, "text", Style{})
	require.NotContains(t, strings.ReplaceAll(plain, "\x00\x1b", ""), "\x1b[")
	require.Contains(t, plain, "replay: nicsim run -seed 7 y\n")
	require.Contains(t, plain, "1 passed, 1 failed, 1 skipped\n")
	require.Contains(t, printed(t, "text", Style{Colour: true}), "\x1b[31mFAIL\x1b[0m")
}

func TestJSONIsWhatTest2jsonWrites(t *testing.T) {
	actions := map[string]string{}
	var last string
	for line := range strings.Lines(printed(t, "json", Style{})) {
		var e struct {
			Action, Package, Test, Output string
			Elapsed                       float64
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		require.NotEmpty(t, e.Package)
		if e.Action != "output" {
			actions[e.Test] = e.Action
		}
		last = e.Action
	}
	require.Equal(t, "fail", last)
	require.Equal(t, map[string]string{"": "fail", "01-a/10-x": "pass", "01-a/20-y": "fail", "02-b/10-z": "skip"}, actions)
}

func TestJUnitIsXML(t *testing.T) {
	var s struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Class   string `xml:"classname,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	require.NoError(t, xml.Unmarshal([]byte(printed(t, "junit", Style{})), &s))
	require.Equal(t, []int{3, 1, 1}, []int{s.Tests, s.Failures, s.Skipped})
	require.Equal(t, "y.txtar:3: no", s.Cases[1].Failure.Message)
	require.Equal(t, "nicsim.dev/scenarios/01-a", s.Cases[0].Class)
}

func TestExitCodes(t *testing.T) {
	require.Equal(t, ExitPass, Totals{Pass: 1, Skip: 3}.ExitCode())
	require.Equal(t, ExitFail, Totals{Pass: 1, Fail: 1}.ExitCode())
	require.Equal(t, ExitSkip, Totals{Skip: 3}.ExitCode())
	require.Equal(t, ExitPass, Totals{}.ExitCode())
}

func TestUnknownFormatNamesTheKnown(t *testing.T) {
	_, err := New("xml", nil, Style{})
	require.ErrorContains(t, err, "text, ktap, json, junit")
}
