// Package driver is what Go drivers of hardware models have in common: what a
// stack, a TAP bridge or a script asks of them. A driver programs its adapter
// through registers and descriptors like any other and belongs to the goroutine
// that owns the adapter.
package driver

import "errors"

// Config is what a user of a driver asks for. Zero values mean the driver's
// defaults.
type Config struct {
	Queues    int // pairs of transmit and receive queues
	RingSize  int // descriptors a ring
	MTU       int // payload bytes of an untagged frame
	Buffer    int // bytes of a receive buffer
	Offloads  Offloads
	Promisc   bool
	StripVLAN bool
	// DoubleVLAN says that frames come with an outer tag, which is the network's:
	// it stays in the frame, and VLAN of a packet is the inner one.
	DoubleVLAN bool
	// FlowControl sends and obeys PAUSE frames, so that a slow receiver holds
	// the sender back instead of losing frames.
	FlowControl bool
	RSSKey      []byte // 40 bytes; nil means a fixed key
}

// Offloads is a set of what the adapter is to do in the driver's place.
type Offloads uint16

const (
	TxChecksum Offloads = 1 << iota
	RxChecksum
	TSO4
	TSO6
	USO // UDP segmentation
	RSC // receive side coalescing
	RSS
	HeaderSplit

	AllOffloads = TxChecksum | RxChecksum | TSO4 | TSO6 | USO | RSC | RSS
)

// GSO is the kind of segmentation that a transmit packet needs, or that was
// undone for a received one.
type GSO uint8

const (
	NoGSO GSO = iota
	TCPv4
	TCPv6
	UDP
)

// TxPacket is a packet to be sent.
type TxPacket struct {
	// Pieces make up the frame. The driver copies them before Transmit returns.
	Pieces [][]byte
	// NeedsChecksum asks for the checksum of the bytes from ChecksumStart on, to
	// be stored ChecksumOffset bytes further; the field holds the sum of the
	// pseudo-header (virtio 1.3 5.1.6.2).
	NeedsChecksum                 bool
	ChecksumStart, ChecksumOffset int
	// GSO asks for segments of GSOBytes payload behind HeaderBytes of headers.
	GSO                   GSO
	GSOBytes, HeaderBytes int
	// VLAN asks for a tag with this control information.
	VLAN    bool
	VLANTCI uint16
}

// Checksum is what the adapter says about a received packet's checksum.
type Checksum uint8

const (
	ChecksumNone        Checksum = iota // not looked at
	ChecksumUnnecessary                 // looked at and good
	ChecksumBad
)

// RxPacket is a received packet. Its bytes are the driver's: they are valid
// until the next call of Receive on the same queue.
type RxPacket struct {
	Pieces      [][]byte
	HeaderBytes int // of the first piece, when the adapter split the header off
	Checksum    Checksum
	Hash        uint32
	HashType    uint8 // as the adapter numbers it; 0 for none
	// Merged counts the frames that the adapter coalesced into this packet, 1
	// for an ordinary one; GSO and GSOBytes say how a stack would undo that.
	Merged   int
	GSO      GSO
	GSOBytes int
	VLAN     bool
	VLANTCI  uint16
}

// Bytes returns the number of bytes in all pieces.
func Bytes(pieces [][]byte) int {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

// Driver is a running driver of one adapter.
type Driver interface {
	// Queues returns the number of queue pairs.
	Queues() int
	MAC() [6]byte
	// LinkUp says whether the adapter reports a link.
	LinkUp() bool
	// Transmit posts packets on queue q and rings the doorbell once. It returns
	// how many it took: fewer than given when the ring is full. A packet that
	// the hardware cannot express is skipped and counted in Stats.
	Transmit(q int, packets []TxPacket) int
	// Receive harvests up to len(out) packets of queue q and gives their
	// buffers back to the adapter on the next call. That is work too: a Step
	// that gives buffers back must not say that it did nothing, because the
	// adapter may be waiting for them.
	Receive(q int, out []RxPacket) int
	// Pending says whether Receive would find something on queue q.
	Pending(q int) bool
	Stats() Stats
	// Close stops the queues and the adapter's bus mastering.
	Close() error
}

// Stats are a driver's own counters.
type Stats struct {
	TxPackets, TxBytes, TxGSOPackets, TxUnsupported, TxRingFull uint64
	RxPackets, RxBytes, RxMerged, RxChecksumBad, RxErrors       uint64
}

// ErrUnsupported is wrapped by what a model cannot do.
var ErrUnsupported = errors.New("the adapter has no such feature")

// ModuleAccess is what a driver of a port with a pluggable module offers: its
// memories as SFF-8472 has them, at device address 0xA0 and 0xA2.
type ModuleAccess interface {
	ReadModule(device, offset byte, b []byte) error
	WriteModule(device, offset byte, b []byte) error
}
