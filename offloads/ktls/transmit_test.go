package ktls

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel"
)

// slow is a key for refmodel.
func slow(k Key) refmodel.TLSKey {
	return refmodel.TLSKey{TLS13: k.Version == TLS13, ChaCha20: k.Cipher == ChaCha20Poly1305, Secret: k.Secret, IV: k.IV}
}

// written returns records of these sizes of content, in plain and as they are on the wire, and
// the writer that remembers them.
func written(k Key, seq uint32, number uint64, sizes ...int) (w *Writer, plain, wire []byte) {
	w = NewWriter(k, seq, number)
	for i, n := range sizes {
		content := make([]byte, n)
		for j := range content {
			content[j] = byte(i + j*j>>3)
		}
		plain = append(plain, w.Frame(Handshake+uint8(i%2), content)...)
	}
	return w, plain, slow(k).Seal(plain, number)
}

const firstSeq = 0xfffffff0 // sequence numbers pass 2^32

func transmitter(t testing.TB, k Key, seq uint32, number uint64) *Transmitter {
	tx, err := NewTransmitter(k, seq, number)
	require.NoError(t, err)
	return tx
}

// Records in two segments, split anywhere, are encrypted as they are in one.
func TestSegmentsSplitAnywhere(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		_, plain, wire := written(k, firstSeq, 7, 40, 0, 1, 16, 15)
		for split := range len(plain) + 1 {
			tx := transmitter(t, k, firstSeq, 7)
			got := bytes.Clone(plain)
			require.NoError(t, tx.Transmit(firstSeq, got[:split]))
			require.NoError(t, tx.Transmit(firstSeq+uint32(split), got[split:]))
			require.Equal(t, wire, got, "split at %d", split)
		}
		tx := transmitter(t, k, firstSeq, 7)
		got := bytes.Clone(plain)
		for i := range got {
			require.NoError(t, tx.Transmit(firstSeq+uint32(i), got[i:i+1]))
		}
		require.Equal(t, wire, got)
		require.EqualValues(t, len(wire), tx.Stats().EncryptedPackets)
		require.EqualValues(t, len(wire), tx.Stats().EncryptedBytes)
	})
}

// Any segment can be sent again, and what comes next can be sent then.
func TestAnySegmentIsSentAgain(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		w, plain, wire := written(k, firstSeq, 1<<40, 10, 0, 33)
		tx := transmitter(t, k, firstSeq, 1<<40)
		for from := range plain {
			for to := from + 1; to <= len(plain); to++ {
				got := bytes.Clone(plain[from:to])
				require.NoError(t, w.Transmit(tx, firstSeq+uint32(from), got))
				require.Equal(t, wire[from:to], got, "%d to %d", from, to)
			}
		}
		require.Positive(t, tx.Stats().Resumes)
		require.Positive(t, tx.Stats().Replayed)
		require.Equal(t, tx.Stats().Resumes, tx.Stats().OutOfOrder)
	})
}

func TestWhatIsNotNextIsLeftAlone(t *testing.T) {
	k := keys()[0]
	_, plain, _ := written(k, 1000, 0, 100)
	tx := transmitter(t, k, 1000, 0)
	for _, seq := range []uint32{999, 1001, 1000 + 1<<31} {
		got := bytes.Clone(plain)
		require.ErrorIs(t, tx.Transmit(seq, got), ErrSequence)
		require.Equal(t, plain, got)
	}
	require.NoError(t, tx.Transmit(1000, plain))
}

// What is no record is refused, and all else until there is a record again.
func TestATransmitterThatIsMisledStops(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		w, plain, wire := written(k, 1000, 0, 100)
		for name, head := range map[string][]byte{
			"type": {19, 3, 3, 0, 100}, "version": {23, 3, 1, 0, 100}, "too short": {23, 3, 3, 0, 15}, "too long": {23, 3, 3, 0x41, 0},
		} {
			tx := transmitter(t, k, 1000, 0)
			require.ErrorIs(t, tx.Transmit(1000, append(head, make([]byte, 100)...)), ErrFraming, name)
			require.ErrorIs(t, tx.Transmit(1105, bytes.Clone(plain)), ErrSequence)
			require.EqualValues(t, 1, tx.Stats().Errors)
			got := bytes.Clone(plain)
			require.NoError(t, w.Transmit(tx, 1000, got))
			require.Equal(t, wire, got)
		}
		tx := transmitter(t, k, 1000, 0)
		require.ErrorIs(t, tx.Resume(1000, 0, plain), ErrFraming, "a whole record precedes nothing of itself")
		require.ErrorIs(t, tx.Transmit(1000+uint32(len(plain)), bytes.Clone(plain)), ErrSequence)
		require.ErrorIs(t, tx.Resume(1000, 0, make([]byte, 1<<20)), ErrFraming)
		require.ErrorIs(t, tx.Resume(1000, 0, make([]byte, 5)), ErrFraming)
	})
}

