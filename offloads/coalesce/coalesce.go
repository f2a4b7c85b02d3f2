// Package coalesce decides which received TCP segments become one packet, and
// what the packet's headers then say (82599 datasheet 7.11, receive side
// coalescing).
//
// It looks at headers only: who calls it keeps the frames. It never panics and
// never allocates.
//
// A packet is a stretch of one flow's bytes, in order and without gaps. What its
// frames need not have in common (7.11.4) is taken from the first (identification,
// hop limit, traffic class) or from the last (acknowledgement, window, time
// stamp); segments may be of any length. So the bytes and the number of frames
// survive, which is what a stack needs to cut the packet up again, but not each
// frame's own header.
package coalesce

import (
	"encoding/binary"
	"math/bits"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
)

// Contexts is how many flows can be coalesced at a time (82599 datasheet 7.11).
const Contexts = 32

// maxLength is the greatest value of an IPv4 total length and of an IPv6
// payload length.
const maxLength = 65535

// Verdict is what becomes of a frame.
type Verdict uint8

const (
	// Pass: the frame goes on alone, now.
	Pass Verdict = iota
	// Close: the context has to be closed, because the frame may neither join nor
	// overtake it, or because the frame needs its place; then the frame is to be
	// offered again.
	Close
	// Open: the frame is the first of the context. Limit says how many bytes may
	// follow.
	Open
	// Append: the frame's payload follows that of the context.
	Append
	// Last: as Append, and the context has to be closed.
	Last
)

// None is no context.
const None = -1

// Decision is the answer to a frame.
type Decision struct {
	Verdict Verdict
	Context int // index, or None
}

// context is what is known of a packet in the making (82599 datasheet 7.11.2).
type context struct {
	hash  uint32
	ports uint32
	queue uint16
	inner uint16 // tags
	outer uint16
	kind  parse.Kind
	bytes uint16 // of all headers
	next  uint32 // sequence number that follows
	room  int    // payload bytes that still fit
	age   uint64 // when it was opened, in openings

	addresses [32]byte
}

// Engine holds the contexts of an adapter.
type Engine struct {
	used     uint32 // bit set of contexts
	opened   uint64
	contexts [Contexts]context
}

// same are the kinds of header that must be equal within a packet.
const same = parse.IPv4 | parse.IPv6 | parse.Tagged | parse.DoubleTagged | parse.ExtendedVLAN

// Qualifies says whether a frame may be coalesced at all (82599 datasheet
// 7.11.1): TCP over IPv4 without options or IPv6 without extension headers, not
// a fragment, without padding behind the datagram, no congestion mark, no flag
// but ACK and PSH, no option but an aligned time stamp, and a payload.
func Qualifies(b []byte, h *parse.Headers) bool {
	const never = parse.IPv4Options | parse.IPv6Ext | parse.Fragment | parse.Truncated | parse.SNAP | parse.AH | parse.ESP
	if h.Kind&parse.TCP == 0 || h.Kind&never != 0 || h.End <= h.Payload || int(h.End) != len(b) {
		return false
	}
	l3, l4 := int(h.L3), int(h.L4)
	mark := b[l3+1]
	if h.Kind&parse.IPv6 != 0 {
		mark >>= 4
	}
	if mark&3 == congestionMarked || binary.BigEndian.Uint16(b[l4+12:])&0xFFF&^flagPSH != flagACK {
		return false
	}
	switch h.Payload - h.L4 {
	case 20:
		return true
	case 32:
		return binary.BigEndian.Uint32(b[l4+20:]) == alignedTimestamp
	}
	return false
}

const (
	congestionMarked = 3 // RFC 3168 5

	flagPSH = 1 << 3
	flagACK = 1 << 4

	// alignedTimestamp is two NOPs and the head of a time stamp option (RFC 7323
	// appendix A).
	alignedTimestamp = 0x0101080A
)

