package kit

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	// saidLines is how much of a failed program's last words an error carries.
	saidLines = 15
	// saidBytes bounds what of them is remembered.
	saidBytes = 16 << 10
	// pipeDelay is how long the output of a killed program is waited for, which a
	// child of it may hold open.
	pipeDelay = 2 * time.Second
)

// runner starts programs for a setup.
type runner struct {
	held *os.File // the lock, which children keep too
	path string   // where programs are looked for before the host's
}

// command is a program and what it works with.
type command struct {
	args []string
	dir  string
	env  []string
	out  io.Writer // what it prints, apart from errors
	both io.Writer // what it prints, with errors
	log  string    // the name of the file that both is
}

// steering are variables by which a shell or a make around us would change what
// a kernel build does.
var steering = []string{"ARCH", "SUBARCH", "CROSS_COMPILE", "LLVM", "CC", "CFLAGS", "LDFLAGS", "KCFLAGS", "O", "V", "W", "C",
	"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "KBUILD_OUTPUT", "KCONFIG_CONFIG", "KCONFIG_ALLCONFIG", "LOCALVERSION",
	"BISON_PKGDATADIR", "M4", "PATH", "LC_ALL", "LANGUAGE"}

// env is the environment of programs: the host's without what would steer them.
func (r *runner) env(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(steering, name)
	})
	path := os.Getenv("PATH") + ":/usr/sbin:/usr/bin:/sbin:/bin"
	if r.path != "" {
		path = r.path + ":" + path
	}
	return append(append(env, "PATH="+path, "LC_ALL=C"), more...)
}

// run runs a program to its end. When ctx ends, so do the program and its
// children.
func (r *runner) run(ctx context.Context, c command) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	env := r.env(c.env...)
	path, err := lookPath(c.args[0], env)
	if err != nil {
		return &ProgramError{c.args[0]}
	}
	cmd := exec.CommandContext(ctx, path, c.args[1:]...)
	ownGroup(cmd)
	cmd.WaitDelay = pipeDelay
	cmd.Dir, cmd.Env = c.dir, env
	if r.held != nil {
		cmd.ExtraFiles = []*os.File{r.held}
	}
	var said tail
	cmd.Stdout, cmd.Stderr = c.out, &said
	if c.both != nil {
		both := io.MultiWriter(c.both, &said)
		cmd.Stdout, cmd.Stderr = both, both
	}
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &CommandError{Args: c.args, Err: err, Said: said.String(), Log: c.log}
	}
	return nil
}

// output is what a program prints.
func (r *runner) output(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := r.run(ctx, command{args: args, out: &out})
	return out.String(), err
}

// lookPath finds a program in the PATH of env, not of ours.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, v := range slices.Backward(env) {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			for dir := range strings.SplitSeq(path, ":") {
				if dir == "" {
					continue
				}
				if found, err := exec.LookPath(dir + "/" + name); err == nil {
					return found, nil
				}
			}
		}
	}
	return "", exec.ErrNotFound
}

// tail remembers the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > saidBytes {
		t.b = slices.Clone(t.b[len(t.b)-saidBytes/2:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	return strings.Join(lines[max(0, len(lines)-saidLines):], "\n")
}
