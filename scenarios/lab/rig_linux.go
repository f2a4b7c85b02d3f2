package lab

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/tapbridge/capture"
	"nicsim.dev/tapbridge/control"
	"nicsim.dev/tapbridge/guest"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/pair"
	"nicsim.dev/tapbridge/tap"
	"nicsim.dev/tapbridge/umlpci"
	"nicsim.dev/tapbridge/vfiouser"
)

// Fitted is an adapter of a rig.
type Fitted struct {
	NIC
	Kind   nicsim.Model
	Device nicsim.Device
}

// Rig is a set of adapters with their cables on the host's clock. Between Start and
// Close its loop's goroutine owns all of it but the list.
type Rig struct {
	Loop     *live.Loop
	Adapters []Fitted

	pool    *nicsim.Pool
	host    *guest.Host
	cables  []cable
	probe   nicsim.Probe
	control *control.Server
	closers []func() error
	stop    func()
}

// cable joins the adapters a and b.
type cable struct {
	pair *pair.Pair
	a, b string
}

// RigConfig is what a rig has besides its adapters.
type RigConfig struct {
	NICs []NIC
	Seed uint64
	// ShowKeys lets probes see keys: see nicsim.Config.
	ShowKeys bool
	Log      *slog.Logger
	// Probe sees what adapters and cables do; it may be nil.
	Probe nicsim.Probe
}

// NewRig builds the adapters and joins them.
func NewRig(cfg RigConfig) (*Rig, error) {
	r := &Rig{Loop: live.New(), pool: &nicsim.Pool{}, probe: cfg.Probe}
	r.host = guest.NewHost(r.Loop.Wake, cfg.Log)
	if err := r.build(cfg); err != nil {
		r.closeAll()
		return nil, err
	}
	// Cables first: PAUSE frames that are due arrive before an adapter goes on.
	r.Loop.Sim.Add(r.host)
	r.Loop.AddSleeper(r.host)
	r.Loop.Guard = r.host.Guard
	return r, nil
}

func (r *Rig) build(cfg RigConfig) error {
	for i, n := range cfg.NICs {
		model, err := nicsim.Find(n.Model)
		if err != nil {
			return err
		}
		dev, err := model.New(nicsim.Config{
			Name: n.ID, MAC: n.MAC, Clock: r.Loop.Sim.Clock, Pool: r.pool, Seed: cfg.Seed + uint64(i),
			Variant: n.Variant, Queues: n.Queues, ShowKeys: cfg.ShowKeys,
		})
		if err != nil {
			return err
		}
		if cfg.Probe != nil {
			dev.SetProbe(cfg.Probe)
		}
		r.host.Add(dev)
		r.Adapters = append(r.Adapters, Fitted{n, model, dev})
	}
	for i := range r.Adapters {
		if err := r.wire(i, cfg); err != nil {
			return fmt.Errorf("%s: %w", r.Adapters[i].ID, err)
		}
	}
	return nil
}

// wire connects adapter i to its peer, unless the peer has done it.
func (r *Rig) wire(i int, cfg RigConfig) error {
	a := r.Adapters[i]
	port := a.Device.Port()
	switch a.Peer {
	case PeerPair:
		j := r.index(a.With)
		if j < i {
			return nil
		}
		var none pair.Impairment
		p, err := pair.New(r.Loop.Sim.Clock, r.pool, port, r.Adapters[j].Device.Port(), none, none, cfg.Seed)
		if err != nil {
			return err
		}
		if cfg.Probe != nil {
			p.SetProbe(cfg.Probe, a.ID, a.With)
		}
		r.cables = append(r.cables, cable{p, a.ID, a.With})
		r.Loop.Sim.Add(p)
	case PeerTAP:
		w, err := tap.NewWire(tap.DeviceConfig{Name: a.With, Queues: 1, MTU: tapMTU, MAC: peerMAC(a.MAC)}, port, r.pool, r.Loop.Wake)
		if err != nil {
			return err
		}
		r.closers = append(r.closers, w.Close)
		r.Loop.Sim.Add(w)
	case PeerCapture:
		file, err := capture.Create(a.With, capture.Section{App: "nicsim"})
		if err != nil {
			return err
		}
		t := capture.NewTap(file, capture.TapConfig{})
		t.Describe(a.ID, a.Kind.Title, 0)
		r.closers = append(r.closers, t.Close)
		port.Attach(recorder{r.pool, t, a.ID})
		port.SetCarrier(true)
	}
	return nil
}

