package i82599

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

// inject puts frames on the wire to device d.
func (r *rig) inject(d *Device, frames ...[]byte) {
	for _, b := range frames {
		f := d.pool.Get(len(b))
		copy(f.Data, b)
		d.Port().Deliver([]*nicsim.Frame{f})
	}
}

// received harvests everything that queue q of the second adapter has, joined.
func (r *rig) received(t testing.TB, q int) (packets [][]byte, merged []int) {
	require.NoError(t, r.loop.Run(r.clock.Now()+sim.Second, 1000))
	out := make([]driver.RxPacket, 16)
	for {
		n := r.drv[1].Receive(q, out)
		if n == 0 {
			return packets, merged
		}
		for _, p := range out[:n] {
			var whole []byte
			for _, piece := range p.Pieces {
				whole = append(whole, piece...)
			}
			packets, merged = append(packets, whole), append(merged, p.Merged)
		}
	}
}

func segmentOf(flow int, seq uint32, n int, flags byte, v6 bool) []byte {
	b := craft.Packet{IPv6: v6, Proto: craft.TCP, SrcPort: uint16(1000 + flow), DstPort: 2000, Seq: seq, Flags: flags, Payload: craft.Payload(n)}.Frame()
	b = append(b, make([]byte, max(0, 60-len(b)))...)
	copy(b, []byte{2, 0, 0, 0, 0, 2})
	return b
}

func TestSegmentsInOrderBecomeOnePacket(t *testing.T) {
	r := newRig(t, driver.Config{Offloads: driver.RSC})
	var frames [][]byte
	var payload []byte
	for i := range 10 {
		f := segmentOf(0, uint32(1+i*1000), 1000, 0x10, false)
		frames, payload = append(frames, f), append(payload, f[54:]...)
	}
	r.inject(r.dev[1], frames...)
	packets, merged := r.received(t, 0)
	require.Equal(t, []int{10}, merged)
	require.Equal(t, payload, packets[0][54:])
	var h parse.Headers
	parse.Frame(&h, packets[0], 0)
	require.EqualValues(t, 54+10000, h.End)
	require.Equal(t, checksum.Good, checksum.IPv4Header(packets[0], &h))
}

// TestCoalescingKeepsEachStream sends flows with every reason to close a packet
// and holds that each flow's bytes arrive in the order in which they were sent.
func TestCoalescingKeepsEachStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	most := 0
	for range 200 {
		r := newRig(t, driver.Config{Offloads: driver.RSC, RingSize: 128})
		want, got := map[uint16][]byte{}, map[uint16][]byte{}
		seq := map[int]uint32{}
		for range 1 + rng.IntN(60) {
			flow := rng.IntN(3)
			n := rng.IntN(1400)
			flags := []byte{0x10, 0x10, 0x10, 0x18, 0x11, 0x12, 0x50}[rng.IntN(7)]
			if rng.IntN(10) == 0 {
				seq[flow] += 7
			}
			f := segmentOf(flow, seq[flow], n, flags, flow == 2)
			seq[flow] += uint32(n)
			var h parse.Headers
			parse.Frame(&h, f, 0)
			port := uint16(1000 + flow)
			want[port] = append(want[port], f[h.Payload:h.End]...)
			r.inject(r.dev[1], f)
		}
		packets, merged := r.received(t, 0)
		for i, p := range packets {
			var h parse.Headers
			parse.Frame(&h, p, 0)
			port := be16(p[h.L4:])
			got[port] = append(got[port], p[h.Payload:h.End]...)
			most = max(most, merged[i])
		}
		require.Equal(t, want, got)
	}
	require.Greater(t, most, 3)
}
