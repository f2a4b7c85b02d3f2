package i82599

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

// Keys that drivers program (Microsoft's RSS verification suite, and those of
// Linux and DPDK for Flow Director).
const (
	atrBucketKey    = 0x3DAD14E2
	atrSignatureKey = 0x174D3614
)

var rssSuiteKey = []uint32{0xda565a6d, 0xc20e5b25, 0x3d256741, 0xb08fa343, 0xcb2bcad0, 0xb4307bae, 0xa32dcb77, 0x0cf23080, 0x3bb7426a, 0xfa01acbe}

// pair is a device and the slow model, programmed alike.
type pair struct {
	t   testing.TB
	d   *Device
	ref refFilters
}

func newPair(t testing.TB) *pair {
	d, err := newDevice(nicsim.Config{Name: "A", MAC: [6]byte{2, 0, 0, 0, 0, 2}, Clock: sim.NewVirtual(), Pool: &nicsim.Pool{}})
	require.NoError(t, err)
	p := &pair{t: t, d: d}
	p.write("RAL", 0, 0x00000002)
	p.write("RAH", 0, 1<<31|0x0200)
	p.write("RQTC", 0, 0x44444444)
	for i, v := range rssSuiteKey {
		p.write("RSSRK", i, v)
	}
	for i := range 32 {
		p.write("RETA", i, 0x03020100+uint32(i%4)*0x04040404)
	}
	p.write("RXCSUM", 0, rxcsumPCSD)
	p.write("FDIRHKEY", 0, atrBucketKey)
	p.write("FDIRSKEY", 0, atrSignatureKey)
	return p
}

func (p *pair) write(name string, i int, v uint32) {
	off, ok := table.Lookup(name, i)
	require.True(p.t, ok, name)
	p.d.writeReg(off, v)
	row, _, _ := table.At(off)
	if row.Mask != 0 {
		v &= row.Mask
	}
	p.ref.write(name, i, v)
}

func (p *pair) read(name string) uint32 {
	off, ok := table.Lookup(name, 0)
	require.True(p.t, ok, name)
	return p.d.readReg(off)
}

// check holds that both say the same of a frame, and returns it.
func (p *pair) check(b []byte, outerTPID uint16) (rxClass, nicsim.Drop) {
	var h parse.Headers
	parse.Frame(&h, b, outerTPID)
	f := &p.d.rx.filters
	drop := f.accept(b, &h)
	require.Equal(p.t, p.ref.accept(b, &h), drop)
	var c rxClass
	f.classify(&c, b, &h)
	want := p.ref.classify(b, &h)
	require.Equal(p.t, want, c)
	require.Equal(p.t, p.ref.matched, f.matched)
	require.Equal(p.t, p.ref.missed, f.missed)
	return c, drop
}

// choices turns the bytes of a fuzzer into choices.
type choices struct {
	b []byte
}

func (c *choices) left() bool { return len(c.b) > 0 }

// of returns a number below n.
func (c *choices) of(n int) int {
	if len(c.b) == 0 {
		return 0
	}
	v := int(c.b[0])
	c.b = c.b[1:]
	if n > 256 && len(c.b) > 0 {
		v = v<<8 | int(c.b[0])
		c.b = c.b[1:]
	}
	return v % n
}

func (c *choices) word() uint32 {
	var w [4]byte
	c.b = c.b[copy(w[:], c.b):]
	return binary.LittleEndian.Uint32(w[:])
}

// bits picks a set of n bits.
func (c *choices) bits(from, n int) uint32 { return uint32(c.of(1<<n)) << from }

