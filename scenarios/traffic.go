package scenarios

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/scenarios/frame"
)

var _ = vocabulary(
	&command{
		usage: "driver A [queues=N] [ring=N] [mtu=N] [buffer=N] [offloads=LIST] [promisc] [strip] [double] [flow] [key=HEX]",
		what: "Starts the Go driver of A's model: it resets the adapter and sets up rings, filters and offloads. " +
			"LIST is of txcsum, rxcsum, tso, tso4, tso6, uso, rsc, rss, split, all; strip takes VLAN tags off, double leaves an outer one in the frame and takes or inserts the inner, flow obeys and sends pause frames.",
		run: runDriver,
	},
	&command{
		usage: "send A FRAME [q=N] [csum] [tso=BYTES] [vlan=TCI] [pieces=N] [times=N]",
		what: "Lets A's driver transmit a frame: with csum the adapter finishes its checksums, with tso it cuts it into " +
			"segments of so much payload, with vlan it inserts a tag. The buffer is in so many pieces.",
		run: runSend,
	},
	&command{
		usage: "recv A FRAME [q=N] [csum=STATE] [hash=HEX] [hashtype=N] [vlan=TCI] [merged=N] [mss=BYTES] [split=BYTES] [times=N] [now]",
		what: "Checks the next packet that A's driver finds in a queue, and what the adapter says about it: csum is good, " +
			"bad or none. Time may pass for it, unless it must be there now. \"nothing\" in its place: there is none.",
		run: runRecv,
	},
	&command{
		usage: "drain A",
		what:  "Throws away what A's driver has received.",
		run:   runDrain,
	},
)

var offloadNames = map[string]driver.Offloads{
	"txcsum": driver.TxChecksum, "rxcsum": driver.RxChecksum,
	"tso": driver.TSO4 | driver.TSO6 | driver.TxChecksum, "tso4": driver.TSO4 | driver.TxChecksum,
	"tso6": driver.TSO6 | driver.TxChecksum, "uso": driver.USO | driver.TxChecksum,
	"rsc": driver.RSC | driver.RxChecksum, "rss": driver.RSS, "split": driver.HeaderSplit,
	"all": driver.AllOffloads, "none": 0,
}

func parseOffloads(s string) (driver.Offloads, error) {
	var set driver.Offloads
	for word := range strings.SplitSeq(s, ",") {
		bits, ok := offloadNames[word]
		if !ok {
			return 0, fmt.Errorf("%q is not an offload", word)
		}
		set |= bits
	}
	return set, nil
}

func runDriver(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	if a.Driver != nil {
		return c.wrong("%s has a driver already", a.Name)
	}
	var cfg driver.Config
	for _, o := range []struct {
		name string
		at   *int
	}{{"queues", &cfg.Queues}, {"ring", &cfg.RingSize}, {"mtu", &cfg.MTU}, {"buffer", &cfg.Buffer}} {
		if *o.at, err = c.number(o.name, 0); err != nil {
			return err
		}
	}
	if cfg.Offloads, err = value(c, "offloads", 0, "a list of offloads", parseOffloads); err != nil {
		return err
	}
	if cfg.RSSKey, err = value(c, "key", nil, "bytes in hexadecimal", hex.DecodeString); err != nil {
		return err
	}
	cfg.Promisc, cfg.StripVLAN, cfg.FlowControl = c.has("promisc"), c.has("strip"), c.has("flow")
	cfg.DoubleVLAN = c.has("double")
	d, err := a.Model.NewDriver(a.fn, a.fn.Memory, cfg)
	if err != nil {
		return err
	}
	a.Driver, a.config = d, cfg
	_, err = c.until(d.LinkUp)
	return err
}

// driven finds the adapter that the first argument names and makes sure that it
// has a driver, and the queue.
func (c *call) driven() (a *Adapter, q int, err error) {
	if a, err = c.adapter(c.args[0]); err != nil {
		return nil, 0, err
	}
	if a.Driver == nil {
		return nil, 0, c.wrong("%s has no driver: \"driver %s\" was expected before", a.Name, a.Name)
	}
	if q, err = c.number("q", 0); err == nil && (q < 0 || q >= a.Driver.Queues()) {
		err = c.wrong("q=%d: the driver has queues 0 to %d", q, a.Driver.Queues()-1)
	}
	return a, q, err
}

func runSend(c *call) error {
	a, q, err := c.driven()
	if err != nil {
		return err
	}
	peer := ""
	if a.peer != nil {
		peer = macText(a.peer.mac)
	}
	data, err := c.frame(c.args[1], macText(a.mac), peer)
	if err != nil {
		return err
	}
	p, err := c.txPacket(data)
	if err != nil {
		return err
	}
	times, err := c.number("times", 1)
	if err != nil {
		return err
	}
	for range times {
		for range settleTurns {
			if a.Driver.Transmit(q, []driver.TxPacket{p}) == 1 {
				break
			}
			if c.live != nil || c.loop.Turn() == 0 {
				return fmt.Errorf("%s: transmit ring %d is full\n%s", a.Name, q, c.account(a))
			}
		}
	}
	return c.settle()
}

