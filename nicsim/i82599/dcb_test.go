package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel/craft"
)

// newDCB is an adapter with eight traffic classes, priority n in class n, and
// their first receive queues open with n descriptors each.
func newDCB(t testing.TB, descriptors int) *hands {
	h := newHands(t)
	h.set("MRQC", 4) // eight classes, queues of class n from 16 n on
	h.set("RTRUP2TC", 0x00FAC688)
	h.set("RTTUP2TC", 0x00FAC688)
	h.set("MTQC", mtqc8)
	for tc := range numClasses {
		h.setAt("RXPBSIZE", tc, 64<<10)
		h.openRx(16*tc, descriptors, false)
	}
	return h
}

// priorityFrame is a frame of n bytes with a user priority.
func priorityFrame(up uint16, n int) []byte {
	return craft.Packet{Tags: []craft.Tag{craft.VLAN(up<<13 | 1)}, Payload: make([]byte, n-46)}.Frame()
}

// TestPacketBuffers fills one class's buffer; the others still have room.
func TestPacketBuffers(t *testing.T) {
	h := newDCB(t, 0)
	h.deliver(100, priorityFrame(3, 1024))
	h.deliver(10, priorityFrame(4, 1024))
	for tc := range numClasses {
		require.EqualValues(t, map[int]int{3: 36}[tc], h.getAt("RXMPC", tc))
	}
	require.EqualValues(t, 36, h.d.drops[nicsim.DropRxBufferFull])
}

// TestClassesDoNotBlockEachOther lets one class run out of descriptors.
func TestClassesDoNotBlockEachOther(t *testing.T) {
	h := newDCB(t, 20)
	h.deliver(40, priorityFrame(1, 128))
	h.deliver(15, priorityFrame(6, 128))
	h.settle()
	require.Len(t, h.received(16), 20)
	require.Len(t, h.received(96), 15)
	h.write(rxQueueReg(0x1018, 16), 45) // more descriptors
	h.settle()
	require.EqualValues(t, 40, h.read(rxQueueReg(0x1010, 16)))
}

// TestReceiveArbiter drains two full buffers in small steps.
func TestReceiveArbiter(t *testing.T) {
	counts := func(weighted uint32) (a, b int) {
		h := newDCB(t, 200)
		h.set("RTRPCS", weighted)
		h.setAt("RTRPT4C", 0, t2(2048, 4096, 0))
		h.setAt("RTRPT4C", 1, t2(512, 4096, 1))
		h.deliver(160, priorityFrame(0, 128))
		h.deliver(160, priorityFrame(1, 128))
		for range 5 {
			h.d.Step(rxBatchFrames)
		}
		return len(h.received(0)), len(h.received(16))
	}
	a, b := counts(0)
	require.InDelta(t, a, b, rxBatchFrames)
	a, b = counts(rtrpcsWeighted)
	require.Greater(t, a, 2*b)
}

// control is a MAC control frame.
func control(op uint16, rest ...uint16) []byte {
	b := make([]byte, minFrameBytes)
	copy(b, []byte{1, 0x80, 0xC2, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 0x08})
	binary.BigEndian.PutUint16(b[14:], op)
	for i, v := range rest {
		binary.BigEndian.PutUint16(b[16+2*i:], v)
	}
	return b
}

// TestPriorityPause stops one class for the time that the peer asks for.
func TestPriorityPause(t *testing.T) {
	h := newDCB(t, 16)
	h.set("MFLCN", mflcnPriority|mflcnDiscard)
	const units = 1000 // 51.2 us
	h.deliver(1, control(opPriority, 1<<3, 0, 0, 0, units))
	require.EqualValues(t, 0xF7, h.get("TFCS"))
	h.fill(100, 0, 80) // queues of classes 0 and 3
	h.settle()
	require.Equal(t, map[int]int{0: handRing - 1}, h.sentBy())
	h.pass(51 * sim.Microsecond)
	require.Empty(t, h.sentBy())
	h.pass(sim.Microsecond)
	require.Equal(t, map[int]int{80: handRing - 1}, h.sentBy())
	require.EqualValues(t, 0xFF, h.get("TFCS"))

	h.deliver(1, control(opPriority, 1<<3, 0, 0, 0, units))
	h.deliver(1, control(opPriority, 1<<3, 0, 0, 0, 0))
	require.EqualValues(t, 0xFF, h.get("TFCS"), "XON")
	require.EqualValues(t, 2, h.getAt("PXOFFRXCNT", 3))
	require.EqualValues(t, 1, h.getAt("PXONRXCNT", 3))
	require.EqualValues(t, 2, h.getAt("PXON2OFFCNT", 3))
	require.Zero(t, h.getAt("PXOFFRXCNT", 3), "cleared by the read")
	require.EqualValues(t, 3, h.d.drops[nicsim.DropRxPause])
}

