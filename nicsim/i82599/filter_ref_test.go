package i82599

import (
	"bytes"
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
)

// refFilters is the slow model of the receive filters: registers as they were
// written, and for each frame a walk through all of them in the order of the
// datasheet.
type refFilters struct {
	regs  map[string]map[int]uint32
	flows []refFlow // in the order they were added

	matched, missed, added, lost, removed uint32
}

// refFlow is a Flow Director filter as the registers had it when it was added.
type refFlow struct {
	bucket, id       uint32
	stage            [7]uint32
	cmd              uint32
	collision, stale bool
}

func (r *refFilters) write(name string, i int, v uint32) {
	if r.regs == nil {
		r.regs = map[string]map[int]uint32{}
	}
	if r.regs[name] == nil {
		r.regs[name] = map[int]uint32{}
	}
	r.regs[name][i] = v
	switch name {
	case "FDIRCTRL":
		r.flows = nil
	case "FDIRCMD":
		r.command(v)
	}
}

func (r *refFilters) get(name string, i int) uint32 { return r.regs[name][i] }
func (r *refFilters) bit(name string, bit int) bool { return r.regs[name][0]>>bit&1 != 0 }

// vlan returns the tag that filters look at.
func (r *refFilters) vlan(h *parse.Headers) (tci uint32, ok bool) {
	if h.Kind&parse.Tagged == 0 || h.Kind&parse.ExtendedVLAN != 0 && h.Kind&parse.DoubleTagged == 0 {
		return 0, false
	}
	return uint32(h.InnerTCI), true
}

func (r *refFilters) accept(b []byte, h *parse.Headers) nicsim.Drop {
	if !r.acceptAddress(b[:6]) {
		return nicsim.DropRxMACFilter
	}
	tci, ok := r.vlan(h)
	if !ok || !r.bit("VLNCTRL", 30) {
		return nicsim.DropNone
	}
	if r.bit("VLNCTRL", 29) && r.bit("VLNCTRL", 28) != (tci>>12&1 != 0) {
		return nicsim.DropRxVLANFilter
	}
	if id := tci & 0xFFF; r.get("VFTA", int(id/32))>>(id%32)&1 == 0 {
		return nicsim.DropRxVLANFilter
	}
	return nicsim.DropNone
}

func (r *refFilters) acceptAddress(dst []byte) bool {
	for i := range 128 {
		var pair [8]byte
		binary.LittleEndian.PutUint32(pair[:], r.get("RAL", i))
		binary.LittleEndian.PutUint32(pair[4:], r.get("RAH", i))
		if pair[7]&0x80 != 0 && bytes.Equal(pair[:6], dst) && !bytes.Equal(dst, make([]byte, 6)) {
			return true
		}
	}
	switch {
	case dst[0]&1 == 0:
		return r.bit("FCTRL", 9)
	case r.bit("FCTRL", 8):
		return true
	case bytes.Equal(dst, []byte{255, 255, 255, 255, 255, 255}):
		return r.bit("FCTRL", 10)
	case !r.bit("MCSTCTRL", 2):
		return false
	}
	// Bit 47 of the address is the last on the wire.
	var address uint64
	for i, v := range dst {
		address |= uint64(v) << (8 * i)
	}
	from := []int{36, 35, 34, 32}[r.get("MCSTCTRL", 0)&3]
	n := int(address >> from & 0xFFF)
	return r.get("MTA", n/32)>>(n%32)&1 != 0
}

