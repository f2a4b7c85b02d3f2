package segment

import (
	"encoding/binary"
	"math/bits"

	"nicsim.dev/offloads/checksum"
)

// Segmenter cuts one super-frame after the other. The zero value is ready for
// Start.
type Segmenter struct {
	spec     Spec
	segments int
	next     int // index of the segment that Next writes
	left     int // payload bytes not yet written

	pieces [][]byte // pieces[0] starts with the next payload byte

	id      uint16 // of the prototype
	seq     uint32
	flags   uint16 // data offset and flags of the prototype
	ipSum   uint32 // of all that IPLEN covers, changing fields taken as zero, and the seed
	l4Sum   uint32 // of the upper-layer header, its changing fields taken as zero, and the seed
	header  [maxHeaderBytes]byte
	current []byte // the rest of pieces[0]
}

// Offsets within the headers that segmentation changes.
const (
	ipv4Length   = 2
	ipv4ID       = 4
	ipv4Checksum = 10
	ipv6Length   = 4
	tcpSeq       = 4
	tcpFlags     = 12
	tcpChecksum  = 16
	udpLength    = 4
	udpChecksum  = 6

	ipv6Bytes = 40
)

// Start begins with the super-frame whose header and payload lie in pieces, in
// order; the header may span pieces. The pieces are read until Next is done and
// must not change until then. What they hold beyond the payload is not sent.
func (s *Segmenter) Start(spec *Spec, pieces [][]byte) error {
	s.segments, s.next, s.left = 0, 0, 0
	frameBytes := 0
	for _, p := range pieces {
		frameBytes += len(p)
	}
	if e := spec.check(frameBytes); e != 0 {
		return e
	}
	s.spec = *spec
	s.left = spec.PayloadBytes
	s.segments = (spec.PayloadBytes-1)/spec.MSS + 1
	s.pieces, s.current = pieces, nil
	s.take(s.header[:spec.HeaderBytes])
	if !s.secured() {
		s.segments, s.left = 0, 0
		return ErrHeaderLayout
	}
	s.prepare()
	return nil
}

// secured says whether the header of IPsec, if there is to be one, lies where the IP header
// ends: counting elsewhere would give all segments the same IV.
func (s *Segmenter) secured() bool {
	at, ip := s.spec.IPsec.Header, s.header[s.spec.L3:]
	switch {
	case at == 0:
		return true
	case s.spec.IPv6:
		return ip[0]>>4 == 6 && at == s.spec.L3+ipv6Bytes
	}
	return ip[0]>>4 == 4 && at == s.spec.L3+int(ip[0]&15)*4
}

// prepare keeps what changes from segment to segment out of the prototype and
// its sums.
func (s *Segmenter) prepare() {
	if !s.spec.IPv6 {
		end := s.spec.L4
		if s.spec.IPsec.Header > 0 {
			end = s.spec.IPsec.Header
		}
		ip := s.header[s.spec.L3:end]
		s.id = binary.BigEndian.Uint16(ip[ipv4ID:])
		clear(ip[ipv4Length : ipv4ID+2])
		s.ipSum = uint32(checksum.Sum(ip, 0))
	}
	l4 := s.header[s.spec.L4:s.spec.HeaderBytes]
	if s.spec.UDP {
		clear(l4[udpLength : udpLength+2])
	} else {
		s.seq = binary.BigEndian.Uint32(l4[tcpSeq:])
		s.flags = binary.BigEndian.Uint16(l4[tcpFlags:])
		clear(l4[tcpSeq : tcpSeq+4])
		clear(l4[tcpFlags : tcpFlags+2])
	}
	s.l4Sum = uint32(checksum.Sum(l4, 0))
}

// Segments returns how many segments the super-frame makes.
func (s *Segmenter) Segments() int { return s.segments }

// SegmentBytes returns the length of the segment that Next writes, 0 when done.
func (s *Segmenter) SegmentBytes() int {
	if s.next == s.segments {
		return 0
	}
	n := min(s.left, s.spec.MSS)
	return s.spec.HeaderBytes + n + s.spec.trailerBytes(n)
}

// Next writes the next segment, Ethernet header to last payload byte or trailer, and
// returns its length. It returns 0 when all are written, and when dst is
// shorter than SegmentBytes.
func (s *Segmenter) Next(dst []byte) (n int) {
	n = s.SegmentBytes()
	if n == 0 || n > len(dst) {
		return 0
	}
	dst = dst[:n]
	copy(dst, s.header[:s.spec.HeaderBytes])
	end := s.spec.HeaderBytes + min(s.left, s.spec.MSS)
	payload := dst[s.spec.HeaderBytes:end]
	sum := s.l4Sum
	if s.spec.L4Checksum {
		sum += s.takeSum(payload, (s.spec.HeaderBytes-s.spec.L4)&1)
	} else {
		s.take(payload)
	}
	s.network(dst)
	if s.spec.UDP {
		s.udp(dst[s.spec.L4:end], sum)
	} else {
		s.tcp(dst[s.spec.L4:end], sum)
	}
	if s.spec.IPsec.Header > 0 {
		s.ipsec(dst, end)
	}
	s.left -= len(payload)
	s.next++
	return n
}

