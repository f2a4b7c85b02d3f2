package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

// tcpFlow is a frame of flow n and the FDIRHASH that a driver computes for it
// (the slow model's hash, which TestFlowHash checks against drivers').
func tcpFlow(p *pair, n int) (b []byte, bucket, signature uint32) {
	b = craft.Packet{Proto: craft.TCP, SrcPort: uint16(1024 + n), DstPort: 80}.Frame()
	var h parse.Headers
	parse.Frame(&h, b, 0)
	s, ok := p.ref.refStream(b, &h)
	require.True(p.t, ok)
	return b, uint32(refFlowHash(atrBucketKey, s)) & p.ref.bucketMask(), uint32(refFlowHash(atrSignatureKey, s)) & 0x7FFF
}

const atrAdd = fdircmdAdd | fdircmdUpdate | fdircmdLast | fdircmdQueue | flowTCP<<5 // as Linux's ATR writes it

func TestSignatureFilter(t *testing.T) {
	p := newPair(t)
	p.write("FDIRCTRL", 0, 1|6<<16|10<<24|4<<28)
	require.NotZero(t, p.read("FDIRCTRL")&fdirctrlDone)
	require.EqualValues(t, 8192-2, p.read("FDIRFREE"))

	b, bucket, signature := tcpFlow(p, 1)
	c, _ := p.check(b, 0)
	require.Zero(t, c.status&ixgbe.RxFLM)
	require.EqualValues(t, 1, p.read("FDIRMISS"))
	require.Zero(t, p.read("FDIRMISS"), "cleared by the read")
	p.ref.missed = 0

	p.write("FDIRHASH", 0, bucket|signature<<16)
	p.write("FDIRCMD", 0, atrAdd|42<<16)
	require.Zero(t, p.read("FDIRCMD")&fdircmdMask, "done")
	c, _ = p.check(b, 0)
	require.EqualValues(t, 42, c.queue)
	require.NotZero(t, c.status&ixgbe.RxFLM)
	require.EqualValues(t, 1, p.read("FDIRMATCH"))
	require.EqualValues(t, 1, p.read("FDIRUSTAT"))
	require.EqualValues(t, 8192-3, p.read("FDIRFREE"))

	p.write("FDIRCMD", 0, fdircmdRemove)
	require.EqualValues(t, 1<<16, p.read("FDIRUSTAT"))
	require.EqualValues(t, 8192-2, p.read("FDIRFREE"))
	p.write("FDIRCMD", 0, fdircmdRemove)
	require.EqualValues(t, 1<<8, p.read("FDIRFSTAT"), "nothing to remove")
}

// TestFlowTableFillsUp adds filters until there is no room, and is told when
// few are left.
func TestFlowTableFillsUp(t *testing.T) {
	p := newPair(t)
	f := &p.d.rx.filters
	p.write("FDIRCTRL", 0, 1|fdirctrlPerfect|fdirctrlReport|6<<16|10<<24|4<<28)
	capacity := 2048 - 2
	var told []int
	for n := range capacity + 1 {
		b, bucket, _ := tcpFlow(p, n)
		f.stage[stageIPSA], f.stage[stageIPDA] = binary.LittleEndian.Uint32(b[26:]), binary.LittleEndian.Uint32(b[30:])
		f.stage[stagePORT] = uint32(1024+n) | 80<<16
		f.stage[stageVLAN] = 8 << 16 // the EtherType, as flexible bytes
		f.stage[stageHASH] = bucket | uint32(n)<<16
		if f.setFDIRCMD(atrAdd | uint32(n%128)<<16) {
			told = append(told, capacity-n)
		}
	}
	require.Equal(t, []int{64, 0}, told, "free before the command that interrupts")
	require.EqualValues(t, 1, p.read("FDIRFSTAT"))
	require.Zero(t, p.read("FDIRFREE"))
	for n := range capacity + 1 {
		b, bucket, _ := tcpFlow(p, n)
		var h parse.Headers
		parse.Frame(&h, b, 0)
		var c rxClass
		f.classify(&c, b, &h)
		require.Equal(t, n < capacity, c.status&ixgbe.RxFLM != 0, "flow %d", n)
		if n < capacity {
			require.EqualValues(t, n%128, c.queue)
			require.Equal(t, ixgbe.RSSFlowDirector, c.info.RSSType())
			wb := ixgbe.AdvRxWB{Param: c.param}
			require.EqualValues(t, n, wb.FilterID())
			require.EqualValues(t, bucket, wb.FilterHash())
		}
	}
}

