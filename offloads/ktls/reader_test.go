package ktls

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// A record is read whichever of its bytes came decrypted.
func TestMixedRecords(t *testing.T) {
	eachKey(t, func(t *testing.T, k Key) {
		_, plain, wire := written(k, 0, 9, 40)
		plain = opened(plain, wire)
		content := plain[k.format().headBytes:][:40]
		for from := range len(wire) {
			for to := from; to <= len(wire); to++ {
				rd := reader(t, k, 0, 9)
				require.Equal(t, from, rd.Take(wire[:from], false))
				require.Equal(t, to-from, rd.Take(plain[from:to], true))
				require.Equal(t, len(wire)-to, rd.Take(wire[to:], false))
				_, got, err := rd.Next()
				require.NoError(t, err, "%d to %d", from, to)
				require.Equal(t, content, got, "%d to %d", from, to)
				_, _, err = rd.Next()
				require.ErrorIs(t, err, ErrShort)
			}
		}
	})
}

func TestATextOfPaddingOnly(t *testing.T) {
	k := Key{Version: TLS13, Secret: make([]byte, 16)}
	w := NewWriter(k, 0, 0)
	record := w.Frame(0, make([]byte, 20))
	require.NoError(t, transmitter(t, k, 0, 0).Transmit(0, record))
	rd := reader(t, k, 0, 0)
	rd.Take(record, false)
	_, _, err := rd.Next()
	require.ErrorIs(t, err, ErrFraming)

	padded := NewWriter(k, 0, 0).Frame(0, append([]byte("text"), Alert, 0, 0))
	require.NoError(t, transmitter(t, k, 0, 0).Transmit(0, padded))
	rd = reader(t, k, 0, 0)
	rd.Take(padded, false)
	typ, content, err := rd.Next()
	require.NoError(t, err)
	require.EqualValues(t, Alert, typ)
	require.Equal(t, "text", string(content))
}

func TestAStreamOfNoRecordsEnds(t *testing.T) {
	rd := reader(t, keys()[0], 0, 0)
	require.Equal(t, 5, rd.Take([]byte("GET / HTTP/1.1"), false))
	_, _, err := rd.Next()
	require.ErrorIs(t, err, ErrFraming)
	_, _, due := rd.Hint()
	require.False(t, due)
}

// A hint is due after 2 records that came encrypted, then after 4, 8, ..., 128, 128.
func TestHintsBackOff(t *testing.T) {
	k := keys()[0]
	w := NewWriter(k, 100, 0)
	tx := transmitter(t, k, 100, 0)
	rd := reader(t, k, 100, 0)
	seq := uint32(100)
	next := func(decrypted bool) {
		record := w.Frame(ApplicationData, []byte("text"))
		if !decrypted {
			require.NoError(t, w.Transmit(tx, seq, record))
		}
		rd.Take(record, decrypted)
		seq += uint32(len(record))
		_, _, err := rd.Next()
		require.NoError(t, err)
	}
	var due []int
	for i := range 600 {
		next(false)
		at, number, ok := rd.Hint()
		if !ok {
			continue
		}
		due = append(due, i+1)
		require.Equal(t, seq, at)
		require.EqualValues(t, i+1, number)
	}
	require.Equal(t, []int{2, 6, 14, 30, 62, 126, 254, 382, 510}, due)
	next(true)
	next(false)
	_, _, ok := rd.Hint()
	require.False(t, ok)
	next(false)
	record := bytes.Clone(w.Frame(ApplicationData, []byte("more")))
	rd.Take(record[:3], true)
	_, _, ok = rd.Hint()
	require.False(t, ok, "it is not known where the next record begins")
	rd.Take(record[3:10], true)
	at, number, ok := rd.Hint()
	require.True(t, ok)
	require.Equal(t, seq+uint32(len(record)), at)
	require.EqualValues(t, 604, number)
}

func TestAnswers(t *testing.T) {
	k := keys()[0]
	_, _, wire := written(k, firstSeq, 3, 10, 10, 10)
	size := len(wire) / 3
	read := func(rd *Reader, n int) {
		for n > 0 {
			k := rd.Take(wire[:n], false)
			wire, n = wire[k:], n-k
			rd.Next()
		}
	}
	rd := reader(t, k, firstSeq, 3)
	rd.Ask(firstSeq + uint32(size) + 1) // no record begins there
	read(rd, size+5)
	_, _, ok := rd.Answer()
	require.False(t, ok)
	rd.Ask(firstSeq + uint32(size)) // its header is there already
	seq, number, ok := rd.Answer()
	require.True(t, ok)
	require.Equal(t, firstSeq+uint32(size), seq)
	require.EqualValues(t, 4, number)
	_, _, ok = rd.Answer()
	require.False(t, ok, "answered once")
	rd.Ask(firstSeq + uint32(2*size))
	read(rd, size-1)
	_, _, ok = rd.Answer()
	require.False(t, ok)
	read(rd, 1)
	seq, number, ok = rd.Answer()
	require.True(t, ok)
	require.Equal(t, firstSeq+uint32(2*size), seq)
	require.EqualValues(t, 5, number)
}
