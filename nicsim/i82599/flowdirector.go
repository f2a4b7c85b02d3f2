package i82599

import (
	"encoding/binary"
	"math/bits"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/offloads/parse"
)

// Bits of FDIRCTRL (8.2.3.21.1).
const (
	fdirctrlDone         = 1 << 3
	fdirctrlPerfect      = 1 << 4
	fdirctrlReport       = 1 << 5
	fdirctrlReportAlways = 1 << 7
)

// Bits of FDIRCMD (8.2.3.21.22).
const (
	fdircmdMask   = 3
	fdircmdAdd    = 1
	fdircmdRemove = 2
	fdircmdQuery  = 3

	fdircmdValid     = 1 << 2
	fdircmdUpdate    = 1 << 3
	fdircmdDestIPv6  = 1 << 4 // the destination must be the address in IP6AT
	fdircmdClearHT   = 1 << 8
	fdircmdDrop      = 1 << 9
	fdircmdInterrupt = 1 << 10
	fdircmdLast      = 1 << 11
	fdircmdCollision = 1 << 12
	fdircmdQueue     = 1 << 15

	// What a filter does, as opposed to what it is for.
	fdircmdAction = fdircmdDrop | fdircmdInterrupt | fdircmdQueue | 0x7F<<16

	fdirhashValid = 1 << 15
)

// Bits of FDIRM (8.2.3.21.9): what is not compared.
const (
	fdirmVLANID       = 1 << 0
	fdirmVLANPriority = 1 << 1
	fdirmPool         = 1 << 2
	fdirmL4           = 1 << 3
	fdirmFlex         = 1 << 4
	fdirmDestIPv6     = 1 << 5
)

// Flow types: FDIRCMD.L4TYPE and, above it, FDIRCMD.IPV6.
const (
	flowUDP  = 1
	flowTCP  = 2
	flowSCTP = 3
	flowIPv6 = 1 << 2
)

// flowDirector is the table of Flow Director filters (7.1.2.7): buckets of
// linked lists, as the hardware keeps it, because software says which bucket a
// filter goes to and sees how long lists are.
type flowDirector struct {
	perfect      bool
	report       bool // the filter that matched, in the place of the RSS hash
	reportAlways bool // and if none did, the hashes
	dropQueue    uint16
	flexAt       int // byte offset of the flexible bytes
	maxLength    int // of a list, before it is reported
	threshold    int // free filters below which software is told
	bucketMask   uint16

	buckets []uint16 // first filter of each bucket, counted from 1; 0 for none
	filters []flowFilter
	unused  uint16 // list of free filters
	hash    flowHash
}

// flowFilter is a filter.
type flowFilter struct {
	next  uint16 // in the bucket, or of the free ones
	id    uint16 // signature, or software index in perfect mode
	cmd   uint32 // FDIRCMD: what to do, and the collision flag
	tuple flowTuple
}

// flowRegisters are the other registers of Flow Director: masks, what a command
// works on, and statistics.
type flowRegisters struct {
	keys       [2]uint32 // FDIRHKEY, FDIRSKEY
	mask       uint32    // FDIRM
	ip4, ports [2]uint32 // FDIRSIP4M and FDIRDIP4M; FDIRTCPM and FDIRUDPM
	ip6        uint32    // FDIRIP6M
	keep       [8]flowTuple
	home       [2]uint64 // IP6AT, first half first
	hasHome    bool      // IPAV.V60

	control uint32    // FDIRCTRL as it reads
	stage   [8]uint32 // FDIRSIPv6 0 to 2, FDIRIPSA, FDIRIPDA, FDIRPORT, FDIRVLAN, FDIRHASH
	cmd     uint32    // FDIRCMD as it reads

	free, collided  uint16
	added, removed  uint16
	lostAdd, lostRm uint8
	matched, missed uint32
	longest         uint8
	longestBucket   uint16
	found           uint8 // place or length that a query found
}

// Indices into stage.
const (
	stageSIPv6 = iota
	_
	_
	stageIPSA
	stageIPDA
	stagePORT
	stageVLAN
	stageHASH
)

