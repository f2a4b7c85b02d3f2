package ipsec

import (
	"encoding/binary"
	"math"
)

// Sender is the sending end of an association: of full packet offload, it is given packets
// and makes all of ESP or AH. One goroutine uses it at a time.
type Sender struct {
	config    Config
	transform *Transform
	seq       uint64 // the last one
	id        uint16 // of the last outer IPv4 header
	usage
}

// NewSender returns the sending end of an association.
func NewSender(c Config) (*Sender, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t, err := NewTransform(c.Key)
	if err != nil {
		return nil, err
	}
	return &Sender{config: c, transform: t, seq: c.Sequence, usage: usage{limits: c.Limits, notify: c.Notify}}, nil
}

// Sequence is the number of the last packet.
func (s *Sender) Sequence() uint64 { return s.seq }

// Overhead bounds how many bytes longer than a packet what Seal makes of it is.
func (s *Sender) Overhead() int {
	return ipv6Bytes + udpBytes + max(ESPHeaderBytes+IVBytes+espTrailerBytes+espAlign-1+s.transform.ICVBytes(), AHBytes(true)) + s.config.PadTo
}

// Seal appends to dst what protects an IP packet. It allocates nothing if dst has Overhead
// bytes of room more than the packet is long.
func (s *Sender) Seal(dst, packet []byte) ([]byte, error) {
	p, ok := parseIP(packet)
	switch {
	case !ok:
		return dst, ErrHeader
	case s.config.Tunnel == nil && p.fragment:
		return dst, ErrFragment // RFC 4303 3.3.4
	case s.config.Tunnel == nil && s.config.Protocol == ESP && packet[p.next] == protoNoNext:
		return dst, ErrMode // a receiver would take it for a dummy
	case !s.config.Key.ESN && s.seq >= math.MaxUint32, s.seq == math.MaxUint64:
		return dst, ErrSequence // RFC 4303 3.3.3
	}
	packet = packet[:p.total]
	if err := s.admit(); err != nil {
		return dst, err
	}
	from := len(dst)
	next, payload, out := packet[p.next], packet[p.end:], p
	if s.config.Tunnel != nil {
		dst, out = s.outer(dst, packet)
		payload = packet
		if next = protoIPv4; p.v6 {
			next = protoIPv6
		}
	} else {
		dst = append(dst, packet[:p.end]...)
	}
	s.seq++
	var err error
	if s.config.Protocol == AH {
		dst, err = s.ah(dst, from, out, payload, next)
	} else {
		dst, err = s.esp(dst, from, out, payload, next)
	}
	if err == nil && len(dst)-from > math.MaxUint16 {
		err = ErrLength
	}
	if err != nil {
		s.seq--
		return dst[:from], err
	}
	s.count(p.total)
	return dst, nil
}

// outer appends the header of a tunnel's packet (RFC 4301 5.1.2, RFC 6040 4.1).
func (s *Sender) outer(dst, packet []byte) ([]byte, ip) {
	t := s.config.Tunnel
	hops, class := t.HopLimit, trafficClass(packet)
	if hops == 0 {
		hops = defaultHopLimit
	}
	from, to := t.Source.Unmap(), t.Destination.Unmap()
	if from.Is4() {
		s.id++
		fragment := byte(0)
		if packet[0]>>4 == 4 {
			fragment = packet[6] & 0x40 // DF is copied
		}
		a, b := from.As4(), to.As4()
		dst = append(dst, 0x45, class, 0, 0, byte(s.id>>8), byte(s.id), fragment, 0, hops, 0, 0, 0)
		return append(append(dst, a[:]...), b[:]...), ip{next: 9, end: ipv4Bytes}
	}
	a, b := from.As16(), to.As16()
	dst = append(dst, 0x60|class>>4, class<<4, 0, 0, 0, 0, 0, hops)
	return append(append(dst, a[:]...), b[:]...), ip{v6: true, next: 6, end: ipv6Bytes}
}

// esp appends ESP behind the headers of the packet that begins at byte from of dst.
func (s *Sender) esp(dst []byte, from int, p ip, payload []byte, next uint8) ([]byte, error) {
	proto := uint8(ESP)
	if e := s.config.Encap; e != nil {
		proto = protoUDP
		dst = binary.BigEndian.AppendUint16(dst, e.Source)
		dst = binary.BigEndian.AppendUint16(dst, e.Destination)
		dst = append(dst, 0, 0, 0, 0)
	}
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, s.config.SPI)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.seq))
	dst = binary.BigEndian.AppendUint64(dst, s.seq) // the IV: no two are alike
	dst = append(dst, payload...)
	size := len(payload)
	if n := s.config.PadTo; n > 0 {
		for ; size%n != 0; size++ {
			dst = append(dst, 0)
		}
	}
	padding := -(size + espTrailerBytes) & (espAlign - 1)
	for i := range padding {
		dst = append(dst, byte(i+1)) // RFC 4303 2.4
	}
	dst = append(dst, byte(padding), next)
	for range s.transform.ICVBytes() {
		dst = append(dst, 0)
	}
	if err := s.transform.SealESP(dst[at:], uint32(s.seq>>32)); err != nil {
		return dst, err
	}
	p.resize(dst[from:], proto)
	if s.config.Encap != nil {
		udp := dst[from+p.end:]
		binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
		if p.v6 {
			sumUDP6(dst[from:], p.end)
		}
	}
	return dst, nil
}

// ah appends AH behind the headers of the packet that begins at byte from of dst.
func (s *Sender) ah(dst []byte, from int, p ip, payload []byte, next uint8) ([]byte, error) {
	n := AHBytes(p.v6)
	dst = append(dst, next, uint8(n/4-2), 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, s.config.SPI)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.seq))
	dst = binary.BigEndian.AppendUint64(dst, s.seq)
	for range n - ahICVAt {
		dst = append(dst, 0)
	}
	dst = append(dst, payload...)
	p.resize(dst[from:], uint8(AH))
	return dst, s.transform.SealAH(dst[from:], p.end, uint32(s.seq>>32))
}
