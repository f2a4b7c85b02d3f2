// Package parse reads a frame's headers once, so that no later stage has to.
//
// Frame turns the bytes of an Ethernet frame (destination address to the last
// byte ahead of the frame check sequence) into a Headers value: what the frame
// is, and where each header starts. Stages that follow (filters, RSS, checksum,
// header split, coalescing) take frame and Headers together and index the frame
// by these offsets without checking them again, because every offset that is
// not zero lies inside the frame with its whole fixed header.
//
// Frame never panics, never allocates and looks at a bounded number of bytes,
// whatever the frame holds.
package parse

// Kind says what a frame is, as a set of bits. The lowest eight are laid out as
// the packet type of an advanced receive descriptor (82599 datasheet 7.1.6.2).
type Kind uint32

const (
	IPv4        Kind = 1 << iota
	IPv4Options      // an IPv4 header of more than 20 bytes
	IPv6
	IPv6Ext // at least one IPv6 extension header
	// TCP, UDP and SCTP stand for a whole, well-formed header of an unfragmented
	// datagram. A first fragment has none of them, even if it holds the header.
	TCP
	UDP
	SCTP
	NFS           // reserved by the descriptor; Frame never sets it
	Fragment      // any fragment; an IPv6 fragment header alone makes one
	FirstFragment // a fragment at offset 0
	Tagged        // at least one VLAN tag
	DoubleTagged  // the outer tag type followed by 0x8100
	ExtendedVLAN  // the first tag bears the outer tag type, with or without an inner one
	SNAP          // 802.3 length, then LLC/SNAP with an EtherType
	ESP
	AH
	ARP
	ICMP      // ICMP over IPv4, ICMPv6 over IPv6
	Rerouted  // IPv6 addresses are not those of the pseudo-header: routing header with addresses, Home Address option
	Truncated // a header runs past the frame or its datagram, or lengths contradict each other
)

// Headers is what Frame found. Offsets are in bytes from the start of the
// frame; 0 means absent.
type Headers struct {
	Kind      Kind
	EtherType uint16 // after all VLAN tags; of the SNAP header if there is one
	Proto     uint8  // upper-layer protocol, after AH and IPv6 extension headers
	L2Bytes   uint8  // Ethernet header with the tags and SNAP header present
	L3        uint16 // IP header
	L3End     uint16 // first byte after the IP header, its options and extension headers
	L4        uint16 // upper-layer header (ESP too); a non-first fragment has none
	Payload   uint16 // first byte after the TCP, UDP, SCTP or ICMP header
	End       uint16 // end of the IP datagram by its own length, at most the frame's; the frame's without IP
	OuterTCI  uint16 // valid when DoubleTagged
	InnerTCI  uint16 // the tag next to the EtherType, the only one when not DoubleTagged
}

// Is reports whether the frame is all of k.
func (h *Headers) Is(k Kind) bool { return h.Kind&k == k }

// Any reports whether the frame is at least one of k.
func (h *Headers) Any(k Kind) bool { return h.Kind&k != 0 }

// EtherTypes and protocol numbers (IANA) that Frame tells apart.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherIPv6 = 0x86DD

	protoHopByHop    = 0
	protoICMP        = 1
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoESP         = 50
	protoAH          = 51
	protoICMPv6      = 58
	protoDestination = 60
	protoSCTP        = 132
	protoMobility    = 135
)

const (
	// maxFrameBytes keeps offsets in 16 bits; a longer frame is read as if it
	// were cut there. Frames of a wire are far shorter.
	maxFrameBytes = 0xFFFF
	// maxExtensions bounds the walk over IPv6 extension headers. RFC 8200 4.1
	// recommends each at most once, destination options twice: seven in all.
	maxExtensions = 16
	// maxOptions bounds the walk over the options of one destination header.
	maxOptions = 32
)

// Shift moves every offset by n bytes, as inserting or taking out a tag ahead
// of the EtherType does.
func (h *Headers) Shift(n int) {
	h.L2Bytes = uint8(int(h.L2Bytes) + n)
	for _, off := range [...]*uint16{&h.L3, &h.L3End, &h.L4, &h.Payload, &h.End} {
		if *off != 0 {
			*off = uint16(int(*off) + n)
		}
	}
}
