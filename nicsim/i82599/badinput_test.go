package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
)

// A packet has 17 bytes to 15.5 KiB, whether it lies in one buffer or in two,
// and whichever format describes it.
func TestLengthsThatNoFrameHas(t *testing.T) {
	for _, n := range []int{0, 1, 16, 17, 60, 15868, 15869, 65535} {
		for _, format := range []string{"data", "two data", "legacy"} {
			h := newHands(t)
			h.openTx(0)
			const buffer = handIOVA + handRing*ixgbe.Size
			put := func(i int, addr uint64, bytes int, flags ixgbe.TxFlags) {
				desc := (*[16]byte)(h.mem[i*ixgbe.Size:])
				if format == "legacy" {
					ixgbe.LegacyTx{Addr: addr, Length: uint16(bytes), Flags: flags}.Put(desc)
				} else {
					ixgbe.AdvData{Addr: addr, DTALEN: uint16(bytes), PAYLEN: uint32(n), Flags: flags}.Put(desc)
				}
			}
			last := ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS
			if format == "two data" {
				put(0, buffer, n/2, ixgbe.TxIFCS)
				put(1, buffer+uint64(n/2), n-n/2, last)
				h.setAt("TDT", 0, 2)
			} else {
				put(0, buffer, n, last)
				h.setAt("TDT", 0, 1)
			}
			h.settle()
			if n < 17 || n > 15868 {
				require.Empty(t, h.wire.sent, "%d bytes, %s", n, format)
				want := 1
				if n == 0 && format != "two data" {
					want = 0 // a null descriptor, which is no packet
				}
				require.EqualValues(t, want, h.d.drops[nicsim.DropTxBadLength])
				require.True(t, ixgbe.TxDone((*[16]byte)(h.mem[(h.d.tx.queues[0].head-1)*ixgbe.Size:])))
				continue
			}
			require.Len(t, h.wire.sent, 1)
			require.Len(t, h.wire.sent[0].Data, max(n, 60))
			require.Zero(t, h.d.drops[nicsim.DropTxBadLength])
		}
	}
}

// A checksum that has no place in its packet is left out; the packet goes.
func TestMisplacedChecksumsAreLeftOut(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	frame := udpFrame(60)
	for _, ctx := range []ixgbe.AdvContext{
		{Lengths: ixgbe.Lengths{MACLEN: 14, IPLEN: 300}, Flags: ixgbe.ContextTCP},
		{Lengths: ixgbe.Lengths{MACLEN: 14, IPLEN: 29}, Flags: ixgbe.ContextTCP}, // the field would be bytes 59 and 60
	} {
		ctx.Put((*[16]byte)(h.mem[h.tails[0]*ixgbe.Size:]))
		h.tails[0]++
		h.post(0, frame, 1, ixgbe.TxCC|ixgbe.TxTXSM)
	}
	h.settle()
	require.Len(t, h.wire.sent, 2)
	for _, f := range h.wire.sent {
		require.Equal(t, frame, f.Data)
	}
	require.EqualValues(t, 2, h.d.stats.txMisplaced)

	// Two bytes further left there is room.
	ctx := ixgbe.AdvContext{Lengths: ixgbe.Lengths{MACLEN: 14, IPLEN: 28}, Flags: ixgbe.ContextTCP}
	ctx.Put((*[16]byte)(h.mem[h.tails[0]*ixgbe.Size:]))
	h.tails[0]++
	h.post(0, frame, 1, ixgbe.TxCC|ixgbe.TxTXSM)
	h.settle()
	require.NotZero(t, binary.BigEndian.Uint16(h.wire.sent[2].Data[58:]))
	require.EqualValues(t, 2, h.d.stats.txMisplaced)
}
