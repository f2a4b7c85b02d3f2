package i82599

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel/craft"
)

// TestLegacyDescriptorsOfOneFrame: only the last says more than a length
// (7.1.5).
func TestLegacyDescriptorsOfOneFrame(t *testing.T) {
	h := newHands(t)
	r := h.openRing(ringSetup{count: 8, start: 6, packetKB: 1, rxdctl: rxVLANStrip})
	h.write(0x1014, 1) // DESCTYPE 0
	r.give(7)
	frame := craft.Packet{Proto: craft.TCP, Tags: []craft.Tag{craft.VLAN(0x123)}, Payload: craft.Payload(2400)}.Frame()
	h.set("HLREG0", h.get("HLREG0")|hlregJumbo)
	h.set("MAXFRS", 9000<<16)
	h.arrive(frame)
	h.settle()
	var got []byte
	for k := range 3 {
		i := (6 + k) % 8
		wb := ixgbe.ParseLegacyRxWB(r.desc(i))
		got = append(got, r.buffers[i*ringBuffer:][:wb.Length]...)
		if k < 2 {
			require.Equal(t, ixgbe.LegacyRxWB{Length: 1024, Status: ixgbe.LegacyDD}, wb)
			continue
		}
		require.Equal(t, ixgbe.LegacyDD|ixgbe.LegacyEOP|ixgbe.LegacyVP|ixgbe.LegacyL4CS|ixgbe.LegacyIPCS, wb.Status)
		require.EqualValues(t, 0x123, wb.VLAN)
	}
	require.Equal(t, append(bytes.Clone(frame[:12]), frame[16:]...), got)
}

// TestHeaderSplitTable goes through table 7-25 of the modes (7.1.10.2) with the
// buffers and descriptors themselves.
func TestHeaderSplitTable(t *testing.T) {
	const tcp, none = 1 << 4, 0
	tcpFrame := func(n int) []byte { return craft.Packet{Proto: craft.TCP, Payload: craft.Payload(n)}.Frame() }
	for _, c := range []struct {
		name    string
		mode    uint32
		split   uint32
		header  int // buffer bytes
		payload int
		sph     bool
		hbo     bool
		hdrLen  int
		inHead  int
		lengths []int // PKT_LEN
	}{
		{"split, not decoded", descSplit, none, 128, 100, false, false, 0, 0, []int{154}},
		{"split", descSplit, tcp, 128, 100, true, false, 54, 54, []int{100}},
		{"split, over several buffers", descSplit, tcp, 128, 3000, true, false, 54, 54, []int{1024, 1024, 952}},
		{"split, exactly filled", descSplit, tcp, 128, 2048, true, false, 54, 54, []int{1024, 1024}},
		{"split, header only", descSplit, tcp, 128, 0, true, false, 54, 54, []int{6}}, // padding is payload
		{"split, header does not fit", descSplit, tcp, 0, 100, true, true, 54, 0, []int{154}},
		{"always, short and not decoded", descSplitAlways, none, 256, 100, false, false, 154, 154, []int{0}},
		{"always, not decoded", descSplitAlways, none, 128, 1200, false, false, 128, 128, []int{1024, 102}},
		{"always", descSplitAlways, tcp, 128, 1200, true, false, 54, 54, []int{1024, 176}},
		{"always, header does not fit", descSplitAlways, tcp, 0, 100, true, true, 54, 0, []int{154}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHands(t)
			h.set("HLREG0", h.get("HLREG0")|hlregJumbo)
			h.set("MAXFRS", 9000<<16)
			h.set("PSRTYPE", c.split)
			h.set("ETQF", 1<<31|0x0800) // all IPv4 goes to queue 5: the first PSRTYPE serves it too
			h.set("ETQS", 1<<31|5<<16)
			r := h.openRing(ringSetup{queue: 5, count: 16, packetKB: 1, srrctl: c.mode<<25 | uint32(c.header/64)<<8})
			r.give(15)
			frame := tcpFrame(c.payload)
			h.arrive(frame)
			h.settle()

			var got []byte
			at := r.next
			for k, n := range c.lengths {
				i := (at + k) % r.count
				wb := ixgbe.ParseAdvRxWB(r.desc(i))
				room := r.buffers[i*ringBuffer:][:ringBuffer]
				if k == 0 {
					require.Equal(t, c.hdrLen, wb.Info.HDRLEN())
					got = append(got, room[ringHeader:][:c.inHead]...)
					require.Equal(t, bytes.Repeat([]byte{guard}, 100), room[ringHeader+c.inHead:][:100])
				}
				require.Equal(t, n, int(wb.PKTLEN))
				require.Equal(t, c.sph, wb.Info&ixgbe.RxSPH != 0, "SPH in every descriptor")
				last := k == len(c.lengths)-1
				require.Equal(t, last, wb.Status&ixgbe.RxEOP != 0)
				if last {
					require.Equal(t, c.hbo, wb.Status&ixgbe.RxHBO != 0)
				}
				got = append(got, room[:n]...)
				require.Equal(t, bytes.Repeat([]byte{guard}, 100), room[n:][:100])
			}
			want := append(frame, make([]byte, max(0, minFrameBytes-len(frame)))...)
			require.Equal(t, want, got)
		})
	}
}

