package ipsec

import "encoding/binary"

// Receiver is the receiving end of an association: of full packet offload, it is given
// packets of ESP or AH and makes of them what was protected. One goroutine uses it at a
// time.
type Receiver struct {
	config    Config
	transform *Transform
	window    *Window
	usage

	// What was refused: replayed, not authentic, or otherwise wrong.
	Replays, Forgeries, Malformed uint64
}

// NewReceiver returns the receiving end of an association.
func NewReceiver(c Config) (*Receiver, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	r := &Receiver{config: c, usage: usage{limits: c.Limits, notify: c.Notify}}
	var err error
	if r.transform, err = NewTransform(c.Key); err != nil {
		return nil, err
	}
	window := c.Window
	if window == 0 && c.Key.ESN {
		window = MinWindow // the high half is found by it (RFC 4303 3.3.3)
	}
	if window > 0 {
		if r.window, err = NewWindow(window, c.Key.ESN); err != nil {
			return nil, err
		}
	}
	if c.Sequence > 0 {
		r.accept(c.Sequence)
	}
	return r, nil
}

// Open turns an IP packet of the association into the packet that its sender protected,
// within the same memory. The order is that of RFC 4303 3.4.3: what is replayed is
// not decrypted, and the window moves for genuine packets only.
func (r *Receiver) Open(packet []byte) (inner []byte, err error) {
	inner, err = r.open(packet)
	switch err {
	case nil:
		r.count(len(inner))
	case ErrReplay:
		r.Replays++
	case ErrAuth:
		r.Forgeries++
	case ErrExpired, ErrKeepalive, ErrIKE, ErrDummy:
	default:
		r.Malformed++
	}
	return inner, err
}

func (r *Receiver) open(packet []byte) ([]byte, error) {
	p, ok := parseIP(packet)
	if !ok {
		return nil, ErrHeader
	}
	packet = packet[:p.total]
	p.next, p.end = p.upperNext, p.upper // whatever its sender left ahead
	at, err := r.find(packet, p)
	if err != nil {
		return nil, err
	}
	if err := r.admit(); err != nil {
		return nil, err
	}
	sequence := at + 4
	if r.config.Protocol == AH {
		sequence = at + 8
	}
	if len(packet) < sequence+4 {
		return nil, ErrLength
	}
	seq, err := r.sequence(binary.BigEndian.Uint32(packet[sequence:]))
	if err != nil {
		return nil, err
	}
	if r.config.Protocol == AH {
		return r.ah(packet, p, at, seq)
	}
	return r.esp(packet, p, at, seq)
}

// find returns where ESP or AH begins in a packet.
func (r *Receiver) find(packet []byte, p ip) (at int, err error) {
	if p.fragment {
		return 0, ErrFragment // fragments are put together first (RFC 4303 3.4.1)
	}
	at, proto := p.end, packet[p.next]
	if r.config.Encap != nil {
		if proto != protoUDP || len(packet) < at+udpBytes {
			return 0, ErrMode
		}
		body := packet[at+udpBytes:]
		switch {
		case len(body) == 1 && body[0] == 0xFF:
			return 0, ErrKeepalive // RFC 3948 2.3
		case len(body) < ESPHeaderBytes:
			return 0, ErrLength
		case binary.BigEndian.Uint32(body) == 0:
			return 0, ErrIKE // RFC 3948 2.2
		}
		at, proto = at+udpBytes, uint8(ESP)
	}
	if proto != uint8(r.config.Protocol) {
		return 0, ErrMode
	}
	return at, nil
}

// sequence returns the whole number of which a packet has the low half, if it may be new.
func (r *Receiver) sequence(low uint32) (uint64, error) {
	if r.window == nil {
		return uint64(low), nil
	}
	seq, ok := r.window.Whole(low)
	if !ok || r.config.Window > 0 && !r.window.Fresh(seq) {
		return 0, ErrReplay
	}
	return seq, nil
}

// accept notes the number of a packet that is genuine.
func (r *Receiver) accept(seq uint64) {
	if r.window != nil {
		r.window.Accept(seq)
	}
}

func (r *Receiver) esp(packet []byte, p ip, at int, seq uint64) ([]byte, error) {
	if err := r.transform.OpenESP(packet[at:], uint32(seq>>32)); err != nil {
		return nil, err
	}
	r.accept(seq)
	payload, next, err := r.transform.Inner(packet[at:])
	if err != nil {
		return nil, err
	}
	return r.inner(packet, p, at+ESPHeaderBytes+IVBytes, payload, next)
}

func (r *Receiver) ah(packet []byte, p ip, at int, seq uint64) ([]byte, error) {
	if err := r.transform.OpenAH(packet, at, uint32(seq>>32)); err != nil {
		return nil, err
	}
	r.accept(seq)
	from := at + (int(packet[at+1])+2)*4
	return r.inner(packet, p, from, packet[from:], packet[at])
}

// inner makes a packet of what was protected, which lies at byte from of the packet that
// protected it.
func (r *Receiver) inner(packet []byte, p ip, from int, payload []byte, next uint8) ([]byte, error) {
	if next == protoNoNext && r.config.Protocol == ESP {
		return nil, ErrDummy // RFC 4303 2.6
	}
	if r.config.Tunnel != nil {
		return r.leave(packet, payload, next)
	}
	start := from - p.end
	b := packet[start : from+len(payload)]
	copy(b, packet[:p.end]) // towards the end, over what is no longer needed
	p.resize(b, next)
	return b, nil
}

// leave takes a packet out of its tunnel (RFC 4301 5.1.2). A mark of congestion goes
// along, and a packet that could not bear one is dropped for it (RFC 6040 4.2).
func (r *Receiver) leave(outer, payload []byte, next uint8) ([]byte, error) {
	inner, ok := parseIP(payload)
	if !ok || (next != protoIPv4 || inner.v6) && (next != protoIPv6 || !inner.v6) {
		return nil, ErrMode
	}
	const notCapable, capable1, capable0, congested = 0, 1, 2, 3
	payload = payload[:inner.total] // what hides the length follows it (RFC 4303 2.7)
	class := trafficClass(payload)
	if trafficClass(outer)&3 == congested && class&3 != congested {
		if class&3 == notCapable {
			return nil, ErrMode
		}
		setTrafficClass(payload, class|congested)
	} else if trafficClass(outer)&3 == capable1 && class&3 == capable0 {
		setTrafficClass(payload, class&^3|capable1)
	}
	return payload, nil
}
