package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel/craft"
)

// ptpV2 is an IEEE 1588-2008 header (13.3) of the given message type.
func ptpV2(message byte, sequence uint16) []byte {
	b := make([]byte, 44)
	b[0], b[1], b[3] = message, 2, 44
	copy(b[20:], []byte{0, 0x1B, 0x19, 0xFF, 0xFE, 0xAA, 0xBB, 0xCC, 0, 1}) // clock identity, port
	binary.BigEndian.PutUint16(b[30:], sequence)
	return b
}

func ptpV1(control byte) []byte {
	b := make([]byte, 124)
	b[1], b[3] = 1, 1
	copy(b[22:], []byte{1, 2, 3, 4, 5, 6})
	b[32] = control
	return b
}

func ptpOverUDP(header []byte) []byte {
	return craft.Packet{SrcPort: 319, DstPort: 319, Payload: header}.Frame()
}

func ptpOverEthernet(header []byte) []byte {
	return append([]byte{1, 0x1B, 0x19, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0x88, 0xF7}, header...)
}

// start sets the clock as Linux does at 10 Gb/s (ixgbe_ptp.c): 6.4 ns a tick,
// in units of 2^-21 ns.
func startClock(h *hands) {
	h.set("SYSTIML", 0)
	h.set("SYSTIMH", 0)
	h.set("TIMINCA", 1<<24|0x66666666>>7)
}

const unitsPerNS = 1 << 21

func (h *hands) systemTime() uint64 {
	return uint64(h.get("SYSTIML")) | uint64(h.get("SYSTIMH"))<<32
}

func TestSystemTime(t *testing.T) {
	h := newHands(t)
	h.pass(sim.Second)
	require.Zero(t, h.systemTime(), "it stands still until it is given a pace")
	startClock(h)
	for range 7 {
		before := h.systemTime()
		h.pass(sim.Second / 7)
		require.InDelta(t, float64(sim.Second/7), float64(h.systemTime()-before)/unitsPerNS, 20)
	}
	now := h.systemTime()
	h.set("TIMADJL", 1000)
	h.set("TIMADJH", 0)
	require.EqualValues(t, now+1000, h.systemTime())
	h.set("TIMADJL", 3000)
	h.set("TIMADJH", 1<<31)
	require.EqualValues(t, now-2000, h.systemTime())
	h.set("TIMINCA", 2<<24|0x66666666>>7)
	now = h.systemTime()
	h.pass(sim.Millisecond)
	require.InDelta(t, float64(sim.Millisecond)/2, float64(h.systemTime()-now)/unitsPerNS, 15, "half the pace")
	h.set("SYSTIMH", 7)
	require.EqualValues(t, 7, h.systemTime()>>32)
}

// TestReceiveStamps sends PTP messages to each setting of TSYNCRXCTL.Type.
func TestReceiveStamps(t *testing.T) {
	const sync, delayRequest, announce = 0, 1, 11
	frames := map[string][]byte{
		"L2 v2 sync":     ptpOverEthernet(ptpV2(sync, 5)),
		"L2 v2 delay":    ptpOverEthernet(ptpV2(delayRequest, 5)),
		"L2 v2 announce": ptpOverEthernet(ptpV2(announce, 5)),
		"L4 v2 sync":     ptpOverUDP(ptpV2(sync, 5)),
		"L4 v2 announce": ptpOverUDP(ptpV2(announce, 5)),
		"L4 v1 sync":     ptpOverUDP(ptpV1(0)),
		"L4 v1 delay":    ptpOverUDP(ptpV1(1)),
		"other port":     craft.Packet{SrcPort: 319, DstPort: 320, Payload: ptpV2(sync, 5)}.Frame(),
		"cut short":      ptpOverUDP(ptpV2(sync, 5)[:20]),
	}
	for _, c := range []struct {
		name string
		kind uint32
		mtrl uint32
		want []string
	}{
		{"L2, sync", stampL2V2, 319<<16 | sync<<8, []string{"L2 v2 sync"}},
		{"L2, delay request", stampL2V2, 319<<16 | delayRequest<<8, []string{"L2 v2 delay"}},
		{"L4 v1, delay request", stampL4V1, 319<<16 | 1, []string{"L4 v1 delay"}},
		{"v2, sync", stampV2, 319<<16 | sync<<8, []string{"L2 v2 sync", "L4 v2 sync"}},
		{"v2, sync, port 320", stampV2, 320<<16 | sync<<8, []string{"L2 v2 sync", "other port"}},
		{"v2, events", stampEventV2, 319 << 16, []string{"L2 v2 sync", "L2 v2 delay", "L4 v2 sync"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, frame := range frames {
				h := newHands(t)
				h.set("FCTRL", fctrlMPE)
				h.setAt("ETQF", 3, etqfEnable|etqf1588|0x88F7)
				h.openRx(0, 8, true)
				startClock(h)
				h.set("RXMTRL", c.mtrl)
				h.set("TSYNCRXCTL", tsyncEnable|c.kind<<1)
				h.pass(sim.Millisecond)
				at := h.systemTime()
				h.deliver(1, frame)
				h.pass(sim.Microsecond)
				require.Len(t, h.received(0), 1)
				stamped := h.received(0)[0].Status&ixgbe.RxTS != 0
				require.Equal(t, stamped, h.get("TSYNCRXCTL")&tsyncValid != 0, name)
				var want any = name
				if stamped {
					require.Contains(t, c.want, want)
					require.EqualValues(t, at, uint64(h.get("RXSTMPL"))|uint64(h.get("RXSTMPH"))<<32)
				} else {
					require.NotContains(t, c.want, want)
				}
			}
		})
	}
}