// setFDIRCTRL enables, empties or disables the table (7.1.2.7.11). Differs: the
// hardware takes 60 us to initialize the table; here FDIRCTRL.INIT-Done is set
// at once.
func (f *filters) setFDIRCTRL(v uint32) {
	old := f.flows
	f.flows = nil
	f.control = v &^ fdirctrlDone
	f.free, f.collided = 0, 0
	if size := v & 3; size != 0 {
		t := &flowDirector{
			perfect:      v&fdirctrlPerfect != 0,
			report:       v&fdirctrlReport != 0,
			reportAlways: v&fdirctrlReport != 0 && v&fdirctrlReportAlways != 0,
			dropQueue:    uint16(v>>8) & 0x7F,
			flexAt:       int(v>>16&0x1F) * 2,
			maxLength:    int(v >> 24 & 15),
			threshold:    int(v>>28) * 16,
		}
		// Table 7-7: 8K filters for each 64 KiB, a quarter of it in perfect mode.
		n := uint16(4096) << size
		if t.perfect {
			n /= 4
		}
		t.allocate(n, old)
		t.hash.setKeys(f.keys[0], f.keys[1])
		f.flows = t
		f.control |= fdirctrlDone
		f.free = n - 2
	}
	f.compileKeep()
	f.refilter()
}

// allocate makes an empty table of n buckets, in the memory of an old one if
// that has the same size: software empties the table by initializing it again.
func (t *flowDirector) allocate(n uint16, old *flowDirector) {
	t.bucketMask = n - 1
	if old != nil && old.bucketMask == t.bucketMask {
		t.buckets, t.filters = old.buckets, old.filters
		clear(t.buckets)
		clear(t.filters)
	} else {
		t.buckets = make([]uint16, n)
		t.filters = make([]flowFilter, n-2)
	}
	for i := range t.filters {
		t.filters[i].next = uint16(i + 2)
	}
	t.filters[n-3].next = 0
	t.unused = 1
}

func (t *flowDirector) at(i uint16) *flowFilter { return &t.filters[i-1] }

// compileKeep makes the masks for every flow type.
func (f *filters) compileKeep() {
	r := &f.flowRegisters
	v6 := func(mask uint32) (hi, lo uint64) {
		for i := range 8 {
			if mask>>i&1 == 0 {
				hi |= 0xFF << (56 - 8*i)
			}
			if mask>>(i+8)&1 == 0 {
				lo |= 0xFF << (56 - 8*i)
			}
		}
		return hi, lo
	}
	for flow := range r.keep {
		k := &r.keep[flow]
		*k = flowTuple{}
		if flow&flowIPv6 != 0 {
			k[0], k[1] = v6(r.ip6)
			k[2], k[3] = v6(r.ip6 >> 16)
			if f.flows != nil && f.flows.perfect {
				k[2], k[3] = ^uint64(0), 0 // only whether it is the address in IP6AT
				if r.mask&fdirmDestIPv6 != 0 {
					k[2] = 0
				}
			}
		} else {
			k[1] = uint64(^bits.ReverseBytes32(r.ip4[0]))
			k[3] = uint64(^bits.ReverseBytes32(r.ip4[1]))
		}
		var ports uint32
		if l4 := flow & 3; l4 == flowTCP || l4 == flowUDP {
			// Masks of ports have their bits in reverse (8.2.3.21.6).
			m := ^r.ports[2-l4]
			ports = uint32(bits.Reverse16(uint16(m)))<<16 | uint32(bits.Reverse16(uint16(m>>16)))
		}
		vlan, flex, pool, kind := uint16(0), uint16(0), uint8(0), uint8(flowIPv6)
		if r.mask&fdirmVLANID == 0 {
			vlan = 0x0FFF
		}
		if r.mask&fdirmVLANPriority == 0 {
			vlan |= 0xE000
		}
		if r.mask&fdirmFlex == 0 {
			flex = 0xFFFF
		}
		if r.mask&fdirmPool == 0 {
			pool = 0x3F
		}
		if r.mask&fdirmL4 == 0 {
			kind |= 3
		}
		k.setLast(ports, vlan, flex, pool, kind)
	}
}

