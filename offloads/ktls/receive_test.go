package ktls

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel"
)

func receiver(t testing.TB, k Key, seq uint32, number uint64) *Receiver {
	r, err := NewReceiver(k, seq, number)
	require.NoError(t, err)
	return r
}

func reader(t testing.TB, k Key, seq uint32, number uint64) *Reader {
	r, err := NewReader(k, seq, number)
	require.NoError(t, err)
	return r
}

// opened returns a stream whose records are decrypted, with their tags.
func opened(plain, wire []byte) []byte {
	plain = bytes.Clone(plain)
	bounds := refmodel.TLSRecords(plain)
	for _, end := range bounds[1:] {
		copy(plain[end-TagBytes:end], wire[end-TagBytes:])
	}
	return plain
}

// bench is a connection of which packets are received one by one.
type bench struct {
	t           testing.TB
	r           *Receiver
	seq         uint32
	plain, wire []byte // as they are received, decrypted or not
	bounds      []int
}

func newBench(t testing.TB, k Key, sizes ...int) *bench {
	_, plain, wire := written(k, firstSeq, 7, sizes...)
	return &bench{t, receiver(t, k, firstSeq, 7), firstSeq, opened(plain, wire), wire, refmodel.TLSRecords(wire)}
}

// receive receives the bytes from one place to another, which must end with a status.
func (b *bench) receive(from, to int, want Status) Result {
	b.t.Helper()
	packet := bytes.Clone(b.wire[from:to])
	got := b.r.Receive(b.seq+uint32(from), packet)
	require.Equal(b.t, want, got.Status, "%d to %d", from, to)
	if want == Decrypted {
		require.Equal(b.t, b.plain[from:to], packet)
	} else {
		require.Equal(b.t, b.wire[from:to], packet, "%v, and not as it came", want)
	}
	return got
}

func TestPacketsSplitAnywhere(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		n := len(newBench(t, k, 40, 0, 1, 16, 15).wire)
		for split := 1; split < n; split++ {
			b := newBench(t, k, 40, 0, 1, 16, 15)
			b.receive(0, split, Decrypted)
			b.receive(split, n, Decrypted)
			require.EqualValues(t, n, b.r.Stats().DecryptedBytes)
		}
		b := newBench(t, k, 40, 0, 1, 16, 15)
		for i := range n {
			b.receive(i, i+1, Decrypted)
		}
		b.receive(n, n, Empty)
	})
}

// The first figure of tls-offload.rst: 2 is lost and comes late, the next record begins in 3.
func TestALostPacketWithinARecord(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		b := newBench(t, k, 4000, 3000, 100)
		second := b.bounds[1]
		b.receive(0, 1448, Decrypted)
		b.receive(2*1448, 3*1448, Partial) // with the begin of the second record
		require.Less(t, second, 3*1448)
		b.receive(3*1448, 4*1448, Decrypted)
		b.receive(4*1448, len(b.wire), Decrypted)
		b.receive(1448, 2*1448, Old)
		require.Zero(t, b.r.Stats().Searches)
	})
}

// A packet that begins with a record is decrypted, whatever was lost of the one before.
func TestALostPacketUpToARecord(t *testing.T) {
	b := newBench(t, keys()[0], 4000, 3000)
	b.receive(0, 1448, Decrypted)
	b.receive(b.bounds[1], len(b.wire), Decrypted)
}

// A record of which the device sees a begin, a part later and an end stays mixed.
func TestTwoLossesInOneRecord(t *testing.T) {
	b := newBench(t, keys()[0], 10000, 100)
	b.receive(0, 1000, Decrypted)
	b.receive(2000, 3000, Partial)
	b.receive(4000, b.bounds[1], Partial)
	b.receive(b.bounds[1], len(b.wire), Decrypted)
}

