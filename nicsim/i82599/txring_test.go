package i82599

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
)

// put writes a descriptor behind those that queue q has.
func (h *hands) put(q int, d interface{ Put(*[16]byte) }) (at uint32) {
	at = h.tails[q]
	d.Put((*[16]byte)(h.mem[q*handSlots+int(at)*ixgbe.Size:]))
	h.tails[q] = (at + 1) % handRing
	return at
}

func (h *hands) ring(q int) { h.write(uint32(0x6018+0x40*q), h.tails[q]) }

// done says of each of queue q's first n descriptors whether it was written back.
func (h *hands) done(q, n int) (out []bool) {
	for i := range n {
		out = append(out, ixgbe.TxDone((*[16]byte)(h.mem[q*handSlots+i*ixgbe.Size:])))
	}
	return out
}

// buffer puts bytes where queue q's descriptors may point, and returns its
// address.
func (h *hands) buffer(q int, b []byte) uint64 {
	at := q*handSlots + handRing*ixgbe.Size
	copy(h.mem[at:(q+1)*handSlots], b)
	return handIOVA + uint64(at)
}

const wholeTx = ixgbe.TxEOP | ixgbe.TxIFCS

func whole(addr uint64, n int, flags ixgbe.TxFlags) ixgbe.AdvData {
	return ixgbe.AdvData{Addr: addr, DTALEN: uint16(n), PAYLEN: uint32(n), Flags: flags}
}

func repeated(v bool, n int) (out []bool) {
	for range n {
		out = append(out, v)
	}
	return out
}

// TestWriteBackThreshold: with WTHRESH, descriptors are written back once as
// many have accumulated, or when a timer flushes them; RS does not matter
// (7.2.3.5.1).
func TestWriteBackThreshold(t *testing.T) {
	for _, watched := range []bool{false, true} { // the short way and the long one
		for _, rs := range []ixgbe.TxFlags{0, ixgbe.TxRS} {
			h := newHands(t)
			if watched {
				h.d.SetProbe(&watcher{})
			}
			h.openTx(0)
			h.write(0x6028, 1<<25|8<<16)
			addr := h.buffer(0, udpFrame(100))
			for range 7 {
				h.put(0, whole(addr, 100, wholeTx|rs))
			}
			h.ring(0)
			h.settle()
			require.Equal(t, repeated(false, 7), h.done(0, 7))
			h.put(0, whole(addr, 100, wholeTx|rs))
			h.ring(0)
			h.settle()
			require.Equal(t, repeated(true, 8), h.done(0, 8))

			// Fewer are flushed by the timer,
			for range 3 {
				h.put(0, whole(addr, 100, wholeTx|rs))
			}
			h.ring(0)
			h.settle()
			require.Equal(t, repeated(false, 3), h.done(0, 11)[8:])
			h.pass(writeBackDelay)
			require.Equal(t, repeated(true, 3), h.done(0, 11)[8:])

			// or by software. Every part of a packet counts.
			h.put(0, ixgbe.AdvData{Addr: addr, DTALEN: 40, PAYLEN: 100, Flags: ixgbe.TxIFCS})
			h.put(0, whole(addr+40, 60, wholeTx|rs))
			h.ring(0)
			h.settle()
			require.Equal(t, repeated(false, 2), h.done(0, 13)[11:])
			h.write(0x6028, 1<<25|8<<16|txFlush)
			require.Equal(t, repeated(true, 2), h.done(0, 13)[11:])
			require.Len(t, h.wire.sent, 12)
		}
	}
}

// TestStatusIsReportedForPackets: RS is for the last descriptor of a packet; on
// another it is ignored, and so a buffer is never given back early.
func TestStatusIsReportedForPackets(t *testing.T) {
	for _, c := range []struct {
		first, last ixgbe.TxFlags
		want        []bool
	}{
		{ixgbe.TxRS, ixgbe.TxRS, []bool{false, true}},
		{ixgbe.TxRS, 0, []bool{false, false}},
		{0, ixgbe.TxRS, []bool{false, true}},
	} {
		h := newHands(t)
		h.openTx(0)
		addr := h.buffer(0, udpFrame(100))
		h.put(0, ixgbe.AdvData{Addr: addr, DTALEN: 40, PAYLEN: 100, Flags: ixgbe.TxIFCS | c.first})
		h.ring(0)
		h.settle()
		require.Equal(t, []bool{false}, h.done(0, 1))
		require.Zero(t, h.getAt("TDH", 0), "its data has not been read")
		h.put(0, whole(addr+40, 60, wholeTx|c.last))
		h.ring(0)
		h.settle()
		require.Equal(t, c.want, h.done(0, 2))
		require.EqualValues(t, 2, h.getAt("TDH", 0))
		require.Len(t, h.wire.sent, 1)
	}
}

