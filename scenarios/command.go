package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"nicsim.dev/nicsim/sim"
)

// command is a word of the script language.
type command struct {
	// usage is both documentation and grammar: words in capitals are required
	// arguments, those in brackets are options, "..." takes the rest.
	usage string
	what  string
	run   func(c *call) error
	// waits is set for commands that wait for a live simulation from outside.
	waits bool
	// negates is set for commands that may have "!" ahead, which expects the
	// opposite.
	negates bool
}

// commands is the vocabulary; each file that implements a part adds to it.
var commands = map[string]*command{}

// testscriptCommands is the vocabulary as testscript wants it.
var testscriptCommands = map[string]func(*testscript.TestScript, bool, []string){}

func vocabulary(list ...*command) struct{} {
	for _, c := range list {
		name, _, _ := strings.Cut(c.usage, " ")
		commands[name] = c
		testscriptCommands[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg && !c.negates {
				ts.Fatalf("%s takes no \"!\"; usage: %s", name, c.usage)
			}
			err := perform(c, ts, neg, args)
			if skip, ok := errors.AsType[*skipError](err); ok {
				ts.Value(worldKey{}).(*world).skip(skip)
			}
			ts.Check(err)
		}
	}
	return struct{}{}
}

// usageError says how a command was expected to be written.
type usageError struct {
	problem string
	usage   string
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%s\n  expected: %s", e.problem, e.usage)
}

// call is one use of a command.
type call struct {
	*world
	ts    *testscript.TestScript
	usage string
	args  []string
	opts  map[string]string
	neg   bool // "!" was ahead
}

func perform(c *command, ts *testscript.TestScript, neg bool, args []string) error {
	call, err := c.parse(args)
	if err != nil {
		return err
	}
	call.ts, call.neg = ts, neg
	call.world = ts.Value(worldKey{}).(*world)
	if c.waits {
		return c.run(call)
	}
	return call.owned(func() error { return c.run(call) })
}

// parse sorts arguments into required ones and options.
func (c *command) parse(args []string) (*call, error) {
	words := strings.Fields(c.usage)[1:]
	call := &call{usage: c.usage, opts: map[string]string{}}
	known := map[string]bool{} // option name -> takes a value
	required, rest := 0, false
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "["):
			name, _, hasValue := strings.Cut(strings.Trim(w, "[]"), "=")
			known[name] = hasValue
		case w == "...":
			rest = true
		default:
			required++
		}
	}
	for _, a := range args {
		name, value, hasValue := strings.Cut(a, "=")
		takes, ok := known[name]
		switch {
		case !ok:
			call.args = append(call.args, a)
		case takes != hasValue:
			return nil, call.wrong("%q: %s", a, map[bool]string{true: "a value is missing", false: "no value was expected"}[takes])
		default:
			call.opts[name] = value
		}
	}
	if len(call.args) < required {
		return nil, call.wrong("an argument is missing")
	}
	if len(call.args) > required && !rest {
		return nil, call.wrong("%q was not expected", call.args[required])
	}
	return call, nil
}

func (c *call) wrong(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), c.usage}
}

func (c *call) has(name string) bool { _, ok := c.opts[name]; return ok }

// await is until for a command whose option now forbids that time passes.
func (c *call) await(done func() bool) (bool, error) {
	if !c.has("now") {
		return c.until(done)
	}
	err := c.settle()
	return err == nil && done(), err
}

const (
	// livePatience is for how long a command waits for what it expects of a live
	// simulation, whose peers are programs on a busy host.
	livePatience = 10 * time.Second
	livePoll     = time.Millisecond
)

// eventually looks at the simulation, for a command that waits. On a live clock it
// looks again and again.
func (c *call) eventually(look func() (bool, error)) (ok bool, err error) {
	for deadline := time.Now().Add(livePatience); ; time.Sleep(livePoll) {
		err = c.owned(func() (err error) {
			ok, err = look()
			return err
		})
		if ok || err != nil || c.live == nil || c.has("now") || time.Now().After(deadline) {
			return ok, err
		}
	}
}

// value reads option name with parse, or leaves def.
func value[T any](c *call, name string, def T, want string, parse func(string) (T, error)) (T, error) {
	text, ok := c.opts[name]
	if !ok {
		return def, nil
	}
	v, err := parse(text)
	if err != nil {
		return def, c.wrong("%s=%s: %s was expected", name, text, want)
	}
	return v, nil
}

// number reads an option that is a number.
func (c *call) number(name string, def int) (int, error) {
	return value(c, name, def, "a number", parseInt)
}

func parseInt(s string) (int, error) {
	n, err := strconv.ParseInt(s, 0, 32)
	return int(n), err
}

func parseUint(s string) (uint64, error) { return strconv.ParseUint(s, 0, 64) }

// parseBytes reads 100, 4KiB, 1MiB or 1GiB.
func parseBytes(s string) (int, error) {
	for _, u := range []struct {
		suffix string
		shift  int
	}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}} {
		if n, ok := strings.CutSuffix(s, u.suffix); ok {
			v, err := strconv.ParseUint(n, 10, 20)
			return int(v) << u.shift, err
		}
	}
	return parseInt(s)
}

// parseChance reads 0.001 or 0.1%.
func parseChance(s string) (float64, error) {
	scale := 1.0
	if p, ok := strings.CutSuffix(s, "%"); ok {
		s, scale = p, 100
	}
	v, err := strconv.ParseFloat(s, 64)
	return v / scale, err
}

// parseTime reads a duration such as 10us.
func parseTime(s string) (sim.Time, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	return sim.Time(d), err
}

// parseRate reads bits a second: 10G, 1G, 100M or a number.
func parseRate(s string) (int64, error) {
	for suffix, scale := range map[string]float64{"G": 1e9, "M": 1e6, "k": 1e3} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			v, err := strconv.ParseFloat(n, 64)
			return int64(v * scale), err
		}
	}
	return strconv.ParseInt(s, 10, 64)
}

// Vocabulary prints what commands there are, one a line with what it does
// below.
func Vocabulary() string {
	var b strings.Builder
	for _, name := range commandNames() {
		c := commands[name]
		fmt.Fprintf(&b, "%s\n%s", c.usage, wrap("    ", c.what))
	}
	return b.String()
}

// referenceColumns is how wide the reference is.
const referenceColumns = 110

// wrap breaks text into indented lines.
func wrap(indent, text string) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > referenceColumns {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent
		}
		line += word + " "
	}
	return b.String() + strings.TrimRight(line, " ") + "\n"
}

func commandNames() []string {
	var names []string
	for n := range commands {
		names = append(names, n)
	}
	sort.Strings(names)
	return slices.Clip(names)
}