// The second figure: a header is lost. As long as it may be there soon, it is waited for.
func TestALostHeader(t *testing.T) {
	b := newBench(t, keys()[0], 1000, 2000, 2000)
	b.receive(0, 1000, Decrypted)
	lost := b.bounds[1] + 3 // within the header
	b.receive(1000, lost, Decrypted)
	b.receive(lost+100, lost+200, Ahead)
	b.receive(lost+200, lost+300, Ahead)
	b.receive(lost, lost+100, Decrypted) // it was only late
	b.receive(lost+300, lost+400, Partial)
	b.receive(b.bounds[2], len(b.wire), Decrypted)
	require.Zero(t, b.r.Stats().Searches)
}

func TestOverlapsAreTakenNoteOf(t *testing.T) {
	b := newBench(t, keys()[0], 1000, 1000)
	b.receive(0, 500, Decrypted)
	b.receive(400, 700, Old)
	b.receive(400, 700, Old)
	b.receive(700, len(b.wire), Decrypted)
}

// The search begins when more came than a record can hold.
func TestTheSearchBeginsInTime(t *testing.T) {
	k := keys()[0]
	for by, want := range []Status{Ahead, Searching} {
		b := newBench(t, k, 10, 100, MaxContentBytes, 100)
		b.receive(0, b.bounds[1], Decrypted)
		end := b.bounds[1] + k.format().maxBytes() + by
		b.receive(end-100, end, want)
	}
}

// Bytes on both sides of a gap are no header.
func TestASearchDoesNotLookAcrossAGap(t *testing.T) {
	b := newBench(t, keys()[0], MaxContentBytes, MaxContentBytes, 9000, 3000)
	b.receive(0, 100, Decrypted)
	copy(b.wire[b.bounds[2]+98:], []byte{23, 3})
	copy(b.wire[b.bounds[2]+110:], []byte{3, 0, 100})
	b.receive(b.bounds[2]+1, b.bounds[2]+100, Searching)
	require.False(t, b.receive(b.bounds[2]+110, b.bounds[2]+200, Searching).Ask)
}

// search loses the place and returns what the receiver asks for, and where it is then.
func search(b *bench) (asked Result, at int) {
	b.t.Helper()
	b.receive(0, 100, Decrypted)
	at = b.bounds[2] + 1 // beyond more than a record can hold
	asked = b.receive(at, b.bounds[3]+3, Searching)
	require.False(b.t, asked.Ask)
	asked = b.receive(b.bounds[3]+3, b.bounds[3]+1000, Searching) // the header in two packets
	require.True(b.t, asked.Ask)
	require.Equal(b.t, b.seq+uint32(b.bounds[3]), asked.At)
	require.EqualValues(b.t, 1, b.r.Stats().Searches)
	require.EqualValues(b.t, 1, b.r.Stats().Asked)
	return asked, b.bounds[3] + 1000
}

func TestAConfirmedGuess(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		for _, later := range []int{0, 1, 2} { // records until the answer comes
			b := newBench(t, k, MaxContentBytes, MaxContentBytes, 9000, 3000, 3000, 3000, 3000, 3000)
			asked, at := search(b)
			for range later {
				b.receive(at, at+3000, Searching)
				at += 3000
			}
			require.False(t, b.r.Resync(asked.At+1, 10))
			require.True(t, b.r.Resync(asked.At, 10))
			next := b.bounds[4+later]
			require.Less(t, at, next)
			b.receive(at, next, Partial)
			b.receive(next, len(b.wire), Decrypted)
			require.False(t, b.r.Resync(asked.At, 10))
			require.EqualValues(t, 2, b.r.Stats().ResyncSkipped)
		}
	})
}

// A guess is followed, and given up where no header follows.
func TestAWrongGuess(t *testing.T) {
	b := newBench(t, keys()[0], MaxContentBytes, MaxContentBytes, 9000, 3000, 3000, 3000)
	head := []byte{23, 3, 3, 0, 50}
	copy(b.wire[b.bounds[2]+100:], head)
	b.receive(0, 100, Decrypted)
	asked := b.receive(b.bounds[2]+1, b.bounds[2]+120, Searching)
	require.True(t, asked.Ask)
	require.Equal(t, firstSeq+uint32(b.bounds[2]+100), asked.At)
	asked = b.receive(b.bounds[2]+120, b.bounds[2]+1000, Searching)
	require.False(t, asked.Ask)
	asked = b.receive(b.bounds[2]+1000, b.bounds[4]+100, Searching)
	require.Equal(t, firstSeq+uint32(b.bounds[3]), asked.At)
	require.True(t, b.r.Resync(asked.At, 10))
	b.receive(b.bounds[4]+100, b.bounds[5], Partial)
	b.receive(b.bounds[5], len(b.wire), Decrypted)
}

