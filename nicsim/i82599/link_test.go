package i82599

import (
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
)

// notes is a probe that keeps notes.
type notes []string

func (n *notes) Observe(e *nicsim.Event) {
	if e.Kind == nicsim.Note {
		*n = append(*n, e.Name)
	}
}

const (
	tAUTOC, tLINKS, tLINKS2, tANLP1 = 0x42A0, 0x42A4, 0x4324, 0x42B0
	links10, links1                 = 3 << 28, 2 << 28
)

func TestFibreLink(t *testing.T) {
	b := newBench(t, 0)
	b.write(tEIMS, 1<<20)
	require.Equal(t, uint32(3), b.read(tAUTOC)>>13&7, "10 GbE serial")
	require.Zero(t, b.read(tLINKS))
	b.d.Port().SetCarrier(true)
	require.True(t, b.line)
	require.Equal(t, uint32(1<<20), b.read(tEICR))
	require.Equal(t, uint32(1<<30|links10|1<<7), b.read(tLINKS))
	b.d.Port().SetCarrier(false)
	b.d.Port().SetCarrier(true)
	require.Equal(t, uint32(links10|1<<7), b.read(tLINKS), "bit 30 tells once of a link that dropped")
	require.Equal(t, uint32(1<<30|links10|1<<7), b.read(tLINKS))
	require.Zero(t, b.read(tLINKS2))
	b.d.Plug(false)
	require.Zero(t, b.read(tLINKS))
	b.d.Plug(true)
	b.write(tAUTOC, b.read(tAUTOC)&^(7<<13)) // 1 GbE, which the module does not do
	require.Zero(t, b.read(tLINKS))
}

// TestPipelineReset does what drivers do to restart the link: another mode for a
// moment, both with Restart_AN.
func TestPipelineReset(t *testing.T) {
	for _, variant := range []uint16{0x10FB, 0x10F7} {
		b := newBench(t, variant)
		b.d.Port().SetCarrier(true)
		b.read(tEICR)
		autoc := b.read(tAUTOC)
		b.write(tAUTOC, (autoc|1<<12)^4<<13)
		require.NotZero(t, b.read(tANLP1)&0xF0000, "negotiation left its idle state")
		b.write(tAUTOC, autoc|1<<12)
		require.Equal(t, autoc, b.read(tAUTOC), "Restart_AN clears itself")
		require.NotZero(t, b.read(tEICR)&(1<<20))
		b.read(tLINKS)
		require.Equal(t, uint32(1<<30|links10|1<<7), b.read(tLINKS)&^(1<<31))
	}
}

func TestBackplaneLink(t *testing.T) {
	b := newBench(t, 0x10F7)
	b.d.Port().SetCarrier(true)
	require.Equal(t, uint32(4), b.read(tAUTOC)>>13&7, "backplane negotiation")
	require.Equal(t, uint32(1<<31|1<<30|links10|1<<7), b.read(tLINKS))
	require.Equal(t, uint32(1<<6), b.read(tLINKS2))
	require.Equal(t, uint32(3<<10), b.read(tANLP1)&(3<<10))
	autoc := b.read(tAUTOC)
	b.write(tAUTOC, autoc&^(1<<31|1<<16)|1<<30|1<<12) // KX only
	b.read(tLINKS)
	require.Equal(t, uint32(1<<31|1<<30|links1|1<<7), b.read(tLINKS))
	b.write(tAUTOC, autoc&^(3<<30|1<<16)|1<<12) // nothing offered
	require.Zero(t, b.read(tLINKS))
	b.write(tAUTOC, autoc&^(7<<13)) // 1 GbE, forced
	b.read(tLINKS)
	require.Equal(t, uint32(1<<30|links1|1<<7), b.read(tLINKS))
}

func TestForcedLinkAndLoopback(t *testing.T) {
	b := newBench(t, 0)
	b.write(tAUTOC, b.read(tAUTOC)|1)
	require.NotZero(t, b.read(tLINKS)&(1<<7))
	b.write(tAUTOC, b.read(tAUTOC)&^1)
	require.Zero(t, b.read(tLINKS)&(1<<7))
	b.write(0x4240, b.read(0x4240)|1<<15)
	require.NotZero(t, b.read(tLINKS)&(1<<7))
	b.write(0, 1<<26)
	require.Zero(t, b.read(tLINKS)&(1<<7))
}

