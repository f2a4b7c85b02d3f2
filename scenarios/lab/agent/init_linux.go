package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"nicsim.dev/scenarios/lab/seal"
	"nicsim.dev/scenarios/lab/xdp"
)

// The words by which a kernel, or the agent's own init, starts this program.
const (
	InitWord  = "guest-init"
	agentWord = "guest-agent"
)

// beatInterval is how often a guest says that it is alive.
const beatInterval = time.Second

// Main runs the guest's side if the program was started for it, and then does not
// return. A main function, or that of a test, calls it first.
func Main() {
	// User Mode Linux adds words of its own behind those for init.
	if len(os.Args) >= 3 && os.Args[1] == InitWord && os.Getpid() == 1 {
		file := ""
		if len(os.Args) > 3 && filepath.IsAbs(os.Args[3]) {
			file = os.Args[3]
		}
		initialize(os.Args[2], file)
	}
	if len(os.Args) == 3 && os.Args[1] == agentWord {
		if err := serve(os.Args[2]); err != nil {
			fmt.Println("nicsim: agent:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) >= 2 && os.Args[1] == xdp.Word {
		os.Exit(xdp.Main(os.Args[2:]))
	}
	if len(os.Args) >= 3 && os.Args[1] == seal.Word {
		os.Exit(seal.Main(os.Args[2:]))
	}
}

// initialize is process 1. It enters the guest's root, which the kernel then takes
// for its helpers too, starts the agent, adopts orphans, and switches the machine
// off when the agent has ended.
func initialize(channel, setup string) {
	if err := supervise(channel, setup); err != nil {
		fmt.Println("nicsim: init:", err)
	}
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func supervise(channel, file string) error {
	var text []byte
	if file != "" { // which may lie in the host's /proc
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	for at, kind := range map[string]string{"/proc": "proc", "/sys": "sysfs"} {
		if err := unix.Mount(kind, at, kind, 0, ""); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", at, err)
		}
	}
	f, err := open(channel)
	if err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	if file == "" {
		if text, err = receiveSetup(f); err != nil {
			return err
		}
	}
	var setup Setup
	if err := (Message{Kind: KindSetup, Data: text}).Decode(&setup); err != nil {
		return err
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := enterRoot(setup); err != nil {
		return err
	}
	return adopt(self, f, string(text))
}

// receiveSetup asks the host for the setup.
func receiveSetup(f *os.File) ([]byte, error) {
	if err := NewEncoder(f).Send(KindHello, 0, nil); err != nil {
		return nil, err
	}
	m, err := NewDecoder(f).Next()
	if err != nil || m.Kind != KindSetup {
		return nil, fmt.Errorf("message %c instead of the setup: %w", m.Kind, err)
	}
	return m.Data, nil
}

// adopt runs the agent on the channel until it ends, and waits for the orphans of
// the guest meanwhile.
func adopt(self, channel *os.File, setup string) error {
	agent, err := os.StartProcess(fmt.Sprintf("/proc/self/fd/%d", self.Fd()), []string{"nicsim", agentWord, setup}, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, channel}, Env: os.Environ(),
	})
	if err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case pid == agent.Pid && status.ExitStatus() != 0:
			return fmt.Errorf("the agent ended with status %d", status.ExitStatus())
		case pid == agent.Pid:
			return nil
		}
	}
}

// open opens the channel: a device below /dev, or "virtio:" and the name of a port.
func open(channel string) (*os.File, error) {
	path := filepath.Join("/dev", channel)
	if port, ok := strings.CutPrefix(channel, "virtio:"); ok {
		device, err := virtioPort(port)
		if err != nil {
			return nil, err
		}
		path = filepath.Join("/dev", device)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
		MakeRaw(t)
		if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// virtioPort finds the device of a virtio serial port by its name.
func virtioPort(name string) (string, error) {
	ports, err := filepath.Glob("/sys/class/virtio-ports/*")
	if err != nil {
		return "", err
	}
	for _, p := range ports {
		if b, err := os.ReadFile(filepath.Join(p, "name")); err == nil && strings.TrimSpace(string(b)) == name {
			return filepath.Base(p), nil
		}
	}
	return "", fmt.Errorf("there is no virtio port %q among %d", name, len(ports))
}

// MakeRaw makes a terminal pass every byte on as it is (cfmakeraw(3)).
func MakeRaw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
}