// A header may begin right where another was expected and none was.
func TestTheHeaderIsAByteLater(t *testing.T) {
	b := newBench(t, keys()[0], 100)
	wire := append([]byte{23}, b.wire...)
	require.Equal(t, Result{Searching, true, firstSeq + 1}, b.r.Receive(firstSeq, wire))
	require.EqualValues(t, 1, b.r.Stats().Errors)
}

// Software may tell by itself where records begin: here, ahead, or where it is known.
func TestAHint(t *testing.T) {
	b := newBench(t, keys()[0], MaxContentBytes, MaxContentBytes, 9000, 3000, 3000, 3000, 3000)
	seq := func(at int) uint32 { return firstSeq + uint32(at) }
	_, at := search(b)
	require.True(t, b.r.Resync(seq(b.bounds[4]), 11))
	b.receive(at, b.bounds[4]-5, Partial)
	b.receive(b.bounds[4]-5, b.bounds[4], Partial)
	require.True(t, b.r.Resync(seq(b.bounds[4]), 11), "it is known")
	b.receive(b.bounds[4], b.bounds[4]+10, Decrypted)
	require.True(t, b.r.Resync(seq(b.bounds[5]), 12), "it is known")
	b.receive(b.bounds[4]+10, b.bounds[5]+5, Decrypted)
	require.False(t, b.r.Resync(seq(b.bounds[5]), 12))

	b = newBench(t, keys()[0], MaxContentBytes, MaxContentBytes, 9000, 3000, 3000, 3000, 3000)
	_, at = search(b)
	b.receive(at, b.bounds[4], Searching)
	require.True(t, b.r.Resync(seq(b.bounds[4]), 11))
	b.receive(b.bounds[4], len(b.wire), Decrypted)

	b = newBench(t, keys()[0], 100, 100, 100)
	b.r.c.number = 99 // it has lost count
	require.True(t, b.r.Resync(firstSeq, 7))
	b.receive(0, b.bounds[1]+3, Decrypted)
	require.True(t, b.r.Resync(seq(b.bounds[2]), 9))
	b.receive(b.bounds[2], len(b.wire), Decrypted)
}

// Of a packet with a record that is not authentic nothing is decrypted.
func TestAForgedRecord(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		b := newBench(t, k, 20, 30, 10, 10)
		for bit := 8 * HeaderBytes; bit < 8*(b.bounds[2]-b.bounds[1]); bit++ {
			b = newBench(t, k, 20, 30, 10, 10)
			b.wire[b.bounds[1]+bit/8] ^= 1 << (bit % 8)
			b.plain[b.bounds[1]+bit/8] ^= 1 << (bit % 8) // the tag is not decrypted
			b.receive(0, b.bounds[1]+5, Decrypted)
			b.receive(b.bounds[1]+5, b.bounds[2]+5, Forged)
			require.EqualValues(t, 1, b.r.Stats().Errors)
			require.NotContains(t, string(b.r.scratch[:cap(b.r.scratch)]), string(b.plain[b.bounds[1]+20:b.bounds[1]+30]))
			b.receive(b.bounds[2]+5, len(b.wire), Decrypted)
		}
	})
}