// super is a TCP super-frame as a driver hands it over, and its context.
func super(p craft.Packet, mss int) (frame []byte, ctx ixgbe.AdvContext, data ixgbe.AdvData) {
	frame = p.Frame()
	l3, ip := 14+4*len(p.Tags), 20
	if p.SNAP {
		l3 += 8
	}
	refmodel.Seed(frame, l3, l3+ip, craft.TCP)
	ctx = ixgbe.AdvContext{
		Lengths: ixgbe.Lengths{MACLEN: uint8(l3), IPLEN: uint16(ip), L4LEN: 20, MSS: uint16(mss)},
		Flags:   ixgbe.ContextIPv4 | ixgbe.ContextTCP,
	}
	if p.SNAP {
		ctx.Flags |= ixgbe.ContextSNAP
	}
	data = ixgbe.AdvData{DTALEN: uint16(len(frame)), PAYLEN: uint32(len(frame) - l3 - ip - 20), Flags: wholeTx | ixgbe.TxTSE | ixgbe.TxIXSM | ixgbe.TxTXSM | ixgbe.TxRS}
	return frame, ctx, data
}

// TestHeadIsWhatHasBeenRead: neither TDH nor the head in memory passes a packet
// whose segments are still being made of the driver's buffers.
func TestHeadIsWhatHasBeenRead(t *testing.T) {
	h := newHands(t)
	const headAt = 12 << 10
	h.write(0x6038, handIOVA+headAt|1)
	h.openTx(0)
	frame, ctx, data := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(6000)}, 1000)
	addr := h.buffer(0, frame)
	plain := h.buffer(1, udpFrame(100))
	data.Addr = addr
	h.put(0, whole(plain, 100, wholeTx|ixgbe.TxRS))
	h.put(0, ctx)
	h.put(0, data)
	h.put(0, whole(plain, 100, wholeTx|ixgbe.TxRS))
	h.wire.room = 3
	h.ring(0)
	h.settle()
	require.Len(t, h.wire.sent, 3)
	image := func() uint32 { return binary.LittleEndian.Uint32(h.mem[headAt:]) }
	require.EqualValues(t, 1, image())
	require.EqualValues(t, 2, h.getAt("TDH", 0), "the context has been read")
	h.wire.room = 4
	h.settle()
	require.EqualValues(t, 3, image())
	h.wire.room = 10
	h.settle()
	require.EqualValues(t, 4, image())
	require.EqualValues(t, 4, h.getAt("TDH", 0))
	require.Equal(t, repeated(false, 4), h.done(0, 4), "descriptors are left alone")
	require.Len(t, h.wire.sent, 8)
	require.Equal(t, frame[54+5000:], h.wire.sent[6].Data[54:])
}

// TestRingsThatShrink: what waits to be written back is forgotten with its ring.
func TestRingsThatShrink(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	h.write(0x6028, 1<<25|30<<16)
	addr := h.buffer(0, udpFrame(100))
	for range handRing + 2 {
		h.put(0, whole(addr, 100, wholeTx))
		h.ring(0)
		h.settle()
	}
	require.Positive(t, h.d.tx.queues[0].waiting)
	h.put(0, ixgbe.AdvData{Addr: addr, DTALEN: 40, PAYLEN: 100, Flags: ixgbe.TxIFCS})
	h.ring(0)
	h.settle()
	h.write(0x6008, 8*ixgbe.Size)
	h.pass(sim.Millisecond)
	h.put(0, whole(addr+40, 60, wholeTx))
	h.ring(0)
	h.pass(sim.Millisecond)
	h.write(0x6028, 0)
	require.Len(t, h.wire.sent, handRing+3)
}

