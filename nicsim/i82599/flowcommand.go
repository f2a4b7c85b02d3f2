package i82599

import "math/bits"

// setFDIRCMD executes a command on the table (7.1.2.7.7 to 7.1.2.7.12) and says
// whether software must be interrupted: the table is nearly full, or was. The
// command is done when the write is, so FDIRCMD.CMD reads zero.
func (f *filters) setFDIRCMD(v uint32) (interrupt bool) {
	f.cmd = v &^ fdircmdMask
	t := f.flows
	if t == nil {
		return false
	}
	switch v & fdircmdMask {
	case fdircmdAdd:
		return f.addFlow(v)
	case fdircmdRemove:
		f.removeFlow()
	case fdircmdQuery:
		f.queryFlow()
	}
	return false
}

// staged is the filter in the registers of a command.
func (f *filters) staged(cmd uint32) (bucket uint16, e flowFilter) {
	s := &f.stage
	bucket = uint16(s[stageHASH]) & f.flows.bucketMask
	e = flowFilter{id: f.stagedID(), cmd: cmd & fdircmdAction}
	if !f.flows.perfect {
		return bucket, e
	}
	// The registers hold addresses and flexible bytes in the order of the wire,
	// lowest byte first (8.2.3.21.16 to 8.2.3.21.20).
	flow := uint8(cmd>>5) & 7
	if flow&flowIPv6 != 0 {
		be := func(i int) uint64 { return uint64(bits.ReverseBytes32(s[i])) }
		e.tuple[0] = be(stageSIPv6)<<32 | be(stageSIPv6+1)
		e.tuple[1] = be(stageSIPv6+2)<<32 | be(stageIPSA)
		if cmd&fdircmdDestIPv6 != 0 {
			e.tuple[2] = destMatch
		}
	} else {
		e.tuple[1] = uint64(bits.ReverseBytes32(s[stageIPSA]))
		e.tuple[3] = uint64(bits.ReverseBytes32(s[stageIPDA]))
	}
	ports := bits.RotateLeft32(s[stagePORT], 16) // source in the high half, as on the wire
	flex := bits.ReverseBytes16(uint16(s[stageVLAN] >> 16))
	e.tuple.setLast(ports, uint16(s[stageVLAN]), flex, uint8(cmd>>24)&0x3F, flow)
	return bucket, e
}

// stagedID is the signature or software index in FDIRHASH, 15 bits.
func (f *filters) stagedID() uint16 { return uint16(f.stage[stageHASH] >> 16) }

// same says whether two filters are for the same flow.
func (f *filters) same(a, b *flowFilter) bool {
	if !f.flows.perfect {
		return a.id == b.id
	}
	keep := &f.keep[uint8(a.tuple[5])&7]
	return a.tuple.masked(keep) == b.tuple.masked(keep)
}

// addFlow adds a filter at the end of its bucket (7.1.2.7.7), or updates the
// one that is for the same flow (7.1.2.7.8).
func (f *filters) addFlow(cmd uint32) (interrupt bool) {
	t := f.flows
	bucket, e := f.staged(cmd)
	at, length := &t.buckets[bucket], uint8(0)
	for *at != 0 {
		old := t.at(*at)
		if f.same(old, &e) {
			f.addAgain(old, &e, cmd&fdircmdUpdate != 0)
			return false
		}
		at = &old.next
		length = min(length+1, 0xFE)
	}
	i := t.unused
	if i == 0 {
		f.lostAdd++
		return true
	}
	slot := t.at(i)
	t.unused = slot.next
	*slot = e
	*at = i
	f.added++
	f.free = max(f.free, 1) - 1 // software may have cleared it
	if length++; length > f.longest {
		f.longest, f.longestBucket = min(length, 0x3F), bucket
	}
	return int(f.free)+1 == t.threshold
}

func (f *filters) addAgain(old, e *flowFilter, update bool) {
	switch {
	case update:
		old.cmd = e.cmd | old.cmd&fdircmdCollision
		old.id = e.id
	case old.cmd&fdircmdAction != e.cmd && old.cmd&fdircmdCollision == 0:
		old.cmd |= fdircmdCollision
		f.collided++
	}
}

// find looks in the bucket of FDIRHASH for the filter with its signature or
// software index. It returns the link to it, or to the end of the list, and how
// far that is.
func (f *filters) find() (link *uint16, place uint8) {
	t := f.flows
	link = &t.buckets[uint16(f.stage[stageHASH])&t.bucketMask]
	for id := f.stagedID(); *link != 0; link = &t.at(*link).next {
		place = min(place+1, 0x3F)
		if t.at(*link).id == id {
			break
		}
	}
	return link, place
}

func (f *filters) removeFlow() {
	t := f.flows
	link, _ := f.find()
	if *link == 0 {
		f.lostRm++
		return
	}
	i := *link
	e := t.at(i)
	if e.cmd&fdircmdCollision != 0 {
		f.collided--
	}
	*link = e.next
	*e = flowFilter{next: t.unused}
	t.unused = i
	f.removed++
	f.free++
}

