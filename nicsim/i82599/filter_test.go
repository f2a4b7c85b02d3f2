package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

func to(addr ...byte) []byte {
	b := craft.Packet{}.Frame()
	copy(b, addr)
	return b
}

func TestAddressFilters(t *testing.T) {
	own, other := to(2, 0, 0, 0, 0, 2), to(2, 0, 0, 0, 0, 3)
	group, all := to(1, 0, 0x5E, 1, 2, 3), to(255, 255, 255, 255, 255, 255)
	p := newPair(t)
	drops := func() (d [4]nicsim.Drop) {
		for i, b := range [][]byte{own, other, group, all} {
			_, d[i] = p.check(b, 0)
		}
		return d
	}
	const pass, drop = nicsim.DropNone, nicsim.DropRxMACFilter
	require.Equal(t, [4]nicsim.Drop{pass, drop, drop, drop}, drops())
	p.write("FCTRL", 0, fctrlBAM)
	require.Equal(t, [4]nicsim.Drop{pass, drop, drop, pass}, drops())
	p.write("FCTRL", 0, fctrlMPE)
	require.Equal(t, [4]nicsim.Drop{pass, drop, pass, pass}, drops())
	p.write("FCTRL", 0, fctrlUPE)
	require.Equal(t, [4]nicsim.Drop{pass, pass, drop, drop}, drops())
	p.write("FCTRL", 0, 0)

	// Linux, ixgbe_mta_vector: for filter type 0, bits 47 to 36 of the address
	// are mc_addr[4] >> 4 | mc_addr[5] << 4.
	n := int(2>>4 | 3<<4)
	p.write("MTA", n/32, 1<<(n%32))
	require.Equal(t, [4]nicsim.Drop{pass, drop, drop, drop}, drops(), "not enabled")
	p.write("MCSTCTRL", 0, mcstctrlMFE)
	require.Equal(t, [4]nicsim.Drop{pass, drop, pass, drop}, drops())
	p.write("MCSTCTRL", 0, mcstctrlMFE|3)
	require.Equal(t, [4]nicsim.Drop{pass, drop, drop, drop}, drops(), "other bits of the address")

	p.write("RAL", 127, binary.LittleEndian.Uint32(group))
	p.write("RAH", 127, 1<<31|uint32(binary.LittleEndian.Uint16(group[4:])))
	p.write("RAH", 0, 0)
	require.Equal(t, [4]nicsim.Drop{drop, drop, pass, drop}, drops(), "pairs hold group addresses, too")
}

// TestManyAddresses fills all pairs.
func TestManyAddresses(t *testing.T) {
	p := newPair(t)
	for i := range numAddresses {
		p.write("RAL", i, 0x0002|uint32(i)<<24)
		p.write("RAH", i, 1<<31|0xAA00)
	}
	for i := range 256 {
		_, drop := p.check(to(2, 0, 0, byte(i), 0, 0xAA), 0)
		require.Equal(t, i >= numAddresses, drop != nicsim.DropNone)
	}
}

func TestVLANFilter(t *testing.T) {
	frame := func(tci uint16) []byte { return craft.Packet{Tags: []craft.Tag{craft.VLAN(tci)}}.Frame() }
	p := newPair(t)
	drop := func(b []byte) nicsim.Drop {
		_, d := p.check(b, 0)
		return d
	}
	p.write("VFTA", 100/32, 1<<(100%32))
	require.Equal(t, nicsim.DropNone, drop(frame(101)), "not enabled")
	p.write("VLNCTRL", 0, vlnctrlVFE|0x8100)
	require.Equal(t, nicsim.DropRxVLANFilter, drop(frame(101)))
	require.Equal(t, nicsim.DropNone, drop(frame(100)))
	require.Equal(t, nicsim.DropNone, drop(frame(0x1000|100)))
	require.Equal(t, nicsim.DropNone, drop(craft.Packet{}.Frame()), "untagged frames pass")
	p.write("VLNCTRL", 0, vlnctrlVFE|vlnctrlCFIEN|0x8100)
	require.Equal(t, nicsim.DropRxVLANFilter, drop(frame(0x1000|100)))
}

