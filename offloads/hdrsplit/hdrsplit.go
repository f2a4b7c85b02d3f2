// Package hdrsplit says where a received packet is split into header and
// payload, and what goes into which buffer (82599 datasheet 7.1.10).
//
// Its functions are pure arithmetic: they never panic and never allocate.
package hdrsplit

import "nicsim.dev/offloads/parse"

// Types is a set of packet classes that are split, laid out as PSRTYPE (82599
// datasheet 8.2.3.7.4).
type Types uint32

const (
	NFS  Types = 1 << 1  // reserved in this controller; nothing is an NFS packet
	TCP  Types = 1 << 4  // after the TCP header
	UDP  Types = 1 << 5  // after the UDP header
	IPv4 Types = 1 << 8  // after the IPv4 header and its options
	IPv6 Types = 1 << 9  // after the IPv6 header and its extension headers
	L2   Types = 1 << 12 // after the Ethernet header, its tags and SNAP header
)

// maxHeaderBytes is what the descriptor's HDR_LEN holds (82599 datasheet
// 7.1.6.2); a packet with more is not split.
const maxHeaderBytes = 1<<10 - 1

// Boundary returns where the payload begins: after the innermost header of a
// class in types. It is not ok if the packet is of none of them. A fragment has
// no TCP or UDP header, whichever fragment it is; one that lies about its
// lengths has none either, and is split after its IP header at most. h is what
// parse.Frame said of the packet.
func Boundary(h *parse.Headers, types Types) (headerBytes int, ok bool) {
	switch {
	case h.Kind&parse.TCP != 0 && types&TCP != 0, h.Kind&parse.UDP != 0 && types&UDP != 0:
		headerBytes = int(h.Payload)
	case h.Kind&parse.IPv4 != 0 && types&IPv4 != 0, h.Kind&parse.IPv6 != 0 && types&IPv6 != 0:
		headerBytes = int(h.L3End)
	case types&L2 != 0:
		headerBytes = int(h.L2Bytes)
	}
	if headerBytes == 0 || headerBytes > maxHeaderBytes {
		return 0, false
	}
	return headerBytes, true
}

// Mode is what is done with the header buffer: SRRCTL.DESCTYPE (82599 datasheet
// 8.2.3.8.7).
type Mode uint8

const (
	Split  Mode = iota // 010b: the header of a packet that is split
	Always             // 101b: the beginning of every packet
)

// Placement is what one packet does to the first descriptor's buffers and
// fields.
type Placement struct {
	HeaderBytes  int  // of the packet, in the header buffer; the rest is in packet buffers
	HeaderLength int  // HDR_LEN
	SPH          bool // the boundary was found
	HBO          bool // the header does not fit the header buffer
}

// Place is the table of 82599 datasheet 7.1.10.2: boundaryBytes and found are
// what Boundary says of a packet of packetBytes, bufferBytes the size of the
// header buffer.
func Place(mode Mode, boundaryBytes int, found bool, packetBytes, bufferBytes int) Placement {
	switch {
	case found && boundaryBytes <= bufferBytes:
		return Placement{HeaderBytes: boundaryBytes, HeaderLength: boundaryBytes, SPH: true}
	case found && mode == Split:
		return Placement{HeaderLength: boundaryBytes, SPH: true, HBO: true}
	case found:
		return Placement{HeaderBytes: bufferBytes, HeaderLength: boundaryBytes, SPH: true, HBO: true}
	case mode == Split:
		return Placement{}
	}
	n := min(packetBytes, bufferBytes)
	return Placement{HeaderBytes: n, HeaderLength: n}
}
