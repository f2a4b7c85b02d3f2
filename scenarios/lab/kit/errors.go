package kit

import (
	"fmt"
	"slices"
	"strings"
)

// ownPrograms is what a person can do without Debian's archive.
const ownPrograms = "give a kernel and a QEMU of your own with --kernel and --qemu"

// MissingError is a part that is not there, or not as this version makes it.
type MissingError struct {
	Part  string
	State State
}

func (e *MissingError) Error() string {
	setup := "nicsim lab setup"
	if slices.ContainsFunc(recipes(), func(r recipe) bool { return r.name == e.Part && r.onRequest }) {
		setup += " " + e.Part
	}
	if e.State == Stale {
		return fmt.Sprintf("the lab's %s was made by another version or from other parts: run %q", e.Part, setup)
	}
	return fmt.Sprintf("the lab has no %s yet: run %q", e.Part, setup)
}

// UnknownPartError is a part that was asked for and does not exist.
type UnknownPartError struct{ Part string }

func (e *UnknownPartError) Error() string {
	return fmt.Sprintf("the lab has no part %q; it has %s", e.Part, strings.Join(Parts(), ", "))
}

// HostError is a machine that the lab's parts do not run on.
type HostError struct{ Platform string }

func (e *HostError) Error() string {
	return fmt.Sprintf("the lab's parts are programs for linux/amd64, and this is %s", e.Platform)
}

// ProgramError is a program of the host that setup cannot do without.
type ProgramError struct{ Program string }

func (e *ProgramError) Error() string {
	return fmt.Sprintf("%s is missing: the lab's parts come from Debian's archive by apt-get and dpkg-deb; "+
		"on a machine without them %s", e.Program, ownPrograms)
}

// MirrorError is a host whose apt knows no mirror of Debian's archive.
type MirrorError struct{ Why string }

func (e *MirrorError) Error() string {
	return fmt.Sprintf("no mirror of Debian's archive is known (%s): name one with --mirror, "+
		"or %s", e.Why, ownPrograms)
}

// PackageError is a part whose packages none of the suites has.
type PackageError struct {
	Part  string
	Tried []error // each suite, and why it would not do
}

func (e *PackageError) Unwrap() []error { return e.Tried }

func (e *PackageError) Error() string {
	var s strings.Builder
	s.WriteString(fmt.Sprintf("no suite of Debian's archive gave what the lab's %s is made of (%s)", e.Part, ownPrograms))
	for _, err := range e.Tried {
		s.WriteString("\n" + err.Error())
	}
	return s.String()
}

// CommandError is a program that failed, with the end of what it said.
type CommandError struct {
	Args []string
	Err  error
	Said string
	Log  string // where all of it is, if anywhere
}

func (e *CommandError) Unwrap() error { return e.Err }

func (e *CommandError) Error() string {
	s := fmt.Sprintf("%s: %v", strings.Join(e.Args, " "), e.Err)
	if e.Said != "" {
		s += "\n" + e.Said
	}
	if e.Log != "" {
		s += "\nall of it is in " + e.Log
	}
	return s
}
