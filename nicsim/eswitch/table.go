package eswitch

import (
	"math/bits"
	"slices"
)

// Op is what an Action does.
type Op uint8

const (
	// ToQueue delivers to receive queue Arg.
	ToQueue Op = iota
	// Mark attaches Arg, whose meaning is the adapter's own.
	Mark
)

// Action is one step of what happens to a frame.
type Action struct {
	Op  Op
	Arg uint32
}

// Rule is a masked match and what happens to frames that it is for. It must not
// change while it is in a Table.
type Rule struct {
	Match, Mask Key
	// Priority decides between rules that match the same frame: the higher one
	// wins, and of equal ones the one that was inserted first.
	Priority int
	Actions  []Action
}

// Table finds the rule for a frame. Rules with the same mask share a hash table,
// so that the cost of a lookup grows with the number of distinct masks, not
// with the number of rules. The zero Table is empty and ready to use.
type Table struct {
	groups   []*group // of falling top priority
	entries  int
	inserted uint64
}

// entry is a rule in a table.
type entry struct {
	rule  *Rule
	key   Key // Match under Mask
	order uint64
	next  *entry // same key, less precedence
}

// before says whether e wins over other when both match.
func (e *entry) before(other *entry) bool {
	if e.rule.Priority != other.rule.Priority {
		return e.rule.Priority > other.rule.Priority
	}
	return e.order < other.order
}

type slot struct {
	hash uint64
	head *entry // nil when the slot is free
}

// group holds the rules of one mask, by open addressing with linear probing.
type group struct {
	mask  Key
	words []uint8 // those in which mask is not zero
	// top is at least the priority of every rule in the group.
	top   int
	slots []slot // a power of two
	keys  int    // slots in use
}

const minSlots = 8

// Len returns the number of rules.
func (t *Table) Len() int { return t.entries }

// Insert adds r.
func (t *Table) Insert(r *Rule) {
	g := t.group(&r.Mask)
	if g == nil {
		g = newGroup(r)
		t.groups = append(t.groups, g)
	}
	t.inserted++
	g.insert(&entry{rule: r, key: g.masked(&r.Match), order: t.inserted})
	g.top = max(g.top, r.Priority)
	slices.SortStableFunc(t.groups, func(a, b *group) int { return b.top - a.top })
	t.entries++
}

// Delete removes r and reports whether it was there.
func (t *Table) Delete(r *Rule) bool {
	g := t.group(&r.Mask)
	if g == nil || !g.remove(r) {
		return false
	}
	t.entries--
	if g.keys == 0 {
		t.groups = slices.DeleteFunc(t.groups, func(o *group) bool { return o == g })
	}
	return true
}

// Lookup returns the rule for k, or nil.
func (t *Table) Lookup(k *Key) *Rule {
	if len(t.groups) == 0 {
		return nil
	}
	var best *entry
	for _, g := range t.groups {
		if best != nil && best.rule.Priority > g.top {
			break
		}
		if e := g.lookup(k); e != nil && (best == nil || e.before(best)) {
			best = e
		}
	}
	if best == nil {
		return nil
	}
	return best.rule
}

func (t *Table) group(mask *Key) *group {
	for _, g := range t.groups {
		if g.mask == *mask {
			return g
		}
	}
	return nil
}

func newGroup(r *Rule) *group {
	g := &group{mask: r.Mask, top: r.Priority, slots: make([]slot, minSlots)}
	for i, m := range g.mask {
		if m != 0 {
			g.words = append(g.words, uint8(i))
		}
	}
	return g
}

func (g *group) masked(k *Key) Key {
	var m Key
	for i := range m {
		m[i] = k[i] & g.mask[i]
	}
	return m
}

// hash mixes the words of k that the mask looks at.
func (g *group) hash(k *Key) uint64 {
	h := uint64(0x9E3779B97F4A7C15) // 2^64 divided by the golden ratio
	for _, w := range g.words {
		hi, lo := bits.Mul64(h^(k[w&(keyWords-1)]&g.mask[w&(keyWords-1)]), 0xD6E8FEB86659FD93)
		h = hi ^ lo
	}
	return h
}

func (g *group) equal(masked, k *Key) bool {
	for _, w := range g.words {
		if masked[w&(keyWords-1)] != k[w&(keyWords-1)]&g.mask[w&(keyWords-1)] {
			return false
		}
	}
	return true
}

// find returns the slot of k, or the free one where it would go.
func (g *group) find(k *Key, hash uint64) int {
	i := int(hash) & (len(g.slots) - 1)
	for s := &g.slots[i]; s.head != nil; s = &g.slots[i] {
		if s.hash == hash && g.equal(&s.head.key, k) {
			break
		}
		i = (i + 1) & (len(g.slots) - 1)
	}
	return i
}

func (g *group) lookup(k *Key) *entry { return g.slots[g.find(k, g.hash(k))].head }

func (g *group) insert(e *entry) {
	if (g.keys+1)*2 > len(g.slots) {
		g.grow()
	}
	hash := g.hash(&e.key)
	s := &g.slots[g.find(&e.key, hash)]
	if s.head == nil {
		g.keys++
		s.hash = hash
	}
	at := &s.head
	for *at != nil && (*at).before(e) {
		at = &(*at).next
	}
	e.next = *at
	*at = e
}

func (g *group) grow() {
	old := g.slots
	g.slots = make([]slot, 2*len(old))
	for _, s := range old {
		if s.head != nil {
			g.slots[g.find(&s.head.key, s.hash)] = s
		}
	}
}

func (g *group) remove(r *Rule) bool {
	key := g.masked(&r.Match)
	i := g.find(&key, g.hash(&key))
	at := &g.slots[i].head
	for *at != nil && (*at).rule != r {
		at = &(*at).next
	}
	if *at == nil {
		return false
	}
	*at = (*at).next
	if g.slots[i].head == nil {
		g.keys--
		g.close(i)
	}
	return true
}

// close fills the hole at i with what probing moved past it (Knuth, volume 3,
// 6.4, algorithm R).
func (g *group) close(i int) {
	mask := len(g.slots) - 1
	for j := (i + 1) & mask; g.slots[j].head != nil; j = (j + 1) & mask {
		home := int(g.slots[j].hash) & mask
		if (j-home)&mask >= (j-i)&mask {
			g.slots[i] = g.slots[j]
			i = j
		}
	}
	g.slots[i] = slot{}
}