// txPacket is what a stack would say about a frame with the options of send.
func (c *call) txPacket(data []byte) (driver.TxPacket, error) {
	var p driver.TxPacket
	mss, err := c.number("tso", 0)
	if err != nil {
		return p, err
	}
	if mss > 0 || c.has("csum") {
		part, err := frame.Unfinish(data)
		if err != nil {
			return p, err
		}
		p.NeedsChecksum, p.ChecksumStart, p.ChecksumOffset = true, part.Start, part.FieldOffset
		if mss > 0 {
			p.GSOBytes, p.HeaderBytes = mss, part.HeaderBytes
			switch {
			case part.Kind == "udp":
				p.GSO = driver.UDP
			case part.Version == 4:
				p.GSO = driver.TCPv4
			default:
				p.GSO = driver.TCPv6
			}
		}
	}
	tci, err := c.number("vlan", 0)
	p.VLAN, p.VLANTCI = c.has("vlan"), uint16(tci)
	if err != nil {
		return p, err
	}
	pieces, err := c.number("pieces", 1)
	if err != nil || pieces < 1 || pieces > len(data) {
		return p, c.wrong("pieces: 1 to %d were expected", len(data))
	}
	for i := range pieces {
		p.Pieces = append(p.Pieces, data[len(data)*i/pieces:len(data)*(i+1)/pieces])
	}
	return p, nil
}

// received is a packet that was taken from a driver.
type received struct {
	driver.RxPacket
	data []byte
}

// harvest takes what queue q of a's driver holds into the inbox.
func (a *Adapter) harvest(q int) {
	var batch [64]driver.RxPacket
	for {
		n := a.Driver.Receive(q, batch[:])
		for _, p := range batch[:n] {
			a.inbox[q] = append(a.inbox[q], received{p, bytes.Join(p.Pieces, nil)})
		}
		if n == 0 {
			return
		}
	}
}

func runRecv(c *call) error {
	a, q, err := c.driven()
	if err != nil {
		return err
	}
	if c.args[1] == nothing {
		if err := c.settle(); err != nil {
			return err
		}
		a.harvest(q)
		if len(a.inbox[q]) > 0 {
			return fmt.Errorf("%s received a packet in queue %d: %s", a.Name, q, frame.Format(frame.Read(a.inbox[q][0].data)))
		}
		return nil
	}
	times, err := c.number("times", 1)
	if err != nil {
		return err
	}
	pattern, err := c.layers(c.args[1])
	if err != nil {
		return err
	}
	for i := range times {
		ok, err := c.await(func() bool { a.harvest(q); return len(a.inbox[q]) > 0 })
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s received %d of the expected packets in queue %d%s\n%s", a.Name, i, q, a.elsewhere(q), c.account(a))
		}
		p := a.inbox[q][0]
		a.inbox[q] = a.inbox[q][1:]
		if err := frame.Match(pattern, p.data); err != nil {
			return fmt.Errorf("packet %d that %s received: %w", i+1, a.Name, err)
		}
		if err := c.said(p); err != nil {
			return fmt.Errorf("packet %d that %s received: %w", i+1, a.Name, err)
		}
	}
	return nil
}

// elsewhere says which other queues hold packets.
func (a *Adapter) elsewhere(q int) string {
	var text strings.Builder
	for other := range a.Driver.Queues() {
		if a.harvest(other); other != q && len(a.inbox[other]) > 0 {
			text.WriteString(fmt.Sprintf("; queue %d has %d", other, len(a.inbox[other])))
		}
	}
	return text.String()
}

var checksumNames = map[driver.Checksum]string{
	driver.ChecksumNone: "none", driver.ChecksumUnnecessary: "good", driver.ChecksumBad: "bad",
}

// said checks what the adapter said about a packet.
func (c *call) said(p received) error {
	if want, ok := c.opts["csum"]; ok && checksumNames[p.Checksum] != want {
		return fmt.Errorf("the adapter says csum=%s, want %s", checksumNames[p.Checksum], want)
	}
	for _, o := range []struct {
		name string
		got  uint64
		set  bool
	}{
		{"hash", uint64(p.Hash), true},
		{"hashtype", uint64(p.HashType), true},
		{"vlan", uint64(p.VLANTCI), p.VLAN},
		{"merged", uint64(p.Merged), true},
		{"mss", uint64(p.GSOBytes), true},
		{"split", uint64(p.HeaderBytes), true},
	} {
		text, ok := c.opts[o.name]
		if !ok {
			continue
		}
		if text == "none" && !o.set {
			continue
		}
		want, err := parseUint(text)
		if err != nil {
			return c.wrong("%s=%s: a number was expected", o.name, text)
		}
		if want != o.got || !o.set {
			return fmt.Errorf("the adapter says %s=%#x (%[2]d), want %#x (%[3]d)", o.name, o.got, want)
		}
	}
	return nil
}

func runDrain(c *call) error {
	a, _, err := c.driven()
	if err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	for q := range a.Driver.Queues() {
		a.harvest(q)
	}
	clear(a.inbox)
	return nil
}