// TestChecksumsThatAreNotVerified: UDP over IPv6 has to have one; SNAP frames are
// not looked into (7.1.11).
func TestChecksumsThatAreNotVerified(t *testing.T) {
	for _, c := range []struct {
		p    craft.Packet
		want ixgbe.RxStatus
	}{
		{craft.Packet{Payload: craft.Payload(30)}, ixgbe.RxIPCS | ixgbe.RxL4I | ixgbe.RxUDPCS},
		{craft.Packet{NoChecksum: true, Payload: craft.Payload(30)}, ixgbe.RxIPCS},
		{craft.Packet{IPv6: true, Payload: craft.Payload(30)}, ixgbe.RxL4I | ixgbe.RxUDPCS},
		{craft.Packet{IPv6: true, NoChecksum: true, Payload: craft.Payload(30)}, ixgbe.RxL4I | ixgbe.RxUDPCS | ixgbe.RxL4E},
		{craft.Packet{SNAP: true, Payload: craft.Payload(30)}, 0},
	} {
		h := newHands(t)
		r := h.openRing(ringSetup{count: 8, packetKB: 2})
		r.give(7)
		h.arrive(c.p.Frame())
		h.settle()
		require.Equal(t, c.want|ixgbe.RxDD|ixgbe.RxEOP, r.take()[0].wb.Status)
	}
}

// TestCountersStick at their greatest value.
func TestCountersStick(t *testing.T) {
	h := newHands(t)
	s := &h.d.stats
	s.rxFrames.n = math.MaxUint32 + 5
	require.EqualValues(t, uint32(math.MaxUint32), h.get("GPRC"))
	require.Zero(t, h.get("GPRC"))
	s.rxOctets.n = 1<<36 - 1
	require.EqualValues(t, uint32(math.MaxUint32), h.get("GORCL"))
	require.EqualValues(t, 0xF, h.get("GORCH"))
	require.Zero(t, h.get("GORCL"))
	s.rxOctets.n += 1<<36 + 7
	require.EqualValues(t, uint32(math.MaxUint32), h.get("GORCL"))
	require.EqualValues(t, 0xF, h.get("GORCH"))
	s.rxOctets.n += 3<<32 + 9
	require.EqualValues(t, 9, h.get("GORCL"))
	require.EqualValues(t, 3, h.get("GORCH"))
}