// packet picks a frame out of a small world, so that filters have something to
// match.
func (c *choices) packet() (craft.Packet, uint16) {
	p := craft.Packet{Payload: craft.Payload(20), SrcPort: uint16(1 + c.of(3)), DstPort: uint16(0x1200 + c.of(3))}
	p.Proto = []uint8{craft.TCP, craft.UDP, craft.SCTP, 1, 4, 50}[c.of(6)]
	p.Flags = []uint8{2, 0x10, 0x12, 0x18}[c.of(4)]
	if c.of(2) == 0 {
		p.IPv6 = true
		p.Src, p.Dst = v6(c.of(2)), v6(2+c.of(2))
		p.Extensions = [][]craft.Extension{nil, nil, {craft.HopByHop}, {craft.Fragment6(0, true)}, {craft.Fragment6(3, false)}, {craft.AH}}[c.of(6)]
	} else {
		p.Src, p.Dst = []byte{10, 0, 0, byte(c.of(2))}, []byte{10, 0, 1, byte(c.of(2))}
		p.Fragment = []uint16{0, 0, 0, 0x2000, 5}[c.of(5)]
		p.ID = uint16(c.of(256))
	}
	tci := func() uint16 { return []uint16{5, 0x6005, 0xF007, 0x0FFF}[c.of(4)] }
	outer := uint16(0)
	switch c.of(5) {
	case 0:
		p.Tags = []craft.Tag{craft.VLAN(tci())}
	case 1:
		p.Tags, outer = []craft.Tag{craft.Outer(tci()), craft.VLAN(tci())}, 0x88A8
	case 2:
		p.Tags, outer = []craft.Tag{craft.Outer(tci())}, 0x88A8
	}
	return p, outer
}

func v6(n int) []byte {
	return []byte{0x20, 1, 0xD, 0xB8, byte(n), 15: byte(n + 1)}
}

// frame picks a frame with one of a few destination addresses.
func (c *choices) frame() ([]byte, uint16) {
	p, outer := c.packet()
	b := p.Frame()
	copy(b, [][]byte{{2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 9}, {1, 0, 0x5E, 0, 0, 0xFB}, {0x33, 0x33, 0, 0, 0, 1}, {255, 255, 255, 255, 255, 255}, {0, 0, 0, 0, 0, 0}}[c.of(6)])
	if c.of(8) == 0 {
		at := 12 + 4*len(p.Tags)
		binary.BigEndian.PutUint16(b[at:], 0x88F7)
	}
	return b, outer
}

// program plays one write, or several that belong together.
func (c *choices) program(p *pair) {
	queue := uint32(c.of(128))
	switch c.of(24) {
	case 0:
		p.write("FCTRL", 0, c.bits(8, 3))
	case 1:
		i := []int{0, 1, 127}[c.of(3)]
		p.write("RAL", i, []uint32{0x00000002, 0x005E0001, 0xFFFFFFFF, 0}[c.of(4)])
		p.write("RAH", i, c.bits(31, 1)|[]uint32{0x0200, 0x0900, 0xFB00, 0xFFFF, 0}[c.of(5)])
	case 2:
		p.write("MCSTCTRL", 0, c.bits(0, 3))
		for i := range 128 {
			p.write("MTA", i, uint32(c.of(256))*0x01010101)
		}
	case 3:
		p.write("VLNCTRL", 0, 0x8100|c.bits(28, 3))
		p.write("VFTA", []int{0, 127}[c.of(2)], []uint32{0, 1 << 5, 1 << 7, 1 << 31}[c.of(4)])
	case 4:
		p.write("MRQC", 0, uint32(c.of(16))|c.bits(16, 8))
	case 5:
		p.write("RQTC", 0, c.word())
		p.write("RTRUP2TC", 0, c.word())
	case 6:
		p.write("RETA", c.of(32), c.word())
		p.write("RXCSUM", 0, c.bits(13, 1))
	case 7, 8:
		i := c.of(8)
		p.write("ETQF", i, []uint32{0x0800, 0x86DD, 0x88F7, 0x8100}[c.of(4)]|c.bits(16, 4)|c.bits(30, 2))
		p.write("ETQS", i, queue<<16|c.bits(29, 1)|c.bits(31, 1))
	case 9:
		p.write("SYNQF", 0, c.bits(0, 1)|queue<<1|c.bits(31, 1))
	case 10, 11:
		i := []int{0, 1, 2, 127}[c.of(4)]
		p.write("SAQF", i, 10|uint32(c.of(2))<<24)
		p.write("DAQF", i, 10|1<<16|uint32(c.of(2))<<24)
		p.write("SDPQF", i, uint32(1+c.of(3))<<8|0x12<<16|uint32(c.of(3))<<24)
		p.write("L34TIMIR", i, queue<<21|c.bits(20, 1)|c.bits(12, 1))
		p.write("FTQF", i, c.bits(0, 5)|c.bits(25, 5)|c.bits(31, 1))
		p.write("LLITHRESH", 0, uint32(c.of(128)))
	case 12:
		p.write("IMIRVP", 0, c.bits(0, 4))
		p.write("IPAV", 0, c.bits(16, 1))
		for i := range 4 {
			p.write("IP6AT", i, binary.LittleEndian.Uint32(v6(2)[4*i:]))
		}
	case 13:
		p.write("FDIRM", 0, c.bits(0, 6))
		masks := []uint32{0, ^uint32(0), 0xFF000000, 0x0000FFFF, 0x00800001}
		for _, name := range []string{"FDIRSIP4M", "FDIRDIP4M", "FDIRTCPM", "FDIRUDPM", "FDIRIP6M"} {
			p.write(name, 0, masks[c.of(len(masks))])
		}
		p.write("FDIRCTRL", 0, []uint32{0, 1, 1, 1, 1, 2, 3}[c.of(7)]|c.bits(4, 2)|c.bits(7, 1)|127<<8|uint32(c.of(32))<<16|c.bits(24, 4)|4<<28)
	default:
		c.flow(p, queue)
	}
}

