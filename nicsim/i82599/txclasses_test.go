package i82599

import (
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim/sim"
)

// classOf tells frames of classes apart: their last byte names the queue they
// were posted on.
func (h *hands) sentBy() map[int]int {
	out := map[int]int{}
	for _, f := range h.wire.sent {
		out[int(f.Data[len(f.Data)-1])]++
		h.pool.Put(f)
	}
	h.wire.sent = h.wire.sent[:0]
	return out
}

// fill posts frames of n bytes on queues until their rings are full.
func (h *hands) fill(n int, queues ...int) {
	for _, q := range queues {
		b := make([]byte, n)
		copy(b, []byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 2, 0x88, 0xB5})
		b[n-1] = byte(q)
		h.openTx(q)
		h.post(q, b, handRing-1, 0)
	}
}

const (
	mtqc4 = 1 | 2<<2
	mtqc8 = 1 | 3<<2
)

// t2 is an RTTDT2C: refill and limit in bytes.
func t2(refill, limit, group uint32, more ...uint32) uint32 {
	v := refill/creditBytes | group<<9 | limit/creditBytes<<12
	for _, m := range more {
		v |= m
	}
	return v
}

const (
	groupStrict = 1 << 30
	linkStrict  = 1 << 31
)

// TestQueuesBelongToClasses sends one frame on each queue with all classes but
// one paused, so that only that one's queues drain (table 7-25).
func TestQueuesBelongToClasses(t *testing.T) {
	for _, c := range []struct {
		mtqc uint32
		ends []int
	}{{mtqc8, []int{32, 64, 80, 96, 104, 112, 120, 128}}, {mtqc4, []int{64, 96, 112, 128}}} {
		from := 0
		for class, end := range c.ends {
			h := newHands(t)
			h.set("MTQC", c.mtqc)
			h.d.tx.classes.paused = ^uint8(0) &^ (1 << class)
			for q := range numQueues {
				h.openTx(q)
				h.post(q, []byte{60: byte(q)}, 1, 0)
			}
			h.settle()
			sent := h.sentBy()
			require.Len(t, sent, end-from)
			for q := from; q < end; q++ {
				require.Equal(t, 1, sent[q])
			}
			from = end
		}
	}
}

// TestWeights lets two classes compete for a wire that is the bottleneck.
func TestWeights(t *testing.T) {
	h := newHands(t)
	h.set("MTQC", mtqc8)
	h.set("RTTDCS", rttdcsWeighted)
	h.setAt("RTTDT2C", 0, t2(3072, 8192, 0))
	h.setAt("RTTDT2C", 7, t2(1024, 8192, 1))
	h.fill(508, 0, 120) // 512 with FCS
	h.wire.room = 200
	h.settle()
	require.Equal(t, map[int]int{0: 150, 120: 50}, h.sentBy())

	h.set("RTTDCS", 0)
	h.wire.room = 100
	h.settle()
	require.Equal(t, map[int]int{0: 50, 120: 50}, h.sentBy(), "round robin")
}

// TestWeightsCountBytes gives two classes equal weights and frames of different
// length.
func TestWeightsCountBytes(t *testing.T) {
	h := newHands(t)
	h.set("MTQC", mtqc8)
	h.set("RTTDCS", rttdcsWeighted)
	h.setAt("RTTDT2C", 0, t2(1024, 8192, 0))
	h.setAt("RTTDT2C", 7, t2(1024, 8192, 1))
	h.fill(252, 0)
	h.fill(1020, 120)
	h.wire.room = 100
	h.settle()
	sent := h.sentBy()
	require.InDelta(t, 80, sent[0], 4)
	require.InDelta(t, 20, sent[120], 4)
}

// TestStrictPriority serves a link-strict class first, whatever the others'
// credits, and a group-strict class first within its group.
func TestStrictPriority(t *testing.T) {
	h := newHands(t)
	h.set("MTQC", mtqc8)
	h.set("RTTDCS", rttdcsWeighted)
	h.setAt("RTTDT2C", 0, t2(1024, 8192, 0))
	h.setAt("RTTDT2C", 3, t2(1024, 8192, 0, groupStrict))
	h.setAt("RTTDT2C", 6, t2(2048, 8192, 1))
	h.setAt("RTTDT2C", 2, t2(64, 64, 2, linkStrict))
	h.fill(508, 64)
	h.wire.room = 100
	h.settle()
	h.sentBy()
	h.fill(508, 0, 80, 112)
	h.wire.room = 155 + 200
	h.settle()
	require.Equal(t, map[int]int{64: 155, 80: 100, 112: 100}, h.sentBy(), "class 3 has class 0's credits too")
	h.wire.room = 150 * 2
	h.settle()
	sent := h.sentBy()
	require.InDelta(t, sent[80], sent[112], 4)
	require.Zero(t, sent[0])
}