// TestFewDescriptorsInterruptAtOnce: SRRCTL.RDMTS, in units of 64 (7.3.2.2).
func TestFewDescriptorsInterruptAtOnce(t *testing.T) {
	h := newHands(t)
	h.set("GPIE", gpieMultiple)
	h.set("IVAR", ivarValid)
	h.setAt("EITR", 0, 100<<3)
	h.write(0xAA0, 1) // EIMS(1)
	r := h.openRing(ringSetup{count: 128, packetKB: 2, srrctl: 1 << 22})
	r.give(70)
	fired := func() sim.Time { return h.d.interrupts.moderators[0].open }
	h.arrive(craft.Packet{Payload: craft.Payload(30)}.Frame())
	h.settle()
	first := fired()
	h.pass(10 * sim.Microsecond)
	for range 4 {
		h.arrive(craft.Packet{Payload: craft.Payload(30)}.Frame())
		h.settle()
	}
	require.Equal(t, first, fired(), "65 are left, and the interval is not over")
	h.arrive(craft.Packet{Payload: craft.Payload(30)}.Frame())
	h.settle()
	second := fired()
	require.Equal(t, first+10*sim.Microsecond, second, "64 are left")
	h.pass(10 * sim.Microsecond)
	h.arrive(craft.Packet{Payload: craft.Payload(30)}.Frame())
	h.settle()
	require.Equal(t, second, fired(), "once")
	r.give(20)
	h.pass(10 * sim.Microsecond)
	for range 20 {
		h.arrive(craft.Packet{Payload: craft.Payload(30)}.Frame())
	}
	h.settle()
	require.Greater(t, fired(), second, "and again after there were more")
}

// TestDropEnableByQueue: PFQDE does what SRRCTL.Drop_En does (8.2.3.27.9).
func TestDropEnableByQueue(t *testing.T) {
	h := newHands(t)
	h.openRing(ringSetup{count: 8, packetKB: 2})
	frame := craft.Packet{Payload: craft.Payload(30)}.Frame()
	h.arrive(frame)
	h.settle()
	require.Zero(t, h.d.drops[nicsim.DropRxNoDescriptor])
	h.set("PFQDE", 1<<16|0<<8|1)
	h.settle()
	require.EqualValues(t, 1, h.d.drops[nicsim.DropRxNoDescriptor])
	h.set("PFQDE", 1<<17|0<<8)
	require.EqualValues(t, 1, h.get("PFQDE")&1)
	h.set("PFQDE", 1<<17|3<<8)
	require.Zero(t, h.get("PFQDE")&1)
	require.Zero(t, h.pool.Out())
}

// TestDoubleVLANBothWays: the outer tag stays in the frame and is flagged, the
// inner is stripped and reported; transmission inserts the inner (7.4.5).
func TestDoubleVLANBothWays(t *testing.T) {
	plain := craft.Packet{Payload: craft.Payload(60)}
	with := func(tags ...craft.Tag) []byte { p := plain; p.Tags = tags; return p.Frame() }
	outer, inner := craft.Outer(0x1005), craft.VLAN(0x2007)
	const good = ixgbe.RxDD | ixgbe.RxEOP | ixgbe.RxIPCS | ixgbe.RxL4I | ixgbe.RxUDPCS
	for _, c := range []struct {
		name   string
		arrive []byte
		want   []byte
		status ixgbe.RxStatus
		tag    uint16
	}{
		{"both", with(outer, inner), with(outer), good | ixgbe.RxVEXT | ixgbe.RxVP, 0x2007},
		{"outer", with(outer), with(outer), good | ixgbe.RxVEXT, 0},
		{"none", with(), with(), good, 0},
		{"inner, which makes the frame unknown", with(inner), with(inner), ixgbe.RxDD | ixgbe.RxEOP, 0},
	} {
		h := newHands(t)
		h.set("CTRL_EXT", ctrlExtDoubleVLAN)
		h.set("EXVET", 0x88A8<<16)
		r := h.openRing(ringSetup{count: 8, packetKB: 2, rxdctl: rxVLANStrip})
		r.give(7)
		h.arrive(c.arrive)
		h.settle()
		parts := r.take()
		require.Equal(t, c.status, parts[0].wb.Status, c.name)
		require.Equal(t, c.tag, parts[0].wb.VLAN)
		require.Equal(t, c.want, parts[0].data)
	}

	h := newHands(t)
	h.set("CTRL_EXT", ctrlExtDoubleVLAN)
	h.set("EXVET", 0x88A8<<16)
	h.set("DMATXCTL", 0x81000001|1<<3) // GDV
	h.openTx(0)
	frame := with(outer)
	addr := h.buffer(0, frame)
	h.put(0, ixgbe.AdvContext{VLAN: 0x2007})
	h.put(0, whole(addr, len(frame), wholeTx|ixgbe.TxVLE))
	h.put(0, ixgbe.LegacyTx{Addr: addr, Length: uint16(len(frame)), Flags: wholeTx | ixgbe.TxVLE, Insert: ixgbe.Insert{VLAN: 0x2007}})
	h.ring(0)
	h.settle()
	require.Len(t, h.wire.sent, 2)
	for _, f := range h.wire.sent {
		require.Equal(t, with(outer, inner), f.Data)
	}
}

