//go:build linux

package tap

import (
	"encoding/binary"
	"errors"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
)

// vnetBytes is the size of struct virtio_net_hdr (virtio 1.3 5.1.6, the layout
// without num_buffers), in the host's byte order as TUN has it.
const vnetBytes = 10

// Flags and segmentation types of struct virtio_net_hdr.
const (
	vnetNeedsChecksum = 1
	vnetDataValid     = 2

	vnetGSONone  = 0
	vnetGSOTCPv4 = 1
	vnetGSOTCPv6 = 4
	vnetGSOUDP   = 5
	vnetGSOECN   = 0x80
)

// vnetHeader goes ahead of each packet to and from the kernel.
type vnetHeader struct {
	flags, gso                               uint8
	headerBytes, gsoBytes, sumStart, sumSkip uint16
}

func parseVnet(b []byte) vnetHeader {
	n := binary.NativeEndian
	return vnetHeader{b[0], b[1], n.Uint16(b[2:]), n.Uint16(b[4:]), n.Uint16(b[6:]), n.Uint16(b[8:])}
}

func (h *vnetHeader) put(b []byte) {
	n := binary.NativeEndian
	b[0], b[1] = h.flags, h.gso
	n.PutUint16(b[2:], h.headerBytes)
	n.PutUint16(b[4:], h.gsoBytes)
	n.PutUint16(b[6:], h.sumStart)
	n.PutUint16(b[8:], h.sumSkip)
}

var errBadHeader = errors.New("tap: the virtio-net header contradicts the packet")

const (
	etherBytes   = 14
	vlanTagBytes = 4
	vlanTPID     = 0x8100
)

// describe makes a driver's packet of a frame and its header from the kernel.
// With tags, a VLAN tag is left to the adapter to insert.
func (h *vnetHeader) describe(t *driver.TxPacket, frame []byte, tags bool) error {
	*t = driver.TxPacket{Pieces: t.Pieces[:0]}
	if len(frame) < etherBytes {
		return errBadHeader
	}
	start := int(h.sumStart)
	if h.flags&vnetNeedsChecksum != 0 {
		if start < etherBytes || start+int(h.sumSkip)+2 > len(frame) {
			return errBadHeader
		}
		t.NeedsChecksum, t.ChecksumStart, t.ChecksumOffset = true, start, int(h.sumSkip)
	}
	if h.gso != vnetGSONone {
		// The kernel's header length is a hint only: count it again.
		size := 8
		switch h.gso &^ vnetGSOECN {
		case vnetGSOTCPv4:
			t.GSO = driver.TCPv4
		case vnetGSOTCPv6:
			t.GSO = driver.TCPv6
		case vnetGSOUDP:
			t.GSO = driver.UDP
		default:
			return errBadHeader
		}
		if !t.NeedsChecksum || h.gsoBytes == 0 {
			return errBadHeader
		}
		if t.GSO != driver.UDP {
			if start+20 > len(frame) {
				return errBadHeader
			}
			size = int(frame[start+12]>>4) * 4
		}
		t.GSOBytes, t.HeaderBytes = int(h.gsoBytes), start+size
		if size < 8 || t.HeaderBytes > len(frame) {
			return errBadHeader
		}
		if t.HeaderBytes+t.GSOBytes >= len(frame) {
			t.GSO, t.GSOBytes, t.HeaderBytes = driver.NoGSO, 0, 0
		}
	}
	const tagAt = 12
	if !tags || len(frame) < etherBytes+vlanTagBytes || binary.BigEndian.Uint16(frame[tagAt:]) != vlanTPID {
		t.Pieces = append(t.Pieces, frame)
		return nil
	}
	t.VLAN, t.VLANTCI = true, binary.BigEndian.Uint16(frame[tagAt+2:])
	t.Pieces = append(t.Pieces, frame[:tagAt], frame[tagAt+vlanTagBytes:])
	if t.NeedsChecksum {
		if t.ChecksumStart -= vlanTagBytes; t.ChecksumStart < etherBytes {
			return errBadHeader
		}
	}
	if t.GSO != driver.NoGSO {
		t.HeaderBytes -= vlanTagBytes
	}
	return nil
}

// maxFront bounds the headers that are rewritten ahead of the kernel.
const maxFront = 256

// front is what goes to the kernel ahead of a packet's pieces.
type front struct {
	bytes [vnetBytes + maxFront]byte
	size  int // of bytes
	skip  int // bytes of the first piece that it stands in for
}

// compose writes the header of a received packet for the kernel. A packet that
// the adapter coalesced goes up as a super-segment. Its checksum field is that
// of one of its frames, so it gets the pseudo-header's sum and a request to
// complete it, which the kernel takes as verified.
func (f *front) compose(p *driver.RxPacket) {
	var h vnetHeader
	f.size, f.skip = vnetBytes, 0
	first := p.Pieces[0]
	if p.Checksum == driver.ChecksumUnnecessary {
		h.flags = vnetDataValid
		if p.GSO != driver.NoGSO && p.GSOBytes > 0 {
			f.merge(&h, p, first)
		}
	}
	if p.VLAN {
		f.tag(&h, p, first)
	}
	h.put(f.bytes[:])
}

func (f *front) merge(h *vnetHeader, p *driver.RxPacket, first []byte) {
	var at parse.Headers
	parse.Frame(&at, first, 0)
	if at.Kind&parse.TCP == 0 || at.Payload > maxFront-vlanTagBytes {
		return
	}
	n := int(at.Payload)
	frame := f.bytes[vnetBytes:]
	copy(frame, first[:n])
	f.size, f.skip = vnetBytes+n, n

	l4Bytes := driver.Bytes(p.Pieces) - int(at.L4)
	sum, gso := checksum.PseudoIPv4, uint8(vnetGSOTCPv4)
	if at.Kind&parse.IPv6 != 0 {
		sum, gso = checksum.PseudoIPv6, vnetGSOTCPv6
	}
	const flagsAt, cwr, sumAt = 13, 0x80, 16
	if frame[int(at.L4)+flagsAt]&cwr != 0 {
		gso |= vnetGSOECN
	}
	binary.BigEndian.PutUint16(frame[int(at.L4)+sumAt:], sum(frame[:n], int(at.L3), at.Proto, l4Bytes))
	*h = vnetHeader{
		flags: vnetNeedsChecksum, gso: gso,
		headerBytes: uint16(n), gsoBytes: uint16(p.GSOBytes),
		sumStart: at.L4, sumSkip: sumAt,
	}
}

// tag puts a tag that the adapter stripped back into the frame, because a TAP
// has no other way to tell the kernel.
func (f *front) tag(h *vnetHeader, p *driver.RxPacket, first []byte) {
	const tagAt = 12
	frame := f.bytes[vnetBytes:]
	if f.skip == 0 {
		if len(first) < tagAt {
			return
		}
		copy(frame, first[:tagAt])
		f.skip, f.size = tagAt, vnetBytes+tagAt
	}
	n := f.size - vnetBytes
	copy(frame[tagAt+vlanTagBytes:], frame[tagAt:n])
	binary.BigEndian.PutUint16(frame[tagAt:], vlanTPID)
	binary.BigEndian.PutUint16(frame[tagAt+2:], p.VLANTCI)
	f.size += vlanTagBytes
	if h.gso != vnetGSONone {
		h.headerBytes += vlanTagBytes
		h.sumStart += vlanTagBytes
	}
}
