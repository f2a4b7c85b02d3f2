package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"nicsim.dev/scenarios/lab/agent"
)

const (
	// bootPatience is how long a kernel may take until its agent says hello, and
	// the agent until it is ready.
	bootPatience = 90 * time.Second
	// beatPatience is how long a guest may say nothing before it has hung: its
	// agent beats once a second, and shares two cores with everything else.
	beatPatience = 30 * time.Second
	// haltPatience is how long a guest may take to switch itself off.
	haltPatience = 10 * time.Second
	// blockedPatience is how long a guest may take to say what its tasks wait for.
	blockedPatience = 5 * time.Second
	// leftoverPatience is how long the channel of a dead guest may stay open.
	leftoverPatience = time.Second
)

// PanicError says that a kernel has died.
type PanicError struct {
	Why     string
	Console string // its last lines
}

func (e *PanicError) Error() string { return fmt.Sprintf("the guest %s\n%s", e.Why, e.Console) }

// HangError says that a guest gave no sign of life, or that a command took longer
// than it may.
type HangError struct {
	Why     string
	Console string
}

func (e *HangError) Error() string { return fmt.Sprintf("the guest %s\n%s", e.Why, e.Console) }

// Guest is a kernel that runs, with an agent in it.
type Guest struct {
	Ready   agent.Ready
	console *console
	cmd     *exec.Cmd
	channel net.Conn
	out     *agent.Encoder

	mu       sync.Mutex
	commands map[uint16]*command
	last     uint16
	beat     time.Time
	ready    chan error
	dead     chan struct{} // closed when the process has ended
	heard    chan struct{} // closed when all that the agent said has been taken
	deadErr  error
}

// command is one under way in the guest.
type command struct {
	stdout, stderr io.Writer
	exit           chan agent.Exit
}

func newCommand(streams IO) *command {
	c := &command{stdout: streams.Stdout, stderr: streams.Stderr, exit: make(chan agent.Exit, 1)}
	for _, w := range []*io.Writer{&c.stdout, &c.stderr} {
		if *w == nil {
			*w = io.Discard
		}
	}
	return c
}

// launch starts a guest's process, whose agent speaks on channel, and waits until
// the guest is ready. First is the setup's command, if it has one.
func launch(ctx context.Context, cmd *exec.Cmd, channel net.Conn, log *console, setup agent.Setup, first *command) (*Guest, error) {
	g := &Guest{
		console: log, cmd: cmd, channel: channel, out: agent.NewEncoder(channel),
		commands: map[uint16]*command{}, ready: make(chan error, 1), dead: make(chan struct{}), heard: make(chan struct{}),
	}
	if setup.Command != nil {
		g.commands[agent.FirstCommand] = first
		g.last = agent.FirstCommand
	}
	started := make(chan error)
	go g.supervise(started)
	if err := <-started; err != nil {
		channel.Close()
		return nil, err
	}
	go g.read(setup)
	if err := g.waitReady(ctx); err != nil {
		g.Kill()
		return nil, err
	}
	return g, nil
}

// supervise starts the process and waits for its end, on a thread of its own: the process
// is to end with us, and the kernel takes the end of the thread that started it for
// ours.
func (g *Guest) supervise(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err := g.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	err = g.cmd.Wait()
	g.mu.Lock()
	g.deadErr = err
	g.mu.Unlock()
	close(g.dead)
	// What the agent has said is still to be read. It ends with the guest's end of the
	// channel, which a process that it left behind may keep.
	select {
	case <-g.heard:
	case <-time.After(leftoverPatience):
	}
	g.channel.Close()
}

// waitReady waits until the agent has everything in place.
func (g *Guest) waitReady(ctx context.Context) error {
	timeout := time.NewTimer(bootPatience)
	defer timeout.Stop()
	select {
	case err := <-g.ready:
		return err
	case <-g.dead:
		return g.death()
	case <-timeout.C:
		return &HangError{fmt.Sprintf("was not ready after %v", bootPatience), g.console.Tail()}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Reboot reboots the guest and waits until it is ready again.
func (g *Guest) Reboot(ctx context.Context) error {
	if err := g.out.Send(agent.KindReboot, 0, nil); err != nil {
		<-g.dead
		return g.death()
	}
	return g.waitReady(ctx)
}

// death says why the guest has ended although nobody asked it to.
func (g *Guest) death() error {
	why := "switched itself off"
	g.mu.Lock()
	err := g.deadErr
	g.mu.Unlock()
	if g.console.Panicked() {
		why = "panicked"
	} else if err != nil {
		why = "ended: " + err.Error()
	}
	return &PanicError{why, g.console.Tail()}
}

// read takes what the agent says. An agent that says hello again is that of a guest
// that has rebooted.
func (g *Guest) read(setup agent.Setup) {
	defer close(g.heard)
	in := agent.NewDecoder(g.channel)
	for {
		m, err := in.Next()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.beat = time.Now()
		c := g.commands[m.Command]
		if m.Kind == agent.KindExit {
			delete(g.commands, m.Command)
		}
		g.mu.Unlock()
		switch {
		case m.Kind == agent.KindHello:
			g.out.SendJSON(agent.KindSetup, 0, setup)
		case m.Kind == agent.KindReady:
			err := m.Decode(&g.Ready)
			select {
			case g.ready <- err:
			default:
			}
		case c == nil:
		case m.Kind == agent.KindStdout:
			c.stdout.Write(m.Data)
		case m.Kind == agent.KindStderr:
			c.stderr.Write(m.Data)
		case m.Kind == agent.KindExit:
			var exit agent.Exit
			if err := m.Decode(&exit); err != nil {
				exit = agent.Exit{Code: 1, Error: err.Error()}
			}
			c.exit <- exit
		}
	}
}

// IO is where a command's streams lead. Any of them may be nil.
type IO struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Resize         <-chan agent.Size
}

// Run runs a command in the guest and returns its exit code. The error is a
// *PanicError or a *HangError if the guest did not survive it, or if the command was
// still running when its time was up; then it says what the guest's tasks wait for.
func (g *Guest) Run(ctx context.Context, what agent.Command, streams IO) (int, error) {
	code, err := g.run(ctx, what, streams)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &HangError{fmt.Sprintf("still ran %q when its time was up", strings.Join(what.Args, " ")), g.blocked() + g.console.Tail()}
	}
	return code, err
}

