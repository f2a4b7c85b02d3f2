package scenarios

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"nicsim.dev/nicsim/dma"
)

// maxMemoryBytes bounds what a script may give an adapter.
const maxMemoryBytes = 64 << 20

// region is guest memory that a script made.
type region struct {
	at    dma.Addr
	bytes []byte
}

var _ = vocabulary(
	&command{
		usage: "memory A ADDRESS SIZE [readonly]",
		what:  "Gives A's bus guest memory, filled with zeros. SIZE is 4096, 4KiB or 1MiB.",
		run:   runMemory,
	},
	&command{
		usage: "unmap A ADDRESS",
		what:  "Takes guest memory away again, as an IOMMU does.",
		run:   runUnmap,
	},
	&command{
		usage: "mem A VERB ADDRESS BYTES",
		what:  "write or expect: guest memory as hexadecimal, or as a frame in layers.",
		run:   runMem,
	},
	&command{
		usage: "reg A VERB NAME ...",
		what: "read NAME, write NAME VALUE, or expect NAME VALUE, by the datasheet's name: CTRL, RDT[3], or NAME&MASK to expect " +
			"some bits. An address such as 0x5400 will do, or 4:0x2000 behind another base address register.",
		run: runReg,
	},
	&command{
		usage: "regs A FILE",
		what:  "Writes the registers that FILE lists, one NAME VALUE a line, where NAME may be RETA[0..31]; # begins a comment.",
		run:   runRegs,
	},
	&command{
		usage: "config A VERB OFFSET VALUE [width=BITS]",
		what:  "write or expect: PCI configuration space, 32 bits wide unless width says 8 or 16.",
		run:   runConfig,
	},
)

func parseAddr(s string) (dma.Addr, error) {
	v, err := strconv.ParseUint(s, 0, 64)
	return dma.Addr(v), err
}

func runMemory(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	at, err := parseAddr(c.args[1])
	if err != nil {
		return c.wrong("%q: an address was expected", c.args[1])
	}
	size, err := parseBytes(c.args[2])
	if err != nil || size <= 0 || size > maxMemoryBytes {
		return c.wrong("%q: 1 to %d bytes were expected", c.args[2], maxMemoryBytes)
	}
	access := dma.Read | dma.Write
	if c.has("readonly") {
		access = dma.Read
	}
	r := region{at, make([]byte, size)}
	a.memory = append(a.memory, r)
	return a.fn.Memory.Map(at, r.bytes, access)
}

func runUnmap(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	at, err := parseAddr(c.args[1])
	i := slices.IndexFunc(a.memory, func(r region) bool { return r.at == at })
	if err != nil || i < 0 {
		return c.wrong("%q: the address of a memory was expected", c.args[1])
	}
	n := len(a.memory[i].bytes)
	a.memory = slices.Delete(a.memory, i, i+1)
	return a.fn.Memory.Unmap(at, n)
}

// guest returns the n bytes at an address of memory that the script made.
func (a *Adapter) guest(at dma.Addr, n int) ([]byte, error) {
	for _, r := range a.memory {
		if at >= r.at && at-r.at <= dma.Addr(len(r.bytes)) && n <= len(r.bytes)-int(at-r.at) {
			return r.bytes[at-r.at:][:n], nil
		}
	}
	return nil, fmt.Errorf("%s has no memory of %d bytes at %#x: \"memory %s ADDRESS SIZE\" was expected before", a.Name, n, uint64(at), a.Name)
}

func runMem(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	at, err := parseAddr(c.args[2])
	if err != nil {
		return c.wrong("%q: an address was expected", c.args[2])
	}
	data, err := hex.DecodeString(c.args[3])
	if err != nil {
		if data, err = c.frame(c.args[3], macText(a.mac), ""); err != nil {
			return err
		}
	}
	guest, err := a.guest(at, len(data))
	if err != nil {
		return err
	}
	switch c.args[1] {
	case "write":
		copy(guest, data)
		return nil
	case "expect":
		if err := c.settle(); err != nil {
			return err
		}
		if string(guest) != string(data) {
			return fmt.Errorf("memory of %s at %#x is\n  %x, want\n  %x", a.Name, uint64(at), guest, data)
		}
		return nil
	}
	return c.wrong("%q: write or expect was expected", c.args[1])
}

