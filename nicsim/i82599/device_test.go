package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/i82599/pmd"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

// cable joins two ports in tests of this package.
type cable struct{ to nicsim.Port }

func (c cable) Room() int                   { return 1024 }
func (c cable) Send(frames []*nicsim.Frame) { c.to.Deliver(frames) }

type rig struct {
	clock *sim.Clock
	loop  *sim.Loop
	dev   [2]*Device
	drv   [2]driver.Driver
}

func newRig(t testing.TB, cfg driver.Config) *rig {
	r := &rig{clock: sim.NewVirtual()}
	r.loop = sim.NewLoop(r.clock)
	pool := &nicsim.Pool{}
	for i := range r.dev {
		d, err := newDevice(nicsim.Config{Name: string(rune('A' + i)), MAC: [6]byte{2, 0, 0, 0, 0, byte(i + 1)}, Clock: r.clock, Pool: pool})
		require.NoError(t, err)
		r.dev[i] = d
	}
	for i, d := range r.dev {
		d.Port().Attach(cable{r.dev[1-i].Port()})
		d.Port().SetCarrier(true)
		drv, err := pmd.New(d.fn, d.fn.Memory, cfg)
		require.NoError(t, err)
		r.drv[i] = drv
		r.loop.Add(d)
	}
	return r
}

func udpFrame(n int) []byte {
	b := make([]byte, n)
	copy(b, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0})
	binary.BigEndian.PutUint16(b[16:], uint16(n-14))
	b[22], b[23] = 64, 17
	copy(b[26:], []byte{10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 9})
	binary.BigEndian.PutUint16(b[38:], uint16(n-34))
	return b
}

func TestFramesCrossTheWireUnchanged(t *testing.T) {
	r := newRig(t, driver.Config{})
	var want [][]byte
	for n := 60; n < 1514; n += 7 {
		f := udpFrame(n)
		for i := 42; i < n; i++ {
			f[i] = byte(i * n)
		}
		want = append(want, f)
		require.Equal(t, 1, r.drv[0].Transmit(0, []driver.TxPacket{{Pieces: [][]byte{f[:20], f[20:]}}}))
	}
	require.NoError(t, r.loop.Settle(1000))
	out := make([]driver.RxPacket, 64)
	for len(want) > 0 {
		n := r.drv[1].Receive(0, out)
		require.Positive(t, n)
		for _, p := range out[:n] {
			require.Len(t, p.Pieces, 1)
			require.Equal(t, want[0], p.Pieces[0])
			want = want[1:]
		}
		require.NoError(t, r.loop.Settle(1000))
	}

}

// TestSuperFramesAreSegmentedAndCoalesced sends what a stack with segmentation
// offload sends and holds that the stream arrives whole, in right segments, and
// that coalescing undoes it.
func TestSuperFramesAreSegmentedAndCoalesced(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, rsc := range []driver.Offloads{0, driver.RSC} {
			r := newRig(t, driver.Config{Offloads: driver.TSO4 | driver.TSO6 | driver.TxChecksum | driver.RxChecksum | rsc})
			super := craft.Packet{IPv6: v6, Proto: craft.TCP, SrcPort: 1, DstPort: 2, Seq: 0xFFFFF000, Flags: 0x18, Payload: craft.Payload(60000)}.Frame()
			copy(super, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1})
			var h parse.Headers
			parse.Frame(&h, super, 0)
			pkt := driver.TxPacket{Pieces: [][]byte{super[:30], super[30:]}, NeedsChecksum: true, ChecksumStart: int(h.L4), ChecksumOffset: 16,
				GSO: driver.TCPv4, GSOBytes: 1428, HeaderBytes: int(h.Payload)}
			require.Equal(t, 1, r.drv[0].Transmit(0, []driver.TxPacket{pkt}))
			packets, merged := r.received(t, 0)
			var stream []byte
			seq := uint32(0xFFFFF000)
			segments := 0
			for i, p := range packets {
				var g parse.Headers
				parse.Frame(&g, p, 0)
				require.Equal(t, seq, binary.BigEndian.Uint32(p[g.L4+4:]))
				if v6 == false {
					require.Equal(t, checksum.Good, checksum.IPv4Header(p, &g))
				}
				if merged[i] == 1 {
					require.Equal(t, checksum.Good, checksum.L4(p, &g))
					require.Equal(t, i == len(packets)-1, p[g.L4+13]&8 != 0, "PSH is on the last only")
				}
				stream = append(stream, p[g.Payload:g.End]...)
				seq += uint32(g.End - g.Payload)
				segments += merged[i]
			}
			require.Equal(t, super[h.Payload:], stream)
			require.Equal(t, (60000+1427)/1428, segments)
			if rsc != 0 {
				require.Less(t, len(packets), 5)
			}
			require.Zero(t, r.dev[1].rx.queues[0].checksums[sumBad])
		}
	}
}
