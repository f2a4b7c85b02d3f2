package i82599

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/pci"
	"nicsim.dev/nicsim/sim"
)

// pokeTime is for how long registers are poked. NICSIM_POKE, such as 1m, says
// otherwise.
const pokeTime = 3 * time.Second

// A driver that writes anything anywhere, in every address space and at every width,
// finds an adapter that still answers, and one that works after a reset.
func TestPokedEverywhereAndReset(t *testing.T) {
	long := pokeTime
	if text := os.Getenv("NICSIM_POKE"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	h := newHands(t)
	fn := h.d.fn
	deadline := time.Now().Add(long)
	pokes := 0
	for time.Now().Before(deadline) {
		for range 1000 {
			poke(h, rng)
			pokes++
		}
		// Decoding and mastering come back, whatever was written to the command register.
		fn.ConfigWrite([]byte{pci.CommandMemory | pci.CommandIO | pci.CommandMaster, 0}, 4)
		h.clock.RunDue(sim.StepBudget)
		if next, ok := h.clock.Next(); ok && rng.IntN(4) == 0 {
			h.clock.AdvanceTo(next)
		}
		for _, f := range h.wire.sent {
			h.pool.Put(f)
		}
		h.wire.room, h.wire.sent = 1<<10, h.wire.sent[:0]
	}
	t.Logf("%d accesses", pokes)

	for _, reset := range []func(){
		func() { h.write(atCTRL, ctrlReset) },
		func() { fn.Reset(pci.FLR) },
		func() { fn.Reset(pci.TransportReset) },
	} {
		reset()
		fn.ConfigWrite([]byte{pci.CommandMemory | pci.CommandMaster, 0}, 4)
	}
	clear(h.mem)
	h.wire.room, h.wire.sent = 1<<10, nil
	h.write(0x4A80, 0x81000001) // DMATXCTL
	h.openTx(0)
	frame := udpFrame(60)
	h.post(0, frame, 1, 0)
	h.settle()
	require.Len(t, h.wire.sent, 1)
	require.Equal(t, frame, h.wire.sent[0].Data)
}

// poke does one access at random. Half of the values point into memory or are small,
// as those that do the most harm are.
func poke(h *hands, rng *rand.Rand) {
	var b [8]byte
	width := []int{1, 2, 4, 4, 4, 4, 8}[rng.IntN(7)]
	v := rng.Uint64()
	switch rng.IntN(4) {
	case 0:
		v = handIOVA + v%uint64(len(h.mem))
	case 1:
		v %= 1 << rng.IntN(32)
	}
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
	fn := h.d.fn
	switch rng.IntN(12) {
	case 0:
		fn.ConfigWrite(b[:width], rng.IntN(pci.ConfigBytes))
	case 1:
		fn.ConfigRead(b[:width], rng.IntN(pci.ConfigBytes))
	case 2:
		fn.Write(tableBAR, b[:width], rng.Uint64N(tableBytes))
	case 3:
		fn.Read(rng.IntN(6), b[:width], rng.Uint64N(regSpace))
	case 4:
		h.d.Step(sim.StepBudget)
	default:
		at := rng.Uint64N(regSpace)
		if rng.IntN(2) == 0 { // where the rings are
			at = []uint64{0x1000, 0x6000, 0xD000, 0x0800, 0x4000, 0x5000}[rng.IntN(6)] + rng.Uint64N(0x1000)
		}
		if width >= 4 {
			at &^= 3
		}
		fn.Write(0, b[:width], at)
	}
}