// TestRSSSuite spreads the packets of Microsoft's verification suite, whose
// hashes the datasheet prints (7.1.2.8.4).
func TestRSSSuite(t *testing.T) {
	p := newPair(t)
	p.write("MRQC", 0, 0x00F30001)
	for i := range 32 {
		p.write("RETA", i, 0x03020100+uint32(i)*0x04040404&0x0F0F0F0F)
	}
	for _, c := range []struct {
		proto        uint8
		src, dst     []byte
		sport, dport uint16
		hash         uint32
		kind         ixgbe.RxInfo
	}{
		{craft.TCP, []byte{66, 9, 149, 187}, []byte{161, 142, 100, 80}, 2794, 1766, 0x51ccc178, ixgbe.RSSTCPIPv4},
		{1, []byte{66, 9, 149, 187}, []byte{161, 142, 100, 80}, 2794, 1766, 0x323e8fc2, ixgbe.RSSIPv4},
		{craft.TCP, []byte{199, 92, 111, 2}, []byte{65, 69, 140, 83}, 14230, 4739, 0xc626b0ea, ixgbe.RSSTCPIPv4},
	} {
		b := craft.Packet{Proto: c.proto, Src: c.src, Dst: c.dst, SrcPort: c.sport, DstPort: c.dport}.Frame()
		got, _ := p.check(b, 0)
		require.Equal(t, c.hash, got.param)
		require.Equal(t, c.kind, got.info.RSSType())
		require.EqualValues(t, c.hash&15, got.queue)
	}
	p.write("RXCSUM", 0, 0)
	got, _ := p.check(craft.Packet{ID: 0xBEEF}.Frame(), 0)
	require.EqualValues(t, 0xBEEF, got.param, "the IP identification in place of the hash")
	require.Equal(t, ixgbe.RSSNone, got.info.RSSType())
}

// TestTrafficClasses maps the user priority to a traffic class, which chooses
// among sets of queues, and the RSS index within the set.
func TestTrafficClasses(t *testing.T) {
	p := newPair(t)
	p.write("RTRUP2TC", 0, 0x00FAC688) // priority n to class n
	p.write("MRQC", 0, 2)
	for up := range uint16(8) {
		c, _ := p.check(craft.Packet{Tags: []craft.Tag{craft.VLAN(up<<13 | 1)}}.Frame(), 0)
		require.Equal(t, up*16, c.queue)
	}
	p.write("MRQC", 0, 0x00F30004)
	p.write("RQTC", 0, 0x44444414)
	for n := range uint16(50) {
		c, _ := p.check(craft.Packet{SrcPort: n, DstPort: 1, Tags: []craft.Tag{craft.VLAN(1<<13 | 1)}}.Frame(), 0)
		require.Less(t, c.queue, uint16(18), "two queues of class 1")
		require.GreaterOrEqual(t, c.queue, uint16(16))
	}
}

// TestOrderOfFilters adds filters for one frame from the weakest to the
// strongest.
func TestOrderOfFilters(t *testing.T) {
	p := newPair(t)
	b := craft.Packet{Proto: craft.TCP, Flags: 2, SrcPort: 1025, DstPort: 80}.Frame()
	queue := func() uint16 {
		c, _ := p.check(b, 0)
		return c.queue
	}
	require.EqualValues(t, 0, queue())
	p.write("FDIRCTRL", 0, 1|6<<16|10<<24)
	_, bucket, signature := tcpFlow(p, 1)
	p.write("FDIRHASH", 0, bucket|signature<<16)
	p.write("FDIRCMD", 0, atrAdd|1<<16)
	require.EqualValues(t, 1, queue(), "Flow Director")
	p.write("SYNQF", 0, synqfEnable|2<<1)
	require.EqualValues(t, 2, queue(), "SYN")
	p.write("FTQF", 9, ftqfEnable|1<<2|0x1F<<25)
	p.write("L34TIMIR", 9, 3<<21)
	require.EqualValues(t, 3, queue(), "5-tuple")
	p.write("FTQF", 10, ftqfEnable|2<<2|0x1F<<25)
	p.write("L34TIMIR", 10, 4<<21)
	require.EqualValues(t, 4, queue(), "a higher priority")
	p.write("FTQF", 8, ftqfEnable|2<<2|0x17<<25)
	p.write("SDPQF", 8, 0x5000<<16)
	p.write("L34TIMIR", 8, 5<<21)
	require.EqualValues(t, 5, queue(), "the same priority, a lower number")
	p.write("SYNQF", 0, synqfEnable|synqfFirst|6<<1)
	require.EqualValues(t, 6, queue(), "SYN ahead of 5-tuples")
	p.write("ETQF", 0, etqfEnable|0x0800)
	require.EqualValues(t, 6, queue(), "an EtherType filter without a queue")
	p.write("ETQS", 0, etqsEnable|7<<16)
	require.EqualValues(t, 7, queue(), "EtherType")
}