// TestQueryFilter reads a perfect filter back (table 7-8).
func TestQueryFilter(t *testing.T) {
	p := newPair(t)
	p.write("FDIRCTRL", 0, 1|fdirctrlPerfect|6<<16|10<<24)
	p.write("FDIRHASH", 0, 0x123|77<<16)
	p.write("FDIRCMD", 0, fdircmdQuery)
	require.Zero(t, p.read("FDIRHASH")&fdirhashValid, "empty bucket")
	require.Zero(t, p.read("FDIRCMD")&fdircmdValid)

	set := func(source, dest, ports, vlan uint32) {
		p.write("FDIRIPSA", 0, source)
		p.write("FDIRIPDA", 0, dest)
		p.write("FDIRPORT", 0, ports)
		p.write("FDIRVLAN", 0, vlan)
	}
	set(0x0100000A, 0x0200000A, 0x00500401, 0x00080005)
	cmd := uint32(fdircmdAdd | fdircmdLast | fdircmdQueue | fdircmdDrop | flowUDP<<5 | 9<<16 | 3<<24)
	p.write("FDIRCMD", 0, cmd)
	set(1, 2, 3, 4)
	p.write("FDIRHASH", 0, 0x123|78<<16)
	p.write("FDIRCMD", 0, fdircmdQuery)
	require.NotZero(t, p.read("FDIRHASH")&fdirhashValid)
	require.Zero(t, p.read("FDIRCMD")&fdircmdValid, "another software index")

	p.write("FDIRHASH", 0, 0x123|77<<16)
	p.write("FDIRCMD", 0, fdircmdQuery)
	require.Equal(t, cmd&^fdircmdMask|fdircmdValid, p.read("FDIRCMD"))
	require.EqualValues(t, 0x0100000A, p.read("FDIRIPSA"))
	require.EqualValues(t, 0x0200000A, p.read("FDIRIPDA"))
	require.EqualValues(t, 0x00500401, p.read("FDIRPORT"))
	require.EqualValues(t, 0x00080005, p.read("FDIRVLAN"))
	require.EqualValues(t, 0x123<<16|1<<8|1, p.read("FDIRLEN"))

	for i, v := range []uint32{0xB80D0120, 2, 3} {
		p.write("FDIRSIPV6", i, v)
	}
	p.write("FDIRHASH", 0, 0x200|5<<16)
	p.write("FDIRCMD", 0, fdircmdAdd|fdircmdDestIPv6|(flowIPv6|flowTCP)<<5)
	p.write("FDIRSIPV6", 0, 0)
	p.write("FDIRCMD", 0, fdircmdQuery)
	require.EqualValues(t, 0xB80D0120, p.read("FDIRSIPV6"))
	require.EqualValues(t, fdircmdValid|fdircmdLast|fdircmdDestIPv6|(flowIPv6|flowTCP)<<5, p.read("FDIRCMD"))
}

// TestCollision adds two filters for one flow.
func TestCollision(t *testing.T) {
	p := newPair(t)
	p.write("FDIRCTRL", 0, 1|6<<16|10<<24)
	b, bucket, signature := tcpFlow(p, 1)
	p.write("FDIRHASH", 0, bucket|signature<<16)
	const add = fdircmdAdd | fdircmdQueue
	p.write("FDIRCMD", 0, add|3<<16)
	p.write("FDIRCMD", 0, add|3<<16)
	require.Zero(t, p.read("FDIRFREE")>>16, "the same again is no collision")
	p.write("FDIRCMD", 0, add|4<<16)
	require.EqualValues(t, 1, p.read("FDIRFREE")>>16)
	c, _ := p.check(b, 0)
	require.EqualValues(t, 3, c.queue, "the first stays")
	require.NotZero(t, c.status&ixgbe.RxFDIRColl)
	p.write("FDIRCMD", 0, add|fdircmdUpdate|4<<16)
	c, _ = p.check(b, 0)
	require.EqualValues(t, 4, c.queue)
	require.NotZero(t, c.status&ixgbe.RxFDIRColl, "an update keeps the flag")
	p.write("FDIRCMD", 0, fdircmdRemove)
	require.Zero(t, p.read("FDIRFREE")>>16)
}
