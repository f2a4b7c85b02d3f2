package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"nicsim.dev/scenarios/report"
)

// attempt is one run of a script: what testscript takes for a test.
type attempt struct {
	verbose bool
	status  report.Status
	reason  string
	log     strings.Builder
}

// Skip ends the attempt.
func (a *attempt) Skip(args ...any) {
	a.status, a.reason = report.Skip, strings.TrimSpace(fmt.Sprintln(args...))
	runtime.Goexit()
}

// Fatal ends the attempt as failed.
func (a *attempt) Fatal(args ...any) {
	a.Log(args...)
	a.FailNow()
}

// FailNow ends the attempt as failed.
func (a *attempt) FailNow() {
	a.status = report.Fail
	runtime.Goexit()
}

// Log adds to what the attempt has to say.
func (a *attempt) Log(args ...any) { fmt.Fprintln(&a.log, args...) }

// Verbose says whether to log commands that succeeded.
func (a *attempt) Verbose() bool { return a.verbose }

// Parallel does nothing: whoever starts attempts decides.
func (a *attempt) Parallel() {}

// Run is called once, with the script.
func (a *attempt) Run(_ string, f func(testscript.T)) { f(a) }

// phaseTime is what testscript appends to headings; it would differ from run to
// run.
var phaseTime = regexp.MustCompile(`(?m)^(#.*) \(\d+\.\d+s\)$`)

// try runs script once in a folder of its own.
func try(script Script, o Options) report.Result {
	result := report.Result{Name: script.Name, Why: script.Why(), Replay: replay(script, o)}
	started := time.Now()
	dir, err := os.MkdirTemp("", "nicsim-")
	if err != nil {
		result.Status, result.Reason, result.Log = report.Fail, err.Error(), err.Error()
		return result
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, filepath.Base(script.Path))
	a := &attempt{verbose: o.Verbose}
	if err := os.WriteFile(file, script.Text, 0o600); err != nil {
		result.Status, result.Reason, result.Log = report.Fail, err.Error(), err.Error()
		return result
	}
	done := make(chan struct{})
	go func() { // what ends an attempt ends its goroutine
		defer close(done)
		testscript.RunT(a, testscript.Params{
			Files:       []string{file},
			WorkdirRoot: dir,
			Setup:       func(env *testscript.Env) error { return setUp(env, script, o) },
			Cmds:        testscriptCommands,
		})
	}()
	<-done
	result.Status, result.Reason = a.status, a.reason
	result.Log = tidy(a.log.String(), file, dir, script)
	if a.status == report.Fail {
		result.Reason = firstFailure(result.Log)
	}
	result.Elapsed = time.Since(started)
	return result
}

// tidy makes a log the same for every run: it names the script as a person
// does, and leaves out times and temporary folders.
func tidy(log, file, dir string, script Script) string {
	log = strings.ReplaceAll(log, file, script.Path)
	if strings.HasPrefix(log, "WORK=") { // the environment, up to an empty line when verbose
		_, log, _ = strings.Cut(log, "\n")
		if strings.HasPrefix(log, "PATH=") {
			_, log, _ = strings.Cut(log, "\n\n")
		}
	}
	log = strings.ReplaceAll(log, dir, "$DIR")
	return strings.TrimSpace(phaseTime.ReplaceAllString(log, "$1")) + "\n"
}

func firstFailure(log string) string {
	for line := range strings.Lines(log) {
		if why, ok := strings.CutPrefix(line, "FAIL: "); ok {
			return strings.TrimSpace(why)
		}
	}
	return strings.TrimSpace(log)
}

// replay is the command that does the same again.
func replay(s Script, o Options) string {
	if o.On != "" && o.On != onUML {
		return fmt.Sprintf("nicsim run -seed %d -on %s %s", o.Seed, o.On, s.Path)
	}
	return fmt.Sprintf("nicsim run -seed %d %s", o.Seed, s.Path)
}
