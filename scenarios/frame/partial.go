package frame

import (
	"encoding/binary"
	"errors"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Partial is what a stack tells an adapter that is to finish the innermost
// transport header of a frame.
type Partial struct {
	Kind        string // tcp, udp or sctp
	Version     int    // of IP
	Start       int    // bytes ahead of the transport header
	FieldOffset int    // of the checksum, from Start
	HeaderBytes int    // of all headers
}

// errNoTransport is returned for frames in which no checksum can be offloaded.
var errNoTransport = errors.New("frame: there is no tcp, udp or sctp layer whose checksum could be left to the adapter")

// Unfinish puts into the frame's innermost TCP or UDP checksum what a stack
// leaves there for the adapter to finish: the sum of the pseudo-header
// (virtio 1.3 5.1.6.2); and zero for SCTP.
func Unfinish(data []byte) (Partial, error) {
	var p Partial
	var src, dst []byte
	for _, l := range Read(data) {
		switch l.Kind {
		case "ip4", "ip6":
			p.Version = int(l.Kind[2] - '0')
			src, dst = l.bytes("src"), l.bytes("dst")
		case "tcp":
			p.Kind, p.Start, p.FieldOffset = "tcp", l.off, header.TCPChecksumOffset
			p.HeaderBytes = l.off + header.TCPMinimumSize + len(l.bytes("opt"))
		case "udp":
			p.Kind, p.Start, p.FieldOffset, p.HeaderBytes = "udp", l.off, 6, l.off+header.UDPMinimumSize
		case "sctp":
			p.Kind, p.Start, p.FieldOffset, p.HeaderBytes = "sctp", l.off, 8, l.off+sctpBytes
		}
	}
	field := data[p.Start:]
	switch p.Kind {
	case "tcp", "udp":
		proto := protocols[p.Kind]
		binary.BigEndian.PutUint16(field[p.FieldOffset:], pseudo(proto, src, dst, len(data)-p.Start))
	case "sctp":
		clear(field[p.FieldOffset : p.FieldOffset+4])
	default:
		return p, errNoTransport
	}
	return p, nil
}
