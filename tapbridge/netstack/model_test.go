package netstack

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	_ "nicsim.dev/nicsim/i82599"
	"nicsim.dev/tapbridge/live"
	"nicsim.dev/tapbridge/pair"
)

// adapters is two adapters of a model back to back on a loop.
type adapters struct {
	dev  [2]nicsim.Device
	drv  [2]driver.Driver
	pair *pair.Pair
}

func newAdapters(t testing.TB, loop *live.Loop, offloads driver.Offloads, imp pair.Impairment) *adapters {
	model, err := nicsim.Find("82599")
	require.NoError(t, err)
	pool := new(nicsim.Pool)
	r := new(adapters)
	for i := range r.dev {
		r.dev[i], err = model.New(nicsim.Config{
			Name: string(rune('A' + i)), MAC: [6]byte{2, 0, 0, 0, 0, byte(i + 1)}, Clock: loop.Sim.Clock, Pool: pool,
		})
		require.NoError(t, err)
	}
	r.pair, err = pair.New(loop.Sim.Clock, pool, r.dev[0].Port(), r.dev[1].Port(), imp, imp, 1)
	require.NoError(t, err)
	for i, d := range r.dev {
		fn := d.Functions()[0]
		r.drv[i], err = model.NewDriver(fn, fn.Memory, driver.Config{
			Queues: 2, RingSize: 1024, MTU: 1500, Offloads: offloads, FlowControl: true,
		})
		require.NoError(t, err)
	}
	loop.Sim.Add(r.pair, r.dev[0], r.dev[1])
	return r
}

// lostNothing checks that flow control has kept the packet buffers from
// overflowing.
func (r *adapters) lostNothing(t testing.TB, loop *live.Loop) {
	lost := map[string]uint64{}
	require.NoError(t, loop.Do(func() {
		for _, d := range r.dev {
			d.Counters(func(c nicsim.Counter) {
				if c.Value > 0 && c.Name == "drop-"+nicsim.DropRxBufferFull.String() {
					lost[c.Name] += c.Value
				}
			})
		}
	}))
	require.Empty(t, lost)
}

func TestSuperSegmentsBecomeWorkForTheAdapter(t *testing.T) {
	const size = 64 << 20
	for name, c := range map[string]struct {
		offloads driver.Offloads
		six      bool
	}{
		"IPv4":     {offloads: driver.AllOffloads},
		"IPv6":     {offloads: driver.AllOffloads, six: true},
		"all off":  {},
		"sum only": {offloads: driver.TxChecksum | driver.RxChecksum, six: true},
	} {
		t.Run(name, func(t *testing.T) {
			loop := live.New()
			r := newAdapters(t, loop, c.offloads, pair.Impairment{})
			sa, sb := twoStacks(t, loop, r.drv[0], r.drv[1], EndpointConfig{Offloads: c.offloads})
			addr := sa.Addr4()
			if c.six {
				addr = sa.Addr6()
			}
			res, err := Transfer(deadline(t), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(addr, 80), Bytes: size, Streams: 2, Seed: 1})
			require.NoError(t, err)
			require.True(t, res.Equal())
			require.Zero(t, sb.Stack.Stats().TCP.ChecksumErrors.Value())
			r.lostNothing(t, loop)
			var tx, rx driver.Stats
			var wire pair.Stats
			require.NoError(t, loop.Do(func() { tx, rx, wire = r.drv[0].Stats(), r.drv[1].Stats(), r.pair.Stats(pair.AtoB) }))
			require.Greater(t, wire.SentFrames, uint64(size/1460))
			if c.offloads&driver.TSO4 == 0 {
				require.Zero(t, tx.TxGSOPackets+rx.RxMerged)
				return
			}
			require.Positive(t, tx.TxGSOPackets)
			require.Positive(t, rx.RxMerged)
			require.Less(t, tx.TxPackets, wire.SentFrames/5)
			require.Less(t, rx.RxPackets, wire.SentFrames/5)
		})
	}
}

// TestALossyWireLosesTimeButNoBytes is the closing scene in small.
func TestALossyWireLosesTimeButNoBytes(t *testing.T) {
	loop := live.New()
	r := newAdapters(t, loop, driver.AllOffloads, pair.Impairment{Loss: 0.001, Corrupt: 0.0005, Duplicate: 0.0005, Reorder: 0.0005})
	sa, sb := twoStacks(t, loop, r.drv[0], r.drv[1], EndpointConfig{Offloads: driver.AllOffloads})
	res, err := Transfer(deadline(t), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(sa.Addr4(), 80), Bytes: 32 << 20, Seed: 1})
	require.NoError(t, err)
	require.True(t, res.Equal())
	require.Positive(t, sa.Stack.Stats().TCP.Retransmits.Value())
	t.Logf("%.2f Gbit/s", res.BitsPerSecond()/1e9)
}

// TestDamageThatTheWireHidesIsFoundByChecksums flips bits under a good frame
// check sequence: the adapter has to say so, and the stack has to refuse.
func TestDamageThatTheWireHidesIsFoundByChecksums(t *testing.T) {
	loop := live.New()
	r := newAdapters(t, loop, driver.AllOffloads, pair.Impairment{Corrupt: 0.001, SilentCorruption: true})
	sa, sb := twoStacks(t, loop, r.drv[0], r.drv[1], EndpointConfig{Offloads: driver.AllOffloads})
	res, err := Transfer(deadline(t), TransferConfig{Server: sa, Client: sb, At: netip.AddrPortFrom(sa.Addr4(), 80), Bytes: 16 << 20, Seed: 1})
	require.NoError(t, err)
	require.True(t, res.Equal())
	var bad uint64
	require.NoError(t, loop.Do(func() { bad = r.drv[1].Stats().RxChecksumBad }))
	require.Positive(t, bad)
	require.Positive(t, sb.Stack.Stats().TCP.ChecksumErrors.Value()+sb.Stack.Stats().IP.MalformedPacketsReceived.Value())
}