func (r *refFilters) classify(b []byte, h *parse.Headers) (c rxClass) {
	kinds := []struct {
		kind parse.Kind
		info ixgbe.RxInfo
	}{{parse.IPv4, ixgbe.PacketIPv4}, {parse.IPv4Options, ixgbe.PacketIPv4E}, {parse.IPv6, ixgbe.PacketIPv6},
		{parse.IPv6Ext, ixgbe.PacketIPv6E}, {parse.TCP, ixgbe.PacketTCP}, {parse.UDP, ixgbe.PacketUDP},
		{parse.SCTP, ixgbe.PacketSCTP}, {parse.ESP, ixgbe.PacketESP}, {parse.AH, ixgbe.PacketAH}}
	for _, k := range kinds {
		if h.Kind&k.kind != 0 {
			c.info |= k.info
		}
	}
	index := r.rss(&c, b, h)
	tci, hasTag := r.vlan(h)
	tc := r.get("RTRUP2TC", 0) >> (3 * (tci >> 13)) & 7
	switch r.get("MRQC", 0) & 15 {
	case 1:
		c.queue = uint16(index)
	case 2:
		c.queue = uint16(tc * 16)
	case 3:
		c.queue = uint16(tc % 4 * 32)
	case 4:
		c.queue = uint16(tc*16 + index%(1<<min(4, r.get("RQTC", 0)>>(4*tc)&7)))
	case 5:
		tc %= 4
		c.queue = uint16(tc*32 + index%(1<<min(4, r.get("RQTC", 0)>>(4*tc)&7)))
	}
	if !r.bit("RXCSUM", 13) {
		c.info &^= ixgbe.RSSMask
		c.param = 0
		if h.Kind&parse.IPv4 != 0 {
			c.param = uint32(b[h.L3+4])<<8 | uint32(b[h.L3+5])
			if h.Kind&parse.Fragment != 0 && h.Proto == 17 && h.Kind&parse.Truncated == 0 {
				c.param |= uint32(refmodel.Sum(b[h.L3End:h.End])) << 16
				if h.Kind&parse.FirstFragment != 0 && h.L4 != 0 && (b[h.L4+6] != 0 || b[h.L4+7] != 0) {
					c.status |= ixgbe.RxUDPV
				}
			}
		}
	}
	decided := r.etherType(&c, h, tci, hasTag) || r.tuple(&c, b, h)
	r.flowDirector(&c, b, h, decided)
	if hasTag && r.bit("IMIRVP", 3) && tci>>13 >= r.get("IMIRVP", 0)&7 {
		c.status |= ixgbe.RxDYNINT
	}
	return c
}

// rss is 7.1.2.8.
func (r *refFilters) rss(c *rxClass, b []byte, h *parse.Headers) uint32 {
	if m := r.get("MRQC", 0) & 15; m != 1 && m != 4 && m != 5 {
		return 0
	}
	var addresses, ports []byte
	ip := b[h.L3:]
	l4 := h.L4
	type function struct {
		bit   int
		needs parse.Kind
		kind  ixgbe.RxInfo
	}
	var order []function
	switch {
	case h.Kind&parse.IPv4 != 0:
		addresses = ip[12:20]
		order = []function{{16, parse.TCP, 1}, {22, parse.UDP, 7}, {17, 0, 2}}
	case h.Kind&parse.IPv6 != 0:
		addresses = ip[8:40]
		order = []function{{21, parse.TCP, 3}, {23, parse.UDP, 8}, {20, 0, 5}}
	}
	for _, f := range order {
		if !r.bit("MRQC", f.bit) || h.Kind&f.needs != f.needs {
			continue
		}
		if f.needs != 0 {
			ports = b[l4 : l4+4]
		}
		var key [40]byte
		for i := range 10 {
			binary.LittleEndian.PutUint32(key[4*i:], r.get("RSSRK", i))
		}
		c.param = refmodel.Toeplitz(key, append(append([]byte(nil), addresses...), ports...))
		c.info |= f.kind
		entry := int(c.param & 127)
		return r.get("RETA", entry/4) >> (8 * (entry % 4)) & 15
	}
	return 0
}

// etherType is 7.1.2.3.
func (r *refFilters) etherType(c *rxClass, h *parse.Headers, tci uint32, hasTag bool) bool {
	first := -1
	for i := range 8 {
		qf, qs := r.get("ETQF", i), r.get("ETQS", i)
		if qf>>31 == 0 || qf&0xFFFF != uint32(h.EtherType) {
			continue
		}
		if first < 0 {
			first = i
		}
		if qf>>19&1 != 0 && (!hasTag || tci>>13 != qf>>16&7) {
			continue
		}
		c.info = c.info&15 | ixgbe.PacketETQF(i)
		c.ptp = qf>>30&1 != 0
		if qs>>29&1 != 0 {
			c.status |= ixgbe.RxDYNINT
		}
		if qs>>31 != 0 {
			c.queue = uint16(qs >> 16 & 127)
		}
		return qs>>31 != 0
	}
	if first >= 0 {
		c.info = c.info&15 | ixgbe.PacketETQF(first)
	}
	return false
}