// TestArbiterWithoutCredits falls back to round robin when software gives
// classes nothing.
func TestArbiterWithoutCredits(t *testing.T) {
	h := newHands(t)
	h.set("MTQC", mtqc4)
	h.set("RTTDCS", rttdcsWeighted)
	h.fill(100, 0, 64)
	h.wire.room = 100
	h.settle()
	require.Equal(t, map[int]int{0: 50, 64: 50}, h.sentBy())
}

// TestArbiterOff stops transmission while software changes the classes.
func TestArbiterOff(t *testing.T) {
	h := newHands(t)
	h.set("RTTDCS", rttdcsOff)
	h.fill(100, 0)
	h.settle()
	require.Empty(t, h.sentBy())
	h.set("RTTDCS", 0)
	h.settle()
	require.NotEmpty(t, h.sentBy())
}

// TestRateLimit limits a queue to 1 Gb/s, as Linux's ixgbe_set_vf_rate_limit
// writes it, beside one without a limit.
func TestRateLimit(t *testing.T) {
	h := newHands(t)
	h.set("RTTDQSEL", 5)
	h.set("RTTBCNRC", rttbcnrcOn|10<<14)
	require.EqualValues(t, rttbcnrcOn|10<<14, h.get("RTTBCNRC"))
	h.set("RTTDQSEL", 6)
	require.Zero(t, h.get("RTTBCNRC"))
	h.fill(1246, 5, 6) // 1250 with FCS: 10 us at 1 Gb/s
	h.pass(1 * sim.Millisecond)
	sent := h.sentBy()
	require.Equal(t, handRing-1, sent[6])
	require.InDelta(t, 100, sent[5], 1)
	h.pass(1 * sim.Millisecond)
	require.InDelta(t, 100, h.sentBy()[5], 1)

	h.set("RTTDQSEL", 5)
	h.set("RTTBCNRC", rttbcnrcOn|2<<14|1<<13) // 2.5: 4 Gb/s
	h.fill(1246, 5)
	h.pass(100 * sim.Microsecond)
	require.InDelta(t, 40, h.sentBy()[5], 4, "the last frame at the old rate included")
	h.set("RTTBCNRC", 0)
	h.settle()
	require.NotEmpty(t, h.sentBy(), "no limit any more")
}

// TestRateLimitWindow lets a queue catch up by what RTTBCNRM allows after it had
// nothing to send.
func TestRateLimitWindow(t *testing.T) {
	h := newHands(t)
	h.set("RTTBCNRM", 20)
	h.set("RTTBCNRC", rttbcnrcOn|10<<14)
	h.pass(sim.Second)
	h.fill(1020, 0)
	h.settle()
	require.Equal(t, 21, h.sentBy()[0])
}

func TestClassesDoNotAllocate(t *testing.T) {
	h := newHands(t)
	h.set("MTQC", mtqc8)
	h.set("RTTDCS", rttdcsWeighted)
	h.setAt("RTTDT2C", 0, t2(1024, 8192, 0))
	h.set("RTTBCNRC", rttbcnrcOn|1<<14)
	a := &h.d.tx.classes.arbiter
	require.Zero(t, testing.AllocsPerRun(1000, func() { a.charge(a.pick(0x83), 600) }))
}

// FuzzArbiter holds that any registers lead to a choice among those that are
// ready, in bounded time.
func FuzzArbiter(f *testing.F) {
	f.Add(true, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35})
	f.Fuzz(func(t *testing.T, weighted bool, b []byte) {
		a := arbiter{weighted: weighted}
		c := &choices{b}
		for i := range numClasses {
			a.set(i, c.word())
		}
		for c.left() {
			ready := uint8(1 + c.of(255))
			i := a.pick(ready)
			require.NotZero(t, ready>>i&1)
			a.charge(i, 64+c.of(16000))
		}
	})
}