// TestRingsThatShrinkUnderASegmentation: its last descriptor is no place any more.
func TestRingsThatShrinkUnderASegmentation(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	frame, ctx, data := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(6000)}, 1000)
	data.Addr = h.buffer(0, frame)
	h.write(0x6028, 0)
	h.write(0x6010, handRing-2)
	h.tails[0] = handRing - 2
	h.ring(0)
	h.write(0x6028, 1<<25)
	h.put(0, ctx)
	h.put(0, data)
	h.wire.room = 2
	h.ring(0)
	h.settle()
	require.Len(t, h.wire.sent, 2)
	h.write(0x6008, 8*ixgbe.Size)
	h.wire.room = 100
	h.pass(sim.Millisecond)
	require.Len(t, h.wire.sent, 6)
}

// TestMemoryTakenAwayDuringSegmentation: the buffers are not touched again.
func TestMemoryTakenAwayDuringSegmentation(t *testing.T) {
	for _, begun := range []string{"segmentation", "assembly"} {
		h := newHands(t)
		h.openTx(0)
		frame, ctx, data := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(6000)}, 1000)
		const elsewhere = 0x7000_0000
		away := bytes.Clone(frame)
		require.NoError(t, h.d.fn.Memory.Map(elsewhere, away, dma.Read))
		data.Addr = elsewhere
		if begun == "assembly" {
			ctx.MSS = 0
			data.Flags &^= ixgbe.TxEOP
		}
		h.put(0, ctx)
		h.put(0, data)
		h.ring(0)
		h.wire.room = 2
		h.settle()
		sent := len(h.wire.sent)
		require.NoError(t, h.d.fn.Memory.Unmap(elsewhere, len(away)))
		h.wire.room = 100
		if begun == "assembly" {
			data.Addr, data.Flags = h.buffer(0, nil), data.Flags|ixgbe.TxEOP
			h.put(0, data)
			h.ring(0)
		}
		h.settle()
		require.Len(t, h.wire.sent, sent)
		require.EqualValues(t, 1, h.d.drops[nicsim.DropTxDMAFault])
		require.True(t, h.done(0, 3)[h.tails[0]-1])
		h.post(0, udpFrame(100), 1, 0)
		h.settle()
		require.Len(t, h.wire.sent, sent+1, "the queue goes on")
		for _, f := range h.wire.sent {
			h.pool.Put(f)
		}
		require.Zero(t, h.pool.Out())
	}
}

// TestQueuesEndInTheMiddle: a packet that was begun is lost, and counted.
func TestQueuesEndInTheMiddle(t *testing.T) {
	for _, end := range []func(h *hands){
		func(h *hands) { h.write(0x6028, 0) },
		func(h *hands) { h.set("CTRL", ctrlReset) },
	} {
		h := newHands(t)
		h.openTx(0)
		frame, ctx, data := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(6000)}, 1000)
		data.Addr = h.buffer(0, frame)
		h.put(0, ctx)
		h.put(0, data)
		h.wire.room = 2
		h.ring(0)
		h.settle()
		end(h)
		h.wire.room = 100
		h.settle()
		require.Len(t, h.wire.sent, 2)
		require.EqualValues(t, 1, h.d.drops[nicsim.DropTxReset])
	}
}

// TestContextsDoNotOutliveAReset: what was in the slots is not used by others.
func TestContextsDoNotOutliveAReset(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	h.put(0, ixgbe.AdvContext{VLAN: 0x123})
	h.ring(0)
	h.settle()
	require.EqualValues(t, 0x123, h.d.tx.queues[0].contexts[0].VLAN)
	h.set("CTRL", ctrlReset)
	require.Zero(t, h.d.tx.queues[0].contexts)
}