func TestAWriterForgetsWhatWasAcknowledged(t *testing.T) {
	k := keys()[0]
	w, plain, wire := written(k, firstSeq, 0, 10, 20, 30)
	tx := transmitter(t, k, firstSeq, 0)
	seq := func(at int) uint32 { return firstSeq + uint32(at) }
	handshake := make([]byte, 8)
	require.ErrorIs(t, w.Transmit(tx, seq(-8), handshake), ErrEarly)
	require.ErrorIs(t, w.Transmit(tx, seq(-7), handshake), ErrNoRecord, "partly of a record")
	require.ErrorIs(t, w.Transmit(tx, seq(len(plain)), handshake), ErrNoRecord, "of a record that is not there yet")
	require.NoError(t, w.Transmit(tx, seq(3), nil))

	bounds := refmodel.TLSRecords(plain)
	w.Acked(seq(-100))
	w.Acked(seq(bounds[1] - 1))
	require.Equal(t, 3, w.Unacked())
	w.Acked(seq(bounds[1]))
	require.Equal(t, 2, w.Unacked())
	require.ErrorIs(t, w.Transmit(tx, seq(bounds[1]-1), handshake), ErrNoRecord)
	require.ErrorIs(t, w.Transmit(tx, seq(-8), handshake), ErrNoRecord)
	got := bytes.Clone(plain[bounds[1]:])
	require.NoError(t, w.Transmit(tx, seq(bounds[1]), got))
	require.Equal(t, wire[bounds[1]:], got)
	w.Acked(seq(len(plain)))
	require.Zero(t, w.Unacked())
	require.ErrorIs(t, w.Transmit(tx, seq(0), got), ErrNoRecord)
	require.Panics(t, func() { w.Frame(ApplicationData, make([]byte, MaxContentBytes+1)) })
}

func TestTransmittingAllocatesNothing(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		w, plain, _ := written(k, 0, 0, 3000, 100, 3000)
		tx := transmitter(t, k, 0, 0)
		packet := make([]byte, 1448)
		require.Zero(t, testing.AllocsPerRun(50, func() {
			for at := 0; at < len(plain); at += 1448 {
				n := copy(packet, plain[at:])
				if w.Transmit(tx, uint32(at), packet[:n]) != nil {
					t.Fatal("not encrypted")
				}
			}
		}))
	})
}

// FuzzTransmit holds segments of any size, sent once or again, equal to the stream that is
// encrypted as a whole.
func FuzzTransmit(f *testing.F) {
	for i := range 6 {
		f.Add(uint8(i), uint64(i))
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64) {
		k := keys()[int(which)%len(keys())]
		rng := rand.New(rand.NewPCG(seed, 1))
		seq, number := rng.Uint32(), rng.Uint64()
		w, plain, wire := written(k, seq, number, sizes(rng, 60_000)...)
		tx := transmitter(t, k, seq, number)
		next, acked := 0, 0
		for range 300 {
			from := next
			if next > acked && rng.IntN(4) == 0 {
				from = acked + rng.IntN(next-acked)
			}
			n := min(segmentBytes(rng), len(plain)-from)
			got := bytes.Clone(plain[from : from+n])
			require.NoError(t, w.Transmit(tx, seq+uint32(from), got))
			require.True(t, bytes.Equal(wire[from:from+n], got), "%d bytes at %d", n, from)
			next = max(next, from+n)
			if rng.IntN(8) == 0 {
				acked += rng.IntN(next - acked + 1)
				w.Acked(seq + uint32(acked))
			}
		}
	})
}

// sizes returns sizes of contents, most of them small or large, of so many bytes together.
func sizes(rng *rand.Rand, bytes int) (all []int) {
	for bytes > 0 {
		n := rng.IntN(200)
		switch rng.IntN(6) {
		case 0:
			n = MaxContentBytes
		case 1:
			n = rng.IntN(MaxContentBytes + 1)
		}
		all = append(all, n)
		bytes -= n + 20
	}
	return all
}

// segmentBytes returns the size of a segment: as of Ethernet, small, or of a super-segment.
func segmentBytes(rng *rand.Rand) int {
	switch rng.IntN(8) {
	case 0:
		return 1 + rng.IntN(20)
	case 1:
		return 1 + rng.IntN(1448)
	case 2:
		return 1 + rng.IntN(20_000)
	}
	return 1448
}

// BenchmarkTransmit encrypts full records in packets of Ethernet's size, and has Go's cipher
// encrypt them whole, in turn.
func BenchmarkTransmit(b *testing.B) {
	for _, k := range keys() {
		b.Run(fmt.Sprintf("%v %v", k.Version, k.Cipher), func(b *testing.B) {
			_, plain, _ := written(k, 0, 0, MaxContentBytes)
			tx := transmitter(b, k, 0, 0)
			whole, err := k.whole()
			require.NoError(b, err)
			packet, record := make([]byte, 1448), make([]byte, len(plain))
			var nonce [nonceBytes]byte
			var ours, theirs time.Duration
			seq := uint32(0)
			for b.Loop() {
				start := time.Now()
				for at := 0; at < len(plain); at += len(packet) {
					n := copy(packet, plain[at:])
					if err := tx.Transmit(seq, packet[:n]); err != nil {
						b.Fatal(err)
					}
					seq += uint32(n)
				}
				between := time.Now()
				copy(record, plain)
				text := record[k.format().headBytes : len(record)-TagBytes]
				whole.Seal(text[:0], nonce[:], text, record[:HeaderBytes])
				ours += between.Sub(start)
				theirs += time.Since(between)
			}
			b.ReportMetric(float64(b.N)*float64(len(plain))/float64(ours.Microseconds()), "MB/s")
			b.ReportMetric(float64(theirs)/float64(ours), "whole-ratio")
		})
	}
}