// TestLongestFrame: MAXFRS counts the FCS but not a tag, nor two in double VLAN
// mode; it is 15.5 KiB at most (8.2.3.22.13).
func TestLongestFrame(t *testing.T) {
	for _, c := range []struct {
		maxfrs, tags int
		double       bool
		longest      int // without FCS
	}{
		{0, 0, false, 1514},
		{0, 1, false, 1518},
		{9000, 0, false, 8996},
		{9000, 1, false, 9000},
		{9000, 1, true, 9004},
		{9000, 0, true, 9004},
		{9000, 2, true, 9004},
		{15872, 0, false, 15868},
		{15872, 2, true, 15876},
	} {
		h := newHands(t)
		if c.maxfrs > 0 {
			h.set("HLREG0", h.get("HLREG0")|hlregJumbo)
			h.set("MAXFRS", uint32(c.maxfrs)<<16)
		}
		if c.double {
			h.set("CTRL_EXT", ctrlExtDoubleVLAN)
			h.set("EXVET", 0x88A8<<16)
		}
		r := h.openRing(ringSetup{count: 8, packetKB: 16})
		r.give(7)
		var tags []craft.Tag
		if c.tags > 0 {
			tags = []craft.Tag{craft.Outer(1), craft.VLAN(2)}[2-c.tags:]
		}
		for _, n := range []int{c.longest, c.longest + 1} {
			frame := craft.Packet{Tags: tags, Payload: craft.Payload(n - 42 - 4*c.tags)}.Frame()
			require.Len(t, frame, n)
			h.arrive(frame)
			h.settle()
			parts := r.take()
			if n > c.longest {
				require.Nil(t, parts, "%+v", c)
				continue
			}
			require.Len(t, parts, 1, "%+v", c)
			require.Equal(t, frame, parts[0].data)
		}
		require.EqualValues(t, 1, h.d.drops[nicsim.DropRxTooLong])
	}
}

// TestFCSOfFramesThatWait: with RXCRCSTRP clear software gets it, once.
func TestFCSOfFramesThatWait(t *testing.T) {
	h := newHands(t)
	h.set("HLREG0", h.get("HLREG0")&^hlregStripCRC)
	r := h.openRing(ringSetup{count: 8, packetKB: 2, rxdctl: rxVLANStrip})
	frame := craft.Packet{Tags: []craft.Tag{craft.VLAN(7)}, Payload: craft.Payload(60)}.Frame()
	h.arrive(frame)
	for range 5 {
		h.d.Step(100)
	}
	r.give(3)
	h.settle()
	parts := r.take()
	require.Len(t, parts, 1)
	stripped := append(bytes.Clone(frame[:12]), frame[16:]...)
	require.Equal(t, binary.LittleEndian.AppendUint32(stripped, crc32.ChecksumIEEE(frame)), parts[0].data)
	require.EqualValues(t, 7, parts[0].wb.VLAN)
}

// TestBadFramesAreStored on request, and marked (FCTRL.SBP, 7.1.6.2).
func TestBadFramesAreStored(t *testing.T) {
	h := newHands(t)
	h.set("FCTRL", fctrlSBP)
	r := h.openRing(ringSetup{count: 8, packetKB: 4})
	r.give(7)
	good := craft.Packet{Payload: craft.Payload(60)}.Frame()
	long := craft.Packet{Payload: craft.Payload(1600)}.Frame()
	wrong := append(bytes.Clone(good[:12]), 0, 200)
	wrong = append(wrong, make([]byte, 100)...)
	short := bytes.Clone(good[:40])
	damaged := h.pool.Get(len(good))
	copy(damaged.Data, good)
	damaged.Flags = nicsim.BadFCS
	runt := h.pool.Get(len(short))
	copy(runt.Data, short)
	h.d.Port().Deliver([]*nicsim.Frame{damaged, runt})
	h.arrive(long, wrong, good)
	h.settle()
	for _, want := range [][]byte{good, short, long, wrong, good} {
		parts := r.take()
		require.Equal(t, want, parts[0].data)
	}
	require.Nil(t, r.take())
	require.Zero(t, h.pool.Out())
	require.EqualValues(t, []uint64{1, 1, 1, 1}, []uint64{h.d.stats.crcErrors.n, h.d.stats.undersize.n, h.d.stats.oversize.n, h.d.stats.lengthErrors.n})
}

