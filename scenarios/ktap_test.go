package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKTAPOfAPythonTest(t *testing.T) {
	run := parseKTAP("ping", `TAP version 13
1..5
# Reached min for 'tx' at 0 (max 512)
ok 1 ping.test_v4
ok 2 ping.test_fec # SKIP FEC not supported by the device
# Exception| Traceback (most recent call last):
# Exception|   File "x.py", line 1, in f
# Exception| lib.CmdExitFailure: Command failed
# Exception|
not ok 3 ping.test_v6
ok 4 ping.test.hw # XFAIL Device does not support rx-gro-hw
# Check| At x.py, line 2, in f:
# Check|     ksft_eq(a, b)
# Check failed 64 != 0
not ok 5 ping.test_x
# Totals: pass:1 fail:2 xfail:1 xpass:0 skip:1 error:0
`)
	require.Equal(t, ktapRun{planned: 5, cases: []ktapCase{
		{"test_v4", passed, ""},
		{"test_fec", skipped, "FEC not supported by the device"},
		{"test_v6", failed, "lib.CmdExitFailure: Command failed"},
		{"test.hw", expected, "Device does not support rx-gro-hw"},
		{"test_x", failed, "Check failed 64 != 0"},
	}}, run)
	require.Equal(t, 5, run.ended())
}

func TestKTAPWithSubtests(t *testing.T) {
	run := parseKTAP("x", `KTAP version 1
1..2
  KTAP version 1
  1..2
    KTAP version 1
    1..1
    # deep
    not ok 1 leaf
  not ok 1 - first
  ok 2 second # SKIP no device
not ok 1 outer
    # Subtest: tap14
    ok 1 inner
    1..1
ok 2 other
`)
	require.Equal(t, []ktapCase{
		{"outer/first/leaf", failed, "deep"},
		{"outer/first", failed, ""},
		{"outer/second", skipped, "no device"},
		{"outer", failed, ""},
		{"other/inner", passed, ""},
		{"other", passed, ""},
	}, run.cases)
	require.Equal(t, 2, run.planned)
	require.Equal(t, 2, run.ended())
}

func TestKTAPOfTestsThatEndBadly(t *testing.T) {
	for name, c := range map[string]struct {
		text, ending string
		want         []ktapCase
	}{
		"killed before the first case": {
			"Traceback (most recent call last):\nNlError: Netlink error: Operation not supported\n", "exit code 1",
			[]ktapCase{{startOfTest, failed, "exit code 1"}},
		},
		"killed in the second case": {
			"1..2\nok 1 a\n", "it took longer than 2m0s",
			[]ktapCase{{"a", passed, ""}, {endOfTest, failed, "1 of 2 cases ended; it took longer than 2m0s"}},
		},
		"failed without a failed case": {
			"1..1\nok 1 a\n", "exit code 1", []ktapCase{{"a", passed, ""}, {endOfTest, failed, "exit code 1"}},
		},
		"gave up": {
			"1..9\nok 1 a\nBail out! no memory\n", "", []ktapCase{{"a", passed, ""}, {endOfTest, failed, "it bailed out: no memory"}},
		},
		"failed with a failed case": {"1..1\nnot ok 1 a # TIMEOUT 45 seconds\n", "exit code 1", []ktapCase{{"a", timedOut, "TIMEOUT 45 seconds"}}},
		"silent":                    {"", "", []ktapCase{{startOfTest, failed, ""}}},
		"in the middle of a word":   {"1..1\nnot o", "", []ktapCase{{startOfTest, failed, "0 of 1 cases ended; "}}},
		"with the same name twice": {
			"ok 1 a\nok 2 a\nok 3\n", "", []ktapCase{{"a", passed, ""}, {"a#2", passed, ""}, {"case", passed, ""}},
		},
	} {
		require.Equal(t, c.want, outcomes(parseKTAP("x", c.text), c.ending), name)
	}
}

func TestDeviationsAreLinesOfTheTable(t *testing.T) {
	table, err := parseExpectations(`# of the driver
a  pass
b  skip  ixgbe_main.c: no .ndo_x
c  fail  ixgbe_main.c: it is so
gone xfail nobody knows
slow pass|xfail with a slow guest
`)
	require.NoError(t, err)
	require.Empty(t, deviations(table, []ktapCase{{"c", failed, "x"}, {"a", passed, ""}, {"b", skipped, ""}, {"gone", expected, ""}, {"slow", expected, "x"}}))
	hung := parseKTAP("x", "ok 1 a\nok 2 b # SKIP\n# Exception| subprocess.TimeoutExpired: Command 'ip' timed out after 20 seconds\n"+
		"# Exception|\nnot ok 3 c\nok 4 gone # XFAIL\nok 5 slow\n")
	require.Contains(t, deviations(table, hung.cases), "+ c                                timeout subprocess.TimeoutExpired", "a failure for another reason")
	require.Equal(t, ""+
		"- a                                pass\n"+
		"+ a                                fail  exit code 1\n"+
		"- c                                fail  ixgbe_main.c: it is so\n"+
		"+ c                                pass\n"+
		"+ new                              skip  no device\n"+
		"- slow                             pass|xfail with a slow guest\n"+
		"+ slow                             fail\n"+
		"- gone                             xfail nobody knows\n",
		deviations(table, []ktapCase{
			{"a", failed, "exit code 1"}, {"b", skipped, "anything"}, {"c", passed, "words"}, {"new", skipped, "no device"},
			{"slow", failed, ""},
		}))
}

func TestAMalformedTableSaysWhatWasExpected(t *testing.T) {
	for text, want := range map[string]string{
		"a":              "an outcome is missing",
		"\na passed":     `line 2, "a passed": no such outcome; expected: NAME pass|fail|skip|xfail REASON`,
		"a fail":         "the reason is missing",
		"a pass|xfail":   "the reason is missing",
		"a pass| x":      "no such outcome",
		"a pass\na pass": "the case is there already",
	} {
		_, err := parseExpectations(text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzKTAP(f *testing.F) {
	f.Add("TAP version 13\n1..2\n  ok 1 - a # SKIP b\nnot ok 2 x\nok 3 x\nok 4 x#2\nBail out!\n")
	f.Fuzz(func(t *testing.T, text string) {
		run := parseKTAP("x", text)
		names := map[string]bool{}
		for _, c := range run.cases {
			names[c.name] = true
		}
		require.Len(t, names, len(run.cases), "each case has a name of its own")
		require.NotEmpty(t, outcomes(run, "exit code 1"))
	})
}
