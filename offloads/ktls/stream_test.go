package ktls

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// keys are one for each version and cipher.
func keys() (all []Key) {
	for _, v := range []Version{TLS12, TLS13} {
		for c, n := range []int{AES128GCM: 16, AES256GCM: 32, ChaCha20Poly1305: 32} {
			k := Key{Version: v, Cipher: Cipher(c), Secret: make([]byte, n)}
			for i := range k.Secret {
				k.Secret[i] = byte(i*7 + n)
			}
			copy(k.IV[:], "vector of 12")
			all = append(all, k)
		}
	}
	return all
}

func eachKey(t *testing.T, f func(t *testing.T, k Key)) {
	for _, k := range keys() {
		t.Run(fmt.Sprintf("%v %v", k.Version, k.Cipher), func(t *testing.T) { f(t, k) })
	}
}

// A text in two pieces, split anywhere, is what Go's cipher makes of it in one.
func TestATextInPieces(t *testing.T) {
	nonce := [nonceBytes]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	eachKey(t, func(t *testing.T, k Key) {
		s, err := newStream(k)
		require.NoError(t, err)
		for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100} {
			for _, aadBytes := range []int{5, 13, 16} {
				text := bytes.Repeat([]byte{0xff, 0, 3}, 40)[:n]
				aad := bytes.Repeat([]byte{0xa5}, aadBytes)
				want := s.whole.Seal(nil, nonce[:], text, aad)
				for split := range n + 1 {
					got := bytes.Clone(text)
					s.begin(nonce, aad, n)
					s.seal(got[:split])
					s.seal(got[split:])
					tag := s.tag()
					require.Equal(t, want, append(got, tag[:]...), "%d bytes split at %d", n, split)
					s.begin(nonce, aad, n)
					s.open(got[:split])
					s.open(got[split:])
					require.Equal(t, tag, s.tag())
					require.Equal(t, text, got)
				}
			}
		}
	})
}

// 1 divided by an element is what gives 1 again, and x * 1 is x.
func TestInverse(t *testing.T) {
	one := element{hi: 1 << 63}
	rng := rand.New(rand.NewPCG(1, 6))
	for range 20 {
		e := element{rng.Uint64(), rng.Uint64()}
		require.Equal(t, e, e.times(one))
		require.Equal(t, one, e.times(e.inverse()))
	}
}

// FuzzStream holds a text in pieces equal to what Go's ciphers make of it.
func FuzzStream(f *testing.F) {
	f.Add(uint8(0), []byte("key"), []byte("additional"), []byte("some text of more than a block"), uint64(1))
	f.Add(uint8(2), bytes.Repeat([]byte{0xff}, 44), bytes.Repeat([]byte{0xff}, 13), bytes.Repeat([]byte{0xff}, 300), uint64(2))
	f.Fuzz(func(t *testing.T, which uint8, secret, aad, text []byte, seed uint64) {
		k := keys()[int(which)%len(keys())]
		copy(k.Secret, secret)
		var nonce [nonceBytes]byte
		copy(nonce[:], secret[min(len(secret), 32):])
		aad, text = aad[:min(len(aad), aadMaxBytes)], text[:min(len(text), textMaxBytes)]
		s, err := newStream(k)
		require.NoError(t, err)
		want := s.whole.Seal(nil, nonce[:], text, aad)
		rng := rand.New(rand.NewPCG(seed, 0))
		got := bytes.Clone(text)
		s.begin(nonce, aad, len(text))
		for rest := got; len(rest) > 0; {
			n := min(1+rng.IntN(40), len(rest))
			s.seal(rest[:n])
			rest = rest[n:]
		}
		tag := s.tag()
		require.Equal(t, want, append(got, tag[:]...))
	})
}
