package kit

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed uml.fragment
var umlFragment string

//go:embed smp.fragment
var smpFragment string

// option is a line of a kernel configuration; without a value it is not set.
type option struct{ name, value string }

func (o option) String() string {
	if o.value == "" {
		return "# " + o.name + " is not set"
	}
	return o.name + "=" + o.value
}

// fragment is a part of a kernel configuration, each option once.
type fragment []option

// parseFragment reads fragments, of which a later one overrides those before.
func parseFragment(texts ...string) (fragment, error) {
	var f fragment
	for _, text := range texts {
		for line := range strings.Lines(text) {
			o, ok, err := parseOption(strings.TrimSpace(line))
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			f = slices.DeleteFunc(f, func(was option) bool { return was.name == o.name })
			f = append(f, o)
		}
	}
	return f, nil
}

// parseOption reads a line; ok is false for a comment.
func parseOption(line string) (o option, ok bool, err error) {
	if name, found := strings.CutSuffix(line, " is not set"); found {
		if name, found = strings.CutPrefix(name, "# "); found && strings.HasPrefix(name, "CONFIG_") {
			return option{name: name}, true, nil
		}
	}
	if line == "" || line[0] == '#' {
		return option{}, false, nil
	}
	name, value, found := strings.Cut(line, "=")
	if !found || value == "" || !strings.HasPrefix(name, "CONFIG_") {
		return option{}, false, fmt.Errorf("kernel configuration: %q, want CONFIG_NAME=VALUE or \"# CONFIG_NAME is not set\"", line)
	}
	return option{name, value}, true, nil
}

func (f fragment) String() string {
	var b strings.Builder
	for _, o := range f {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}

// unmet are the options that config, a whole .config, does not have so. An
// option that config does not mention is not set.
func (f fragment) unmet(config string) ([]string, error) {
	whole, err := parseFragment(config)
	if err != nil {
		return nil, err
	}
	has := map[string]string{}
	for _, o := range whole {
		has[o.name] = o.value
	}
	var lines []string
	for _, o := range f {
		if has[o.name] != o.value {
			lines = append(lines, o.String())
		}
	}
	return lines, nil
}