// TestStampWaitsToBeRead holds that a stamp is not overwritten.
func TestStampWaitsToBeRead(t *testing.T) {
	h := newHands(t)
	h.openRx(0, 8, true)
	startClock(h)
	h.set("TSYNCRXCTL", tsyncEnable|stampV2<<1)
	h.pass(sim.Microsecond)
	h.deliver(1, ptpOverUDP(ptpV2(0, 1)))
	h.pass(sim.Microsecond)
	first := h.get("RXSTMPL")
	h.deliver(1, ptpOverUDP(ptpV2(0, 2)))
	h.pass(sim.Microsecond)
	require.Equal(t, first, h.get("RXSTMPL"))
	require.EqualValues(t, 1<<16|0x19FF, h.get("RXSATRH"), "sequence, and 48 bits of the identity")
	require.EqualValues(t, 0xFEAABBCC, h.get("RXSATRL"))
	h.get("RXSTMPH")
	require.Zero(t, h.get("TSYNCRXCTL")&tsyncValid)
	h.deliver(1, ptpOverUDP(ptpV2(0, 3)))
	h.pass(sim.Microsecond)
	require.EqualValues(t, 3, h.get("RXSATRH")>>16)
	var got []bool
	for _, wb := range h.received(0) {
		got = append(got, wb.Status&ixgbe.RxTS != 0)
	}
	require.Equal(t, []bool{true, false, true}, got)
}

func TestTransmitStamp(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	startClock(h)
	h.post(0, ptpOverUDP(ptpV2(1, 1)), 1, ixgbe.Tx1588)
	h.pass(sim.Millisecond)
	require.Zero(t, h.get("TSYNCTXCTL")&tsyncValid, "not enabled")
	h.set("TSYNCTXCTL", tsyncEnable)
	h.post(0, ptpOverUDP(ptpV2(1, 2)), 1, 0)
	h.pass(sim.Millisecond)
	require.Zero(t, h.get("TSYNCTXCTL")&tsyncValid, "not asked for")
	at := h.systemTime()
	h.post(0, ptpOverUDP(ptpV2(1, 3)), 1, ixgbe.Tx1588)
	h.settle()
	require.EqualValues(t, tsyncEnable|tsyncValid, h.get("TSYNCTXCTL"))
	require.EqualValues(t, at, uint64(h.get("TXSTMPL"))|uint64(h.get("TXSTMPH"))<<32)
	require.Zero(t, h.get("TSYNCTXCTL")&tsyncValid)
	require.Len(t, h.wire.sent, 3)
}

// TestSystemTimeAtOneGigabit holds that the clock's ticks are ten times as long.
func TestSystemTimeAtOneGigabit(t *testing.T) {
	h := newHands(t)
	startClock(h)
	h.pass(sim.Millisecond)
	before := h.systemTime()
	h.d.setSpeed(1)
	h.pass(sim.Millisecond)
	require.InDelta(t, float64(sim.Millisecond)/10, float64(h.systemTime()-before)/unitsPerNS, 15)
	before = h.systemTime()
	h.d.setSpeed(0)
	h.pass(sim.Millisecond)
	require.InDelta(t, float64(sim.Millisecond)/10, float64(h.systemTime()-before)/unitsPerNS, 15)
}