func TestSoftwareResetKeepsTheLink(t *testing.T) {
	b := newBench(t, 0)
	b.d.Port().SetCarrier(true)
	b.read(tLINKS)
	b.write(tAUTOC, b.read(tAUTOC)|1<<28)
	b.write(0x20, b.read(0x20)|1)
	b.write(0x5088, 1<<30) // VLNCTRL
	seen := &notes{}
	b.d.SetProbe(seen)
	b.write(0, 1<<26)
	require.Zero(t, b.read(0)&(1<<26))
	require.Empty(t, *seen)
	require.NotZero(t, b.read(tLINKS)&(1<<30), "it did not drop")
	require.NotZero(t, b.read(tAUTOC)&(1<<28))
	require.Zero(t, b.read(0x5088)&(1<<30))
	b.write(0, 1<<3) // LRST
	require.Zero(t, b.read(0)&(1<<3))
	require.Equal(t, notes{"link down", "LED 0 off", "LED 1 off", "LED 2 off", "link up, 10 Gb/s", "LED 0 on", "LED 1 on", "LED 2 on"}, *seen)
	require.Zero(t, b.read(tLINKS)&(1<<30), "it dropped")
	require.Zero(t, b.read(tAUTOC)&(1<<28))
}

func TestBusResetsStartAfresh(t *testing.T) {
	b := newBench(t, 0)
	b.write(tAUTOC, b.read(tAUTOC)|1<<28)
	b.write(0x10140, 3)
	b.fn.ConfigWrite([]byte{0, 0x80}, 0xA8) // FLR
	require.Equal(t, ^uint32(0), b.read(8), "memory decoding is off")
	b.fn.ConfigWrite([]byte{6, 0}, 4)
	require.Zero(t, b.read(tAUTOC)&(1<<28))
	require.Zero(t, b.read(0x10140))
}

func TestMDIOFindsNoPHY(t *testing.T) {
	b := newBench(t, 0)
	b.write(0x425C, 1<<30|3<<26|1<<16|2)
	require.Zero(t, b.read(0x425C)&(1<<30))
	require.Equal(t, uint32(0xFFFF0000), b.read(0x4260)&0xFFFF0000)
	b.write(0x4260, 0x1234)
	b.write(0x425C, 1<<30|1<<26|1<<16|2)
	require.Zero(t, b.read(0x425C)&(1<<30))
}

func TestAnalogCore(t *testing.T) {
	b := newBench(t, 0)
	b.write(0x14F00, 0x2F<<8|0x80)
	b.write(0x14F00, 0x30<<8|0x01)
	b.write(0x14F00, 1<<16|0x2F<<8)
	require.EqualValues(t, 0x80, b.read(0x14F00)&0xFF)
}

func TestLEDs(t *testing.T) {
	b := newBench(t, 0)
	seen := &notes{}
	b.d.SetProbe(seen)
	b.write(0x200, b.read(0x200)&^(0xFF<<16)|0x8E<<16) // LED 2 on, blinking: ethtool -p
	b.write(0x200, b.read(0x200)&^(0xFF<<16)|0x0E<<16)
	b.write(0x200, b.read(0x200)&^(0xFF<<16)|0x4E<<16) // inverted
	b.d.Port().SetCarrier(true)
	require.Equal(t, notes{"LED 2 blinks", "LED 2 on", "LED 2 off", "link up, 10 Gb/s", "LED 0 on", "LED 1 on"}, *seen)
}

// TestLinkResetIsSeenByTheOtherEnd holds that LRST takes the signal away for a
// moment, and RST does not.
func TestLinkResetIsSeenByTheOtherEnd(t *testing.T) {
	b := newBench(t, 0)
	var seen blinks
	b.d.Port().Attach(&seen)
	b.d.Port().SetCarrier(true)
	seen.signal = nil
	b.write(0, ctrlReset)
	require.Empty(t, seen.signal)
	b.write(0, ctrlLinkReset)
	require.Equal(t, []bool{false, true}, seen.signal)
}

// blinks is a wire that notes when its signal comes and goes.
type blinks struct {
	gauge
	signal []bool
}

func (w *blinks) SetSignal(on bool) { w.signal = append(w.signal, on) }