// tuple is 7.1.2.5 and 7.1.2.6.
func (r *refFilters) tuple(c *rxClass, b []byte, h *parse.Headers) bool {
	if h.Kind&(parse.IPv4|parse.IPv6) == 0 || h.Kind&parse.Fragment != 0 || h.Proto == 4 || h.Proto == 41 {
		return false
	}
	isSYN := func() bool {
		if r.bit("SYNQF", 0) && h.Kind&parse.TCP != 0 && b[h.L4+13]&2 != 0 {
			c.queue = uint16(r.get("SYNQF", 0) >> 1 & 127)
			return true
		}
		return false
	}
	if r.bit("SYNQF", 31) && isSYN() {
		return true
	}
	best := -1
	for i := range 128 {
		if r.tupleMatches(i, b, h) && (best < 0 || r.get("FTQF", i)>>2&7 > r.get("FTQF", best)>>2&7) {
			best = i
		}
	}
	if best >= 0 {
		timir := r.get("L34TIMIR", best)
		c.queue = uint16(timir >> 21 & 127)
		if timir>>20&1 != 0 && (timir>>12&1 != 0 || len(b) < int(r.get("LLITHRESH", 0)&0xFFF)) {
			c.status |= ixgbe.RxDYNINT
		}
		return true
	}
	return isSYN()
}

func (r *refFilters) tupleMatches(i int, b []byte, h *parse.Headers) bool {
	qf := r.get("FTQF", i)
	if qf>>31 == 0 {
		return false
	}
	wire := func(name string) []byte { return binary.LittleEndian.AppendUint32(nil, r.get(name, i)) }
	if qf>>25&1 == 0 && (h.Kind&parse.IPv4 == 0 || !bytes.Equal(wire("SAQF"), b[h.L3+12:h.L3+16])) {
		return false
	}
	if qf>>26&1 == 0 && (h.Kind&parse.IPv4 == 0 || !bytes.Equal(wire("DAQF"), b[h.L3+16:h.L3+20])) {
		return false
	}
	hasPorts := h.Kind&(parse.TCP|parse.UDP|parse.SCTP) != 0
	if qf>>27&1 == 0 && (!hasPorts || !bytes.Equal(wire("SDPQF")[:2], b[h.L4:h.L4+2])) {
		return false
	}
	if qf>>28&1 == 0 && (!hasPorts || !bytes.Equal(wire("SDPQF")[2:], b[h.L4+2:h.L4+4])) {
		return false
	}
	protocol := uint32(3)
	for n, k := range []parse.Kind{parse.TCP, parse.UDP, parse.SCTP} {
		if h.Kind&k != 0 {
			protocol = uint32(n)
		}
	}
	return qf>>29&1 != 0 || qf&3 == protocol
}

// refFlowHash is the hash function of 7.1.2.7.15, bit by bit: the input is 42
// bytes, the first one highest.
func refFlowHash(key uint32, s [42]byte) uint16 {
	bit := func(n int) uint16 { // of S[335:0]
		return uint16(s[41-n/8] >> (n % 8) & 1)
	}
	var extended []uint16 // S[14:0] | S[335:0] | S[335:321], lowest first
	for n := 321; n <= 335; n++ {
		extended = append(extended, bit(n))
	}
	for n := range 336 {
		extended = append(extended, bit(n))
	}
	for n := range 15 {
		extended = append(extended, bit(n))
	}
	var hash uint16
	for i := 0; i <= 350; i++ {
		if key>>((i+1)%32)&1 == 0 {
			continue
		}
		for j := range 16 {
			hash ^= extended[i+j] << j
		}
	}
	return hash
}

// refStream is the input of the hash for a frame (table 7-9), fields masked.
// It is not ok for frames that are not for these filters.
func (r *refFilters) refStream(b []byte, h *parse.Headers) (s [42]byte, ok bool) {
	l4 := h.Kind & (parse.TCP | parse.UDP | parse.SCTP)
	if h.Kind&(parse.IPv4|parse.IPv6) == 0 || l4 == 0 && !r.bit("FDIRM", 3) {
		return s, false
	}
	return r.masked(b, h), true
}

