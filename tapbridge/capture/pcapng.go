// Package capture writes and reads packet captures: pcapng with one interface
// per port and queue, and, for reading, classic pcap too.
//
// What makes it more than a list of frames is the options pcapng allows per
// packet (draft-ietf-opsawg-pcapng 4.3): the direction, the checksum and
// segmentation state, the queue, an identity that joins the two sides of a
// segmentation, the number of frames lost and a comment that says why.
//
// The package is pure: it builds on every system and touches the host only
// through the io.Writer or io.Reader that it is given. Nothing here is safe for
// concurrent use; a Writer belongs to the goroutine that owns the adapter.
package capture

import "fmt"

// LinkEthernet is the link type of Ethernet frames without their FCS,
// LINKTYPE_ETHERNET.
const LinkEthernet = 1

// Flags is the flags word of a packet, epb_flags: draft-ietf-opsawg-pcapng
// 4.3.1, bit 0 the least significant. Zero means that nothing is known.
type Flags uint32

// The bits of Flags. Inbound and Outbound are the two values of one field.
const (
	Inbound          Flags = 1 << 0
	Outbound         Flags = 2 << 0
	ChecksumNotReady Flags = 1 << 9  // still to be inserted by the adapter
	ChecksumValid    Flags = 1 << 10 // verified by the adapter
	SegmentOffload   Flags = 1 << 11 // before segmentation, or after coalescing
	CRCError         Flags = 1 << 24
	TooLong          Flags = 1 << 25
	TooShort         Flags = 1 << 26

	directionMask Flags = 3
)

// Direction returns Inbound, Outbound or zero.
func (f Flags) Direction() Flags { return f & directionMask }

// VerdictType says who gave a verdict, the first octet of epb_verdict.
type VerdictType uint8

const (
	VerdictHardware VerdictType = 0 // free octets
	VerdictTC       VerdictType = 1 // a TC_ACT_ value
	VerdictXDP      VerdictType = 2 // an xdp_action value
)

// Verdict is what was decided about a packet, epb_verdict.
type Verdict struct {
	Type   VerdictType
	Action uint64 // of VerdictTC and VerdictXDP
	Data   []byte // of VerdictHardware and of types not known here
}

// Section describes what made a capture: the Section Header Block.
type Section struct {
	Hardware string // shb_hardware, such as "Intel 82599 (nicsim)"
	OS       string // shb_os
	App      string // shb_userappl
	Comments []string

	// StartNS is the time at which the capture began, for the statistics
	// written at its end.
	StartNS int64
}

// Interface describes where packets were captured: the Interface Description
// Block.
type Interface struct {
	Name        string // if_name, such as "A rx queue 3"
	Description string // if_description
	Hardware    string // if_hardware
	Comments    []string

	// LinkType is a LINKTYPE_ value. Zero means LinkEthernet to a Writer.
	LinkType uint16
	// SnapBytes is the most that is kept of a packet. Zero means
	// MaxPacketBytes to a Writer and no limit from a Reader.
	SnapBytes uint32
	// SpeedBPS is if_speed in bits per second, zero if it is not known.
	SpeedBPS uint64
	// OffsetSeconds is if_tsoffset. A Writer records it, a Reader has already
	// added it to the times it returns.
	OffsetSeconds int64
}

// Packet is one captured frame.
type Packet struct {
	// Interface is what AddInterface returned; from a Reader, an index into
	// Interfaces.
	Interface int
	// TimeNS is in nanoseconds since the epoch of the clock in use, which for
	// live captures is that of Unix.
	TimeNS int64
	// Data is the frame without FCS, and More what follows it. A Reader gives
	// the frame in one piece and reuses it for the next packet.
	Data []byte
	More [][]byte
	// OrigBytes is the length of the frame before truncation. Zero means that
	// of Data and More to a Writer.
	OrigBytes int

	Flags     Flags
	DropCount uint64 // frames lost since the last packet, this one included; epb_dropcount
	PacketID  uint64 // joins views of one packet, epb_packetid; zero if there is none
	Queue     uint32 // epb_queue, if HasQueue
	HasQueue  bool
	Verdicts  []Verdict
	Comments  []string
}

// Stats are the statistics of one interface: the Interface Statistics Block.
type Stats struct {
	Interface int
	StartNS   int64
	EndNS     int64
	Received  uint64 // isb_ifrecv, dropped ones included
	Dropped   uint64 // isb_ifdrop
	Comments  []string
}

const (
	// MaxPacketBytes is the most of one packet that is written, and the
	// longest that Wireshark opens. The largest transmit segmentation request
	// of an 82599 (PAYLEN has 18 bits, 82599 datasheet 7.2.3.2.4) just exceeds
	// it and is truncated.
	MaxPacketBytes = 256 << 10

	// maxBlockBytes bounds what the reader holds of one block. libpcap and
	// Wireshark refuse longer ones too.
	maxBlockBytes = 16 << 20

	// maxInterfaces bounds the interfaces of one capture: several adapters
	// with 128 queues each way and their virtual functions fit many times.
	maxInterfaces = 1 << 16

	// maxOptionBytes is the longest option value that is written: the length
	// field has 16 bits and the value is padded to 4 octets.
	maxOptionBytes = 0xFFFC

	// maxComments bounds the comments of one block, and so the buffer of a
	// Writer.
	maxComments = 16
)

// Block types, draft-ietf-opsawg-pcapng 4 and appendix A.
const (
	blockInterface     = 1
	blockPacket        = 2 // obsolete
	blockSimplePacket  = 3
	blockStatistics    = 5
	blockEnhanced      = 6
	blockSection       = 0x0A0D0D0A
	byteOrderMagic     = 0x1A2B3C4D
	blockOverheadBytes = 12 // type, length, length again
)

// Option codes, draft-ietf-opsawg-pcapng 3.5 and the table of each block.
const (
	optEnd     = 0
	optComment = 1

	shbHardware = 2
	shbOS       = 3
	shbUserAppl = 4

	ifName        = 2
	ifDescription = 3
	ifSpeed       = 8
	ifTSResol     = 9
	ifTSOffset    = 14
	ifHardware    = 15

	epbFlags     = 2
	epbDropCount = 4
	epbPacketID  = 5
	epbQueue     = 6
	epbVerdict   = 7

	isbStartTime = 2
	isbEndTime   = 3
	isbIfRecv    = 4
	isbIfDrop    = 5
)

// FormatError says where a capture is not what it should be.
type FormatError struct {
	Offset int64  // of the block or record, in bytes from the start
	Reason string // what was expected and what was found
	Err    error  // io.ErrUnexpectedEOF when the input ends too early
}

func (e *FormatError) Error() string {
	s := fmt.Sprintf("capture: offset %d: %s", e.Offset, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *FormatError) Unwrap() error { return e.Err }
