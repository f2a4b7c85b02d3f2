package i82599

import (
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
)

// Registers of 8.2.3.5, as drivers write them.
const (
	tEICR, tEICS, tEIMS, tEIMC = 0x800, 0x808, 0x880, 0x888
	tEIAC, tEIAM, tGPIE        = 0x810, 0x890, 0x898
	tEICSx, tEIMSx             = 0xA90, 0xAA0
	tEIMCx, tEIAMx             = 0xAB0, 0xAD0
	tEITR, tIVAR, tIVARMisc    = 0x820, 0x900, 0xA00
)

// bench is an adapter, a clock and a collector of interrupts: what a test that
// plays the driver needs.
type bench struct {
	t     *testing.T
	d     *Device
	fn    *pci.Function
	clock *sim.Clock
	msgs  []int // vectors
	line  bool
	full  bool // the bus has no room
}

func (b *bench) Message(v int, _ uint64, _ uint32) bool {
	if b.full {
		return false
	}
	b.msgs = append(b.msgs, v)
	return true
}

func (b *bench) Line(on bool) { b.line = on }

func newBench(t *testing.T, variant uint16) *bench {
	b := &bench{t: t, clock: sim.NewVirtual()}
	d, err := newDevice(nicsim.Config{Name: "A", MAC: [6]byte{2, 0x6E, 0x73, 0x12, 0x34, 0x56}, Clock: b.clock, Pool: &nicsim.Pool{}, Variant: variant})
	require.NoError(t, err)
	b.d, b.fn = d, d.Functions()[0]
	b.fn.SetInterrupter(b)
	b.fn.ConfigWrite([]byte{6, 0}, 4)
	return b
}

func (b *bench) read(off uint32) uint32 { return b.fn.Read32(0, off) }
func (b *bench) write(off, v uint32)    { b.fn.Write32(0, off, v) }

// pass lets virtual time pass.
func (b *bench) pass(d sim.Time) {
	until := b.clock.Now() + d
	for {
		b.clock.RunDue(100)
		next, ok := b.clock.Next()
		if !ok || next > until {
			b.clock.AdvanceTo(until)
			return
		}
		b.clock.AdvanceTo(next)
	}
}

// sent returns the vectors that were raised since the last call.
func (b *bench) sent() []int {
	m := b.msgs
	b.msgs = nil
	return m
}

// msix turns MSI-X on with all vectors unmasked, and sets GPIE.
func (b *bench) msix(gpie uint32) {
	b.fn.ConfigWrite([]byte{0x3F, 0x80}, 0x72)
	for v := range uint32(64) {
		b.fn.Write32(4, 16*v+12, 0)
	}
	b.write(tGPIE, gpie)
}

func TestQueueVectorsOfMSIX(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1 << 4)
	b.write(tIVAR, 0x82<<24|0x81<<16|0xBF<<8|0x80) // rx0:0 tx0:63 rx1:1 tx1:2
	b.write(tIVAR+4*63, 0x85<<24)                  // tx127:5
	b.write(tEIMSx, 0xFFFFFFFF)
	b.write(tEIMSx+4, 0xFFFFFFFF)
	x := &b.d.interrupts
	x.queue(nicsim.Rx, 0)
	x.queue(nicsim.Tx, 0)
	x.queue(nicsim.Rx, 1)
	x.queue(nicsim.Tx, 1)
	x.queue(nicsim.Tx, 127)
	x.queue(nicsim.Rx, 2) // no valid bit
	require.Equal(t, []int{0, 63, 1, 2, 5}, b.sent())
	require.Equal(t, uint32(0b100111), b.read(tEICS), "without EIAC causes stay, as far as EICR shows them")
	require.Equal(t, ^uint32(0), b.read(tEIMSx+4))
	require.Equal(t, uint32(0xFFFF), b.read(tEIMS), "the low half mirrors")
}

