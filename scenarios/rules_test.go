package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"nicsim.dev/scenarios/report"
)

// screenLines is what fits on a screen; files of register values below the
// script do not count.
const screenLines = 45

func TestScriptsAreLessons(t *testing.T) {
	scripts, err := Load()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(scripts), 60)
	named := regexp.MustCompile(`^\d\d-[a-z0-9-]+/\d\d-[a-z0-9-]+$`)
	why := map[string]string{}
	for _, s := range scripts {
		require.Regexp(t, named, s.Name, "a folder and a file, each with a number and words")
		require.True(t, bytes.HasPrefix(s.Text, []byte("# ")), "%s: the first line says why it exists", s.Path)
		require.Regexp(t, `^[A-Z0-9"].*[.!?]$`, s.Why(), "%s: a sentence", s.Path)
		require.Empty(t, why[s.Why()], "%s says the same", s.Path)
		why[s.Why()] = s.Path
		commands := txtar.Parse(s.Text).Comment
		require.LessOrEqual(t, bytes.Count(commands, []byte("\n")), screenLines, "%s does not fit on a screen", s.Path)
		for line := range bytes.Lines(s.Text) {
			require.LessOrEqual(t, len(line), 132, "%s: %s", s.Path, line)
			require.Equal(t, bytes.TrimRight(line, " \n"), bytes.TrimSuffix(line, []byte("\n")), "%s: space at the end of %q", s.Path, line)
		}
	}
}

// A run on the virtual clock is the same for the same seed, to the last byte of
// its log and its capture.
func TestRunsReplay(t *testing.T) {
	scripts, err := Load()
	require.NoError(t, err)
	for _, s := range scripts {
		if bytes.Contains(s.Text, []byte("\nclock live")) || bytes.Contains(s.Text, []byte("\nneed ")) {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var logs [2]string
			var captures [2][]byte
			for i := range logs {
				dir := t.TempDir()
				logs[i] = try(s, Options{Seed: 7, Verbose: true, Capture: dir}).Log
				files, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
				require.NoError(t, err)
				require.Len(t, files, 1)
				captures[i], err = os.ReadFile(files[0])
				require.NoError(t, err)
			}
			require.Equal(t, logs[0], logs[1])
			require.True(t, bytes.Equal(captures[0], captures[1]), "the captures differ")
		})
	}
}

// A malformed script says in which file and line, and what was expected.
func TestMalformedScriptsSayWhatWasExpected(t *testing.T) {
	const begin = "# Why.\nadapter A\nadapter B\n"
	for script, want := range map[string]string{
		"sned A eth":                `bad.txtar:4: unknown command "sned" (did you mean "send"?)`,
		"pair A":                    "an argument is missing",
		"pair A C":                  `no such adapter: "C"; there are: A, B`,
		"pair A B loss=many":        "loss=many: a probability was expected",
		"pair A B loss":             `"loss": a value is missing`,
		"pair A B loss=2":           "want",
		"adapter A":                 "a new name was expected",
		"adapter C model=82598":     `no model is named "82598"; there are: 82599`,
		"adapter C mac=zz":          "a MAC address was expected",
		"run fast":                  "a time such as 10us was expected",
		"driver A offloads=tso5":    "a list of offloads was expected",
		"driver A ring=7":           "ring size is 7, want",
		"send A eth":                `A has no driver: "driver A" was expected before`,
		"leaves A eth":              `A has no scripted wire: "wire A" was expected before`,
		"wire A\ninject A eht":      `bad.txtar:5: frame: "eht": expected a layer`,
		"reg A read NOPE":           "the 82599 has no register NOPE",
		"reg A expect CTRL":         "expect NAME VALUE was expected",
		"mem A write 0x1000 00":     `"memory A ADDRESS SIZE" was expected before`,
		"counter A nope 1":          `A has no counter "nope"; it has: `,
		"counter A rx-packets many": "N, >N or <N was expected",
		"post A tx 0 data":          `"ring A tx 0 ADDRESS SIZE" was expected before`,
		"stack A 10.0.0.1/24":       "A has no driver",
		"clock live":                "the clock is chosen once, before the first adapter",
		"! settle":                  `settle takes no "!"`,
		"need two/words":            "a feature or a program's name was expected",
		"memory A 0 64KiB\nring A tx 0 0 8\npost A tx 0 dta": `"dta": expected legacy-tx, context`,
	} {
		path := filepath.Join(t.TempDir(), "bad.txtar")
		require.NoError(t, os.WriteFile(path, []byte(begin+script+"\n"), 0o600))
		scripts, err := Load(path)
		require.NoError(t, err)
		r := try(scripts[0], Options{Seed: 1, Require: true})
		require.Equal(t, report.Fail, r.Status, script)
		require.Contains(t, r.Log, want, script)
		require.Regexp(t, `bad\.txtar:\d+: `, r.Reason, script)
		require.Equal(t, "nicsim run -seed 1 "+path, r.Replay)
	}
}

func TestAFailureNamesTheFrameAndTheCounters(t *testing.T) {
	r := try(Script{Name: "x", Path: "x.txtar", Text: []byte("# Why.\nadapter A\nwire A\ndriver A\n" +
		"inject A eth(dst=02:00:00:00:00:99)/ip4/udp\nrecv A eth\n")}, Options{Seed: 1})
	require.Equal(t, report.Fail, r.Status)
	require.Contains(t, r.Log, "drop-dmac_filter=1")
}

func TestASkipNamesWhatIsMissing(t *testing.T) {
	script := Script{Name: "x", Path: "x.txtar", Text: []byte("# Why.\nneed no-such-program\n")}
	r := try(script, Options{Seed: 1})
	require.Equal(t, report.Skip, r.Status)
	require.Equal(t, "needs no-such-program: the program is not installed", r.Reason)
	r = try(script, Options{Seed: 1, Require: true})
	require.Equal(t, report.Fail, r.Status)
}

func TestLoadFindsFilesFoldersAndTheBundledSuite(t *testing.T) {
	all, err := Load()
	require.NoError(t, err)
	again, err := Load("../testdata/scripts")
	require.NoError(t, err)
	require.Len(t, again, len(all))
	one, err := Load("testdata/scripts/01-rings/10-first-frame.txtar") // not on disk from here: the bundled one
	require.NoError(t, err)
	require.Equal(t, "01-rings/10-first-frame", one[0].Name)
	folder, err := Load("01-rings")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(folder[0].Name, "01-rings/"))
	_, err = Load("nowhere")
	require.ErrorIs(t, err, errNoScripts)
}