// TestEtherTypeFilter shows what a filter for LLDP does.
func TestEtherTypeFilter(t *testing.T) {
	p := newPair(t)
	b := make([]byte, 60)
	copy(b, []byte{1, 0x80, 0xC2, 0, 0, 0x0E, 12: 0x88, 0xCC})
	p.write("ETQF", 5, etqfEnable|etqf1588|0x88CC)
	p.write("ETQS", 5, etqsEnable|etqsLLI|11<<16)
	c, _ := p.check(b, 0)
	require.EqualValues(t, 11, c.queue)
	require.True(t, c.ptp)
	require.NotZero(t, c.status&ixgbe.RxDYNINT)
	n, ok := c.info.ETQF()
	require.True(t, ok)
	require.Equal(t, 5, n)
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	p := newPair(t)
	p.write("MRQC", 0, 0x00F30001)
	p.write("FTQF", 9, ftqfEnable|1<<2|0x1F<<25)
	p.write("FDIRCTRL", 0, 1|6<<16|10<<24)
	b := craft.Packet{Proto: craft.TCP}.Frame()
	var h parse.Headers
	parse.Frame(&h, b, 0)
	var c rxClass
	f := &p.d.rx.filters
	f.classify(&c, b, &h) // makes the key ready
	require.Zero(t, testing.AllocsPerRun(100, func() {
		f.accept(b, &h)
		f.classify(&c, b, &h)
	}))
}

// BenchmarkClassify is the cost of accept and classify for one frame.
func BenchmarkClassify(b *testing.B) {
	frame := craft.Packet{Proto: craft.TCP}.Frame()
	var h parse.Headers
	parse.Frame(&h, frame, 0)
	for _, c := range []struct {
		name  string
		setUp func(p *pair)
	}{
		{"one queue", func(p *pair) {}},
		{"rss", func(p *pair) { p.write("MRQC", 0, 0x00F30001) }},
		{"128 tuples", func(p *pair) {
			p.write("MRQC", 0, 0x00F30001)
			for i := range numTuples {
				p.write("FTQF", i, ftqfEnable|1<<2)
				p.write("SAQF", i, uint32(i))
			}
		}},
		{"flow director", func(p *pair) {
			p.write("MRQC", 0, 0x00F30001)
			p.write("FDIRCTRL", 0, 1|6<<16|10<<24)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := newPair(b)
			c.setUp(p)
			var class rxClass
			f := &p.d.rx.filters
			for b.Loop() {
				f.accept(frame, &h)
				f.classify(&class, frame, &h)
			}
		})
	}
}

// TestLowLatencyInterrupt holds that a frame of a filter with LLI set does not
// wait for EITR's interval, as others do (7.3.2.1.1).
func TestLowLatencyInterrupt(t *testing.T) {
	h := newHands(t)
	b := &bench{t: t, d: h.d, fn: h.d.fn, clock: h.clock}
	b.fn.SetInterrupter(b)
	b.msix(gpieMultiple | 2<<gpieLLIShift)
	h.set("IVAR", ivarValid)
	h.set("EIMS", 1)
	h.set("EITR", 511<<3|1<<31)
	h.openRx(0, 16, true)
	h.set("FTQF", ftqfEnable|1<<2|0x17<<25) // the destination port counts
	h.set("SDPQF", 0x5000<<16)
	h.set("L34TIMIR", timirLLI|timirAnySize)
	other, urgent := craft.Packet{DstPort: 81}.Frame(), craft.Packet{DstPort: 80}.Frame()
	copy(other, []byte{2, 0, 0, 0, 0, 2})
	copy(urgent, []byte{2, 0, 0, 0, 0, 2})
	interrupts := func(frame []byte) int {
		h.deliver(1, frame)
		h.settle()
		return len(b.sent())
	}
	require.Equal(t, 1, interrupts(other))
	require.Equal(t, 0, interrupts(other), "held back")
	require.Equal(t, 1, interrupts(urgent))
	require.Equal(t, 0, interrupts(other))
	wbs := h.received(0)
	require.Len(t, wbs, 4)
	for i, wb := range wbs {
		require.Equal(t, i == 2, wb.Status&ixgbe.RxDYNINT != 0)
	}
}