// registerName is NAME, NAME[INDEX], either with &MASK.
var registerName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_]*)(?:\[(\d+)\])?$`)

// place is an offset behind a base address register.
type place struct {
	bar int
	off uint32
}

// register finds where the register that a script names is.
func (c *call) register(a *Adapter, name string) (at place, err error) {
	text := name
	if bar, off, ok := strings.Cut(name, ":"); ok {
		if at.bar, err = strconv.Atoi(bar); err != nil {
			return at, c.wrong("%q: an address such as 4:0x2000 was expected", name)
		}
		text = off
	}
	if off, err := strconv.ParseUint(text, 0, 32); err == nil {
		at.off = uint32(off)
		return at, nil
	}
	m := registerName.FindStringSubmatch(name)
	if m == nil {
		return at, c.wrong("%q: a register such as CTRL or RDT[3] was expected", name)
	}
	i, _ := strconv.Atoi(m[2])
	off, ok := a.Model.Register(m[1], i)
	if !ok {
		return at, c.wrong("the %s has no register %s", a.Model.Name, name)
	}
	return place{registerBAR, off}, nil
}

// registerBAR is the base address register that registers are behind.
const registerBAR = 0

func runReg(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	name, maskText, masked := strings.Cut(c.args[2], "&")
	at, err := c.register(a, name)
	if err != nil {
		return err
	}
	verb, wants := c.args[1], map[string]int{"read": 3, "write": 4, "expect": 4}
	if wants[verb] != len(c.args) {
		return c.wrong("read NAME, write NAME VALUE or expect NAME VALUE was expected")
	}
	var v uint64
	if len(c.args) == 4 {
		if v, err = strconv.ParseUint(c.args[3], 0, 32); err != nil {
			return c.wrong("%q: a number of 32 bits was expected", c.args[3])
		}
	}
	if verb == "write" {
		a.fn.Write32(at.bar, at.off, uint32(v))
		return nil
	}
	if err := c.settle(); err != nil {
		return err
	}
	got := a.fn.Read32(at.bar, at.off)
	if verb == "read" {
		fmt.Fprintf(c.ts.Stdout(), "%s = %#x\n", c.args[2], got)
		return nil
	}
	if masked {
		mask, err := strconv.ParseUint(maskText, 0, 32)
		if err != nil {
			return c.wrong("%q: a mask of 32 bits was expected", maskText)
		}
		got &= uint32(mask)
	}
	if got != uint32(v) {
		return fmt.Errorf("%s of %s is %#x, want %#x", c.args[2], a.Name, got, v)
	}
	return nil
}

// registerRange is NAME[FIRST..LAST].
var registerRange = regexp.MustCompile(`^(\w+)\[(\d{1,4})\.\.(\d{1,4})\]$`)

// instances spells out a range of registers.
func instances(name string) []string {
	m := registerRange.FindStringSubmatch(name)
	if m == nil {
		return []string{name}
	}
	first, _ := strconv.Atoi(m[2])
	last, _ := strconv.Atoi(m[3])
	var names []string
	for i := first; i <= last; i++ {
		names = append(names, fmt.Sprintf("%s[%d]", m[1], i))
	}
	return names
}

func runRegs(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(c.ts.ReadFile(c.args[1])) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 2 {
			return fmt.Errorf("%s:%d: NAME VALUE was expected", c.args[1], n)
		}
		v, err := strconv.ParseUint(words[1], 0, 32)
		if err != nil {
			return fmt.Errorf("%s:%d: %q: a number of 32 bits was expected", c.args[1], n, words[1])
		}
		for _, name := range instances(words[0]) {
			at, err := c.register(a, name)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", c.args[1], n, err)
			}
			a.fn.Write32(at.bar, at.off, uint32(v))
		}
	}
	return nil
}

func runConfig(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	off, err := strconv.ParseUint(c.args[2], 0, 12)
	if err != nil {
		return c.wrong("%q: an offset below 4096 was expected", c.args[2])
	}
	width, err := c.number("width", 32)
	if err != nil || width != 8 && width != 16 && width != 32 {
		return c.wrong("width: 8, 16 or 32 was expected")
	}
	v, err := strconv.ParseUint(c.args[3], 0, width)
	if err != nil {
		return c.wrong("%q: a number of %d bits was expected", c.args[3], width)
	}
	p := make([]byte, width/8)
	switch c.args[1] {
	case "write":
		for i := range p {
			p[i] = byte(v >> (8 * i))
		}
		a.fn.ConfigWrite(p, int(off))
		return nil
	case "expect":
		a.fn.ConfigRead(p, int(off))
		var got uint64
		for i := range p {
			got |= uint64(p[i]) << (8 * i)
		}
		if got != v {
			return fmt.Errorf("configuration space of %s at %#x is %#x, want %#x", a.Name, off, got, v)
		}
		return nil
	}
	return c.wrong("%q: write or expect was expected", c.args[1])
}
