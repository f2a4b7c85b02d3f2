package bench

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/stack/gro"
)

// A burst is four flows of 16 full segments each, a segment of each in turn. The
// last of a flow has PSH, so that nothing has to wait for a timer.
const (
	mergedFlows    = 4
	mergedSegments = burst / mergedFlows
	mergedBytes    = mergedSegments * bulkBytes
)

// coalescer receives the segments through the adapter: off the wire, filtered,
// verified, coalesced, written to buffers and described; its driver looks at the
// descriptors and posts the buffers again.
//
// The reference is gVisor's GRO: each frame becomes a packet buffer of its own,
// as its stack needs it, is verified and coalesced by gro.GRO and handed to a
// dispatcher that counts.
type coalescer struct {
	*receiver
	frames [][]byte
}

// Bits of RDRXCTL and RSCCTL (82599 datasheet 8.2.3.8.8, 8.2.3.8.13).
const (
	rscLastSize  = 1<<25 | 1<<26 // RSCACKC, FCOE_WRFIX: required with RSC
	rscOn        = 1
	rscMaxBuffer = 3 << 2 // 16 descriptors a packet
)

func newRSC() (*contest, error) {
	r, err := newReceiver(oneBuffer, func(a *adapter) {
		a.set("RDRXCTL", 0, rscLastSize)
		a.write("RSCCTL", 0, rscOn|rscMaxBuffer)
	})
	if err != nil {
		return nil, err
	}
	c := &coalescer{receiver: r, frames: mergeable()}
	g := newSoftware(c.frames)
	return &contest{
		ours: load{run: c.run, check: c.check}, reference: load{run: g.run, check: g.check},
		unit: "GB/s", scale: 1e-9,
	}, nil
}

// mergeable are the frames of a burst.
func mergeable() (frames [][]byte) {
	for i := range mergedSegments {
		flags := header.TCPFlags(header.TCPFlagAck)
		if i == mergedSegments-1 {
			flags |= header.TCPFlagPsh
		}
		for flow := range mergedFlows {
			frames = append(frames, tcpFrame(bulkBytes, uint16(1000+flow), uint32(i*bulkBytes), flags))
		}
	}
	return frames
}

// stream is what a flow's segments carry.
func stream(frames [][]byte, flow int) (all []byte) {
	for i := flow; i < len(frames); i += mergedFlows {
		all = append(all, frames[i][headerBytes:]...)
	}
	return all
}

func (c *coalescer) run(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += burst * bulkBytes {
		c.deliver(c.frames)
		if err := c.harvest(); err != nil {
			return done, 0, err
		}
	}
	return done, 0, nil
}

func (c *coalescer) check() error {
	if len(c.last) != mergedFlows {
		return fmt.Errorf("%d packets were made of %d flows", len(c.last), mergedFlows)
	}
	for flow, p := range c.last {
		var data []byte
		for i := p.buffer; len(data) < p.bytes; i = (i + 1) % ringDescriptors {
			data = append(data, c.mem[bufferAt(i):][:min(bufferBytes, p.bytes-len(data))]...)
		}
		if p.merged != mergedSegments || p.bytes != headerBytes+mergedBytes || !bytes.Equal(data[headerBytes:], stream(c.frames, flow)) {
			return fmt.Errorf("flow %d was not coalesced: %+v", flow, p)
		}
	}
	return c.drops()
}

// software is the reference.
type software struct {
	gro    gro.GRO
	frames [][]byte
	got    []*stack.PacketBuffer // of the last burst
}

func newSoftware(frames [][]byte) *software {
	g := &software{frames: frames}
	g.gro.Init(true)
	g.gro.Dispatcher = g
	return g
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (g *software) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, p *stack.PacketBuffer) {
	g.got = append(g.got, p.IncRef())
}

// DeliverLinkPacket implements stack.NetworkDispatcher.
func (*software) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

func (g *software) run(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += burst * bulkBytes {
		g.forget()
		for _, f := range g.frames {
			p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(f[l3:])})
			p.NetworkProtocolNumber = header.IPv4ProtocolNumber
			g.gro.Enqueue(p)
			p.DecRef()
		}
		g.gro.Flush()
	}
	return done, 0, nil
}

func (g *software) forget() {
	for _, p := range g.got {
		p.DecRef()
	}
	g.got = g.got[:0]
}

func (g *software) check() error {
	if len(g.got) != mergedFlows {
		return errors.New("the reference did not coalesce")
	}
	for flow, p := range g.got {
		if data := p.Data().AsRange().ToSlice(); !bytes.Equal(data[headerBytes-l3:], stream(g.frames, flow)) {
			return fmt.Errorf("the reference made something else of flow %d", flow)
		}
	}
	return nil
}
