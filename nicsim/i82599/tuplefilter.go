package i82599

import (
	"math/bits"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim/eswitch"
	"nicsim.dev/offloads/parse"
)

const (
	numEtherTypes = 8   // ETQF and ETQS pairs (8.2.3.7.21)
	numTuples     = 128 // 5-tuple filters (8.2.3.7.16)
)

// Bits of ETQF (8.2.3.7.21) and ETQS (8.2.3.7.22).
const (
	etqfUPE    = 1 << 19
	etqf1588   = 1 << 30
	etqfEnable = 1 << 31

	etqsLLI    = 1 << 29
	etqsEnable = 1 << 31
)

// etherTypes are the EtherType filters (7.1.2.3).
type etherTypes struct {
	qf, qs [numEtherTypes]uint32
	n      int // filters in use
	used   [numEtherTypes]etherType
}

type etherType struct {
	is       uint16
	index    uint8
	priority uint8 // user priority that it is for; noPriority for any
	ptp      bool
	urgent   bool
	toQueue  bool
	queue    uint16
}

// apply puts the filter's number in the place of the packet type and says
// whether a filter chose the queue. The packet type does not depend on the user
// priority; where several filters have one EtherType, that of the filter that
// is also for the priority counts.
func (e *etherTypes) apply(c *rxClass, h *parse.Headers) (decided bool) {
	for i := range e.used[:e.n] {
		t := &e.used[i]
		if t.is != h.EtherType {
			continue
		}
		if c.info&ixgbe.PacketL2 == 0 {
			c.info = c.info&ixgbe.RSSMask | ixgbe.PacketETQF(int(t.index))
		}
		if t.priority < noPriority && (!tagged(h) || uint8(h.InnerTCI>>13) != t.priority) {
			continue
		}
		c.info = c.info&ixgbe.RSSMask | ixgbe.PacketETQF(int(t.index))
		c.ptp = t.ptp
		if t.urgent {
			c.status |= ixgbe.RxDYNINT
		}
		if t.toQueue {
			c.queue = t.queue
		}
		return t.toQueue
	}
	return false
}

func (f *filters) setETQF(i int, v uint32) {
	f.ethers.qf[i] = v
	f.ethers.compile()
	f.refilter()
}

func (f *filters) setETQS(i int, v uint32) {
	f.ethers.qs[i] = v
	f.ethers.compile()
}

func (e *etherTypes) compile() {
	e.n = 0
	for i, qf := range e.qf {
		if qf&etqfEnable == 0 {
			continue
		}
		t := etherType{is: uint16(qf), index: uint8(i), priority: noPriority, ptp: qf&etqf1588 != 0,
			urgent: e.qs[i]&etqsLLI != 0, toQueue: e.qs[i]&etqsEnable != 0, queue: uint16(e.qs[i]>>16) & 0x7F}
		if qf&etqfUPE != 0 {
			t.priority = uint8(qf>>16) & 7
		}
		e.used[e.n] = t
		e.n++
	}
}

// Bits of FTQF (8.2.3.7.19), SYNQF (8.2.3.7.20) and L34TIMIR (8.2.3.5.13).
const (
	ftqfNoSource     = 1 << 25
	ftqfNoDest       = 1 << 26
	ftqfNoSourcePort = 1 << 27
	ftqfNoDestPort   = 1 << 28
	ftqfNoProtocol   = 1 << 29
	ftqfEnable       = 1 << 31

	timirAnySize = 1 << 12
	timirLLI     = 1 << 20

	synqfEnable = 1 << 0
	synqfFirst  = 1 << 31
)

// Marks of the rules in tuples: the frame is urgent.
const (
	markUrgent = 1 + iota
	markUrgentIfShort
)

// synPriority is that of the SYN filter when SYNQF.SYNQFP is set; without it
// the filter is behind all others. In between, FTQF.Priority counts first, then
// the lower number wins.
const (
	synPriority = 8 * numTuples
	synBehind   = -1
)

// tuples are the 5-tuple filters (7.1.2.5) and the SYN filter (7.1.2.6).
type tuples struct {
	eswitch.Table
	source, dest, ports, qf, timir [numTuples]uint32
	rules                          [numTuples][]*eswitch.Rule
	syn                            *eswitch.Rule
	shortBytes                     int // LLITHRESH: shorter frames are urgent
}

// candidate says whether a frame can match: tunnels and fragments never do.
func (t *tuples) candidate(h *parse.Headers) bool {
	return h.Kind&(parse.IPv4|parse.IPv6) != 0 && h.Kind&parse.Fragment == 0 &&
		h.Proto != protoIPIP && h.Proto != protoIPv6
}

// act does what the actions of r say to a frame of n bytes.
func (t *tuples) act(c *rxClass, r *eswitch.Rule, n int) {
	for _, a := range r.Actions {
		switch {
		case a.Op == eswitch.ToQueue:
			c.queue = uint16(a.Arg)
		case a.Arg == markUrgent || n < t.shortBytes:
			c.status |= ixgbe.RxDYNINT
		}
	}
}

