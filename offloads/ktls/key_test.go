package ktls

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

// The records of application data and the alerts in the trace of RFC 8448 3. The server's
// record of number 0 is its ticket.
func TestPublishedTrace(t *testing.T) {
	content := make([]byte, 50)
	for i := range content {
		content[i] = byte(i)
	}
	for _, v := range []struct {
		name, key, iv string
		number        uint64
		typ           uint8
		content       []byte
		record        string
	}{
		{"client's data", "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9", 0, ApplicationData, content,
			`17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab 3f
			2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6
			3a ee bb 21 69 49 15 e4`},
		{"server's data", "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984", 1, ApplicationData, content,
			`17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa 1b 36
			e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54
			0d d0 32 e1 67 c2 95 5d`},
		{"client's alert", "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9", 1, Alert, []byte{1, 0},
			"17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3"},
		{"server's alert", "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984", 2, Alert, []byte{1, 0},
			"17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9"},
	} {
		t.Run(v.name, func(t *testing.T) {
			k := Key{Version: TLS13, Secret: unhex(t, v.key), IV: [nonceBytes]byte(unhex(t, v.iv))}
			record := unhex(t, v.record)
			plain := NewWriter(k, 0, v.number).Frame(v.typ, v.content)
			require.NoError(t, transmitter(t, k, 0, v.number).Transmit(0, plain))
			require.Equal(t, record, plain)
			require.Equal(t, Decrypted, receiver(t, k, 0, v.number).Receive(0, plain).Status)
			rd := reader(t, k, 0, v.number)
			rd.Take(record, false)
			typ, got, err := rd.Next()
			require.NoError(t, err)
			require.Equal(t, v.typ, typ)
			require.Equal(t, v.content, got)
		})
	}
}

func TestKeysThatNoConnectionHas(t *testing.T) {
	for _, c := range []struct {
		k   Key
		why string
	}{
		{Key{Secret: make([]byte, 15)}, "a key of 15 bytes: 16 were expected"},
		{Key{Cipher: AES256GCM, Secret: make([]byte, 16)}, "a key of 16 bytes: 32 were expected"},
		{Key{Cipher: ChaCha20Poly1305, Secret: make([]byte, 16)}, "a key of 16 bytes: 32 were expected"},
		{Key{Cipher: 3, Secret: make([]byte, 16)}, "there is no cipher 3"},
		{Key{Version: 2, Secret: make([]byte, 16)}, "there is no version 2"},
	} {
		_, err := NewTransmitter(c.k, 0, 0)
		require.ErrorContains(t, err, c.why)
		_, err = NewReceiver(c.k, 0, 0)
		require.ErrorContains(t, err, c.why)
		_, err = NewReader(c.k, 0, 0)
		require.ErrorContains(t, err, c.why)
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	k := Key{Cipher: ChaCha20Poly1305, Secret: bytes.Repeat([]byte("secret.."), 4), IV: [nonceBytes]byte([]byte("initvec.init"))}
	tx, rx, rd := transmitter(t, k, 0, 0), receiver(t, k, 0, 0), reader(t, k, 0, 0)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, v := range []any{k, &k, tx, rx, rd, []any{k, tx, rx, rd}} {
			text := fmt.Sprintf(verb, v)
			for _, s := range []string{"secret", "initvec", hex.EncodeToString([]byte("secret")), "115 101 99", "0x73, 0x65"} {
				require.NotContains(t, text, s, verb)
			}
			require.Less(t, len(text), 400)
		}
	}
}

// Poly1305 by the numbers (RFC 8439 2.5.1), where carries are likely.
func TestPoly1305(t *testing.T) {
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	number := func(b []byte) *big.Int {
		var be []byte
		for _, v := range b {
			be = append([]byte{v}, be...)
		}
		return new(big.Int).SetBytes(be)
	}
	rng := rand.New(rand.NewPCG(1, 5))
	for range 2000 {
		var key [32]byte
		text := make([]byte, 16*(1+rng.IntN(6)))
		extreme := []byte{0, 1, 2, 4, 5, 0xfa, 0xfb, 0xfc, 0xfe, 0xff, 0xff, 0xff, byte(rng.Uint32())}
		for _, b := range [][]byte{key[:], text} {
			v := extreme[rng.IntN(len(extreme))]
			for i := range b {
				b[i] = v
				if rng.IntN(4) == 0 {
					b[i] = extreme[rng.IntN(len(extreme))]
				}
			}
		}
		if rng.IntN(2) == 0 {
			clear(key[1:16]) // a small factor: sums near the prime
		}
		r := bytes.Clone(key[:16])
		for _, i := range []int{3, 7, 11, 15} {
			r[i] &= 15
		}
		for _, i := range []int{4, 8, 12} {
			r[i] &= 252
		}
		sum := new(big.Int)
		for at := 0; at < len(text); at += 16 {
			sum.Add(sum, number(append(bytes.Clone(text[at:at+16]), 1)))
			sum.Mul(sum, number(r)).Mod(sum, prime)
		}
		sum.Add(sum, number(key[16:]))

		var p poly1305
		p.reset(&key)
		p.write(text)
		lo, hi := p.sum()
		got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, lo), hi)
		want := make([]byte, 32)
		sum.FillBytes(want)
		require.Zero(t, number(got).Cmp(new(big.Int).SetBytes(want[16:])), "key %x, text %x", key, text)
	}
}