func TestAutoClearAndAutoMask(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1<<4 | 1<<30 | 1<<5) // multiple, EIAME, OCD
	b.write(tIVAR, 0x81<<16|0x80)
	b.write(tEIAC, 0x1)
	b.write(tEIAMx, 0xFFFFFFFF)
	b.write(tEIMSx, 0x3)
	x := &b.d.interrupts
	x.queue(nicsim.Rx, 0)
	require.Equal(t, []int{0}, b.sent())
	require.Zero(t, b.read(tEICS), "EIAC")
	require.Equal(t, uint32(2), b.read(tEIMS), "EIAM")
	x.queue(nicsim.Rx, 0)
	require.Empty(t, b.sent())
	require.Equal(t, uint32(1), b.read(tEICS))
	b.write(tEIMSx, 1) // as NAPI does when it is done
	require.Equal(t, []int{0}, b.sent())
	x.queue(nicsim.Rx, 1)
	require.Equal(t, []int{1}, b.sent())
	require.Equal(t, uint32(2), b.read(tEICR), "vector 1 has no auto clear")
	require.Equal(t, uint32(2), b.read(tEICR), "OCD keeps queue causes")
	b.write(tEICR, 2)
	require.Zero(t, b.read(tEICS))
}

func TestOtherCausesHaveTheirVector(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1<<4 | 1<<30 | 1<<5)
	b.write(tIVARMisc, 0x84<<8|0x86)
	b.write(tEIAMx, 0xFFFFFFFF)
	b.write(tEIMS, 1<<20|1<<30)
	x := &b.d.interrupts
	x.other(causeRxMiss)
	require.Empty(t, b.sent(), "not enabled")
	x.other(causeLink)
	require.Equal(t, []int{4}, b.sent())
	x.other(causeTCPTimer)
	require.Equal(t, []int{6}, b.sent())
	require.Equal(t, uint32(1<<20|1<<17|1<<30), b.read(tEICS), "reading EICS leaves causes")
	require.Equal(t, uint32(1<<20|1<<17|1<<30), b.read(tEICR))
	require.Equal(t, uint32(1<<30), b.read(tEICR), "OCD: bits 29:16 clear on read")
	require.Equal(t, uint32(1<<20|1<<30), b.read(tEIMS), "EIAM has only vectors")
}

func TestModerationHoldsInterruptsBack(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1 << 4)
	b.write(tIVAR, 0x80)
	b.write(tEIMS, 1)
	b.write(tEITR, 10<<3|1<<31) // 20.48 us
	x := &b.d.interrupts
	x.queue(nicsim.Rx, 0)
	require.Equal(t, []int{0}, b.sent(), "the first is immediate")
	require.Equal(t, uint32(10<<3|2<<21), b.read(tEITR), "the counter's seven high bits")
	for range 5 {
		b.pass(4 * sim.Microsecond)
		x.queue(nicsim.Rx, 0)
	}
	require.Empty(t, b.sent())
	b.pass(479 * sim.Nanosecond)
	require.Empty(t, b.sent())
	b.pass(1)
	require.Equal(t, []int{0}, b.sent())
	b.pass(sim.Millisecond)
	require.Empty(t, b.sent(), "nothing new")

	x.queue(nicsim.Rx, 0)
	x.queue(nicsim.Rx, 0)
	require.Equal(t, []int{0}, b.sent())
	b.write(tEIMC, 1)
	b.pass(sim.Millisecond)
	require.Empty(t, b.sent(), "masked while it waited")

	b.write(tEIMS, 1)
	b.sent()
	x.queue(nicsim.Rx, 0)
	b.write(tEITR, 10<<3) // writes the counter too: the interval is over
	b.pass(0)
	require.Equal(t, []int{0}, b.sent())
	b.write(tEITR, 1<<31) // no more moderation
	x.queue(nicsim.Rx, 0)
	require.Empty(t, b.sent(), "the interval that runs ends as it began")
	b.pass(10 * 2048)
	x.queue(nicsim.Rx, 0)
	require.Equal(t, []int{0, 0}, b.sent())
}

