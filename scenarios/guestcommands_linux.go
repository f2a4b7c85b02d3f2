package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/tapbridge/guest"
)

// guestPatience bounds a command in a guest.
const guestPatience = 5 * time.Minute

// guests are the kernels that a script has booted.
type guests struct {
	host     *guest.Host
	dir      string
	byName   map[string]*lab.Guest
	programs map[string]*program // that run beside the script
}

// guestsOf returns the guests of a script, with what serves them.
func (w *world) guestsOf() (*guests, error) {
	if w.guests != nil {
		return w.guests, nil
	}
	dir, err := os.MkdirTemp("", "nicsim-")
	if err != nil {
		return nil, err
	}
	g := &guests{
		host: guest.NewHost(w.live.Wake, guestLog(levelOf(w.options))), dir: dir,
		byName: map[string]*lab.Guest{}, programs: map[string]*program{},
	}
	w.guests = g
	w.closers = append(w.closers, func() {
		g.host.Close()
		os.RemoveAll(dir)
	})
	return g, w.owned(func() error {
		w.loop.Add(g.host)
		w.live.AddSleeper(g.host)
		w.live.Guard = g.host.Guard
		return nil
	})
}

// findGuest finds the guest that the first argument names.
func (c *call) findGuest() (*lab.Guest, error) {
	if c.guests != nil {
		if g := c.guests.byName[c.args[0]]; g != nil {
			return g, nil
		}
	}
	return nil, c.wrong("%q: a guest that was booted was expected", c.args[0])
}

func runBoot(c *call) error {
	if c.live == nil {
		return c.wrong("a kernel keeps its own time: \"clock live\" was expected first")
	}
	on := lab.On(c.opts["on"])
	if on == "" {
		on = lab.On(c.options.kind())
	}
	cpus, err := c.number("smp", 1)
	if err != nil {
		return err
	}
	memory, err := c.number("mem", 0)
	if err != nil {
		return err
	}
	programs, err := lab.Find(lab.Choice{On: on, CPUs: cpus, Older: c.has("older")})
	if err != nil {
		return err
	}
	gs, err := c.guestsOf()
	if err != nil {
		return err
	}
	name := c.args[0]
	if gs.byName[name] != nil {
		return c.wrong("%q: a new name was expected", name)
	}
	if len(gs.byName) == 0 {
		c.closers = append(c.closers, takePlaces(on, cpus))
	}
	m := lab.Machine{
		On: on, Programs: programs, CPUs: cpus, MemoryMiB: memory, RootPorts: c.has("rootports"), Reboots: c.has("reboots"),
		Append: strings.Fields(c.opts["append"]), Dir: filepath.Join(gs.dir, name),
	}
	if err := os.Mkdir(m.Dir, 0o700); err != nil {
		return err
	}
	var nics []lab.NIC
	for _, arg := range c.args[1:] {
		var n lab.NIC
		var s lab.Slot
		err := c.owned(func() (err error) {
			n, s, err = c.offer(gs.host, on, m.Dir, arg)
			return err
		})
		if err != nil {
			return err
		}
		nics, m.Slots = append(nics, n), append(m.Slots, s)
	}
	if !c.has("bare") {
		m.Setup.NICs, m.Setup.Env = lab.Present(nics)
	}
	m.Setup.Driver = c.opts["driver"]
	g, err := m.Start(context.Background())
	if err != nil {
		return err
	}
	gs.byName[name] = g
	c.atEnd(g.Kill)
	if len(g.Ready.Problems) > 0 {
		return fmt.Errorf("%s is not complete: %s\n%s", name, strings.Join(g.Ready.Problems, "; "), g.Console())
	}
	return nil
}

// present says how a guest is to see an adapter of the script's, and on which socket
// it is.
func (c *call) present(dir, name string) (lab.NIC, lab.Slot, error) {
	a, err := c.adapter(name)
	if err != nil {
		return lab.NIC{}, lab.Slot{}, err
	}
	if a.Driver != nil || a.served {
		return lab.NIC{}, lab.Slot{}, c.wrong("%s has a driver already", name)
	}
	a.served = true
	n := lab.NIC{ID: a.Name, MAC: a.mac, Peer: lab.PeerNone}
	switch {
	case a.peer != nil:
		n.Peer, n.With = lab.PeerPair, a.peer.Name
	case a.tape != nil:
		n.Peer = lab.PeerCapture
	}
	return n, lab.Slot{ID: a.Name, Socket: filepath.Join(dir, a.Name+".sock")}, nil
}

// offer serves an adapter of the script's on a socket.
func (c *call) offer(h *guest.Host, on lab.On, dir, name string) (lab.NIC, lab.Slot, error) {
	n, s, err := c.present(dir, name)
	if err != nil {
		return n, s, err
	}
	return n, s, lab.Offer(h, on, s, c.byName[name].fn)
}

func runGuest(c *call) error {
	g, err := c.findGuest()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), guestPatience)
	defer cancel()
	what := agent.Command{Args: c.args[1:], Dir: c.ts.MkAbs(".")}
	code, err := g.Run(ctx, what, lab.IO{Stdout: c.ts.Stdout(), Stderr: c.ts.Stderr()})
	return c.judge(code, err)
}

// judge holds what became of a guest's command against what the script expects.
func (c *call) judge(code int, err error) error {
	switch {
	case err != nil:
		return err
	case code != 0 && !c.neg:
		return fmt.Errorf("exit code %d", code)
	case code == 0 && c.neg:
		return errors.New("it did not fail")
	}
	return nil
}

func runHalt(c *call) error {
	g, err := c.findGuest()
	if err != nil {
		return err
	}
	return g.Close()
}

func runReboot(c *call) error {
	g, err := c.findGuest()
	if err != nil {
		return err
	}
	return g.Reboot(context.Background())
}

func runConsole(c *call) error {
	g, err := c.findGuest()
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile("(?m)" + c.args[1])
	if err != nil {
		return c.wrong("%q: %v", c.args[1], err)
	}
	switch found := pattern.FindString(g.Console()); {
	case found == "" && !c.neg:
		return fmt.Errorf("no line matches %q:\n%s", c.args[1], g.Console())
	case found != "" && c.neg:
		return fmt.Errorf("a line matches: %s", found)
	}
	return nil
}