// network completes the IP header, and the length in an 802.3 header (82599
// datasheet 7.2.4.7).
func (s *Segmenter) network(frame []byte) {
	ip := frame[s.spec.L3:]
	if s.spec.SNAP {
		binary.BigEndian.PutUint16(frame[s.spec.L3-10:], uint16(len(ip)+8))
	}
	if s.spec.IPv6 {
		binary.BigEndian.PutUint16(ip[ipv6Length:], uint16(len(ip)-ipv6Bytes))
		return
	}
	id := s.id + uint16(s.next)
	binary.BigEndian.PutUint32(ip[ipv4Length:], uint32(len(ip))<<16|uint32(id))
	if s.spec.IPv4Checksum {
		binary.BigEndian.PutUint16(ip[ipv4Checksum:], ^fold(s.ipSum+uint32(len(ip))+uint32(id)))
	}
}

// ipsec counts the segment in the IPsec header and writes the ESP trailer, padded as
// RFC 4303 2.4 says, behind the payload.
func (s *Segmenter) ipsec(frame []byte, end int) {
	spec := &s.spec.IPsec
	sequence, iv := espSequence, espIV
	if spec.AH {
		sequence, iv = ahSequence, ahIV
	}
	b := frame[spec.Header:]
	n := uint32(s.next)
	binary.BigEndian.PutUint32(b[sequence:], binary.BigEndian.Uint32(b[sequence:])+n)
	binary.BigEndian.PutUint64(b[iv:], binary.BigEndian.Uint64(b[iv:])+uint64(n))
	if spec.AH {
		return
	}
	padding := -(end - s.spec.L4 + 2) & 3
	for i := range padding {
		frame[end+i] = uint8(i + 1)
	}
	frame[end+padding] = uint8(padding)
	frame[end+padding+1] = protoTCP
	if s.spec.UDP {
		frame[end+padding+1] = protoUDP
	}
	clear(frame[end+padding+2:])
}

const protoTCP, protoUDP = 6, 17

// tcp completes the TCP header. Flags of a segment that is alone stay as they
// are.
func (s *Segmenter) tcp(b []byte, sum uint32) {
	seq := s.seq + uint32(s.spec.PayloadBytes-s.left)
	flags := s.flags
	switch {
	case s.segments == 1:
	case s.next == 0:
		flags &= s.spec.FirstFlags | 0xF000
	case s.next == s.segments-1:
		flags &= s.spec.LastFlags | 0xF000
	default:
		flags &= s.spec.MiddleFlags | 0xF000
	}
	binary.BigEndian.PutUint32(b[tcpSeq:], seq)
	binary.BigEndian.PutUint16(b[tcpFlags:], flags)
	if s.spec.L4Checksum {
		sum += seq>>16 + seq&0xFFFF + uint32(flags) + uint32(len(b))
		binary.BigEndian.PutUint16(b[tcpChecksum:], ^fold(sum))
	}
}

// udp completes the UDP header. A checksum of 0 is sent as 0xFFFF (RFC 768).
func (s *Segmenter) udp(b []byte, sum uint32) {
	binary.BigEndian.PutUint16(b[udpLength:], uint16(len(b)))
	if !s.spec.L4Checksum {
		return
	}
	// The length is in the header and in the pseudo-header.
	v := ^fold(sum + 2*uint32(len(b)))
	if v == 0 {
		v = 0xFFFF
	}
	binary.BigEndian.PutUint16(b[udpChecksum:], v)
}

// piece returns the next at most n bytes of the super-frame, which are there:
// Start has counted them.
func (s *Segmenter) piece(n int) []byte {
	for len(s.current) == 0 {
		s.current, s.pieces = s.pieces[0], s.pieces[1:]
	}
	p := s.current[:min(n, len(s.current))]
	s.current = s.current[len(p):]
	return p
}

// take fills dst with the next bytes of the super-frame.
func (s *Segmenter) take(dst []byte) {
	for len(dst) > 0 {
		dst = dst[copy(dst, s.piece(len(dst))):]
	}
}

// takeSum is take, and returns the sum of the bytes, the first of which stands
// at an odd place if odd is 1.
func (s *Segmenter) takeSum(dst []byte, odd int) uint32 {
	var sum uint32
	for len(dst) > 0 {
		p := s.piece(len(dst))
		part := checksum.Copy(dst, p, 0)
		if odd == 1 {
			part = bits.ReverseBytes16(part)
		}
		sum = uint32(checksum.Add(uint16(sum), part))
		odd ^= len(p) & 1
		dst = dst[len(p):]
	}
	return sum
}

// fold brings a sum to 16 bits.
func fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xFFFF
	return uint16(sum>>16 + sum)
}
