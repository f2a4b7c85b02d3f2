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
	if err = errors.Join(err, s.end()); err != nil {
		return err
	}
	return s.running()
}

// place is where a socket's packets come from.
type place struct {
	*net.Interface
	queue uint32
}

// parsePlace reads an interface's name, or that and a queue, as eth0:1.
func parsePlace(text string) (p place, err error) {
	name, queue, ok := strings.Cut(text, ":")
	if ok {
		q, err := strconv.ParseUint(queue, 10, 32)
		if err != nil || q >= maxQueues {
			return p, fmt.Errorf("%s: a queue below %d was expected", text, maxQueues)
		}
		p.queue = uint32(q)
	}
	if p.Interface, err = net.InterfaceByName(name); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// begin attaches a program to each interface, which ixgbe resets for it, and gives
// it a socket once it runs.
func (s *session) begin(what action, names []string) error {
	var places []place
	for _, name := range names {
		p, err := parsePlace(name)
		if err != nil {
			return err
		}
		places = append(places, p)
	}
	if err := s.attach(what, places); err != nil {
		return err
	}
	if what == copied || what == zeroCopy {
		if err := s.open(what, places); err != nil {
			return err
		}
	}
	return s.running()
}

func (s *session) attach(what action, places []place) (err error) {
	if s.counters, err = newCounters(); err != nil {
		return err
	}
	for n, p := range places {
		a, err := attach(p.Interface, what, s.counters)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		s.at = append(s.at, a)
		if what == redirect {
			if err := a.target.Put(uint32(0), uint32(places[1-n].Index)); err != nil {
				return err
			}
		}
	}
	return s.running()
}

func (s *session) open(what action, places []place) (err error) {
	if s.memory, err = newUMEM(); err != nil {
		return err
	}
	for n, p := range places {
		sock, err := s.memory.bind(p, what == zeroCopy)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		s.sockets = append(s.sockets, sock)
		if err := s.at[n].target.Put(p.queue, uint32(sock.fd)); err != nil {
			return err
		}
	}
	return nil
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

// end takes everything away.
func (s *session) end() (err error) {
	for _, k := range s.sockets {
		err = errors.Join(err, k.close())
	}
	for _, a := range s.at {
		err = errors.Join(err, a.close())
	}
	return err
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
