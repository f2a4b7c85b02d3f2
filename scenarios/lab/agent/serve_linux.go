package agent

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// defaultPath is where commands are looked for.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// server is the agent: it does what the host's messages say.
type server struct {
	out *Encoder
	env []string

	mu        sync.Mutex
	commands  map[uint16]*running
	following sync.WaitGroup
}

// running is a command under way.
type running struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	tty   *os.File // nil without a terminal
}

// channelFD is where the agent finds its channel.
const channelFD = 3

// serve is the agent, in its root.
func serve(text string) error {
	var setup Setup
	if err := (Message{Kind: KindSetup, Data: []byte(text)}).Decode(&setup); err != nil {
		return err
	}
	f := os.NewFile(channelFD, "channel")
	s := &server{out: NewEncoder(f), commands: map[uint16]*running{}}
	in := NewDecoder(f)
	if err := s.prepare(setup); err != nil {
		return err
	}
	if setup.Command != nil {
		return s.perform(*setup.Command)
	}
	go func() {
		for s.out.Send(KindBeat, 0, nil) == nil {
			time.Sleep(beatInterval)
		}
	}()
	for {
		m, err := in.Next()
		if err != nil || m.Kind == KindHalt {
			return err
		}
		if m.Kind == KindReboot {
			unix.Sync()
			return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
		}
		if err := s.handle(m); err != nil {
			return err
		}
	}
}

// FirstCommand is the number of a setup's command.
const FirstCommand = 1

// perform runs the only command.
func (s *server) perform(c Command) error {
	if err := s.start(FirstCommand, c); err != nil {
		return s.out.SendJSON(KindExit, FirstCommand, Exit{Code: startFailure(err), Error: err.Error()})
	}
	s.following.Wait()
	return nil
}

// prepare makes the guest what setup says.
func (s *server) prepare(setup Setup) error {
	if err := unix.Sethostname([]byte(setup.Hostname)); err != nil {
		return err
	}
	path := defaultPath
	if setup.Path != "" {
		path += ":" + setup.Path
	}
	os.Setenv("PATH", path) // where exec.Command looks
	s.env = append([]string{"PATH=" + path, "HOME=/root", "TERM=" + os.Getenv("TERM")}, setup.Env...)
	var ready Ready
	if setup.Driver != "" {
		ready.Problems = bind(setup.Driver)
	} else {
		if setup.Modules != "" {
			loadDrivers()
		}
		ready.Problems = bringUp(setup.NICs)
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		ready.Release = unix.ByteSliceToString(u.Release[:])
	}
	return s.out.SendJSON(KindReady, 0, ready)
}

func (s *server) handle(m Message) error {
	s.mu.Lock()
	r := s.commands[m.Command]
	s.mu.Unlock()
	switch {
	case m.Kind == KindRun && r == nil:
		var c Command
		if err := m.Decode(&c); err != nil {
			return err
		}
		if err := s.start(m.Command, c); err != nil {
			return s.out.SendJSON(KindExit, m.Command, Exit{Code: startFailure(err), Error: err.Error()})
		}
	case r == nil: // it has ended meanwhile
	case m.Kind == KindStdin && len(m.Data) == 0:
		r.stdin.Close()
	case m.Kind == KindStdin:
		r.stdin.Write(m.Data)
	case m.Kind == KindKill:
		unix.Kill(-r.cmd.Process.Pid, unix.SIGKILL)
	case m.Kind == KindResize && r.tty != nil:
		var size Size
		if err := m.Decode(&size); err != nil {
			return err
		}
		resize(r.tty, size)
	}
	return nil
}

// startFailure is what a shell exits with for a program that it cannot start.
func startFailure(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return 127
	}
	return 126
}

func (s *server) start(id uint16, c Command) error {
	if len(c.Args) == 0 {
		return errors.New("no command")
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(append(os.Environ(), s.env...), c.Env...)
	if _, err := os.Stat(c.Dir); err == nil {
		cmd.Dir = c.Dir
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	r := &running{cmd: cmd}
	var pipes [2]io.Reader
	var err error
	if c.Terminal != nil {
		var inner *os.File
		if r.tty, inner, err = terminal(*c.Terminal); err != nil {
			return err
		}
		defer inner.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = inner, inner, inner
		cmd.SysProcAttr.Setctty = true
		r.stdin, pipes[0] = r.tty, r.tty
	} else {
		if r.stdin, err = cmd.StdinPipe(); err != nil {
			return err
		}
		if pipes[0], err = cmd.StdoutPipe(); err != nil {
			return err
		}
		if pipes[1], err = cmd.StderrPipe(); err != nil {
			return err
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.commands[id] = r
	s.mu.Unlock()
	s.following.Go(func() { s.follow(id, r, pipes) })
	return nil
}

// follow carries a command's output to the host until it has ended.
func (s *server) follow(id uint16, r *running, pipes [2]io.Reader) {
	var copying sync.WaitGroup
	for i, kind := range []Kind{KindStdout, KindStderr} {
		if pipes[i] != nil {
			copying.Go(func() { s.copy(kind, id, pipes[i]) })
		}
	}
	copying.Wait()
	err := r.cmd.Wait()
	s.mu.Lock()
	delete(s.commands, id)
	s.mu.Unlock()
	exit := Exit{Code: r.cmd.ProcessState.ExitCode()}
	if w, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		exit.Code = 128 + int(w.Signal())
	} else if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		exit.Error = err.Error()
	}
	s.out.SendJSON(KindExit, id, exit)
}

func (s *server) copy(kind Kind, id uint16, from io.Reader) {
	buf := make([]byte, MaxData/2)
	for {
		n, err := from.Read(buf)
		if n > 0 && s.out.Send(kind, id, buf[:n]) != nil || err != nil {
			return
		}
	}
}