// The packets of the begin of a forged record went up decrypted. Software notices, and
// leaves nothing of it.
func TestAForgedRecordInManyPackets(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		b := newBench(t, k, 100, 5000, 100)
		b.wire[b.bounds[2]-1] ^= 1
		rd := reader(t, k, firstSeq, 7)
		for at := 0; at < len(b.wire); {
			n := min(1000, len(b.wire)-at)
			packet := bytes.Clone(b.wire[at : at+n])
			res := b.r.Receive(firstSeq+uint32(at), packet)
			require.Equal(t, at < b.bounds[2] && at+n >= b.bounds[2], res.Status == Forged)
			for rest := packet; len(rest) > 0; {
				rest = rest[rd.Take(rest, res.Status == Decrypted):]
				if _, _, err := rd.Next(); err != nil && err != ErrShort {
					require.ErrorIs(t, err, ErrAuth)
					require.Equal(t, make([]byte, len(rd.bytes)), rd.bytes, "something is left")
					require.Equal(t, ReadStats{Offloaded: 1, Mixed: 1}, rd.Stats())
					require.Zero(t, rd.Take(rest, false), "the stream has ended")
					_, _, err = rd.Next()
					require.ErrorIs(t, err, ErrAuth)
					return
				}
			}
			at += n
		}
		t.Fatal("nobody noticed")
	})
}

func TestReceivingAllocatesNothing(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		b := newBench(t, k, 3000, 100, 3000)
		packet := make([]byte, 1448)
		require.Zero(t, testing.AllocsPerRun(50, func() {
			for at := 0; at < len(b.wire); at += 1448 {
				n := copy(packet, b.wire[at:])
				if b.r.Receive(firstSeq+uint32(at), packet[:n]).Status != Decrypted {
					t.Fatal("not decrypted")
				}
			}
			b.r.Resync(b.r.next, 7)
			b.r.next = firstSeq
		}))
	})
}

// FuzzReceiveAnything holds that no bytes make a receiver panic, and that what is not
// decrypted is not changed.
func FuzzReceiveAnything(f *testing.F) {
	f.Add(uint8(0), []byte{0, 5, 23, 3, 3, 0, 17, 9, 9, 0, 1, 255, 40, 23, 3, 3})
	f.Fuzz(func(t *testing.T, which uint8, script []byte) {
		k := keys()[int(which)%len(keys())]
		r := receiver(t, k, firstSeq, 0)
		rd := reader(t, k, firstSeq, 0)
		for len(script) > 2 {
			seq := r.next + uint32(int32(int8(script[0])))*uint32(script[0]&64+1)*16
			n := min(int(script[1]), len(script)-2)
			packet := bytes.Clone(script[2 : 2+n])
			res := r.Receive(seq, packet)
			if res.Status != Decrypted {
				require.Equal(t, script[2:2+n], packet)
			}
			if res.Ask && script[1]&1 == 0 {
				r.Resync(res.At, uint64(n))
			} else if script[1] == 255 {
				r.Resync(seq, uint64(n))
			}
			rd.Take(packet, res.Status == Decrypted)
			rd.Next()
			script = script[2+n:]
		}
	})
}