func TestLowLatencyCredits(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1<<4 | 2<<7) // a credit every 8 us
	b.write(tIVAR, 0x80)
	b.write(tEIMS, 1)
	b.write(tEITR, 511<<3|1<<15|2<<16) // moderated, two credits
	x := &b.d.interrupts
	x.queue(nicsim.Rx, 0)
	require.Len(t, b.sent(), 1)
	x.lowLatency(0)
	x.lowLatency(0)
	require.Len(t, b.sent(), 2)
	x.lowLatency(0)
	require.Empty(t, b.sent(), "no credit left")
	b.pass(17 * sim.Microsecond)
	require.Equal(t, uint32(2), b.read(tEITR)>>16&31)
	x.lowLatency(0)
	require.Len(t, b.sent(), 1)
	b.pass(10 * sim.Millisecond)
	require.Equal(t, uint32(31), b.read(tEITR)>>16&31)
	b.write(tEITR, 511<<3|1<<31) // no moderation of these
	for range 100 {
		x.lowLatency(0)
	}
	require.Len(t, b.sent(), 100)
}

func TestSoftwareSetsCauses(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1<<4 | 1<<6) // EIMEN
	b.write(tEIMSx+4, 1<<8)
	b.write(tEITR+4*40, 0)
	b.write(0x12300+4*(40-24), 511<<3)
	b.write(tEICSx+4, 1<<8)
	b.write(tEICSx+4, 1<<8)
	require.Equal(t, []int{40, 40}, b.sent(), "immediate in spite of EITR(40)")
	b.write(tGPIE, 1<<4)
	b.write(tEICSx+4, 1<<8)
	require.Empty(t, b.sent())
	b.pass(511 * 2048)
	require.Equal(t, []int{40}, b.sent())
}

func TestLegacyLine(t *testing.T) {
	b := newBench(t, 0)
	b.write(tIVAR, 0x83<<8|0x91) // only four bits of a cause count here
	b.write(tEIAM, 0xFFFF)
	b.write(tEIMS, 0x7FFFFFFF)
	x := &b.d.interrupts
	x.queue(nicsim.Rx, 0)
	require.True(t, b.line)
	x.queue(nicsim.Tx, 0)
	x.other(causeLink)
	require.Equal(t, uint32(1<<20|1<<3|1<<1), b.read(tEICR))
	require.False(t, b.line)
	require.Zero(t, b.read(tEICR))
	require.Equal(t, uint32(0x5F7F0000), b.read(tEIMS), "EIAM masked what was read")
	x.queue(nicsim.Rx, 0)
	require.False(t, b.line)
	b.write(tEIMS, 2)
	require.True(t, b.line)
	b.write(tEIMC, 2)
	require.False(t, b.line)
	b.write(tEICS, 1<<1)
	require.True(t, b.line, "EICS enables what EIAM names")
	b.write(tEICR, 1<<1)
	require.False(t, b.line)
	require.Empty(t, b.sent())
}

func TestLegacyLineIsModerated(t *testing.T) {
	b := newBench(t, 0)
	b.write(tIVAR, 0x80)
	b.write(tEIMS, 1)
	b.write(tEITR, 5<<3|1<<31)
	b.d.interrupts.queue(nicsim.Rx, 0)
	require.True(t, b.line)
	b.read(tEICR)
	b.d.interrupts.queue(nicsim.Rx, 0)
	require.False(t, b.line)
	b.pass(5 * 2048)
	require.True(t, b.line)
}

func TestSingleMessage(t *testing.T) {
	b := newBench(t, 0)
	b.fn.ConfigWrite([]byte{1, 0}, 0x52)
	b.write(tIVAR, 0x8F)
	b.write(tEIMS, 1<<15|1<<20)
	b.d.interrupts.queue(nicsim.Rx, 0)
	b.d.interrupts.other(causeLink)
	require.Equal(t, []int{0, 0}, b.sent())
	require.Equal(t, uint32(1<<20|1<<15), b.read(tEICR))
	require.False(t, b.line)
}

