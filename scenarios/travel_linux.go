package scenarios

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/timetravel"
	"nicsim.dev/tapbridge/umlpci"
)

// travelEpoch is what the wall clock of a guest shows that travels in time.
var travelEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// travelPatience is how long the host may take over a guest's whole life.
const travelPatience = 3 * time.Minute

func runTravel(c *call) error {
	if c.live != nil {
		return c.wrong("a guest that travels in time needs the virtual clock")
	}
	i := slices.Index(c.args, "--")
	if i < 1 || i == len(c.args)-1 {
		return c.wrong("adapters, \"--\" and a command were expected")
	}
	programs, err := lab.Find(lab.Choice{On: lab.UML})
	if err != nil {
		return err
	}
	defer takePlaces(lab.UML, 1)()
	dir, err := os.MkdirTemp("", "nicsim-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := guestLog(levelOf(c.options))
	m := lab.Machine{On: lab.UML, Programs: programs, Dir: dir, Travel: filepath.Join(dir, "time.sock"), Seed: c.options.Seed, Verbose: c.options.Verbose}
	s, err := timetravel.New(timetravel.Config{Path: m.Travel, Guests: 1, Epoch: travelEpoch}, log)
	if err != nil {
		return err
	}
	host := guest.NewHost(s.Wake, log)
	defer host.Close()
	s.Sim, s.Guard = c.loop, host.Guard
	c.loop.Add(host)
	s.Attend(host)
	var nics []lab.NIC
	for _, name := range c.args[:i] {
		n, slot, err := c.present(dir, name)
		if err != nil {
			return err
		}
		a := c.byName[name]
		if _, err := umlpci.Serve(host, umlpci.Config{Name: n.ID, Path: slot.Socket, Function: a.fn, Ordered: true}); err != nil {
			return err
		}
		nics, m.Slots = append(nics, n), append(m.Slots, slot)
	}
	m.Setup.NICs, m.Setup.Env = lab.Present(nics)
	code, err := c.perform(s, &m, c.args[i+1:])
	return c.judge(code, err)
}

// perform runs the guest beside the simulation, which ends when the guest has.
func (c *call) perform(s *timetravel.Scheduler, m *lab.Machine, command []string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), travelPatience)
	defer cancel()
	running, stop := context.WithCancel(context.Background())
	var code int
	var err error
	go func() {
		defer stop()
		code, err = m.Perform(ctx, agent.Command{Args: command, Dir: c.ts.MkAbs(".")}, lab.IO{Stdout: c.ts.Stdout(), Stderr: c.ts.Stderr()})
	}()
	s.Run(running)
	return code, err
}