// flow adds or removes a Flow Director filter for a frame, as a driver would:
// the registers say what the frame has, the hashes are computed.
func (c *choices) flow(p *pair, queue uint32) {
	pkt, outer := c.packet()
	b := pkt.Frame()
	var h parse.Headers
	parse.Frame(&h, b, outer)
	s, _ := p.ref.refStream(b, &h)
	cmd := uint32(1+c.of(2)) | c.bits(3, 2) | c.bits(9, 2) | c.bits(15, 1) | queue<<16
	switch h.Kind & (parse.TCP | parse.UDP | parse.SCTP) {
	case parse.UDP:
		cmd |= 1 << 5
	case parse.TCP:
		cmd |= 2 << 5
	case parse.SCTP:
		cmd |= 3 << 5
	}
	if h.Kind&parse.IPv6 != 0 {
		cmd |= 1 << 7
		for i := range 3 {
			p.write("FDIRSIPV6", i, binary.LittleEndian.Uint32(pkt.Src[4*i:]))
		}
		p.write("FDIRIPSA", 0, binary.LittleEndian.Uint32(pkt.Src[12:]))
	} else {
		p.write("FDIRIPSA", 0, binary.LittleEndian.Uint32(pkt.Src))
		p.write("FDIRIPDA", 0, binary.LittleEndian.Uint32(pkt.Dst))
	}
	if h.Kind&(parse.TCP|parse.UDP) != 0 {
		p.write("FDIRPORT", 0, uint32(pkt.SrcPort)|uint32(pkt.DstPort)<<16)
	} else {
		p.write("FDIRPORT", 0, 0)
	}
	tci, _ := p.ref.vlan(&h)
	at := p.ref.get("FDIRCTRL", 0) >> 16 & 31 * 2
	flex := uint32(0)
	if int(at)+2 <= len(b) {
		flex = uint32(binary.LittleEndian.Uint16(b[at:]))
	}
	p.write("FDIRVLAN", 0, tci|flex<<16)
	id := uint32(refFlowHash(atrSignatureKey, s))
	if p.ref.bit("FDIRCTRL", 4) {
		id = uint32(c.of(4))
	}
	p.write("FDIRHASH", 0, uint32(refFlowHash(atrBucketKey, s))&0x7FFF|id<<16)
	p.write("FDIRCMD", 0, cmd)
}

// play programs the filters and looks at frames, again and again.
func play(t testing.TB, b []byte) {
	p := newPair(t)
	c := &choices{b}
	for c.left() {
		c.program(p)
		for range 3 {
			p.check(c.frame())
		}
	}
	require.Equal(t, p.ref.added&0xFFFF|p.ref.removed<<16, p.read("FDIRUSTAT"))
}

// FuzzFilters holds the filters to the slow model. Inputs are short, because
// each byte chooses much.
func FuzzFilters(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		f.Add(bytesOf(rnd, 300))
	}
	f.Fuzz(func(t *testing.T, b []byte) { play(t, b[:min(len(b), 300)]) })
}

// TestFilters is the same with long random inputs.
func TestFilters(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		play(t, bytesOf(rnd, 3000))
	}
}

