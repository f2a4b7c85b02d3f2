// Package extcap is nicsim as a capture source of Wireshark: it lists the
// adapters that run on this machine, their wires and their queues, and captures
// on one of them, by way of their control sockets.
//
// Wireshark runs every program of its extcap folder with the arguments of its
// developer's guide, chapter 8.2 "Extcap: Developer Guide", and reads sentences
// such as
//
//	interface {value=nicsim-812-pair-A_wire}{display=nicsim: A wire (pair, process 812)}
package extcap

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"nicsim.dev/tapbridge/capture"
	"nicsim.dev/tapbridge/control"
)

// Exit codes of Run.
const (
	ok     = 0
	failed = 1
	usage  = 2
)

// Wanted says whether arguments are those of Wireshark, which knows nothing of
// commands.
func Wanted(args []string) bool {
	for _, a := range args {
		if strings.HasPrefix(a, "--extcap-") {
			return true
		}
	}
	return false
}

// arguments are those that Wireshark may give.
type arguments struct {
	interfaces, dlts, config, capture, cleanup bool

	version    versionFlag
	iface      string
	fifo       string
	filter     string
	filterSet  bool
	direction  string
	dropsOnly  bool
	appVersion string
}

// versionFlag is an option that may stand alone, to ask for our version, or
// tell that of Wireshark.
type versionFlag bool

func (v *versionFlag) String() string   { return strconv.FormatBool(bool(*v)) }
func (v *versionFlag) Set(string) error { *v = true; return nil }
func (v *versionFlag) IsBoolFlag() bool { return true }

func parse(args []string, stderr io.Writer) (*arguments, error) {
	a := &arguments{}
	f := flag.NewFlagSet("nicsim extcap", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&a.interfaces, "extcap-interfaces", false, "list what can be captured")
	f.BoolVar(&a.dlts, "extcap-dlts", false, "list the link types of an interface")
	f.BoolVar(&a.config, "extcap-config", false, "list the options of an interface")
	f.BoolVar(&a.capture, "capture", false, "capture")
	f.BoolVar(&a.cleanup, "extcap-cleanup-postkill", false, "nothing is left to clean up")
	f.Var(&a.version, "extcap-version", "print the version")
	f.StringVar(&a.iface, "extcap-interface", "", "the interface to capture on")
	f.StringVar(&a.fifo, "fifo", "", "where to write the capture")
	f.Func("extcap-capture-filter", "which frames to capture", func(s string) error {
		a.filter, a.filterSet = s, true
		return nil
	})
	f.StringVar(&a.direction, "direction", "both", "both, in or out")
	f.BoolVar(&a.dropsOnly, "drops-only", false, "capture only what is dropped")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("expected options only, found %q", f.Arg(0))
	}
	if a.direction == "both" {
		a.direction = ""
	}
	return a, nil
}

// Run does what Wireshark asks for with args, until it is done or ctx ends, and
// returns the exit code. The version is that of nicsim.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer) int {
	a, err := parse(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "nicsim extcap:", err)
		return usage
	}
	a.appVersion = version
	switch {
	case a.interfaces:
		err = a.listInterfaces(stdout, stderr)
	case a.dlts:
		fmt.Fprintf(stdout, "dlt {number=%d}{name=EN10MB}{display=Ethernet}\n", capture.LinkEthernet)
	case a.config:
		fmt.Fprint(stdout, options)
	case a.capture:
		if a.iface == "" || a.fifo == "" {
			fmt.Fprintln(stderr, "nicsim extcap: --capture needs --extcap-interface and --fifo")
			return usage
		}
		err = a.run(ctx)
	case a.cleanup:
	case a.filterSet:
		// Silence means that the filter makes sense.
		if _, err := capture.ParseFrameFilter(a.filter); err != nil {
			fmt.Fprintln(stdout, err)
		}
	case bool(a.version):
		fmt.Fprint(stdout, a.banner())
	default:
		fmt.Fprintln(stderr, "nicsim extcap: this is run by Wireshark; link nicsim into its extcap folder, which tshark -G folders prints")
		return usage
	}
	if err != nil {
		fmt.Fprintln(stderr, "nicsim extcap:", err)
		return failed
	}
	return ok
}

