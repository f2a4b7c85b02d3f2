package agent

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// terminal makes a pseudo-terminal: the outer end is the agent's, the inner one the
// command's.
func terminal(size Size) (outer, inner *os.File, err error) {
	outer, err = os.OpenFile("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(outer.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(outer.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		inner, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		outer.Close()
		return nil, nil, err
	}
	resize(outer, size)
	return outer, inner, nil
}

func resize(tty *os.File, s Size) {
	unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Columns})
}