// FuzzReceive receives a stream over a wire that loses, doubles, delays and forges, holds what
// the receiver does to each packet equal to what refmodel says, and has the stack read it.
func FuzzReceive(f *testing.F) {
	for i := range 12 {
		f.Add(uint8(i), uint64(i), i >= 6)
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, forge bool) {
		k := keys()[int(which)%len(keys())]
		rng := rand.New(rand.NewPCG(seed, 2))
		seq, number := rng.Uint32(), rng.Uint64()
		_, plain, wire := written(k, seq, number, sizes(rng, 150_000)...)
		plain = opened(plain, wire)
		bounds := refmodel.TLSRecords(wire)
		forged := map[int]bool{}
		if forge {
			i := rng.IntN(len(bounds) - 1)
			forged[i] = true
			at := bounds[i] + HeaderBytes + rng.IntN(bounds[i+1]-bounds[i]-HeaderBytes)
			wire[at] ^= 1
			plain[at] ^= 1
		}
		ref := &refmodel.TLSReceiver{Bounds: bounds, Forged: forged, MaxBytes: k.format().maxBytes()}
		c := &stack{
			t: t, r: receiver(t, k, seq, number), rd: reader(t, k, seq, number), ref: ref, seq: seq, number: number,
			plain: plain, wire: wire, bounds: bounds, got: make([]copied, len(wire)), lag: rng.IntN(3),
		}
		losses := []int{3, 10, 50}[rng.IntN(3)]
		var late [][2]int
		for sent := 0; sent < len(wire); {
			from, n := sent, min(segmentBytes(rng), len(wire)-sent)
			sent += n
			switch rng.IntN(losses) {
			case 0: // lost, to be sent again when the receiver misses it
			case 1:
				late = append(late, [2]int{from, n})
			case 2:
				c.receive(from, n)
				c.receive(from, n)
			default:
				c.receive(from, n)
			}
			for len(late) > 0 && rng.IntN(3) == 0 {
				c.receive(late[0][0], late[0][1])
				late = late[1:]
			}
			for c.err == nil && c.read < sent && (sent == len(wire) || sent-c.read > 60_000 || rng.IntN(20) == 0) {
				c.receive(c.read, min(segmentBytes(rng), sent-c.read))
			}
		}
		if !forge {
			require.NoError(t, c.err)
			require.Equal(t, len(bounds)-1, c.records)
			return
		}
		require.ErrorIs(t, c.err, ErrAuth)
		require.True(t, forged[c.records], "%d records were read", c.records)
	})
}

// stack is a TCP that keeps the first copy of each byte, and a reader behind it.
type stack struct {
	t           testing.TB
	r           *Receiver
	rd          *Reader
	ref         *refmodel.TLSReceiver
	seq         uint32
	number      uint64
	plain, wire []byte
	bounds      []int

	got     []copied
	read    int // bytes that were given to the reader
	records int
	err     error
	lag     int // packets between an answer and its arrival
	answers []func()
}

// copied is a byte that was received.
type copied struct {
	b               byte
	here, decrypted bool
}

func (s *stack) receive(from, n int) {
	packet := bytes.Clone(s.wire[from : from+n])
	res := s.r.Receive(s.seq+uint32(from), packet)
	decrypted, ask := s.ref.Receive(from, n)
	require.Equal(s.t, decrypted, res.Status == Decrypted, "%v: %d bytes at %d", res.Status, n, from)
	want := s.wire
	if decrypted {
		want = s.plain
	}
	require.True(s.t, bytes.Equal(want[from:from+n], packet), "%v: %d bytes at %d", res.Status, n, from)
	require.Equal(s.t, ask >= 0, res.Ask, "%v: %d bytes at %d", res.Status, n, from)
	if res.Ask {
		require.Equal(s.t, s.seq+uint32(s.bounds[ask]), res.At)
		s.rd.Ask(res.At)
	}
	for i, b := range packet {
		if g := &s.got[from+i]; !g.here {
			*g = copied{b, true, decrypted}
		}
	}
	for s.err == nil && s.read < len(s.got) && s.got[s.read].here {
		s.readOn()
	}
	for len(s.answers) > s.lag {
		s.answers[0]()
		s.answers = s.answers[1:]
	}
}

// readOn has the reader take the next byte.
func (s *stack) readOn() {
	g := s.got[s.read]
	require.Equal(s.t, 1, s.rd.Take([]byte{g.b}, g.decrypted))
	s.read++
	if seq, number, ok := s.rd.Answer(); ok {
		s.answers = append(s.answers, func() {
			require.Equal(s.t, s.ref.Resync(int(number-s.number)), s.r.Resync(seq, number))
		})
	}
	typ, content, err := s.rd.Next()
	if err == ErrShort {
		return
	}
	if s.err = err; err != nil {
		return
	}
	i := s.records
	require.Equal(s.t, Handshake+uint8(i%2), typ)
	head := s.r.c.headBytes
	require.True(s.t, bytes.Equal(s.plain[s.bounds[i]+head:][:len(content)], content))
	require.Equal(s.t, s.bounds[i+1]-s.bounds[i], head+len(content)+s.r.c.innerBytes+TagBytes)
	s.records++
}