func (r *refFilters) masked(b []byte, h *parse.Headers) (s [42]byte) {
	fdirm := r.get("FDIRM", 0)
	l4 := byte(0)
	var portMask uint32
	switch {
	case h.Kind&parse.UDP != 0:
		l4, portMask = 1, r.get("FDIRUDPM", 0)
	case h.Kind&parse.TCP != 0:
		l4, portMask = 2, r.get("FDIRTCPM", 0)
	case h.Kind&parse.SCTP != 0:
		l4 = 3
	}
	if tci, tagged := r.vlan(h); tagged {
		if fdirm&1 == 0 {
			s[0], s[1] = byte(tci>>8&0xF), byte(tci)
		}
		if fdirm&2 == 0 {
			s[0] |= byte(tci >> 8 & 0xE0)
		}
	}
	if h.Kind&parse.IPv4 != 0 {
		for i := range 4 {
			s[2+i] = b[int(h.L3)+12+i] &^ byte(r.get("FDIRSIP4M", 0)>>(8*i))
			s[18+i] = b[int(h.L3)+16+i] &^ byte(r.get("FDIRDIP4M", 0)>>(8*i))
		}
	} else {
		s[41] = 4
		for i := range 16 {
			if r.get("FDIRIP6M", 0)>>i&1 == 0 {
				s[2+i] = b[int(h.L3)+8+i]
			}
			if r.get("FDIRIP6M", 0)>>(16+i)&1 == 0 && !r.bit("FDIRCTRL", 4) {
				s[18+i] = b[int(h.L3)+24+i]
			}
		}
		if r.bit("FDIRCTRL", 4) && fdirm>>5&1 == 0 && r.isHome(b[h.L3+24:h.L3+40]) {
			s[18] = 1
		}
	}
	if l4 == 1 || l4 == 2 {
		for i := range 32 { // source port first; masks have their bits in reverse
			mask := portMask >> (15 - i%16)
			if i < 16 {
				mask = portMask >> (31 - i%16) // destination
			}
			value := binary.BigEndian.Uint32(b[h.L4:]) >> i & 1
			if mask&1 == 0 && value != 0 {
				s[37-i/8] |= 1 << (i % 8)
			}
		}
	}
	if at := r.get("FDIRCTRL", 0) >> 16 & 31 * 2; fdirm>>4&1 == 0 && int(at)+2 <= len(b) {
		copy(s[38:40], b[at:at+2])
	}
	if fdirm>>3&1 == 0 {
		s[41] |= l4
	}
	return s
}

// isHome compares with the IPv6 address that IPAV and IP6AT hold.
func (r *refFilters) isHome(address []byte) bool {
	var home []byte
	for i := range 4 {
		home = binary.LittleEndian.AppendUint32(home, r.get("IP6AT", i))
	}
	return r.bit("IPAV", 16) && bytes.Equal(home, address)
}

func (r *refFilters) bucketMask() uint32 {
	n := uint32(4096) << (r.get("FDIRCTRL", 0) & 3)
	if r.bit("FDIRCTRL", 4) {
		n /= 4
	}
	return n - 1
}

func (r *refFilters) flowDirector(c *rxClass, b []byte, h *parse.Headers, decided bool) {
	ctrl := r.get("FDIRCTRL", 0)
	s, ok := r.refStream(b, h)
	if ctrl&3 == 0 || !ok {
		return
	}
	perfect := r.bit("FDIRCTRL", 4)
	bucket := uint32(refFlowHash(r.get("FDIRHKEY", 0), s)) & r.bucketMask()
	signature := uint32(refFlowHash(r.get("FDIRSKEY", 0), s)) & 0x7FFF
	if perfect {
		signature = 0
	}
	place := 0
	var hit *refFlow
	for i := range r.flows {
		f := &r.flows[i]
		if f.stale || f.bucket != bucket {
			continue
		}
		place++
		if perfect && r.flowFields(f, h.Kind&(parse.TCP|parse.UDP|parse.SCTP)) == s || !perfect && f.id == signature {
			hit = f
			break
		}
	}
	if place > int(ctrl>>24&15) {
		c.status |= ixgbe.RxFDIRLength
	}
	if hit == nil {
		r.missed++
		if ctrl>>5&1 != 0 && ctrl>>7&1 != 0 {
			c.info |= ixgbe.RSSFlowDirector
			c.param = signature | bucket<<16
		}
		return
	}
	r.matched++
	c.status |= ixgbe.RxFLM
	if ctrl>>5&1 != 0 {
		c.info |= ixgbe.RSSFlowDirector
		c.param = hit.id | bucket<<16
	}
	if hit.collision {
		c.status |= ixgbe.RxFDIRColl
	}
	if decided {
		return
	}
	if hit.cmd>>10&1 != 0 {
		c.status |= ixgbe.RxDYNINT
	}
	own := uint16(hit.cmd >> 16 & 127)
	switch {
	case hit.cmd>>9&1 != 0 && c.status&ixgbe.RxFDIRLength != 0:
		c.status |= ixgbe.RxFDIRDrop
		c.queue = own
	case hit.cmd>>9&1 != 0:
		c.queue, c.toDropQueue = uint16(ctrl>>8&127), true
	case hit.cmd>>15&1 != 0:
		c.queue = own
	}
}