// Offer decides on a frame of a queue. h is what parse.Frame said of b.
func (e *Engine) Offer(b []byte, h *parse.Headers, queue uint16) Decision {
	if h.Kind&parse.TCP == 0 {
		return Decision{Pass, None}
	}
	qualified := Qualifies(b, h)
	if !qualified && e.used == 0 {
		return Decision{Pass, None}
	}
	at, n := int(h.L3)+12, 8
	if h.Kind&parse.IPv6 != 0 {
		at, n = int(h.L3)+8, 32
	}
	addresses := b[at : at+n]
	ports := binary.BigEndian.Uint32(b[h.L4:])
	hash := ports ^ uint32(queue)<<16
	for a := addresses; len(a) > 0; a = a[4:] {
		hash = hash*0x9E3779B1 ^ binary.LittleEndian.Uint32(a)
	}
	i := e.find(hash, ports, queue, h.Kind, addresses)
	switch {
	case !qualified && i == None:
		return Decision{Pass, None}
	case !qualified:
		return Decision{Close, i}
	}
	seq := binary.BigEndian.Uint32(b[h.L4+4:])
	payload := int(h.End - h.Payload)
	push := b[h.L4+13]&flagPSH != 0
	if i == None {
		if push {
			return Decision{Pass, None} // it would close at once
		}
		if e.used == 1<<Contexts-1 {
			return Decision{Close, e.oldest()} // 7.11.3
		}
		return Decision{Open, e.open(h, context{
			hash: hash, ports: ports, queue: queue, inner: h.InnerTCI, outer: h.OuterTCI, kind: h.Kind & same,
			bytes: h.Payload, next: seq + uint32(payload),
		}, addresses)}
	}
	c := &e.contexts[i]
	if seq != c.next || payload > c.room || h.Kind&same != c.kind || h.Payload != c.bytes || h.InnerTCI != c.inner || h.OuterTCI != c.outer {
		return Decision{Close, i} // out of order, of another shape, or too long (7.11.4)
	}
	c.next += uint32(payload)
	c.room -= payload
	if push {
		return Decision{Last, i}
	}
	return Decision{Append, i}
}

// Limit bounds what may follow the first frame of context i, which Offer has
// just opened, to n bytes of payload.
func (e *Engine) Limit(i, n int) {
	c := &e.contexts[i]
	c.room = min(c.room, n)
}

// Close ends context i. Its flow's next frame opens a new one.
func (e *Engine) Close(i int) { e.used &^= 1 << i }

func (e *Engine) open(h *parse.Headers, c context, addresses []byte) int {
	i := bits.TrailingZeros32(^e.used)
	e.used |= 1 << i
	e.opened++
	c.age = e.opened
	c.room = maxLength - int(h.End-h.L3)
	if h.Kind&parse.IPv6 != 0 {
		c.room = maxLength - int(h.End-h.L4)
	}
	copy(c.addresses[:], addresses)
	e.contexts[i] = c
	return i
}

// find returns the context of a flow: same queue, addresses and ports (7.11.2).
// What else may not differ within a packet is not part of what is looked for: a
// frame that differs there must still not overtake its flow.
func (e *Engine) find(hash, ports uint32, queue uint16, kind parse.Kind, addresses []byte) int {
	for m := e.used; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		c := &e.contexts[i]
		if c.hash == hash && c.ports == ports && c.queue == queue && (c.kind^kind)&parse.IPv6 == 0 &&
			string(c.addresses[:len(addresses)]) == string(addresses) {
			return i
		}
	}
	return None
}

func (e *Engine) oldest() int {
	first := 0
	for i := range e.contexts {
		if e.contexts[i].age < e.contexts[first].age {
			first = i
		}
	}
	return first
}

// Finish makes the headers of the first frame those of the packet (82599
// datasheet 7.11.5): lengths and IPv4 checksum of the whole; acknowledgement,
// window, PSH and time stamp of the last frame. The TCP checksum stays what it
// was: every part was verified, and the descriptor says so.
func Finish(first []byte, h *parse.Headers, last []byte, lh *parse.Headers, payloadBytes int) {
	l3, l4, from := int(h.L3), int(h.L4), int(lh.L4)
	if h.Kind&parse.IPv4 != 0 {
		binary.BigEndian.PutUint16(first[l3+2:], uint16(int(h.Payload)-l3+payloadBytes))
		checksum.FillIPv4(first, l3, l4-l3)
	} else {
		binary.BigEndian.PutUint16(first[l3+4:], uint16(int(h.Payload)-l4+payloadBytes))
	}
	copy(first[l4+8:l4+12], last[from+8:]) // acknowledgement
	first[l4+13] |= last[from+13] & flagPSH
	copy(first[l4+14:l4+16], last[from+14:]) // window
	if h.Payload-h.L4 == 32 {
		copy(first[l4+24:l4+32], last[from+24:]) // time stamps
	}
}