// options are what Wireshark asks a person before a capture.
const options = `arg {number=0}{call=--direction}{display=Direction}{type=selector}{tooltip=As the adapter sees it}
value {arg=0}{value=both}{display=Both}{default=true}
value {arg=0}{value=in}{display=Received}{default=false}
value {arg=0}{value=out}{display=Transmitted}{default=false}
arg {number=1}{call=--drops-only}{display=Dropped frames only}{type=boolflag}{default=false}{tooltip=A comment says why each was dropped}
`

func (a *arguments) banner() string {
	return fmt.Sprintf("extcap {version=%s}{display=nicsim}\n", a.appVersion)
}

// source is something that can be captured.
type source struct {
	socket control.Socket
	at     capture.Endpoint
}

// value returns the name by which Wireshark calls for the source.
func (s source) value() string {
	return fmt.Sprintf("nicsim-%d-%s-%s", s.socket.PID, s.socket.Topology, strings.Map(func(r rune) rune {
		if r == ' ' || r == '{' || r == '}' {
			return '_'
		}
		return r
	}, s.at.String()))
}

func (s source) display() string {
	name := s.at.String()
	if s.at.Place == capture.Everywhere {
		name += ", all of it"
	}
	return strings.NewReplacer("{", "(", "}", ")").Replace(
		fmt.Sprintf("nicsim: %s (%s, process %d)", name, s.socket.Topology, s.socket.PID))
}

// sources asks all running processes. Those that do not answer are left out and
// told to stderr.
func sources(stderr io.Writer) ([]source, error) {
	sockets, err := control.Sockets()
	if err != nil {
		return nil, err
	}
	var all []source
	for _, socket := range sockets {
		l, err := list(socket)
		if err != nil {
			fmt.Fprintf(stderr, "nicsim extcap: process %d: %v\n", socket.PID, err)
			continue
		}
		for i := range l.Adapters {
			for _, at := range l.Adapters[i].Interfaces() {
				all = append(all, source{socket, at})
			}
		}
	}
	return all, nil
}

func list(s control.Socket) (control.Listing, error) {
	c, err := control.Dial(s.Path)
	if err != nil {
		return control.Listing{}, err
	}
	defer c.Close()
	return c.List()
}

func (a *arguments) listInterfaces(stdout, stderr io.Writer) error {
	all, err := sources(stderr)
	if err != nil {
		return err
	}
	fmt.Fprint(stdout, a.banner())
	for _, s := range all {
		fmt.Fprintf(stdout, "interface {value=%s}{display=%s}\n", s.value(), s.display())
	}
	return nil
}

// run copies packets from a process to Wireshark's pipe until one of them ends.
func (a *arguments) run(ctx context.Context) error {
	all, err := sources(io.Discard)
	if err != nil {
		return err
	}
	var from *source
	for i := range all {
		if all[i].value() == a.iface {
			from = &all[i]
			break
		}
	}
	if from == nil {
		return fmt.Errorf("there is no interface %s; has its process ended?", a.iface)
	}
	c, err := control.Dial(from.socket.Path)
	if err != nil {
		return err
	}
	defer c.Close()
	in, err := c.Capture(control.CaptureRequest{
		Interface: from.at.String(),
		Direction: a.direction,
		DropsOnly: a.dropsOnly,
		Frames:    a.filter,
	})
	if err != nil {
		return err
	}
	out, err := openPipe(ctx, a.fifo)
	if err != nil && ctx.Err() != nil {
		return nil // stopped before anybody read the capture
	}
	if err != nil {
		return err
	}
	defer out.Close()
	stop := context.AfterFunc(ctx, func() {
		c.Close()
		out.Close()
	})
	defer stop()
	_, err = io.Copy(out, in)
	if ctx.Err() != nil || hungUp(err) {
		return nil // the capture was stopped
	}
	return err
}

// openPipe opens a named pipe for writing, which waits for its reader.
func openPipe(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
