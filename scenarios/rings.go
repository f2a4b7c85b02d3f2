package scenarios

import (
	"fmt"
	"strconv"
	"strings"

	"nicsim.dev/nicsim/dma"
)

var _ = vocabulary(
	&command{
		usage: "ring A SIDE QUEUE ADDRESS SIZE [format=NAME]",
		what: "Tells the script where in guest memory a tx or rx ring lies that it programs by its registers, and how many " +
			"descriptors it has. An rx ring may have format=legacy-rx.",
		run: runRing,
	},
	&command{
		usage: "post A SIDE QUEUE KIND ... [times=N]",
		what: "Writes the next descriptor of a ring: legacy-tx, context, data, legacy-rx, rx, with fields as the datasheet " +
			"names them (Addr=0x1000 DTALEN=60 Flags=EOP|RS), or raw and its bytes. No tail register is written.",
		run: runPost,
	},
	&command{
		usage: "done A SIDE QUEUE ... [at=N] [now]",
		what: "Checks the next descriptor that the adapter wrote back: FIELD=VALUE, or FIELD~FLAG for one flag of it and " +
			"FIELD!FLAG for its absence. \"nothing\": it has not been written back. With at, descriptor N whatever came before. " +
			"Time may pass for it, unless it must be there now.",
		run: runDone,
	},
)

type ringKey struct {
	side  string
	queue int
}

// rawRing is a descriptor ring that a script fills by hand.
type rawRing struct {
	at         dma.Addr
	size       int
	format     string
	post, done int
}

// maxRingDescriptors is twice what any datasheet allows, for scripts that go
// wrong on purpose.
const maxRingDescriptors = 1 << 16

func (c *call) ringKey() (a *Adapter, k ringKey, err error) {
	if a, err = c.adapter(c.args[0]); err != nil {
		return nil, k, err
	}
	k.side = c.args[1]
	if k.side != "tx" && k.side != "rx" {
		return nil, k, c.wrong("%q: tx or rx was expected", k.side)
	}
	if k.queue, err = strconv.Atoi(c.args[2]); err != nil {
		return nil, k, c.wrong("%q: the number of a queue was expected", c.args[2])
	}
	return a, k, nil
}

func runRing(c *call) error {
	a, k, err := c.ringKey()
	if err != nil {
		return err
	}
	at, err := parseAddr(c.args[3])
	if err != nil {
		return c.wrong("%q: an address was expected", c.args[3])
	}
	size, err := parseInt(c.args[4])
	if err != nil || size < 1 || size > maxRingDescriptors {
		return c.wrong("%q: 1 to %d descriptors were expected", c.args[4], maxRingDescriptors)
	}
	format, ok := c.opts["format"]
	if !ok {
		format = k.side
	}
	a.rings[k] = &rawRing{at: at, size: size, format: format}
	_, err = a.guest(at, size*a.Model.DescriptorBytes)
	return err
}

// ring finds the ring of the first arguments, and its descriptor i.
func (c *call) ring() (a *Adapter, r *rawRing, k ringKey, err error) {
	if a, k, err = c.ringKey(); err != nil {
		return nil, nil, k, err
	}
	if r = a.rings[k]; r == nil {
		err = c.wrong("the script knows no such ring: \"ring %s %s %d ADDRESS SIZE\" was expected before", a.Name, k.side, k.queue)
	}
	return a, r, k, err
}

func (r *rawRing) descriptor(a *Adapter, i int) ([]byte, error) {
	n := a.Model.DescriptorBytes
	return a.guest(r.at+dma.Addr(i%r.size*n), n)
}

func runPost(c *call) error {
	a, r, _, err := c.ring()
	if err != nil {
		return err
	}
	times, err := c.number("times", 1)
	if err != nil {
		return err
	}
	for range times {
		b, err := r.descriptor(a, r.post)
		if err != nil {
			return err
		}
		if err := a.Model.Spell(b, c.args[3:]); err != nil {
			return err
		}
		r.post++
	}
	return nil
}

func runDone(c *call) error {
	a, r, k, err := c.ring()
	if err != nil {
		return err
	}
	index, err := c.number("at", r.done)
	if err != nil || index < 0 {
		return c.wrong("at: the number of a descriptor was expected")
	}
	b, err := r.descriptor(a, index)
	if err != nil {
		return err
	}
	var said string
	written := func() bool {
		said, _ = a.Model.Describe(r.format+"-done", b)
		return hasFlag(said, "DD")
	}
	if len(c.args) == 4 && c.args[3] == nothing {
		if err := c.settle(); err != nil {
			return err
		}
		if written() {
			return fmt.Errorf("descriptor %d of %s %s queue %d was written back: %s", index, a.Name, k.side, k.queue, said)
		}
		return nil
	}
	ok, err := c.await(written)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("descriptor %d of %s %s queue %d was not written back\n%s", index, a.Name, k.side, k.queue, c.account(a))
	}
	if !c.has("at") {
		r.done++
	}
	for _, want := range c.args[3:] {
		if err := c.field(said, want); err != nil {
			return fmt.Errorf("descriptor %d of %s %s queue %d: %w\n  it is: %s", index, a.Name, k.side, k.queue, err, said)
		}
	}
	return nil
}

// hasFlag says whether flag stands among the flags of any field.
func hasFlag(said, flag string) bool {
	for word := range strings.FieldsSeq(said) {
		if _, v, ok := strings.Cut(word, "="); ok && contains(v, flag) {
			return true
		}
	}
	return false
}

func contains(value, flag string) bool {
	for f := range strings.SplitSeq(value, "|") {
		if f == flag {
			return true
		}
	}
	return false
}

// field checks one expectation against a described descriptor.
func (c *call) field(said, want string) error {
	i := strings.IndexAny(want, "=~!")
	if i < 0 {
		return c.wrong("%q: FIELD=VALUE, FIELD~FLAG or FIELD!FLAG was expected", want)
	}
	name, op, value := want[:i], want[i], want[i+1:]
	got, ok := "", false
	for word := range strings.FieldsSeq(said) {
		if n, v, is := strings.Cut(word, "="); is && n == name {
			got, ok = v, true
		}
	}
	if !ok {
		return c.wrong("%q: the descriptor has no such field", want)
	}
	switch op {
	case '~':
		ok = contains(got, value)
	case '!':
		ok = !contains(got, value)
	default:
		ok = got == value || sameNumber(got, value)
	}
	if !ok {
		return fmt.Errorf("%s is %s, want %s", name, got, want)
	}
	return nil
}

func sameNumber(a, b string) bool {
	x, errX := parseUint(a)
	y, errY := parseUint(b)
	return errX == nil && errY == nil && x == y
}