func TestFullBusLosesNoInterrupt(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1<<4 | 1<<30 | 1<<31)
	b.write(tIVAR, 0x80)
	b.write(tEIAC, 1)
	b.write(tEIAMx, 1)
	b.write(tEIMSx, 1)
	b.full = true
	b.d.interrupts.queue(nicsim.Rx, 0)
	b.write(tEIMSx, 0xFFFFFFFF) // a driver that enables everything again
	b.full = false
	require.True(t, b.fn.Retry())
	require.Equal(t, []int{0}, b.sent())
}

func TestPendingBitsAreCleared(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1 << 4)
	b.write(tEIMSx, 3)
	b.fn.Write32(4, 12, 1)
	b.fn.Write32(4, 16+12, 1)
	b.write(tEICSx, 3)
	require.Equal(t, uint32(3), b.fn.Read32(4, 0x2000))
	b.write(0x11068, 1) // PBACL(0)
	require.Equal(t, uint32(2), b.fn.Read32(4, 0x2000))
	b.write(tGPIE, 1<<4|1<<31)
	b.write(tEICR, 2)
	b.write(tEIMSx, 2) // PBA_support
	require.Zero(t, b.fn.Read32(4, 0x2000))
}

func TestTCPTimer(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1 << 4)
	b.write(tIVARMisc, 0x83)
	b.write(tEIMS, 1<<30)
	b.write(0x4C, 2|1<<8|1<<9) // 2 ms, kick, enable
	require.Equal(t, uint32(2|1<<9), b.read(0x4C))
	b.pass(1999 * sim.Microsecond)
	require.Empty(t, b.sent())
	b.pass(sim.Microsecond)
	require.Equal(t, []int{3}, b.sent())
	b.pass(sim.Second)
	require.Empty(t, b.sent())

	b.write(0x4C, 2|1<<8|1<<9|1<<11) // loop
	b.pass(7 * sim.Millisecond)
	require.Len(t, b.sent(), 3)
	b.write(0x4C, 2|1<<11) // stop; a millisecond is left
	b.pass(sim.Second)
	b.write(0x4C, 2|1<<9)
	b.pass(sim.Millisecond)
	require.Len(t, b.sent(), 1)
	b.write(0x4C, 1<<8|1<<9|1<<11) // no duration
	b.pass(sim.Second)
	require.Empty(t, b.sent())
}

func TestMissedFramesInterrupt(t *testing.T) {
	b := newBench(t, 0)
	b.d.Port().SetCarrier(true)
	b.write(0x3000, 1) // RXCTRL.RXEN
	b.write(tEIMS, 1<<17)
	for range 512 << 10 / 64 {
		b.d.Port().Deliver([]*nicsim.Frame{b.d.pool.Get(60)})
	}
	require.False(t, b.line)
	b.d.Port().Deliver([]*nicsim.Frame{b.d.pool.Get(60)})
	require.True(t, b.line)
	require.Equal(t, uint32(1<<17), b.read(tEICR)&(1<<17))
}

func TestResetForgetsInterrupts(t *testing.T) {
	b := newBench(t, 0)
	b.write(tIVAR, 0x80)
	b.write(tEIMS, 1)
	b.write(tEITR, 511<<3)
	b.d.interrupts.queue(nicsim.Rx, 0)
	require.True(t, b.line)
	b.d.interrupts.queue(nicsim.Rx, 0)
	b.write(0, 1<<26)
	require.False(t, b.line)
	for _, off := range []uint32{tEICR, tEIMS, tEIAM, tEIAC, tGPIE, tEITR, tIVAR} {
		require.Zero(t, b.read(off), "%#x", off)
	}
	b.pass(sim.Second)
	require.False(t, b.line)
}

func TestQueueInterruptDoesNotAllocate(t *testing.T) {
	b := newBench(t, 0)
	b.msix(1 << 4)
	b.fn.SetInterrupter(deaf{})
	b.write(tIVAR, 0x80)
	b.write(tEIMS, 1)
	b.write(tEITR, 8)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b.d.interrupts.queue(nicsim.Rx, 0)
		b.d.interrupts.queue(nicsim.Rx, 0)
		b.pass(4096)
	}))
}

type deaf struct{}

func (deaf) Message(int, uint64, uint32) bool { return true }
func (deaf) Line(bool)                        {}
