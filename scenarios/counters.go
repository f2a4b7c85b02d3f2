package scenarios

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"

	"nicsim.dev/nicsim"
)

var _ = vocabulary(
	&command{
		usage: "counter A NAME VALUE [q=N] [side=S]",
		what:  "Checks a counter, which has the kernel's name or is drop- and a reason: of the whole adapter, or of a queue. VALUE may be >N.",
		run:   runCounter, waits: true,
	},
	&command{
		usage: "counters A",
		what:  "Prints every counter of A that is not zero.",
		run:   runCounters,
	},
)

// totals returns an adapter's counters: those of the whole adapter, or the sum
// over its queues where it counts by queue only. keep picks.
func totals(a *Adapter, keep func(nicsim.Counter) bool) map[string]uint64 {
	sums, whole := map[string]uint64{}, map[string]bool{}
	a.Device.Counters(func(c nicsim.Counter) {
		switch {
		case !keep(c):
		case c.Queue < 0:
			sums[c.Name], whole[c.Name] = c.Value, true
		case !whole[c.Name]:
			sums[c.Name] += c.Value
		}
	})
	return sums
}

func all(nicsim.Counter) bool { return true }

// account prints what counters are not zero.
func (w *world) account(a *Adapter) string {
	sums := totals(a, all)
	var names []string
	for n, v := range sums {
		if v != 0 {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	fmt.Fprintf(&b, "counters of %s:", a.Name)
	for _, n := range names {
		fmt.Fprintf(&b, " %s=%d", n, sums[n])
	}
	return b.String()
}

// list prints what account does, a counter a line.
func (w *world) list(out io.Writer, a *Adapter) {
	head, counters, _ := strings.Cut(w.account(a), ": ")
	fmt.Fprintf(out, "%s:\n  %s\n", strings.TrimSuffix(head, ":"), strings.ReplaceAll(counters, " ", "\n  "))
}

func runCounters(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	c.list(c.ts.Stdout(), a)
	return nil
}

func runCounter(c *call) error {
	a, err := c.adapter(c.args[0])
	if err != nil {
		return err
	}
	queue, err := c.number("q", -1)
	if err != nil {
		return err
	}
	side := c.opts["side"]
	if side != "" && side != "tx" && side != "rx" {
		return c.wrong("side=%s: tx or rx was expected", side)
	}
	name, want := c.args[1], c.args[2]
	known := map[string]bool{}
	for d := nicsim.DropNone + 1; d < nicsim.NumDrops; d++ {
		known["drop-"+d.String()] = true
	}
	var unmet error // says what the counter is
	ok, err := c.eventually(func() (bool, error) {
		if err := c.settle(); err != nil {
			return false, err
		}
		got := totals(a, func(x nicsim.Counter) bool {
			known[x.Name] = true
			return (!c.has("q") || x.Queue == queue) && (side == "" || x.Side.String() == side)
		})[name]
		if !known[name] {
			return false, c.wrong("%s has no counter %q; it has: %s", a.Name, name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		ok, err := c.meets(got, want)
		if !ok {
			unmet = fmt.Errorf("%s of %s is %d, want %s\n%s", name, a.Name, got, want, c.account(a))
		}
		return ok, err
	})
	if err == nil && !ok {
		err = unmet
	}
	return err
}

// meets says whether got is what a script wants: N, >N or <N.
func (c *call) meets(got uint64, want string) (bool, error) {
	digits := strings.TrimLeft(want, "<>")
	n, err := parseUint(digits)
	if err != nil {
		return false, c.wrong("%q: N, >N or <N was expected", want)
	}
	switch strings.TrimSuffix(want, digits) {
	case "":
		return got == n, nil
	case ">":
		return got > n, nil
	case "<":
		return got < n, nil
	}
	return false, c.wrong("%q: N, >N or <N was expected", want)
}
