package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/scenarios/frame"
	"nicsim.dev/scenarios/lab/kit"
	"nicsim.dev/scenarios/metrics"
	"nicsim.dev/tapbridge/capture"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/netstack"
	"nicsim.dev/tapbridge/pair"
)

// Bounds of one scenario.
const (
	maxAdapters = 16
	// settleTurns bounds the work between two commands: a simulation that still
	// has some after that many turns is not going to come to rest.
	settleTurns = 1 << 20
	// patience is how much virtual time a command lets pass for what it expects.
	patience = sim.Second
)

type worldKey struct{}

// world is what one script builds and steps.
type world struct {
	script  Script
	options Options
	clock   *sim.Clock
	loop    *sim.Loop
	pool    *nicsim.Pool
	live    *live.Loop // nil on a virtual clock
	order   []*Adapter
	byName  map[string]*Adapter
	taps    []*capture.Tap // captures of all adapters and cables
	taped   *capture.Tap   // that of them which the script asked for
	guests  *guests        // nil until the script boots one
	ends    []func()       // before the simulation stops, last first
	closers []func()       // after it has stopped
	skip    func(...any)   // ends the script without a verdict
	fail    func(...any)   // ends the script as failed
}

// Adapter is an adapter in a scenario.
type Adapter struct {
	Name   string
	Model  nicsim.Model
	Device nicsim.Device
	Driver driver.Driver // nil until the script starts one

	config driver.Config
	stack  *netstack.Stack
	kernel *kernel // the host's, if A's driver is its
	served bool    // a guest's kernel has the driver
	fn     *pci.Function
	mac    [6]byte
	irq    *interrupts
	cable  *pair.Pair
	side   pair.Direction // of cable: what this adapter sends
	peer   *Adapter
	tape   *tape
	memory []region
	rings  map[ringKey]*rawRing
	inbox  map[int][]received
}

// setUp prepares the run of a script.
func setUp(env *testscript.Env, script Script, o Options) error {
	w := &world{script: script, options: o, byName: map[string]*Adapter{}, pool: &nicsim.Pool{}, skip: env.T().Skip, fail: env.T().Fatal}
	w.useClock(sim.NewVirtual())
	env.Values[worldKey{}] = w
	env.Defer(w.close)
	if dir, err := kit.DefaultDir(); err == nil {
		env.Setenv("LAB", dir)
	}
	if o.Capture == "" {
		return nil
	}
	name := strings.ReplaceAll(script.Name, "/", "-") + ".pcapng"
	if err := os.MkdirAll(o.Capture, 0o755); err != nil {
		return err
	}
	file, err := capture.Create(filepath.Join(o.Capture, name), capture.Section{
		App: "nicsim", Comments: []string{script.Why(), replay(script, o)},
	})
	if err != nil {
		return err
	}
	w.taps = append(w.taps, capture.NewTap(file, capture.TapConfig{}))
	return nil
}

func (w *world) useClock(c *sim.Clock) {
	w.clock, w.loop = c, sim.NewLoop(c)
}

// atEnd runs f when the script has ended, last first.
func (w *world) atEnd(f func()) { w.ends = append(w.ends, f) }

func (w *world) close() {
	for _, f := range slices.Backward(w.ends) {
		f()
	}
	for _, f := range w.closers {
		f()
	}
	for _, a := range w.order {
		if w.options.Metrics != nil {
			w.options.Metrics.Keep(metrics.Read(w.script.Name, a.Name, a.Device))
		}
		if a.Driver != nil {
			a.Driver.Close()
		}
	}
	for _, t := range w.taps {
		if err := t.Close(); err != nil {
			w.fail(err)
		}
	}
}

// owned runs f where the simulation may be touched.
func (w *world) owned(f func() error) error {
	if w.live == nil {
		return f()
	}
	var err error
	if stopped := w.live.Do(func() { err = f() }); stopped != nil {
		return stopped
	}
	return err
}

// startLive hands the simulation to the host's clock.
func (w *world) startLive() {
	w.live = live.New()
	w.loop = w.live.Sim
	w.clock = w.loop.Clock
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.live.Run(ctx)
	}()
	w.atEnd(func() { cancel(); <-ended })
}

var errUnknownAdapter = errors.New("no such adapter")

// adapter finds the adapter that a script calls name.
func (w *world) adapter(name string) (*Adapter, error) {
	if a := w.byName[name]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: %q; there are: %s", errUnknownAdapter, name, strings.Join(w.adapterNames(), ", "))
}

func (w *world) adapterNames() []string {
	var names []string
	for _, a := range w.order {
		names = append(names, a.Name)
	}
	return names
}

// names lets frames call MAC addresses by the adapters that have them.
func (w *world) names() frame.Names {
	n := frame.Names{}
	for _, a := range w.order {
		n[a.Name] = macText(a.mac)
	}
	return n
}

func macText(m [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// settle lets everything happen that needs no time. On a live clock it does
// nothing: the loop turns by itself.
func (w *world) settle() error {
	if w.live != nil {
		return nil
	}
	return w.loop.Settle(settleTurns)
}

// until lets the simulation go on, from event to event, until done, but no
// longer than patience. It returns whether done became true.
func (w *world) until(done func() bool) (bool, error) {
	deadline := w.clock.Now() + patience
	for {
		if err := w.settle(); err != nil {
			return false, err
		}
		if done() {
			return true, nil
		}
		next, ok := w.clock.Next()
		if w.live != nil || !ok || next > deadline {
			return false, nil
		}
		w.clock.AdvanceTo(next)
	}
}