// direct looks a frame up (7.1.2.7.6). When another filter has chosen the queue,
// the table counts and reports only.
func (f *filters) direct(c *rxClass, b []byte, h *parse.Headers, decided bool) {
	t := f.flows
	flow, ok := flowType(h)
	if !ok || flow&3 == 0 && f.mask&fdirmL4 == 0 {
		return // not one for these filters
	}
	tuple := f.tuple(b, h, flow)
	bucket, signature := t.hash.of(&tuple)
	bucket &= t.bucketMask
	signature &= 0x7FFF
	if t.perfect {
		signature = 0
	}
	place, found := 0, (*flowFilter)(nil)
	for i := t.buckets[bucket]; i != 0; {
		e := t.at(i)
		place++
		if t.perfect && e.tuple.masked(&f.keep[flow]) == tuple || !t.perfect && e.id == signature {
			found = e
			break
		}
		i = e.next
	}
	if place > t.maxLength {
		c.status |= ixgbe.RxFDIRLength
	}
	if found == nil {
		f.missed++
		if t.reportAlways {
			c.info |= ixgbe.RSSFlowDirector
			c.param = uint32(signature) | uint32(bucket)<<16
		}
		return
	}
	f.matched++
	c.status |= ixgbe.RxFLM
	if t.report {
		c.info |= ixgbe.RSSFlowDirector
		c.param = uint32(found.id) | uint32(bucket)<<16
	}
	if found.cmd&fdircmdCollision != 0 {
		c.status |= ixgbe.RxFDIRColl
	}
	if decided {
		return
	}
	if found.cmd&fdircmdInterrupt != 0 {
		c.status |= ixgbe.RxDYNINT
	}
	switch {
	case found.cmd&fdircmdDrop != 0 && place > t.maxLength:
		// The exception goes to the filter's own queue.
		c.status |= ixgbe.RxFDIRDrop
		c.queue = uint16(found.cmd>>16) & 0x7F
	case found.cmd&fdircmdDrop != 0:
		c.queue, c.toDropQueue = t.dropQueue, true
	case found.cmd&fdircmdQueue != 0:
		c.queue = uint16(found.cmd>>16) & 0x7F
	}
}

// flowType returns the flow type of a frame; a fragment is of no L4 protocol.
func flowType(h *parse.Headers) (flow uint8, ok bool) {
	switch {
	case h.Kind&parse.TCP != 0:
		flow = flowTCP
	case h.Kind&parse.UDP != 0:
		flow = flowUDP
	case h.Kind&parse.SCTP != 0:
		flow = flowSCTP
	}
	if h.Kind&parse.IPv6 != 0 {
		return flow | flowIPv6, true
	}
	return flow, h.Kind&parse.IPv4 != 0
}

// tuple reads what the filters compare, masked. The pool is 0 without
// virtualization.
func (f *filters) tuple(b []byte, h *parse.Headers, flow uint8) flowTuple {
	var t flowTuple
	if flow&flowIPv6 != 0 {
		ip := b[h.L3:][:40]
		t[0], t[1] = binary.BigEndian.Uint64(ip[8:]), binary.BigEndian.Uint64(ip[16:])
		t[2], t[3] = binary.BigEndian.Uint64(ip[24:]), binary.BigEndian.Uint64(ip[32:])
		if f.flows.perfect {
			same := f.hasHome && t[2] == f.home[0] && t[3] == f.home[1]
			t[2], t[3] = 0, 0
			if same {
				t[2] = destMatch
			}
		}
	} else {
		ip := b[h.L3:][:20]
		t[1], t[3] = uint64(binary.BigEndian.Uint32(ip[12:])), uint64(binary.BigEndian.Uint32(ip[16:]))
	}
	var ports uint32
	if l4 := flow & 3; l4 == flowTCP || l4 == flowUDP {
		ports = binary.BigEndian.Uint32(b[h.L4:])
	}
	var vlan, flex uint16
	if tagged(h) {
		vlan = h.InnerTCI
	}
	if at := f.flows.flexAt; at+2 <= len(b) {
		flex = binary.BigEndian.Uint16(b[at:])
	}
	t.setLast(ports, vlan, flex, 0, flow)
	return t.masked(&f.keep[flow])
}

// destMatch stands for the IPv6 destination in a perfect filter: it is the
// address in IP6AT (table 7-9).
const destMatch = 1 << 56