// queryFlow answers in FDIRHASH, FDIRCMD, FDIRLEN and, in perfect mode, the
// registers of the flow (7.1.2.7.12, table 7-8).
func (f *filters) queryFlow() {
	t := f.flows
	f.cmd &^= fdircmdValid
	f.stage[stageHASH] &^= fdirhashValid
	if t.buckets[uint16(f.stage[stageHASH])&t.bucketMask] == 0 {
		return
	}
	f.stage[stageHASH] |= fdirhashValid
	link, place := f.find()
	f.found = place
	if *link == 0 {
		return
	}
	e := t.at(*link)
	f.cmd = e.cmd | fdircmdValid
	if e.next == 0 {
		f.cmd |= fdircmdLast
	}
	if !t.perfect {
		return
	}
	s, w := &f.stage, &e.tuple
	flow := uint32(w[5] & 7)
	f.cmd |= flow<<5 | uint32(w[5]>>8&0x3F)<<24
	if flow&flowIPv6 != 0 {
		s[stageSIPv6] = bits.ReverseBytes32(uint32(w[0] >> 32))
		s[stageSIPv6+1] = bits.ReverseBytes32(uint32(w[0]))
		s[stageSIPv6+2] = bits.ReverseBytes32(uint32(w[1] >> 32))
		if w[2] == destMatch {
			f.cmd |= fdircmdDestIPv6
		}
	} else {
		s[stageIPDA] = bits.ReverseBytes32(uint32(w[3]))
	}
	s[stageIPSA] = bits.ReverseBytes32(uint32(w[1]))
	s[stagePORT] = bits.RotateLeft32(uint32(w[4]>>32), 16)
	s[stageVLAN] = uint32(w[4]>>16&0xFFFF) | uint32(bits.ReverseBytes16(uint16(w[4])))<<16
}

func (f *filters) setFDIRHKEY(v uint32) { f.setFlowKey(0, v) }
func (f *filters) setFDIRSKEY(v uint32) { f.setFlowKey(1, v) }

func (f *filters) setFlowKey(i int, v uint32) {
	f.keys[i] = v
	if f.flows != nil {
		f.flows.hash.setKeys(f.keys[0], f.keys[1])
	}
}

func (f *filters) setFDIRM(v uint32)     { f.mask = v; f.compileKeep() }
func (f *filters) setFDIRSIP4M(v uint32) { f.ip4[0] = v; f.compileKeep() }
func (f *filters) setFDIRDIP4M(v uint32) { f.ip4[1] = v; f.compileKeep() }
func (f *filters) setFDIRTCPM(v uint32)  { f.ports[0] = v; f.compileKeep() }
func (f *filters) setFDIRUDPM(v uint32)  { f.ports[1] = v; f.compileKeep() }
func (f *filters) setFDIRIP6M(v uint32)  { f.ip6 = v; f.compileKeep() }

// setIP6AT takes a quarter of the port's own IPv6 address, first byte lowest.
func (f *filters) setIP6AT(i int, v uint32) {
	shift := 32 - 32*(i&1)
	half := &f.home[i>>1&1]
	*half = *half&^(0xFFFFFFFF<<shift) | uint64(bits.ReverseBytes32(v))<<shift
}

func (f *filters) setIPAV(v uint32) { f.hasHome = v&ipavV60 != 0 }

// ipavV60 says that IP6AT holds an address (8.2.3.24.4).
const ipavV60 = 1 << 16

// setFDIRFREE lets software clear the count of free filters, which it does
// before it empties the table; initialization sets it.
func (f *filters) setFDIRFREE(v uint32) { f.free = uint16(v) }

func (f *filters) fdirFREE() uint32 { return uint32(f.free) | uint32(f.collided&0x7FFF)<<16 }

// The counters below are cleared by the read (8.2.3.21.11 to 8.2.3.21.15).

func (f *filters) readFDIRLEN() uint32 {
	v := uint32(f.longest) | uint32(f.found)<<8 | uint32(f.longestBucket)<<16
	f.longest, f.found, f.longestBucket = 0, 0, 0
	return v
}

func (f *filters) readFDIRUSTAT() uint32 {
	v := uint32(f.added) | uint32(f.removed)<<16
	f.added, f.removed = 0, 0
	return v
}

func (f *filters) readFDIRFSTAT() uint32 {
	v := uint32(f.lostAdd) | uint32(f.lostRm)<<8
	f.lostAdd, f.lostRm = 0, 0
	return v
}

func (f *filters) readFDIRMATCH() uint32 {
	v := f.matched
	f.matched = 0
	return v
}

func (f *filters) readFDIRMISS() uint32 {
	v := f.missed
	f.missed = 0
	return v
}