// TestPauseArrivesWhileReceptionIsStuck holds that flow control does not wait in
// the packet buffer behind frames that nobody takes.
func TestPauseArrivesWhileReceptionIsStuck(t *testing.T) {
	h := newHands(t)
	h.set("MFLCN", mflcnLink|mflcnDiscard)
	h.openRx(0, 1, false)
	b := craft.Packet{}.Frame()
	copy(b, []byte{2, 0, 0, 0, 0, 2})
	h.deliver(100, b)
	h.settle()
	h.deliver(1, control(opPause, 10))
	require.Zero(t, h.get("TFCS"))
	require.EqualValues(t, 1, h.get("LXOFFRXCNT"))
}

// TestPriorityPauseIsSent watches what a filling buffer tells the peer.
func TestPriorityPauseIsSent(t *testing.T) {
	h := newDCB(t, 100)
	h.set("FCCFG", tfcePriority)
	h.setAt("FCTTV", 2, 0x1234<<16|0x5678) // classes 5 and 4
	h.setAt("FCRTH", 5, thresholdEnable|16<<10)
	h.setAt("FCRTL", 5, thresholdEnable|4<<10)
	h.set("RTRUP2TC", 0x00FAC688&^(7<<18)|5<<18) // priority 6 to class 5, too
	h.deliver(15, priorityFrame(5, 1024))
	require.Empty(t, h.wire.sent)
	h.deliver(1, priorityFrame(6, 1024))
	require.Len(t, h.wire.sent, 1)
	b := h.wire.sent[0].Data
	require.Equal(t, []byte{1, 0x80, 0xC2, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x08, 1, 1, 0, 1<<5 | 1<<6}, b[:18])
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x12, 0x34, 0, 0}, b[18:34])
	h.settle()
	require.Len(t, h.wire.sent, 2)
	require.Equal(t, make([]byte, 16), h.wire.sent[1].Data[18:34], "XON")
	require.EqualValues(t, 1, h.getAt("PXOFFTXC", 5))
	require.EqualValues(t, 1, h.getAt("PXONTXC", 5))
}

// TestLinkPauseIsRepeated holds XOFF up while the buffer stays full.
func TestLinkPauseIsRepeated(t *testing.T) {
	h := newHands(t)
	h.set("FCCFG", tfceLink)
	h.setAt("FCTTV", 0, 2000)
	h.set("FCRTV", 1000) // 51.2 us
	h.setAt("FCRTH", 0, thresholdEnable|2<<10)
	h.setAt("FCRTL", 0, thresholdEnable|1<<10)
	h.deliver(40, craft.Packet{}.Frame())
	h.openRx(0, 0, false)
	b := craft.Packet{}.Frame()
	copy(b, []byte{2, 0, 0, 0, 0, 2})
	h.deliver(100, b)
	h.wire.sent = h.wire.sent[:0]
	h.pass(520 * sim.Microsecond)
	require.Len(t, h.wire.sent, 10)
}

// TestResetEmptiesEveryBuffer resets with frames waiting everywhere.
func TestResetEmptiesEveryBuffer(t *testing.T) {
	h := newDCB(t, 1)
	for up := range uint16(8) {
		h.deliver(50, priorityFrame(up, 128))
	}
	h.settle()
	h.deliver(50, priorityFrame(2, 128))
	h.write(0, ctrlReset)
	var in uint64
	for tc := range numClasses {
		in += uint64(len(h.received(16 * tc)))
	}
	require.EqualValues(t, 450, in+h.d.drops[nicsim.DropRxReset])
	require.Zero(t, h.d.mac.filled|h.d.rx.waiting)
	h.write(0x3000, 1)
	h.openRx(0, 4, false)
	b := craft.Packet{}.Frame()
	copy(b, []byte{2, 0, 0, 0, 0, 2})
	h.deliver(2, b)
	h.settle()
	require.Len(t, h.received(0), 2)
}
