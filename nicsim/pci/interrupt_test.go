package pci

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// messaging is an endpoint in MSI-X mode with vectors 0 to 2 programmed and
// unmasked.
func messaging(t *testing.T, room int) (*Function, *sink) {
	f, _ := endpoint(t, false)
	irq := &sink{room: room}
	f.SetInterrupter(irq)
	put16(f, offCommand, CommandMemory|CommandMaster)
	for v := range uint32(3) {
		f.Write32(4, 16*v, 0xFEE01003)
		f.Write32(4, 16*v+4, 0x1)
		f.Write32(4, 16*v+8, 0x40+v)
		f.Write32(4, 16*v+12, 0)
	}
	put16(f, msixAt+2, 0x8000)
	require.Equal(t, MessageXMode, f.Mode())
	return f, irq
}

func TestMessageCarriesItsTableEntry(t *testing.T) {
	f, irq := messaging(t, 9)
	f.Raise(2)
	require.Equal(t, []message{{2, 0x1_FEE01000, 0x42}}, irq.messages)
	f.Raise(-1)
	f.Raise(64)
	require.Len(t, irq.messages, 1)
}

func TestMaskedVectorStaysPending(t *testing.T) {
	f, irq := messaging(t, 9)
	f.Write32(4, 16+12, 1)
	f.Raise(1)
	f.Raise(1)
	f.Raise(63)
	require.Empty(t, irq.messages)
	require.Equal(t, uint32(2), f.Read32(4, 0x2000))
	require.Equal(t, uint32(1)<<31, f.Read32(4, 0x2004))
	f.Write32(4, 0x2000, 0) // read-only
	f.Write(4, []byte{0}, 16+12)
	require.Equal(t, uint32(2), f.Read32(4, 0x2000))
	f.Write32(4, 16+12, 0xFFFFFFFE)
	require.Equal(t, []message{{1, 0x1_FEE01000, 0x41}}, irq.messages)
	require.Zero(t, f.Read32(4, 0x2000))
	require.Zero(t, f.Read32(4, 16+12), "reserved bits do not stick")
}

func TestFunctionMaskHoldsEveryVector(t *testing.T) {
	f, irq := messaging(t, 9)
	put16(f, msixAt+2, 0xC000)
	f.Raise(2)
	f.Raise(0)
	require.Empty(t, irq.messages)
	put16(f, msixAt+2, 0x8000)
	require.Equal(t, []int{0, 2}, []int{irq.messages[0].vector, irq.messages[1].vector})
}

func TestFullBusKeepsVectorsPending(t *testing.T) {
	f, irq := messaging(t, 1)
	for v := range 3 {
		f.Raise(v)
	}
	require.Len(t, irq.messages, 1)
	require.Equal(t, uint32(0b110), f.Read32(4, 0x2000))
	irq.room = 2
	require.False(t, f.Retry())
	require.Len(t, irq.messages, 2)
	irq.room = 9
	require.True(t, f.Retry())
	require.Len(t, irq.messages, 3)
	require.Zero(t, f.Read32(4, 0x2000))
}

func TestNoMessageWithoutBusMaster(t *testing.T) {
	f, irq := messaging(t, 9)
	put16(f, offCommand, CommandMemory)
	f.Raise(0)
	require.Empty(t, irq.messages)
	put16(f, offCommand, CommandMemory|CommandMaster)
	require.Len(t, irq.messages, 1)
}

func TestTransportMasksVectors(t *testing.T) {
	f, irq := messaging(t, 9)
	f.Raise(7)
	f.MaskVector(7, false)
	require.Len(t, irq.messages, 1)
	f.MaskVector(7, true)
	f.Raise(7)
	f.MaskVector(64, false)
	require.Len(t, irq.messages, 1)
}

func TestPendingVectorIsForgotten(t *testing.T) {
	f, irq := messaging(t, 9)
	f.Raise(63)
	f.ClearPending(63)
	f.ClearPending(64)
	f.MaskVector(63, false)
	require.Empty(t, irq.messages)
	irq.room = 0
	f.Raise(0)
	f.ClearPending(0)
	irq.room = 1
	f.Retry()
	require.Len(t, irq.messages, 1, "one that waits for the bus is not forgotten")
}

func TestSingleMessage(t *testing.T) {
	f, _ := endpoint(t, false)
	irq := &sink{room: 9}
	f.SetInterrupter(irq)
	put16(f, offCommand, CommandMaster)
	f.SetLine(true)
	require.True(t, irq.line)
	put32(f, msiAt+4, 0xFEE02003)
	put32(f, msiAt+8, 2)
	put16(f, msiAt+0xC, 0x51)
	put16(f, msiAt+2, 0x01)
	require.Equal(t, MessageMode, f.Mode())
	require.False(t, irq.line, "messages replace the pin")
	f.Raise(5)
	require.Equal(t, []message{{0, 0x2_FEE02000, 0x51}}, irq.messages)
	put32(f, msiAt+0x10, 1)
	f.Raise(0)
	require.Equal(t, uint32(1), get32(f, msiAt+0x14))
	require.Len(t, irq.messages, 1)
	put32(f, msiAt+0x10, 0)
	require.Len(t, irq.messages, 2)
	require.Zero(t, get32(f, msiAt+0x14))
	irq.room = 2
	f.Raise(0)
	require.False(t, f.Retry())
}

func TestLine(t *testing.T) {
	f, _ := endpoint(t, false)
	irq := &sink{}
	f.SetLine(true)
	f.SetInterrupter(irq)
	require.True(t, irq.line, "a late interrupter learns the level")
	require.NotZero(t, get16(f, offStatus)&statusINTx)
	put16(f, offCommand, CommandINTxDisable)
	require.False(t, irq.line)
	require.Equal(t, NoInterrupts, f.Mode())
	require.NotZero(t, get16(f, offStatus)&statusINTx)
	put16(f, offCommand, 0)
	require.True(t, irq.line)
	f.SetLine(false)
	require.False(t, irq.line)
	f.Raise(0)
	require.Empty(t, irq.messages, "no message in INTx mode")
	require.Equal(t, "INTx", f.Mode().String())
}