// blocked has the guest's kernel say which of its tasks wait, and where
// (Documentation/admin-guide/sysrq.rst).
func (g *Guest) blocked() string {
	ctx, cancel := context.WithTimeout(context.Background(), blockedPatience)
	defer cancel()
	var out bytes.Buffer
	script := "echo w >/proc/sysrq-trigger; dmesg | sed -n '/sysrq: Show Blocked/,$p'"
	if _, err := g.run(ctx, agent.Command{Args: []string{"sh", "-c", script}}, IO{Stdout: &out}); err != nil {
		return ""
	}
	return out.String()
}

// run is Run whose error is that of ctx when the command's time is up.
func (g *Guest) run(ctx context.Context, what agent.Command, streams IO) (int, error) {
	c := newCommand(streams)
	g.mu.Lock()
	g.last++
	id := g.last
	g.commands[id] = c
	g.beat = time.Now()
	g.mu.Unlock()
	if err := g.out.SendJSON(agent.KindRun, id, what); err != nil {
		<-g.dead
		return 0, g.death()
	}
	if streams.Stdin != nil {
		go g.feed(id, streams.Stdin)
	} else if err := g.out.Send(agent.KindStdin, id, nil); err != nil {
		<-g.dead
		return 0, g.death()
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case exit := <-c.exit:
			if exit.Error != "" {
				return exit.Code, fmt.Errorf("%s: %s", what.Args[0], exit.Error)
			}
			return exit.Code, nil
		case <-g.dead:
			return 0, g.death()
		case size := <-streams.Resize:
			g.out.SendJSON(agent.KindResize, id, size)
		case <-ctx.Done():
			g.out.Send(agent.KindKill, id, nil)
			return 0, context.Cause(ctx)
		case <-ticker.C:
			g.mu.Lock()
			silent := time.Since(g.beat)
			g.mu.Unlock()
			if silent > beatPatience {
				return 0, &HangError{fmt.Sprintf("gave no sign of life for %v", silent.Round(time.Second)), g.console.Tail()}
			}
		}
	}
}

func (g *Guest) feed(id uint16, from io.Reader) {
	buf := make([]byte, agent.MaxData/2)
	for {
		n, err := from.Read(buf)
		if n > 0 && g.out.Send(agent.KindStdin, id, buf[:n]) != nil {
			return
		}
		if err != nil {
			g.out.Send(agent.KindStdin, id, nil)
			return
		}
	}
}

// Console returns what the kernel has printed.
func (g *Guest) Console() string { return g.console.Text() }

// PID returns the number of the guest's process.
func (g *Guest) PID() int { return g.cmd.Process.Pid }

// Close switches the guest off.
func (g *Guest) Close() error {
	g.out.Send(agent.KindHalt, 0, nil)
	select {
	case <-g.dead:
		return nil
	case <-time.After(haltPatience):
		g.Kill()
		return &HangError{fmt.Sprintf("did not switch itself off in %v", haltPatience), g.console.Tail()}
	}
}

// Kill ends the guest at once.
func (g *Guest) Kill() {
	syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
	<-g.dead
}

// console keeps what a kernel prints.
type console struct {
	mu     sync.Mutex
	text   []byte
	copyTo io.Writer
}

const (
	// maxConsoleBytes bounds what is kept.
	maxConsoleBytes = 4 << 20
	tailLines       = 25
	// panicLines are kept from a panic on, with some of what was before it.
	panicLines, beforePanic = 40, 3
)

// panicked is how a kernel's last words begin.
const panicked = "Kernel panic"

// Write implements io.Writer.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copyTo != nil {
		c.copyTo.Write(p)
	}
	if over := len(c.text) + len(p) - maxConsoleBytes; over > 0 {
		c.text = c.text[:copy(c.text, c.text[min(over, len(c.text)):])]
	}
	c.text = append(c.text, p...)
	return len(p), nil
}

// Text returns all that was kept.
func (c *console) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// Tail returns the last lines, or those around a panic.
func (c *console) Tail() string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(c.Text(), "\r", "")), "\n")
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, panicked) }); i >= 0 {
		first := max(0, i-beforePanic)
		return strings.Join(lines[first:min(len(lines), first+panicLines)], "\n")
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// Panicked says whether the kernel has said that it did.
func (c *console) Panicked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.text, []byte(panicked))
}

// socketPair returns two ends of a channel: ours, and one for a child.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "channel"), os.NewFile(uintptr(fds[1]), "channel")
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// environment is the host's without what would mislead a guest's process.
func environment(set ...string) []string {
	return slices.Concat(os.Environ(), set)
}
