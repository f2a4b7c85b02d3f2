package netstack

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"pgregory.net/rapid"

	"nicsim.dev/nicsim/driver"
)

func TestPacketsAreCopiedOutWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := make([]byte, rapid.IntRange(15, 70000).Draw(t, "bytes"))
		for i := range whole {
			whole[i] = byte(i * 31 >> 3)
		}
		var pieces [][]byte
		for rest := whole; len(rest) > 0; {
			k := min(rapid.SampledFrom([]int{0, 1, 13, 14, 66, 128, 2048, 16384}).Draw(t, "piece"), len(rest))
			pieces = append(pieces, rest[:k])
			rest = rest[k:]
			if len(pieces) > 200 {
				pieces = append(pieces, rest)
				rest = nil
			}
		}
		b := copyOut(pieces, 14, len(whole))
		defer b.Release()
		require.True(t, bytes.Equal(whole[14:], b.Flatten()))
		views, bytes := 0, 0
		b.Apply(func(v *buffer.View) {
			views++
			bytes += v.Capacity()
		})
		require.LessOrEqual(t, views, 8)
		require.LessOrEqual(t, bytes, 2*len(whole)+8*wholeBytes)
	})
}

func TestDescribingAPacketCostsNoAllocation(t *testing.T) {
	d, _ := fakePair(1, 1)
	e := NewEndpoint(d, EndpointConfig{MTU: 1500, Offloads: driver.AllOffloads}, func() {})
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 100, Payload: buffer.MakeWithData(make([]byte, 30000))})
	defer p.DecRef()
	header.TCP(p.TransportHeader().Push(20)).Encode(&header.TCPFields{DataOffset: 20})
	header.IPv4(p.NetworkHeader().Push(20)).Encode(&header.IPv4Fields{
		TotalLength: 30040, Protocol: 6, SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 2}),
	})
	e.AddHeader(p)
	p.NetworkProtocolNumber, p.TransportProtocolNumber = header.IPv4ProtocolNumber, header.TCPProtocolNumber
	p.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, NeedsCsum: true, MSS: 1460}

	var post driver.TxPacket
	var room [maxHeaderBytes]byte
	require.Zero(t, testing.AllocsPerRun(100, func() { e.describe(&post, p, &room) }))
	require.Equal(t, driver.TCPv4, post.GSO)
	require.Equal(t, 54, post.HeaderBytes)
	require.Equal(t, 30054, driver.Bytes(post.Pieces))
}