// TestFramesThatBringTheirOwnFCS: because the descriptor has no IFCS, or because
// HLREG0.TXCRCEN is clear.
func TestFramesThatBringTheirOwnFCS(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		for _, off := range []bool{false, true} {
			for _, good := range []bool{true, false} {
				h := newHands(t)
				h.openTx(0)
				frame := udpFrame(100)
				own := binary.LittleEndian.AppendUint32(bytes.Clone(frame), crc32.ChecksumIEEE(frame))
				if !good {
					own[103] ^= 1
				}
				flags := ixgbe.TxEOP
				if off {
					flags = wholeTx
					h.set("HLREG0", h.get("HLREG0")&^hlregAddCRC)
				}
				addr := h.buffer(0, own)
				if legacy {
					h.put(0, ixgbe.LegacyTx{Addr: addr, Length: 104, Flags: flags})
				} else {
					h.put(0, whole(addr, 104, flags))
				}
				h.ring(0)
				h.settle()
				require.Len(t, h.wire.sent, 1)
				require.Equal(t, frame, h.wire.sent[0].Data)
				require.Equal(t, !good, h.wire.sent[0].Flags&nicsim.BadFCS != 0)
			}
		}
	}
}

// TestSegmentsHaveTheirOwnFCS: a super-frame without IFCS loses nothing.
func TestSegmentsHaveTheirOwnFCS(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	frame, ctx, data := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(2000)}, 1000)
	data.Addr = h.buffer(0, frame)
	data.Flags &^= ixgbe.TxIFCS
	h.put(0, ctx)
	h.put(0, data)
	h.ring(0)
	h.settle()
	require.Len(t, h.wire.sent, 2)
	for i, f := range h.wire.sent {
		require.Zero(t, f.Flags)
		require.Equal(t, frame[54+1000*i:][:1000], f.Data[54:])
	}
}

// TestSegmentationOfSNAPFrames: TUCMD.SNAP has the 802.3 length set (7.2.4.7).
func TestSegmentationOfSNAPFrames(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	frame, ctx, data := super(craft.Packet{Proto: craft.TCP, SNAP: true, Payload: craft.Payload(1300)}, 1000)
	data.Addr = h.buffer(0, frame)
	h.put(0, ctx)
	h.put(0, data)
	h.ring(0)
	h.settle()
	require.Len(t, h.wire.sent, 2)
	for i, n := range []int{1000, 300} {
		b := h.wire.sent[i].Data
		require.EqualValues(t, 8+40+n, binary.BigEndian.Uint16(b[12:]))
		require.EqualValues(t, 40+n, header.IPv4(b[22:]).TotalLength())
	}
}

// TestDescriptorsStayWhileThereIsNoLink: the hardware stops reading them.
func TestDescriptorsStayWhileThereIsNoLink(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	h.d.Port().SetCarrier(false)
	h.post(0, udpFrame(100), 3, 0)
	h.settle()
	require.Zero(t, h.getAt("TDH", 0))
	require.Equal(t, repeated(false, 3), h.done(0, 3))
	h.d.Port().SetCarrier(true)
	h.settle()
	require.Len(t, h.wire.sent, 3)

	// A loop needs neither link nor room on the wire.
	h.d.Port().SetCarrier(false)
	h.wire.room = 0
	h.set("HLREG0", h.get("HLREG0")|hlregLoopback)
	h.openRx(0, 4, false)
	h.post(0, udpFrame(100), 2, 0)
	h.settle()
	require.Len(t, h.received(0), 2)
}

// TestNoWriteBackWithoutBusMastering: neither by timer nor by register.
func TestNoWriteBackWithoutBusMastering(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	h.write(0x6028, 1<<25|8<<16)
	h.post(0, udpFrame(100), 3, 0)
	h.settle()
	h.d.fn.ConfigWrite([]byte{2, 0}, 4)
	h.pass(sim.Millisecond)
	h.write(0x6028, 1<<25|8<<16|txFlush)
	h.write(0x6028, 0)
	require.Equal(t, repeated(false, 3), h.done(0, 3))
}

// TestHeadWriteBackToOddPlaces: a region may begin anywhere.
func TestHeadWriteBackToOddPlaces(t *testing.T) {
	h := newHands(t)
	region := make([]byte, 16)
	require.NoError(t, h.d.fn.Memory.Map(0x6000_0001, region, dma.Read|dma.Write))
	h.write(0x6038, 0x6000_0004|1)
	h.openTx(0)
	h.post(0, udpFrame(100), 3, 0)
	h.settle()
	require.EqualValues(t, 3, binary.LittleEndian.Uint32(region[3:]))
}
