package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/tapbridge/live"
)

// maxHeaderBytes is Ethernet with a tag, the longest IPv4 or an IPv6 header with 64 bytes
// of extensions, and the longest TCP header.
const maxHeaderBytes = 14 + tagBytes + 40 + 64 + 60

// queue is the way to one transmit ring.
type queue struct {
	box *live.Mailbox[*stack.PacketBuffer]

	// What was taken from the box, first to last of it still to be posted.
	packets     [batchPackets]*stack.PacketBuffer
	posts       [batchPackets]driver.TxPacket
	headers     [batchPackets][maxHeaderBytes]byte
	first, last int

	had int // packets of the last Receive
}

// transmit posts at most about budget packets on queue i.
func (e *Endpoint) transmit(i, budget int) int {
	q := &e.queues[i]
	sent := 0
	for sent < budget {
		if q.first == q.last {
			q.first, q.last = 0, q.box.Take(q.packets[:])
			if q.last == 0 {
				break
			}
			for k := range q.packets[:q.last] {
				e.describe(&q.posts[k], q.packets[k], &q.headers[k])
			}
		}
		n := e.drv.Transmit(i, q.posts[q.first:q.last])
		if n == 0 {
			break
		}
		for k := q.first; k < q.first+n; k++ {
			q.packets[k].DecRef()
			q.packets[k] = nil
		}
		q.first += n
		sent += n
	}
	return sent
}

// describe makes a driver's packet of one of the stack. The headers are copied,
// because the stack may share them with a copy that it delivers to itself.
func (e *Endpoint) describe(t *driver.TxPacket, p *stack.PacketBuffer, room *[maxHeaderBytes]byte) {
	*t = driver.TxPacket{Pieces: t.Pieces[:0]}
	if e.cfg.VLAN != 0 {
		t.VLAN, t.VLANTCI = true, e.cfg.VLAN
	}
	link, network, transport := p.LinkHeader().Slice(), p.NetworkHeader().Slice(), p.TransportHeader().Slice()
	views, skip := p.AsViewList()
	if n := len(link) + len(network) + len(transport); n <= maxHeaderBytes {
		hdr := append(append(append(room[:0], link...), network...), transport...)
		t.Pieces = append(t.Pieces, hdr)
		skip += n
		if e.cfg.Offloads&driver.TxChecksum != 0 && len(transport) > 0 {
			e.offload(t, p, hdr, len(link), len(network))
		}
	}
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		t.Pieces = append(t.Pieces, b[skip:])
		skip = 0
	}
}

// offload asks for the checksum and the segmentation of a packet, and writes
// the sum of its pseudo-header. The stack does so itself only for TCP with
// segmentation options; it leaves the field of all others empty.
func (e *Endpoint) offload(t *driver.TxPacket, p *stack.PacketBuffer, hdr []byte, linkBytes, networkBytes int) {
	start := linkBytes + networkBytes
	transportBytes := len(hdr) - start
	var offset int
	switch {
	case p.TransportProtocolNumber == header.TCPProtocolNumber && transportBytes >= header.TCPMinimumSize:
		offset = header.TCPChecksumOffset
	case p.TransportProtocolNumber == header.UDPProtocolNumber && transportBytes >= header.UDPMinimumSize:
		offset = 6
	default:
		return
	}
	network := hdr[linkBytes:start]
	length := uint16(p.Size() - start)
	var pseudo uint16
	switch p.NetworkProtocolNumber {
	case header.IPv4ProtocolNumber:
		ip := header.IPv4(network)
		if ip.More() || ip.FragmentOffset() != 0 {
			return
		}
		pseudo = header.PseudoHeaderChecksum(p.TransportProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), length)
	case header.IPv6ProtocolNumber:
		ip := header.IPv6(network)
		pseudo = header.PseudoHeaderChecksum(p.TransportProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), length)
	default:
		return
	}
	binary.BigEndian.PutUint16(hdr[start+offset:], pseudo)
	t.NeedsChecksum, t.ChecksumStart, t.ChecksumOffset = true, start, offset

	mss := int(p.GSOOptions.MSS)
	if mss == 0 || p.Size()-len(hdr) <= mss {
		return
	}
	switch p.GSOOptions.Type {
	case stack.GSOTCPv4:
		t.GSO = driver.TCPv4
	case stack.GSOTCPv6:
		t.GSO = driver.TCPv6
	default:
		return
	}
	t.GSOBytes, t.HeaderBytes = mss, len(hdr)
}
