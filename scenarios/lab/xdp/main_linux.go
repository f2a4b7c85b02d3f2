package xdp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"nicsim.dev/scenarios/frame"
)

const (
	// prompt says that the next command may come.
	prompt = "xdp> "
	// life is how long the program may run, whatever a script forgets.
	life = 2 * time.Minute
	// maxTimes bounds the packets of one command.
	maxTimes = 100_000
)

// Main is the program. It returns its exit code.
func Main(args []string) int {
	time.AfterFunc(life, func() {
		fmt.Fprintln(os.Stderr, "guest-xdp: nobody ended it for", life)
		os.Exit(1)
	})
	if err := run(args, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "guest-xdp:", err)
		return 1
	}
	return 0
}

// session is a set of programs on interfaces, with sockets if these are to have the
// packets.
type session struct {
	counters *ebpf.Map
	at       []*attachment
	memory   *umem
	sockets  []*socket
	out      io.Writer
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) < 2 || !slices.Contains(actions, action(args[0])) || args[0] == string(redirect) && len(args) != 3 {
		return errors.New(usage)
	}
	s := &session{out: out}
	err := s.begin(action(args[0]), args[1:])
	if err == nil {
		err = s.obey(in)
	}
	return errors.Join(err, s.end())
}

// begin attaches a program to each interface, which ixgbe resets for it, and gives
// it a socket once it runs.
func (s *session) begin(what action, names []string) (err error) {
	var ifs []*net.Interface
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		ifs = append(ifs, i)
	}
	if s.counters, err = newCounters(); err != nil {
		return err
	}
	for n, i := range ifs {
		a, err := attach(i, what, s.counters)
		if err != nil {
			return fmt.Errorf("%s: %w", i.Name, err)
		}
		s.at = append(s.at, a)
		if what == redirect {
			if err := a.target.Put(uint32(0), uint32(ifs[1-n].Index)); err != nil {
				return err
			}
		}
	}
	if err := s.running(); err != nil {
		return err
	}
	for n, i := range ifs {
		if what != copied && what != zeroCopy {
			break
		}
		if n == 0 {
			s.memory, err = newUMEM()
		}
		if err != nil {
			return err
		}
		sock, err := s.memory.bind(i, what == zeroCopy)
		if err != nil {
			return fmt.Errorf("%s: %w", i.Name, err)
		}
		s.sockets = append(s.sockets, sock)
		if err := s.at[n].target.Put(uint32(queue), uint32(sock.fd)); err != nil {
			return err
		}
	}
	return s.running()
}

// running waits until all interfaces have their link again.
func (s *session) running() error {
	for _, a := range s.at {
		if err := carrier(a.name); err != nil {
			return err
		}
	}
	return nil
}

// end takes everything away and leaves the interfaces running.
func (s *session) end() (err error) {
	for _, k := range s.sockets {
		err = errors.Join(err, k.close())
	}
	for _, a := range s.at {
		err = errors.Join(err, a.close())
	}
	return errors.Join(err, s.running())
}

// obey does what the lines say, until one says end or there is none.
func (s *session) obey(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for {
		fmt.Fprint(s.out, prompt)
		if !lines.Scan() {
			return lines.Err()
		}
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if words[0] == "end" {
			return nil
		}
		if err := s.do(words[0], words[1:]); err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
	}
}

func (s *session) do(verb string, args []string) error {
	if verb == "count" && len(args) == 0 {
		packets, bytes, err := read(s.counters)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%d packets, %d bytes\n", packets, bytes)
		return nil
	}
	if len(s.sockets) == 0 {
		return errors.New("there is no socket\n" + usage)
	}
	switch {
	case verb == "receive" && len(args) > 0, verb == "send" && len(args) > 0:
		layers, err := frame.Parse(args[0], nil)
		if err != nil {
			return err
		}
		n, err := times(args[1:])
		if err != nil {
			return err
		}
		if verb == "receive" {
			return s.receive(layers, n)
		}
		data, err := frame.Build(layers)
		if err != nil {
			return err
		}
		return s.send(data, n)
	case verb == "echo" && len(args) == 1:
		n, err := times(args)
		if err != nil {
			return err
		}
		return s.pump(s.sockets[0], s.sockets[0], n, swap)
	case verb == "forward" && len(args) == 1 && len(s.sockets) == 2:
		n, err := times(args)
		if err != nil {
			return err
		}
		return s.pump(s.sockets[0], s.sockets[1], n, nil)
	}
	return errors.New(usage)
}

// times is how often something is done: once if nothing is said.
func times(args []string) (int, error) {
	if len(args) == 0 {
		return 1, nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > maxTimes || len(args) > 1 {
		return 0, fmt.Errorf("%q: a number up to %d was expected", strings.Join(args, " "), maxTimes)
	}
	return n, nil
}