// flowFields lays the registers of a perfect filter out as a stream, with the
// masks that apply to a frame of protocol l4.
func (r *refFilters) flowFields(f *refFlow, l4 parse.Kind) (s [42]byte) {
	frame := make([]byte, 14+40+8)
	h := parse.Headers{Kind: l4 | parse.Tagged, L3: 14, L4: 54, InnerTCI: uint16(f.stage[6])}
	wire := func(at int, v uint32) { binary.LittleEndian.PutUint32(frame[at:], v) }
	v6 := f.cmd>>7&1 != 0
	if v6 {
		h.Kind |= parse.IPv6
		for i := range 4 {
			wire(14+8+4*i, f.stage[i])
		}
	} else {
		h.Kind |= parse.IPv4
		wire(14+12, f.stage[3])
		wire(14+16, f.stage[4])
	}
	binary.BigEndian.PutUint16(frame[54:], uint16(f.stage[5]))
	binary.BigEndian.PutUint16(frame[56:], uint16(f.stage[5]>>16))
	s = r.masked(frame, &h)
	if v6 {
		s[18] = 0
		if f.cmd>>4&1 != 0 && !r.bit("FDIRM", 5) {
			s[18] = 1
		}
	}
	s[38], s[39], s[41] = 0, 0, byte(f.cmd>>5&4)
	if !r.bit("FDIRM", 4) {
		s[38], s[39] = byte(f.stage[6]>>16), byte(f.stage[6]>>24)
	}
	if !r.bit("FDIRM", 2) {
		s[40] = byte(f.cmd >> 24 & 63)
	}
	if !r.bit("FDIRM", 3) {
		s[41] |= byte(f.cmd >> 5 & 3)
	}
	return s
}

func (r *refFilters) command(v uint32) {
	ctrl := r.get("FDIRCTRL", 0)
	if ctrl&3 == 0 {
		return
	}
	hash := r.get("FDIRHASH", 0)
	n := refFlow{bucket: hash & r.bucketMask(), id: hash >> 16, cmd: v}
	perfect := r.bit("FDIRCTRL", 4)
	for i := range 3 {
		n.stage[i] = r.get("FDIRSIPV6", i)
	}
	for i, name := range []string{"FDIRIPSA", "FDIRIPDA", "FDIRPORT", "FDIRVLAN"} {
		n.stage[3+i] = r.get(name, 0)
	}
	live := 0
	for i := range r.flows {
		f := &r.flows[i]
		if f.stale {
			continue
		}
		live++
		if f.bucket != n.bucket {
			continue
		}
		switch v & 3 {
		case 1:
			if perfect && r.sameFlow(f, &n) || !perfect && f.id == n.id {
				const action = 0x007F8600
				switch {
				case v>>3&1 != 0:
					f.cmd = f.cmd&^action | v&action
					f.id = n.id
				case f.cmd&action != v&action:
					f.collision = true
				}
				return
			}
		case 2:
			if f.id == n.id {
				f.stale = true
				r.removed++
				return
			}
		}
	}
	if v&3 == 1 {
		if live == int(r.bucketMask())-1 {
			r.lost++
			return
		}
		r.flows = append(r.flows, n)
		r.added++
	}
}

func (r *refFilters) sameFlow(a, b *refFlow) bool {
	l4 := []parse.Kind{0, parse.UDP, parse.TCP, parse.SCTP}[a.cmd>>5&3]
	return r.flowFields(a, l4) == r.flowFields(b, l4)
}
