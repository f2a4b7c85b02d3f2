// Package coalesce decides which received TCP segments become one packet, and
// what the packet's headers then say (82599 datasheet 7.11, receive side
// coalescing).
//
// It looks at headers only: who calls it keeps the frames. It never panics and
// never allocates once its contexts exist.
package coalesce

import (
	"encoding/binary"
	"math/bits"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
)

// Contexts is how many flows can be coalesced at a time (82599 datasheet 7.11).
const Contexts = 32

// maxPacketBytes is the longest packet: an IPv4 total length has 16 bits.
const maxPacketBytes = 65535

// Verdict is what becomes of a frame.
type Verdict uint8

const (
	// Pass: the frame goes on alone, now.
	Pass Verdict = iota
	// Close: the context has to be closed, because the frame may neither join nor
	// overtake it; then the frame is to be offered again.
	Close
	// Open: the frame is the first of the context.
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

// flow is what the segments of a coalesced packet have in common (82599
// datasheet 7.11.2): queue, addresses, ports, and the shape of the headers.
type flow struct {
	addresses [32]byte
	ports     uint32
	queue     uint16
	tag       uint16
	kind      parse.Kind
	header    uint8 // TCP header bytes
}

type context struct {
	flow
	hash  uint32
	next  uint32 // sequence number that follows
	bytes int    // of the packet so far, without Ethernet header
	parts int
}

// Engine holds the contexts of an adapter.
type Engine struct {
	used     uint32 // bit set of contexts
	contexts [Contexts]context
}

// same are the kinds of header that must be equal within a packet.
const same = parse.IPv4 | parse.IPv6 | parse.Tagged | parse.DoubleTagged | parse.ExtendedVLAN

// Qualifies says whether a frame may be coalesced at all (82599 datasheet
// 7.11.1): TCP over IPv4 without options or IPv6 without extension headers, not
// a fragment, no congestion mark, no flag but ACK and PSH, no option but an
// aligned time stamp, and a payload.
func Qualifies(b []byte, h *parse.Headers) bool {
	const never = parse.IPv4Options | parse.IPv6Ext | parse.Fragment | parse.Truncated | parse.SNAP | parse.AH
	if h.Kind&parse.TCP == 0 || h.Kind&never != 0 || h.End <= h.Payload {
		return false
	}
	l3, l4 := int(h.L3), int(h.L4)
	mark := b[l3+1]
	if h.Kind&parse.IPv6 != 0 {
		mark = b[l3+1] >> 4
	}
	if mark&3 == congestionMarked {
		return false
	}
	flags := binary.BigEndian.Uint16(b[l4+12:]) & 0x1FF
	if flags&^flagPSH != flagACK {
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

// Offer decides on a frame of a queue. limit is the longest packet in bytes,
// Ethernet header included, that the queue's buffers take.
func (e *Engine) Offer(b []byte, h *parse.Headers, queue uint16, limit int) Decision {
	if h.Kind&parse.TCP == 0 {
		return Decision{Pass, None}
	}
	var f flow
	hash := f.read(b, h, queue)
	i := e.find(&f, hash)
	if !Qualifies(b, h) {
		if i != None {
			return Decision{Close, i}
		}
		return Decision{Pass, None}
	}
	payload := int(h.End - h.Payload)
	seq := binary.BigEndian.Uint32(b[h.L4+4:])
	push := b[h.L4+13]&flagPSH != 0
	if i == None {
		if i = bits.TrailingZeros32(^e.used); push || i == Contexts {
			return Decision{Pass, None} // it would close at once, or no context is free
		}
		e.begin(i, &f, hash, h, seq, payload)
		return Decision{Open, i}
	}
	c := &e.contexts[i]
	if seq != c.next || c.header != f.header || c.kind != f.kind || c.tag != f.tag ||
		c.bytes+payload > min(maxPacketBytes, limit-int(h.L2Bytes)) {
		return Decision{Close, i} // out of order, of another shape, or too long (7.11.4)
	}
	c.next += uint32(payload)
	c.bytes += payload
	c.parts++
	if push {
		return Decision{Last, i}
	}
	return Decision{Append, i}
}

// Close ends context i. Its next frame opens a new one.
func (e *Engine) Close(i int) { e.used &^= 1 << i }

// Parts returns how many frames context i holds.
func (e *Engine) Parts(i int) int { return e.contexts[i].parts }

func (e *Engine) begin(i int, f *flow, hash uint32, h *parse.Headers, seq uint32, payload int) {
	e.used |= 1 << i
	e.contexts[i] = context{flow: *f, hash: hash, next: seq + uint32(payload), bytes: int(h.Payload-h.L3) + payload, parts: 1}
}

// find returns the context of a flow. Headers that may not differ inside a
// packet are not part of what is looked for: a frame that differs there must
// still not overtake its flow.
func (e *Engine) find(f *flow, hash uint32) int {
	for m := e.used; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m)
		if c := &e.contexts[i]; c.hash == hash && c.queue == f.queue && c.ports == f.ports && c.addresses == f.addresses {
			return i
		}
	}
	return None
}

// read fills in the flow of a TCP frame and returns a hash of it.
func (f *flow) read(b []byte, h *parse.Headers, queue uint16) uint32 {
	at, n := int(h.L3)+12, 8
	if h.Kind&parse.IPv6 != 0 {
		at, n = int(h.L3)+8, 32
	}
	copy(f.addresses[:n], b[at:])
	f.ports = binary.BigEndian.Uint32(b[h.L4:])
	f.queue, f.tag = queue, h.InnerTCI
	f.kind, f.header = h.Kind&same, uint8(h.Payload-h.L4)
	hash := f.ports ^ uint32(queue)<<16
	for i := 0; i < n; i += 4 {
		hash = hash*0x9E3779B1 ^ binary.LittleEndian.Uint32(f.addresses[i:])
	}
	return hash
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