// tapMTU lets an interface of the host take what an adapter's jumbo frames hold.
const tapMTU = 9000

// peerMAC is the address of an adapter's peer in the host: its own with another
// last byte.
func peerMAC(m [6]byte) [6]byte {
	m[5] ^= 0x80
	return m
}

// recorder is a wire into a capture.
type recorder struct {
	pool *nicsim.Pool
	tap  *capture.Tap
	id   string
}

// recorderRoom is how many frames a recorder takes at a time.
const recorderRoom = 256

// Room implements nicsim.Wire.
func (recorder) Room() int { return recorderRoom }

// Send implements nicsim.Wire.
func (r recorder) Send(frames []*nicsim.Frame) {
	for _, f := range frames {
		r.tap.Observe(&nicsim.Event{Kind: nicsim.PacketWire, At: f.At, Device: r.id, Side: nicsim.Tx, Data: f.Data, ID: f.ID, Flags: f.Flags})
	}
	r.pool.PutAll(frames)
}

func (r *Rig) index(id string) int {
	for i := range r.Adapters {
		if r.Adapters[i].ID == id {
			return i
		}
	}
	panic("lab: a cable to an adapter that is not there: " + id)
}

// Serve offers every adapter on a socket in dir, and returns where. It is called
// ahead of Start.
func (r *Rig) Serve(on On, dir string) ([]Slot, error) {
	var nics []NIC
	for _, a := range r.Adapters {
		nics = append(nics, a.NIC)
	}
	slots := slotsIn(dir, nics)
	for i, a := range r.Adapters {
		if err := Offer(r.host, on, slots[i], a.Device.Functions()[0]); err != nil {
			return nil, err
		}
	}
	return slots, nil
}

// Offer serves a function to guests of a kind.
func Offer(h *guest.Host, on On, s Slot, fn *pci.Function) error {
	var err error
	if on == UML {
		_, err = umlpci.Serve(h, umlpci.Config{Name: s.ID, Path: s.Socket, Function: fn})
	} else {
		_, err = vfiouser.Serve(h, vfiouser.Config{Name: s.ID, Path: s.Socket, Function: fn})
	}
	return err
}

// listen opens the socket by which others trace the adapters and capture.
func (r *Rig) listen() error {
	c := control.Config{
		Topology: "guest", Do: r.Loop.Do, App: "nicsim", Probe: r.probe,
		Wires: func(p nicsim.Probe) {
			for _, c := range r.cables {
				c.pair.SetProbe(p, c.a, c.b)
			}
		},
		EpochNS: time.Now().UnixNano() - int64(r.Loop.Sim.Clock.Now()),
	}
	for _, a := range r.Adapters {
		queues := max(a.Queues, 1)
		c.Adapters = append(c.Adapters, control.Adapter{
			Name: a.ID, Model: a.Model, Device: a.Device, Queues: func() (tx, rx int) { return queues, queues },
		})
	}
	var err error
	r.control, err = control.Listen(c)
	return err
}

// Start turns the rig's loop, and lets others look into it.
func (r *Rig) Start() error {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Loop.Run(ctx)
	}()
	r.stop = func() { cancel(); <-ended }
	return r.listen()
}

// Close stops the loop and ends every session.
func (r *Rig) Close() error {
	if r.control != nil {
		r.control.Close()
	}
	if r.stop != nil {
		r.stop()
	}
	r.host.Close()
	return r.closeAll()
}

func (r *Rig) closeAll() (err error) {
	for _, c := range r.closers {
		if e := c(); err == nil {
			err = e
		}
	}
	return err
}
