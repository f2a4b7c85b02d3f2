package eswitch_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/eswitch"
)

// scan is the obvious table: every rule, in the order of insertion.
type scan []*eswitch.Rule

func (s scan) lookup(k *eswitch.Key) *eswitch.Rule {
	var best *eswitch.Rule
	for _, r := range s {
		match := true
		for i := range k {
			match = match && k[i]&r.Mask[i] == r.Match[i]&r.Mask[i]
		}
		if match && (best == nil || r.Priority > best.Priority) {
			best = r
		}
	}
	return best
}

// FuzzTable plays insertions, deletions and lookups on a table and on a scan.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 0, 1, 2, 3, 200, 1, 2, 3})
	f.Add([]byte("some bytes to begin with, long enough for a dozen of steps"))
	f.Fuzz(func(t *testing.T, program []byte) {
		var table eswitch.Table
		var all scan
		for ; len(program) >= 4; program = program[4:] {
			op, a, b, c := program[0], program[1], program[2], program[3]
			var k eswitch.Key
			k.Set(eswitch.SrcPort, uint64(a&7))
			k.Set(eswitch.DstIP, uint64(b&3))
			switch {
			case op < 128:
				r := &eswitch.Rule{Match: k, Priority: int(c >> 6)}
				r.Match.Set(eswitch.Proto, uint64(c)) // not looked at
				if c&1 != 0 {
					r.Mask.Set(eswitch.SrcPort, 0xFFFF)
				}
				if c&2 != 0 {
					r.Mask.Set(eswitch.DstIP, uint64(c>>2)&3)
				}
				table.Insert(r)
				all = append(all, r)
			case op < 160 && len(all) > 0:
				i := int(a) % len(all)
				require.True(t, table.Delete(all[i]))
				require.False(t, table.Delete(all[i]))
				all = append(all[:i:i], all[i+1:]...)
			default:
				require.Same(t, all.lookup(&k), table.Lookup(&k))
			}
			require.Equal(t, len(all), table.Len())
		}
		for a := range uint64(8) {
			for b := range uint64(4) {
				var k eswitch.Key
				k.Set(eswitch.SrcPort, a)
				k.Set(eswitch.DstIP, b)
				require.Same(t, all.lookup(&k), table.Lookup(&k))
			}
		}
	})
}

// TestManyRules fills a table, takes half of it out in another order, and
// looks everything up.
func TestManyRules(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var table eswitch.Table
	rules := flows(20000)
	for _, r := range rules {
		table.Insert(r)
	}
	rnd.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
	for _, r := range rules[:10000] {
		require.True(t, table.Delete(r))
	}
	for i, r := range rules {
		want := r
		if i < 10000 {
			want = nil
		}
		require.Same(t, want, table.Lookup(&r.Match))
	}
	for _, r := range rules[10000:] {
		require.True(t, table.Delete(r))
	}
	require.Zero(t, table.Len())
	require.Nil(t, table.Lookup(&rules[0].Match))
}

// TestPrecedence shows what decides between rules that match one frame.
func TestPrecedence(t *testing.T) {
	var k, any, port eswitch.Key
	k.Set(eswitch.DstPort, 80)
	port.Set(eswitch.DstPort, 0xFFFF)
	first := &eswitch.Rule{Match: k, Mask: port, Priority: 1}
	second := &eswitch.Rule{Match: k, Mask: port, Priority: 1}
	wide := &eswitch.Rule{Mask: any, Priority: 1}
	high := &eswitch.Rule{Mask: any, Priority: 2}
	var table eswitch.Table
	for _, r := range []*eswitch.Rule{first, second, wide} {
		table.Insert(r)
	}
	require.Same(t, first, table.Lookup(&k), "inserted first")
	table.Insert(high)
	require.Same(t, high, table.Lookup(&k), "higher priority")
	table.Delete(high)
	table.Delete(first)
	require.Same(t, second, table.Lookup(&k))
	table.Delete(second)
	require.Same(t, wide, table.Lookup(&k))
}

func TestLookupDoesNotAllocate(t *testing.T) {
	rules := flows(100)
	var table eswitch.Table
	for _, r := range rules {
		table.Insert(r)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { table.Lookup(&rules[7].Match) }))
}

// flows are rules for different UDP flows, as a driver would program them.
func flows(n int) []*eswitch.Rule {
	var mask eswitch.Key
	for _, f := range []eswitch.Field{eswitch.SrcIP, eswitch.DstIP, eswitch.SrcPort, eswitch.DstPort} {
		mask.Set(f, ^uint64(0))
	}
	rules := make([]*eswitch.Rule, n)
	for i := range rules {
		r := &eswitch.Rule{Mask: mask, Actions: []eswitch.Action{{Op: eswitch.ToQueue, Arg: uint32(i)}}}
		r.Match.Set(eswitch.SrcIP, 0x0A000000|uint64(i>>12))
		r.Match.Set(eswitch.DstIP, 0xC0A80001)
		r.Match.Set(eswitch.SrcPort, uint64(1024+i&0xFFF))
		r.Match.Set(eswitch.DstPort, 443)
		rules[i] = r
	}
	return rules
}

// BenchmarkLookup looks 1024 flows up in turn, in a Table and in a Go map. Its
// cost grows with cache misses, not with entries.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{0, 1, 1000, 100000} {
		rules := flows(n)
		var table eswitch.Table
		reference := map[eswitch.Key]*eswitch.Rule{}
		for _, r := range rules {
			table.Insert(r)
			reference[r.Match] = r
		}
		var keys [1024]eswitch.Key
		for i := range keys {
			if n > 0 {
				keys[i] = rules[i*7919%n].Match
			}
		}
		b.Run(fmt.Sprintf("table/%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				if table.Lookup(&keys[i&1023]) == nil && n > 0 {
					b.Fatal("a rule is not found")
				}
				i++
			}
		})
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				if reference[keys[i&1023]] == nil && n > 0 {
					b.Fatal("a rule is not found")
				}
				i++
			}
		})
	}
}
