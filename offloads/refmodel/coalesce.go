package refmodel

import (
	"bytes"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"nicsim.dev/offloads/parse"
)

// Arrival is a frame that a queue received.
type Arrival struct {
	Queue int
	Frame []byte
}

// Coalesced is a packet that a queue gets, made of that many frames.
type Coalesced struct {
	Queue  int
	Frame  []byte
	Frames int
}

// Coalesce makes packets of frames, in the order in which the packets close. At
// most contexts packets are open at a time; none gets more than room bytes of
// payload behind those of its first frame. What is open in the end closes in
// the order in which it was opened.
func Coalesce(arrivals []Arrival, outerTPID uint16, contexts, room int) (out []Coalesced) {
	var open []*train
	closeTrain := func(i int) {
		out = append(out, open[i].whole())
		open = slices.Delete(open, i, i+1)
	}
	for _, a := range arrivals {
		s := segmentOf(a, outerTPID)
		at := -1
		for i, t := range open {
			if s.tcp != nil && s.sameFlow(t.cars[0]) {
				at = i
			}
		}
		if at >= 0 && !(s.candidate() && open[at].takes(s, room)) {
			closeTrain(at)
			at = -1
		}
		push := s.tcp != nil && s.tcp.Flags().Contains(header.TCPFlagPsh)
		switch {
		case at >= 0:
			open[at].cars = append(open[at].cars, s)
			if push {
				closeTrain(at)
			}
		case !s.candidate() || push:
			out = append(out, Coalesced{a.Queue, a.Frame, 1})
		default:
			if len(open) == contexts {
				closeTrain(0)
			}
			open = append(open, &train{cars: []*tcpSegment{s}})
		}
	}
	for len(open) > 0 {
		closeTrain(0)
	}
	return out
}

// tcpSegment is a frame with its headers by gVisor's names; those that it does not
// have are nil.
type tcpSegment struct {
	Arrival
	h       parse.Headers
	v4      header.IPv4
	v6      header.IPv6
	tcp     header.TCP
	payload []byte
}

func segmentOf(a Arrival, outerTPID uint16) *tcpSegment {
	s := &tcpSegment{Arrival: a, h: Frame(a.Frame, outerTPID)}
	if !s.h.Is(parse.TCP) {
		return s
	}
	if s.h.Is(parse.IPv4) {
		s.v4 = header.IPv4(a.Frame[s.h.L3:])
	} else {
		s.v6 = header.IPv6(a.Frame[s.h.L3:])
	}
	s.tcp = header.TCP(a.Frame[s.h.L4:])
	s.payload = a.Frame[s.h.Payload:s.h.End]
	return s
}

// addresses are source and destination, which tell IPv4 from IPv6 too.
func (s *tcpSegment) addresses() []byte {
	if s.v4 != nil {
		return slices.Concat(s.v4.SourceAddressSlice(), s.v4.DestinationAddressSlice())
	}
	return slices.Concat(s.v6.SourceAddressSlice(), s.v6.DestinationAddressSlice())
}

func (s *tcpSegment) sameFlow(t *tcpSegment) bool {
	return s.Queue == t.Queue && bytes.Equal(s.addresses(), t.addresses()) &&
		s.tcp.SourcePort() == t.tcp.SourcePort() && s.tcp.DestinationPort() == t.tcp.DestinationPort()
}

// candidate is the list of 82599 datasheet 7.11.1 as far as it concerns headers.
func (s *tcpSegment) candidate() bool {
	if s.tcp == nil || s.h.Is(parse.Truncated) || s.h.Is(parse.SNAP) || s.h.Is(parse.AH) {
		return false
	}
	var trafficClass uint8
	if s.v4 != nil {
		if s.v4.HeaderLength() != 20 {
			return false
		}
		trafficClass, _ = s.v4.TOS()
	} else {
		if s.v6.NextHeader() != uint8(header.TCPProtocolNumber) {
			return false
		}
		trafficClass, _ = s.v6.TOS()
	}
	congested := trafficClass&3 == 3
	padded := int(s.h.End) != len(s.Frame)
	reserved := s.tcp[header.TCPDataOffset]&0x0F != 0
	plain := s.tcp.Flags()&^header.TCPFlagPsh == header.TCPFlagAck
	return !congested && !padded && !reserved && plain && len(s.payload) > 0 && s.goodOptions()
}

func (s *tcpSegment) goodOptions() bool {
	options := s.tcp.Options()
	return len(options) == 0 || len(options) == 12 && bytes.HasPrefix(options, []byte{1, 1, 8, 10})
}

// train is the segments of a packet.
type train struct{ cars []*tcpSegment }

func (t *train) payload() (all []byte) {
	for _, s := range t.cars {
		all = append(all, s.payload...)
	}
	return all
}

// takes is the list of 82599 datasheet 7.11.4.
func (t *train) takes(s *tcpSegment, room int) bool {
	first := t.cars[0]
	const shape = parse.IPv4 | parse.IPv6 | parse.Tagged | parse.DoubleTagged | parse.ExtendedVLAN
	sameShape := s.h.Kind&shape == first.h.Kind&shape && s.h.L2Bytes == first.h.L2Bytes && len(s.tcp.Options()) == len(first.tcp.Options())
	sameTags := s.h.InnerTCI == first.h.InnerTCI && s.h.OuterTCI == first.h.OuterTCI
	so := t.payload()
	inOrder := s.tcp.SequenceNumber() == first.tcp.SequenceNumber()+uint32(len(so))
	length := int(s.h.Payload-s.h.L4) + len(so) + len(s.payload) // of IPv6
	if first.v4 != nil {
		length += 20
	}
	fits := len(so)-len(first.payload)+len(s.payload) <= room && length <= 65535
	return sameShape && sameTags && inOrder && fits
}

// whole is the packet: the first frame with the payload of all, and what 7.11.5
// says of its header.
func (t *train) whole() Coalesced {
	first, last := t.cars[0], t.cars[len(t.cars)-1]
	frame := append(bytes.Clone(first.Frame[:first.h.Payload]), t.payload()...)
	tcp := header.TCP(frame[first.h.L4:])
	if first.v4 != nil {
		ip := header.IPv4(frame[first.h.L3:])
		ip.SetTotalLength(uint16(len(ip)))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		header.IPv6(frame[first.h.L3:]).SetPayloadLength(uint16(len(tcp)))
	}
	tcp.SetAckNumber(last.tcp.AckNumber())
	tcp.SetWindowSize(last.tcp.WindowSize())
	tcp.SetFlags(uint8(first.tcp.Flags() | last.tcp.Flags()))
	copy(tcp.Options(), last.tcp.Options())
	return Coalesced{first.Queue, frame, len(t.cars)}
}
