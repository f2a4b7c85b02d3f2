package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Dir returns the folder of the sockets: nicsim below XDG_RUNTIME_DIR or, where
// that is not set, one of the user's own below the folder for temporary files.
func Dir() string {
	if d := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		return filepath.Join(d, "nicsim")
	}
	if runtime.GOOS == "windows" { // where that folder is the user's own
		return filepath.Join(os.TempDir(), "nicsim")
	}
	return filepath.Join(os.TempDir(), "nicsim-"+strconv.Itoa(os.Getuid()))
}

// makeDir makes Dir with mode 0700. It refuses one that somebody else made.
func makeDir() (string, error) {
	dir := Dir()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("control: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("control: %w", err)
	}
	if !info.IsDir() || !ours(info) {
		return "", fmt.Errorf("control: expected %s to be a folder of user %d", dir, os.Getuid())
	}
	if info.Mode().Perm() != 0o700 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return "", fmt.Errorf("control: %w", err)
		}
	}
	return dir, nil
}

const (
	suffix = ".sock"
	// maxTopologyBytes leaves room for the folder: a socket's path has at most
	// 104 bytes on some systems.
	maxTopologyBytes = 24
	// maxSockets bounds the sockets of one process with topologies of one name.
	maxSockets = 64
	// bindGrace is for how long a socket may refuse connections before it is
	// taken for dead: between bind and listen a live one does.
	bindGrace = 2 * time.Second
	// dialTimeout bounds the wait for a process that does not accept.
	dialTimeout = time.Second
)

// listen opens a socket named after the process and the topology.
func listen(topology string) (*net.UnixListener, error) {
	dir, err := makeDir()
	if err != nil {
		return nil, err
	}
	name := strconv.Itoa(os.Getpid()) + "-" + fileName(topology)
	for n := 1; ; n++ {
		path := filepath.Join(dir, name+suffix)
		if n > 1 {
			path = filepath.Join(dir, name+"."+strconv.Itoa(n)+suffix)
		}
		if exists(path) {
			dead(path) // one of an earlier process of that number goes
		}
		if exists(path) && n < maxSockets {
			continue
		}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			l.Close()
			return nil, fmt.Errorf("control: %w", err)
		}
		return l, nil
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// fileName returns a topology's name as far as it can stand in a file's name.
func fileName(topology string) string {
	s := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, topology)
	if s == "" {
		return "nicsim"
	}
	return s[:min(len(s), maxTopologyBytes)]
}

// Socket is the control socket of a running process.
type Socket struct {
	Path     string
	PID      int
	Topology string // as far as it can stand in a file's name
}

// Sockets returns the sockets that processes of this user listen on, in order
// of process. It removes those whose process has died without.
func Sockets() ([]Socket, error) {
	dir := Dir()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	var all []Socket
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), suffix)
		digits, topology, dash := strings.Cut(base, "-")
		pid, err := strconv.Atoi(digits)
		if !ok || !dash || err != nil {
			continue
		}
		s := Socket{Path: filepath.Join(dir, e.Name()), PID: pid, Topology: topology}
		if !dead(s.Path) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b Socket) int { return a.PID - b.PID })
	return all, nil
}

// dead says whether nobody listens on a socket, and removes it if it was not
// made just now.
func dead(path string) bool {
	conn, err := net.DialTimeout("unix", path, dialTimeout)
	if err == nil {
		conn.Close()
		return false
	}
	if !refused(err) {
		return true // not a socket, or not ours
	}
	if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > bindGrace {
		os.Remove(path)
	}
	return true
}