// TestLengthFields: a length that is not the frame's costs the frame, unless
// HLREG0.RXLNGTHERREN is clear or a tag is in front.
func TestLengthFields(t *testing.T) {
	frame := func(field, n int) []byte {
		b := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, byte(field>>8), byte(field))
		return append(b, make([]byte, n)...)
	}
	for _, c := range []struct {
		field, n int
		good     bool
	}{
		{100, 100, true}, {99, 100, false}, {101, 100, false}, {0, 46, true}, {46, 46, true}, {47, 46, false}, {46, 47, false},
		{1500, 1500, true}, {1501, 100, true},
	} {
		for _, check := range []bool{true, false} {
			h := newHands(t)
			if !check {
				h.set("HLREG0", h.get("HLREG0")&^hlregLengths)
			}
			r := h.openRing(ringSetup{count: 8, packetKB: 2})
			r.give(7)
			h.arrive(frame(c.field, c.n))
			h.settle()
			require.Equal(t, c.good || !check, r.take() != nil, "%+v", c)
			require.Equal(t, !c.good && check, h.get("RLEC") == 1)
		}
	}
}

// TestFramesThatWaitAreLostInAReset: those that wait for descriptors, and those
// behind them.
func TestFramesThatWaitAreLostInAReset(t *testing.T) {
	h := newHands(t)
	h.openRing(ringSetup{count: 8, packetKB: 2})
	frame := craft.Packet{Payload: craft.Payload(60)}.Frame()
	for range 100 {
		h.arrive(frame)
	}
	h.settle()
	require.Equal(t, 100, h.pool.Out())
	h.set("CTRL", ctrlReset)
	require.Zero(t, h.pool.Out())
	require.EqualValues(t, 100, h.d.drops[nicsim.DropRxReset])
	require.Zero(t, h.d.Step(100))
}

// TestDisabledQueuesTakeNothing, not even what waits for them.
func TestDisabledQueuesTakeNothing(t *testing.T) {
	h := newHands(t)
	r := h.openRing(ringSetup{count: 8, packetKB: 2})
	frame := craft.Packet{Payload: craft.Payload(60)}.Frame()
	h.arrive(frame, frame)
	h.settle()
	h.write(0x1028, 0)
	h.settle()
	require.EqualValues(t, 2, h.d.drops[nicsim.DropRxQueueDisabled])
	require.Zero(t, h.pool.Out())
	r.give(3)
	h.write(0x1028, 1<<25)
	h.arrive(frame)
	h.settle()
	require.NotNil(t, r.take())
}

// TestPauseWithoutXON: the pause just runs out, and the next one is asked for.
func TestPauseWithoutXON(t *testing.T) {
	h := newHands(t)
	r := h.openRing(ringSetup{count: 128, packetKB: 2})
	h.set("FCTTV", 1000)
	h.set("FCRTV", 999)
	h.set("FCRTH", thresholdEnable|4<<10)
	h.set("FCRTL", 1<<10) // without XONE
	h.set("FCCFG", tfceLink)
	frame := craft.Packet{Payload: craft.Payload(958)}.Frame()
	for round := range 3 {
		for range 5 {
			h.arrive(frame)
		}
		require.Len(t, h.wire.sent, round+1)
		r.give(5)
		h.settle()
		require.EqualValues(t, round+1, h.d.mac.flow.xoffTx.n)
		require.Zero(t, h.d.mac.flow.xonTx.n)
	}
	h.pass(sim.Millisecond)
	require.Len(t, h.wire.sent, 3, "nothing is repeated for a buffer with room")
}
