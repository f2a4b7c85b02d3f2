package netstack

import (
	"encoding/binary"
	"math/bits"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nicsim.dev/nicsim/driver"
)

// receive hands at most about budget packets of queue q to the stack. Giving
// back those of the call before counts as work, because the adapter may have
// waited for their buffers.
func (e *Endpoint) receive(q, budget int) int {
	n := e.queues[q].had
	for n < budget {
		k := e.drv.Receive(q, e.rx[:])
		for i := range e.rx[:k] {
			e.deliver(&e.rx[i])
		}
		n += k
		e.queues[q].had = k
		if k < len(e.rx) {
			break
		}
	}
	return n
}

// deliver copies a packet out of the driver's buffers and hands it to the stack.
func (e *Endpoint) deliver(r *driver.RxPacket) {
	d := e.dispatcher.Load()
	if d == nil {
		return
	}
	size, link := driver.Bytes(r.Pieces), e.linkBytes()
	if size < link {
		e.rxIgnored.Add(1)
		return
	}
	first := r.Pieces[0]
	var joined [header.EthernetMinimumSize + tagBytes]byte
	if len(first) < link {
		n := 0
		for _, p := range r.Pieces {
			n += copy(joined[n:], p)
		}
		first = joined[:]
	}
	if e.foreign(r, first) {
		e.rxIgnored.Add(1)
		return
	}
	eth := header.Ethernet(first[:header.EthernetMinimumSize])
	network := tcpip.NetworkProtocolNumber(binary.BigEndian.Uint16(first[link-2:]))

	// The link header is left out: nothing in the stack looks at it.
	data := copyOut(r.Pieces, link, size)
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	p.Hash = r.Hash
	switch dst := eth.DestinationAddress(); {
	case dst == header.EthernetBroadcastAddress:
		p.PktType = tcpip.PacketBroadcast
	case header.IsMulticastEthernetAddress(dst):
		p.PktType = tcpip.PacketMulticast
	case dst == e.LinkAddress():
		p.PktType = tcpip.PacketHost
	default:
		p.PktType = tcpip.PacketOtherHost
	}
	switch r.GSO {
	case driver.TCPv4:
		p.GSOOptions = gsoOptions(stack.GSOTCPv4, header.IPv4MinimumSize, r.GSOBytes)
	case driver.TCPv6:
		p.GSOOptions = gsoOptions(stack.GSOTCPv6, header.IPv6MinimumSize, r.GSOBytes)
	}
	trust := r.Checksum == driver.ChecksumUnnecessary
	if e.trusted.Load() != trust {
		e.trusted.Store(trust)
	}
	(*d).DeliverNetworkPacket(network, p)
	p.DecRef()
}

const (
	// frontBytes holds an IP and a TCP header of any length. The stack copies the
	// whole view that it finds headers in, so they get a small one of their own.
	frontBytes = 128
	// wholeBytes is the size from which on a packet is worth several views. Their
	// memory comes in powers of two and is cleared, so they are filled well.
	wholeBytes = 512
)

// copyOut copies bytes from to size of a packet in pieces.
func copyOut(pieces [][]byte, from, size int) buffer.Buffer {
	var out buffer.Buffer
	left := size - from
	next := frontBytes
	if left < wholeBytes {
		next = left
	}
	piece, rest := 0, pieces[0]
	for left > 0 {
		v := buffer.NewViewSize(next)
		for dst := v.AsSlice(); len(dst) > 0; {
			for from >= len(rest) {
				from -= len(rest)
				piece++
				rest = pieces[piece]
			}
			k := copy(dst, rest[from:])
			dst, from = dst[k:], from+k
		}
		// It takes the view over and does not fail for an empty one.
		_ = out.Append(v)
		left -= next
		if next = left; left > 8*wholeBytes {
			next = 1 << (bits.Len(uint(left)) - 1)
		}
	}
	return out
}

// foreign says that a packet is not of the VLAN that the stack is on, or not of
// the network that carries it. frame begins with the packet's link header.
func (e *Endpoint) foreign(r *driver.RxPacket, frame []byte) bool {
	id := uint16(0)
	if r.VLAN {
		id = r.VLANTCI & vlanID
	}
	if id != e.cfg.VLAN {
		return true
	}
	const typeAt, idAt = header.EthernetMinimumSize - 2, header.EthernetMinimumSize
	return e.cfg.OuterVLAN != 0 && (binary.BigEndian.Uint16(frame[typeAt:]) != tagType ||
		binary.BigEndian.Uint16(frame[idAt:])&vlanID != e.cfg.OuterVLAN)
}

// gsoOptions tells a stack that forwards the packet how to take it apart again.
func gsoOptions(kind stack.GSOType, networkBytes, mss int) stack.GSO {
	return stack.GSO{
		Type: kind, NeedsCsum: true, CsumOffset: header.TCPChecksumOffset,
		MSS: uint16(mss), L3HdrLen: uint16(networkBytes), MaxSize: gsoMaxBytes,
	}
}