func bytesOf(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// FuzzFilteredBytes shows frames of any bytes to filters that are all in use.
func FuzzFilteredBytes(f *testing.F) {
	f.Add(craft.Packet{}.Frame())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 14 {
			return
		}
		p := newPair(t)
		p.write("MRQC", 0, 0x00F30005)
		p.write("ETQF", 3, 1<<31|1<<30|0x88F7)
		p.write("SYNQF", 0, 1|9<<1)
		p.write("FTQF", 7, 1<<31|7<<2|0x1B<<25)
		p.write("FDIRM", 0, fdirmL4)
		p.write("FDIRCTRL", 0, 1|6<<16|10<<24|1<<5|1<<7)
		p.check(b, 0x88A8)
	})
}

// TestFlowHash compares with what Linux (ixgbe_atr_compute_perfect_hash_82599)
// and DPDK (ixgbe_atr_compute_hash_82599) compute for the same flows.
func TestFlowHash(t *testing.T) {
	v4 := func(b ...byte) []byte { return slices.Concat(b, make([]byte, 12)) }
	for _, c := range []struct {
		name              string
		flow              byte
		vlan              uint16
		src, dst          []byte
		sport, dport      uint16
		flex              uint16
		bucket, signature uint16
	}{
		{"TCP over IPv4", 2, 0, v4(192, 0, 2, 1), v4(198, 51, 100, 2), 1000, 2000, 0x0800, 0x4AE6, 0x32F1},
		{"UDP over IPv4, tagged", 1, 0x6005, v4(192, 0, 2, 1), v4(198, 51, 100, 2), 1000, 2000, 0x8100, 0x6CB0, 0x6F0E},
		{"SCTP over IPv4", 3, 0, v4(192, 0, 2, 1), v4(198, 51, 100, 2), 0, 0, 0x0800, 0x9F05, 0x26F9},
		{"TCP over IPv6", 6, 0xEFFF, []byte{0x20, 1, 0xD, 0xB8, 15: 1}, []byte{0x20, 1, 0xD, 0xB8, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5}, 0xFFFF, 0x8001, 0x86DD, 0x4333, 0x958C},
		{"UDP over IPv6", 5, 0, []byte{0x20, 1, 0xD, 0xB8, 15: 1}, []byte{0x20, 1, 0xD, 0xB8, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5}, 53, 5353, 0, 0xE879, 0x2E9B},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := [42]byte{byte(c.vlan >> 8), byte(c.vlan), 34: byte(c.sport >> 8), byte(c.sport), byte(c.dport >> 8), byte(c.dport), byte(c.flex >> 8), byte(c.flex), 0, c.flow}
			copy(s[2:], c.src)
			copy(s[18:], c.dst)
			require.Equal(t, c.bucket, refFlowHash(atrBucketKey, s), "the slow model's bucket")
			require.Equal(t, c.signature, refFlowHash(atrSignatureKey, s), "the slow model's signature")

			var h flowHash
			h.setKeys(atrBucketKey, atrSignatureKey)
			var tuple flowTuple
			tuple[0], tuple[1] = binary.BigEndian.Uint64(c.src), binary.BigEndian.Uint64(c.src[8:])
			tuple[2], tuple[3] = binary.BigEndian.Uint64(c.dst), binary.BigEndian.Uint64(c.dst[8:])
			tuple.setLast(uint32(c.sport)<<16|uint32(c.dport), c.vlan, c.flex, 0, c.flow)
			bucket, signature := h.of(&tuple)
			require.Equal(t, [2]uint16{c.bucket, c.signature}, [2]uint16{bucket, signature})
		})
	}
}

// FuzzFlowHash holds the tables to the definition, for any key.
func FuzzFlowHash(f *testing.F) {
	f.Add(uint32(atrBucketKey), uint32(atrSignatureKey), make([]byte, 42))
	f.Fuzz(func(t *testing.T, bucketKey, signatureKey uint32, b []byte) {
		var s [42]byte
		copy(s[:], b)
		var h flowHash
		h.setKeys(bucketKey, signatureKey)
		var tuple flowTuple
		for i := range 4 {
			tuple[i] = binary.BigEndian.Uint64(s[2+8*i:])
		}
		tuple.setLast(binary.BigEndian.Uint32(s[34:]), binary.BigEndian.Uint16(s[:]), binary.BigEndian.Uint16(s[38:]), s[40], s[41])
		bucket, signature := h.of(&tuple)
		require.Equal(t, refFlowHash(bucketKey, s), bucket)
		require.Equal(t, refFlowHash(signatureKey, s), signature)
	})
}