func (f *filters) setSAQF(i int, v uint32)     { f.setTuple(&f.tuples.source, i, v) }
func (f *filters) setDAQF(i int, v uint32)     { f.setTuple(&f.tuples.dest, i, v) }
func (f *filters) setSDPQF(i int, v uint32)    { f.setTuple(&f.tuples.ports, i, v) }
func (f *filters) setFTQF(i int, v uint32)     { f.setTuple(&f.tuples.qf, i, v) }
func (f *filters) setL34TIMIR(i int, v uint32) { f.setTuple(&f.tuples.timir, i, v) }

func (f *filters) setTuple(register *[numTuples]uint32, i int, v uint32) {
	register[i] = v
	f.tuples.compile(i)
	f.refilter()
}

// setLLITHRESH takes the size below which a frame can be urgent (8.2.3.5.14).
func (f *filters) setLLITHRESH(v uint32) { f.tuples.shortBytes = int(v & 0xFFF) }

// l4Kinds are the protocols that FTQF.Protocol numbers; the fourth is any other.
var l4Kinds = [...]parse.Kind{parse.TCP, parse.UDP, parse.SCTP}

const anyL4 = parse.TCP | parse.UDP | parse.SCTP

// compile turns filter i into rules: one, or one for each protocol with ports
// when ports count and the protocol does not.
func (t *tuples) compile(i int) {
	for _, r := range t.rules[i] {
		t.Delete(r)
	}
	t.rules[i] = t.rules[i][:0]
	qf := t.qf[i]
	if qf&ftqfEnable == 0 {
		return
	}
	portsCount := qf&(ftqfNoSourcePort|ftqfNoDestPort) != ftqfNoSourcePort|ftqfNoDestPort
	protocol := int(qf & 3)
	switch {
	case qf&ftqfNoProtocol != 0 && portsCount:
		for _, k := range l4Kinds {
			t.add(i, k, anyL4)
		}
	case qf&ftqfNoProtocol != 0:
		t.add(i, 0, 0)
	case protocol < len(l4Kinds):
		t.add(i, l4Kinds[protocol], anyL4)
	case !portsCount:
		t.add(i, 0, anyL4)
	}
}

// add inserts filter i for frames of a kind. Addresses and ports are in the
// order of the wire, lowest byte first. An IPv6 packet misses a filter that
// compares an address.
func (t *tuples) add(i int, kind, mask parse.Kind) {
	qf, timir := t.qf[i], t.timir[i]
	r := &eswitch.Rule{Priority: int(qf>>2&7)*numTuples + numTuples - 1 - i}
	compare := func(field eswitch.Field, unless uint32, v, ones uint64) {
		if qf&unless == 0 {
			r.Match.Set(field, v)
			r.Mask.Set(field, ones)
		}
	}
	if qf&(ftqfNoSource|ftqfNoDest) != ftqfNoSource|ftqfNoDest {
		kind |= parse.IPv4
		mask |= parse.IPv4
	}
	r.Match.Set(eswitch.Kind, uint64(kind))
	r.Mask.Set(eswitch.Kind, uint64(mask))
	compare(eswitch.SrcIP, ftqfNoSource, uint64(bits.ReverseBytes32(t.source[i])), 0xFFFFFFFF)
	compare(eswitch.DstIP, ftqfNoDest, uint64(bits.ReverseBytes32(t.dest[i])), 0xFFFFFFFF)
	compare(eswitch.SrcPort, ftqfNoSourcePort, uint64(bits.ReverseBytes16(uint16(t.ports[i]))), 0xFFFF)
	compare(eswitch.DstPort, ftqfNoDestPort, uint64(bits.ReverseBytes16(uint16(t.ports[i]>>16))), 0xFFFF)
	r.Actions = append(r.Actions, eswitch.Action{Op: eswitch.ToQueue, Arg: timir >> 21 & 0x7F})
	if timir&timirLLI != 0 {
		mark := uint32(markUrgentIfShort)
		if timir&timirAnySize != 0 {
			mark = markUrgent
		}
		r.Actions = append(r.Actions, eswitch.Action{Op: eswitch.Mark, Arg: mark})
	}
	t.Insert(r)
	t.rules[i] = append(t.rules[i], r)
}

// setSYNQF compiles the SYN filter (7.1.2.6): TCP segments with SYN set.
func (f *filters) setSYNQF(v uint32) {
	t := &f.tuples
	if t.syn != nil {
		t.Delete(t.syn)
		t.syn = nil
	}
	if v&synqfEnable != 0 {
		const syn = 1 << 1
		r := &eswitch.Rule{Priority: synBehind, Actions: []eswitch.Action{{Op: eswitch.ToQueue, Arg: v >> 1 & 0x7F}}}
		if v&synqfFirst != 0 {
			r.Priority = synPriority
		}
		r.Match.Set(eswitch.Kind, uint64(parse.TCP))
		r.Mask.Set(eswitch.Kind, uint64(parse.TCP))
		r.Match.Set(eswitch.TCPFlags, syn)
		r.Mask.Set(eswitch.TCPFlags, syn)
		t.Insert(r)
		t.syn = r
	}
	f.refilter()
}
