package i82599

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/i82599/pmd"
	"nicsim.dev/nicsim/sim"
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
	_ = dma.Read
}
