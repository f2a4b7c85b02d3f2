package refmodel

import "nicsim.dev/offloads/parse"

// reader takes a frame apart from front to back. Once it has been asked for
// more than there is, it is short and gives zeros.
type reader struct {
	b     []byte
	at    int
	end   int
	short bool
}

func (r *reader) u8() uint8 {
	if r.at >= r.end {
		r.short = true
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) u16() uint16 { hi := r.u8(); return uint16(hi)<<8 | uint16(r.u8()) }

func (r *reader) skip(n int) {
	for range n {
		r.u8()
	}
}

// Frame is parse.Frame, one field at a time.
func Frame(b []byte, outerTPID uint16) parse.Headers {
	if len(b) > 0xFFFF {
		b = b[:0xFFFF]
	}
	h := parse.Headers{End: uint16(len(b))}
	r := &reader{b: b, end: len(b)}
	r.skip(12)
	etherType := r.u16()
	if r.short {
		h.Kind = parse.Truncated
		return h
	}
	var tags []uint16
	if outerTPID != 0 && etherType == outerTPID {
		r.tag(&h, &tags, &etherType)
		h.Kind |= parse.ExtendedVLAN
	}
	if !r.short && etherType == 0x8100 {
		r.tag(&h, &tags, &etherType)
	}
	if r.short {
		// The cut tag counts as an EtherType.
		h.Kind &^= parse.ExtendedVLAN
		if len(tags) == 1 {
			h.Kind |= parse.ExtendedVLAN | parse.Tagged
			h.InnerTCI = tags[0]
		}
		h.Kind |= parse.Truncated
		h.EtherType, h.L2Bytes = etherType, uint8(14+4*len(tags))
		return h
	}
	switch len(tags) {
	case 1:
		h.Kind |= parse.Tagged
		h.InnerTCI = tags[0]
	case 2:
		h.Kind |= parse.Tagged | parse.DoubleTagged
		h.OuterTCI, h.InnerTCI = tags[0], tags[1]
	}
	if etherType <= 1500 {
		snap := *r
		if snap.u16() == 0xAAAA && snap.u16() == 0x0300 && snap.u16() == 0 {
			if inner := snap.u16(); !snap.short {
				*r = snap
				etherType = inner
				h.Kind |= parse.SNAP
			}
		}
	}
	h.EtherType, h.L2Bytes = etherType, uint8(r.at)
	switch etherType {
	case 0x0800:
		r.ipv4(&h)
	case 0x86DD:
		r.ipv6(&h)
	case 0x0806:
		h.Kind |= parse.ARP
	}
	return h
}

// tag takes a tag control word and the EtherType after it.
func (r *reader) tag(h *parse.Headers, tags *[]uint16, etherType *uint16) {
	tci := r.u16()
	next := r.u16()
	if !r.short {
		*tags = append(*tags, tci)
		*etherType = next
	}
}

func (r *reader) ipv4(h *parse.Headers) {
	start := r.at
	versionAndLength := r.u8()
	r.skip(1)
	total := int(r.u16())
	r.skip(2)
	fragment := r.u16()
	r.skip(1)
	proto := r.u8()
	r.skip(10)
	options := int(versionAndLength&15)*4 - 20
	if options > 0 {
		r.skip(options)
	}
	if r.short || versionAndLength>>4 != 4 || options < 0 {
		h.Kind |= parse.Truncated
		return
	}
	h.Kind |= parse.IPv4
	if options > 0 {
		h.Kind |= parse.IPv4Options
	}
	h.L3, h.L3End, h.Proto = uint16(start), uint16(r.at), proto
	if start+total < r.at || start+total > len(r.b) {
		h.Kind |= parse.Truncated
	} else {
		r.end = start + total
		h.End = uint16(r.end)
	}
	moreFragments, offset := fragment&0x2000 != 0, fragment&0x1FFF
	if offset != 0 {
		h.Kind |= parse.Fragment
		return
	}
	if moreFragments {
		h.Kind |= parse.Fragment | parse.FirstFragment
	}
	if proto == 51 {
		h.Kind |= parse.AH
		if !r.authentication(h) {
			return
		}
	}
	r.upper(h, h.Kind&parse.Fragment == 0)
}

// authentication takes an authentication header and moves Proto and L3End past it.
func (r *reader) authentication(h *parse.Headers) bool {
	next := r.u8()
	words := int(r.u8())
	r.skip((words+2)*4 - 2)
	if r.short || words < 1 {
		if h.Kind&parse.Fragment == 0 {
			h.Kind |= parse.Truncated
		}
		return false
	}
	h.Proto, h.L3End = next, uint16(r.at)
	return true
}

func (r *reader) ipv6(h *parse.Headers) {
	start := r.at
	version := r.u8() >> 4
	r.skip(3)
	payload := int(r.u16())
	proto := r.u8()
	r.skip(33)
	if r.short || version != 6 {
		h.Kind |= parse.Truncated
		return
	}
	h.Kind |= parse.IPv6
	h.L3, h.L3End, h.Proto = uint16(start), uint16(r.at), proto
	if r.at+payload > len(r.b) {
		h.Kind |= parse.Truncated
	} else {
		r.end = r.at + payload
		h.End = uint16(r.end)
	}
	whole := true
	for n := 0; ; n++ {
		switch h.Proto {
		case 0, 43, 44, 51, 60, 135:
		default:
			r.upper(h, whole)
			return
		}
		if n == 16 {
			h.Kind |= parse.Truncated
			return
		}
		h.Kind |= parse.IPv6Ext
		at := r.at
		switch h.Proto {
		case 51:
			h.Kind |= parse.AH
			if !r.authentication(h) {
				return
			}
		case 44:
			next := r.u8()
			r.skip(1)
			offset := r.u16() >> 3
			r.skip(4)
			if r.short {
				if whole {
					h.Kind |= parse.Truncated
				}
				return
			}
			h.Kind |= parse.Fragment
			h.Proto, h.L3End, whole = next, uint16(r.at), false
			if offset != 0 {
				return
			}
			h.Kind |= parse.FirstFragment
		default:
			next := r.u8()
			units := int(r.u8())
			r.skip(6 + units*8)
			if r.short {
				if whole {
					h.Kind |= parse.Truncated
				}
				return
			}
			if h.Proto == 43 && units > 0 || h.Proto == 60 && hasHomeAddress(r.b[at+2:r.at]) {
				h.Kind |= parse.Rerouted
			}
			h.Proto, h.L3End = next, uint16(r.at)
		}
	}
}

// hasHomeAddress looks for option 201 (RFC 6275 6.3).
func hasHomeAddress(options []byte) bool {
	r := &reader{b: options, end: len(options)}
	for range 32 {
		kind := r.u8()
		if r.short {
			return false
		}
		if kind == 201 {
			return true
		}
		if kind != 0 {
			r.skip(int(r.u8()))
		}
		if r.short {
			return false
		}
	}
	return false
}

// upper looks at the upper-layer header that r stands before.
func (r *reader) upper(h *parse.Headers, whole bool) {
	start := r.at
	var kind parse.Kind
	v4 := h.Kind&parse.IPv4 != 0
	switch {
	case h.Proto == 6:
		kind = parse.TCP
		r.skip(12)
		words := int(r.u8() >> 4)
		r.skip(7)
		if !r.short && words < 5 {
			h.Kind |= parse.Truncated
			return
		}
		r.skip(words*4 - 20)
	case h.Proto == 17:
		kind = parse.UDP
		r.skip(8)
	case h.Proto == 132:
		kind = parse.SCTP
		r.skip(12)
	case h.Proto == 1 && v4, h.Proto == 58 && !v4:
		kind = parse.ICMP
		r.skip(8)
	case h.Proto == 50:
		h.Kind |= parse.ESP
		r.skip(8)
		if !r.short {
			h.L4 = uint16(start)
		} else if whole {
			h.Kind |= parse.Truncated
		}
		return
	default:
		if r.at < r.end {
			h.L4 = uint16(start)
		}
		return
	}
	if r.short {
		if whole {
			h.Kind |= parse.Truncated
		}
		return
	}
	h.L4, h.Payload = uint16(start), uint16(r.at)
	if whole {
		h.Kind |= kind
	}
}
