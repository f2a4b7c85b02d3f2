package lab

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"nicsim.dev/scenarios/lab/agent"
)

// RawTerminal hands this process's terminal to the guest's command: what is typed
// goes there as it is, and the command learns of changes of size. What it returns
// gives the terminal back.
func RawTerminal(o *BootOptions) (restore func(), err error) {
	fd := int(os.Stdin.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	raw := *old
	agent.MakeRaw(&raw)
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, err
	}
	size := func() agent.Size {
		w, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err != nil {
			return agent.Size{Rows: 24, Columns: 80}
		}
		return agent.Size{Rows: w.Row, Columns: w.Col}
	}
	now := size()
	o.Terminal = &now
	signals, sizes := make(chan os.Signal, 1), make(chan agent.Size, 1)
	o.Streams.Resize = sizes
	signal.Notify(signals, unix.SIGWINCH)
	go func() {
		for range signals {
			sizes <- size()
		}
	}()
	return func() {
		signal.Stop(signals)
		unix.IoctlSetTermios(fd, unix.TCSETS, old)
	}, nil
}
