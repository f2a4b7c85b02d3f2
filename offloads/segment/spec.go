// Package segment cuts a TCP or UDP super-frame into frames of at most one
// segment each (82599 datasheet 7.2.4): each gets the prototype header, with
// lengths, identification, sequence number, flags and checksums its own.
//
// A Segmenter reads the super-frame where it lies, in pieces, and writes each
// segment once, adding up its bytes as they pass. It never panics and, once
// made, never allocates. A super-frame that makes no sense is an Error.
package segment

// Spec is what a transmit context and descriptor say of a super-frame.
type Spec struct {
	HeaderBytes  int // prototype header: MACLEN + IPLEN + L4LEN
	MSS          int // payload bytes of each segment but the last
	L3, L4       int // where the IP and the upper-layer header start
	PayloadBytes int // PAYLEN: payload of all segments

	IPsec IPsec

	IPv6 bool
	UDP  bool
	SNAP bool // the frame has an 802.3 length, eight bytes of LLC/SNAP header ahead of L3

	// IPv4Checksum inserts the IPv4 header checksum. All that lies between L3 and L4
	// is added up, with what its field holds: zero, or, of a tunnel's packet, what
	// cancels the headers that lie behind the IP header (the kernel's ixgbe_tso).
	IPv4Checksum bool
	L4Checksum   bool // insert the TCP or UDP checksum; its field holds the pseudo-header's sum without length

	// Masks of the 12 bits from FIN up, for segments that are not alone (82599
	// datasheet 8.2.3.9.3, 8.2.3.9.4). They do not matter to UDP.
	FirstFlags, MiddleFlags, LastFlags uint16
}

// IPsec says that each segment is a packet of an IPsec association in transport mode,
// whose header and IV lie between the IP and the upper-layer header (82599 datasheet
// 7.12): sequence number and IV count the segments, and with ESP each segment gets a
// trailer. What is protected is to be sealed afterwards.
type IPsec struct {
	Header   int // where the ESP or AH header starts; 0 for none
	AH       bool
	ICVBytes int // of ESP, behind its trailer
}

// Offsets within the headers of ESP (RFC 4303 2) and AH (RFC 4302 2), whose IV is 8 bytes.
const (
	espSequence, espIV, espBytes = 4, 8, 16
	ahSequence, ahIV, ahBytes    = 8, 12, 36
)

// TrailerBytes is how many bytes follow n bytes of an upper layer: padding to four bytes,
// the pad length, the next header and the ICV.
func (s *IPsec) TrailerBytes(n int) int {
	if s.Header == 0 || s.AH {
		return 0
	}
	return -(n+2)&3 + 2 + s.ICVBytes
}

// bytes is how many bytes are there at least between the header's start and the upper
// layer.
func (s *IPsec) bytes() int {
	switch {
	case s.Header == 0:
		return 0
	case s.AH:
		return ahBytes
	}
	return espBytes
}

// The masks after reset: FIN and PSH are left to the last segment, CWR to the
// first.
const (
	ResetFirstFlags  = 0xFF6
	ResetMiddleFlags = 0xF76
	ResetLastFlags   = 0xF7F
)

// Error is why a super-frame cannot be segmented.
type Error uint8

const (
	ErrNoMSS         Error = iota + 1 // MSS is 0
	ErrHeaderLayout                   // HeaderBytes, L3 and L4 leave a header less than its fixed part
	ErrHeaderTooLong                  // HeaderBytes is more than context fields can say
	ErrShortFrame                     // the pieces hold less than HeaderBytes and PayloadBytes
	ErrLongSegment                    // a segment does not fit the length field of its IP header
)

func (e Error) Error() string {
	switch e {
	case ErrNoMSS:
		return "segmentation: the maximum segment size is 0"
	case ErrHeaderLayout:
		return "segmentation: a header is shorter than its fixed part"
	case ErrHeaderTooLong:
		return "segmentation: the header is too long"
	case ErrShortFrame:
		return "segmentation: the frame ends before its header and payload do"
	case ErrLongSegment:
		return "segmentation: a segment does not fit an IP packet"
	}
	return "segmentation: unknown error"
}

const (
	// maxHeaderBytes is what MACLEN (7 bits), IPLEN (9) and L4LEN (8) add up to
	// at most (82599 datasheet 7.2.3.2.3).
	maxHeaderBytes = 127 + 511 + 255
	maxIPBytes     = 0xFFFF
)

// trailerBytes is the size of what follows n bytes of payload.
func (s *Spec) trailerBytes(n int) int { return s.IPsec.TrailerBytes(s.HeaderBytes - s.L4 + n) }

// check returns what is wrong with the spec of a frame of frameBytes, or 0.
func (s *Spec) check(frameBytes int) Error {
	ipBytes, l4Bytes, firstL3 := 20, 20, 14
	if s.IPv6 {
		ipBytes = 40
	}
	if s.UDP {
		l4Bytes = 8
	}
	if s.SNAP {
		firstL3 = 22
	}
	switch {
	case s.MSS <= 0:
		return ErrNoMSS
	case s.HeaderBytes > maxHeaderBytes:
		return ErrHeaderTooLong
	case s.L3 < firstL3, s.L3 > s.HeaderBytes, s.L4 < s.L3+ipBytes, s.L4 > s.HeaderBytes-l4Bytes,
		s.IPsec.Header != 0 && (s.IPsec.Header < s.L3+ipBytes || s.IPsec.Header > s.L4-s.IPsec.bytes()):
		return ErrHeaderLayout
	case s.PayloadBytes < 0, s.PayloadBytes > frameBytes-s.HeaderBytes:
		return ErrShortFrame
	case s.HeaderBytes-s.L3+min(s.MSS, s.PayloadBytes)+s.trailerBytes(min(s.MSS, s.PayloadBytes)) > maxIPBytes:
		return ErrLongSegment
	}
	return 0
}
