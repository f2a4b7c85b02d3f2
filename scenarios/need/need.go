// Package need says what of a host's features a test or a scenario cannot do
// without, so that it is skipped by name where they are missing, or fails where
// everything is required. Tests of every package may import it.
package need

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Missing says that the host lacks something.
type Missing struct{ What, Why string }

func (m *Missing) Error() string { return fmt.Sprintf("needs %s: %s", m.What, m.Why) }

// Required says whether NICSIM_REQUIRE=all asks that nothing be skipped, as
// "make test REQUIRE=all" does.
func Required() bool { return os.Getenv("NICSIM_REQUIRE") == "all" }

// Check returns a *Missing for the first of the features that the host lacks.
// "root", "tap", "netns" and "linux" are features, and those that others added; any
// other word is a program.
func Check(features ...string) error {
	for _, f := range features {
		if why := lack(f); why != "" {
			return &Missing{f, why}
		}
	}
	return nil
}

// added are features that other packages know of.
var added = map[string]func() error{}

// Add makes a feature known. The error that check returns says why it is missing.
func Add(feature string, check func() error) struct{} {
	added[feature] = check
	return struct{}{}
}

func lack(feature string) string {
	if check := added[feature]; check != nil {
		if err := check(); err != nil {
			return err.Error()
		}
		return ""
	}
	switch feature {
	case "linux", "darwin", "windows":
		if runtime.GOOS != feature {
			return "this is " + runtime.GOOS
		}
	case "root":
		if os.Geteuid() != 0 {
			return "not run as root"
		}
	case "netns":
		if _, err := os.Stat("/proc/self/ns/net"); err != nil {
			return "the kernel has no network namespaces"
		}
		return lack("root")
	case "tap":
		if _, err := os.Stat("/dev/net/tun"); err != nil {
			return "there is no /dev/net/tun"
		}
		return lack("root")
	default:
		if strings.ContainsRune(feature, '/') {
			return "a feature or a program's name was expected"
		}
		if _, err := exec.LookPath(feature); err != nil {
			return "the program is not installed"
		}
	}
	return ""
}

// tester is what Test uses of testing.TB.
type tester interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Test skips the test if the host lacks a feature, or fails it where everything
// is required.
func Test(t tester, features ...string) {
	t.Helper()
	if err := Check(features...); err != nil {
		if Required() {
			t.Fatalf("%v, and NICSIM_REQUIRE=all", err)
			return
		}
		t.Skipf("%v", err)
	}
}
