package i82599

import (
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
)

// A frame that waits for a descriptor needs its room in the packet buffer until
// it gets one, although it has left the queue of those that wait.
func TestWaitingFramesFillThePacketBuffer(t *testing.T) {
	h := newHands(t)
	h.set("RXPBSIZE", 4096)
	h.openRx(0, 0, false)
	frame := udpFrame(1024)
	h.deliver(4, frame)
	h.settle()
	require.Equal(t, 4096, h.d.mac.buffers[0].bytes)
	h.deliver(1, frame)
	require.EqualValues(t, 1, h.get("RXMPC"))

	desc := (*[16]byte)(h.mem)
	ixgbe.AdvRx{Addr: handIOVA + handRing*ixgbe.Size}.Put(desc)
	h.set("RDT", 1)
	h.settle()
	require.Equal(t, 3072, h.d.mac.buffers[0].bytes)
	h.deliver(2, frame)
	require.EqualValues(t, 1, h.get("RXMPC"))
	h.set("CTRL", ctrlReset)
	require.Zero(t, h.d.mac.buffers[0].bytes)
	require.EqualValues(t, 4, h.d.drops[nicsim.DropRxReset])
}

// A frame check sequence that software asked for is put behind a frame once,
// however often the frame is offered to its queue.
func TestWaitingFrameKeepsItsLength(t *testing.T) {
	h := newHands(t)
	h.set("HLREG0", h.get("HLREG0")&^hlregStripCRC)
	h.openRx(0, 0, false)
	h.deliver(1, udpFrame(100))
	for range 3 {
		h.d.Step(10)
	}
	ixgbe.AdvRx{Addr: handIOVA + handRing*ixgbe.Size}.Put((*[16]byte)(h.mem))
	h.set("RDT", 1)
	h.settle()
	got := h.received(0)
	require.Len(t, got, 1)
	require.EqualValues(t, 104, got[0].PKTLEN)
}
