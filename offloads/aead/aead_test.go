package aead

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// text is bytes in hexadecimal.
type text []byte

func (t *text) UnmarshalText(b []byte) (err error) {
	*t, err = hex.DecodeString(string(b))
	return err
}

// vectors is one of Wycheproof's files, testdata/vectors/wycheproof.
type vectors struct {
	TestGroups []struct {
		IVSize, KeySize, TagSize int // in bits
		Tests                    []struct {
			TcID                       int
			Key, IV, AAD, Msg, Ct, Tag text
			Result                     string
		}
	}
}

func load(t *testing.T, name string) (v vectors) {
	b, err := os.ReadFile(filepath.Join("../../testdata/vectors/wycheproof", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

func TestPublishedVectors(t *testing.T) {
	for _, file := range []struct {
		name      string
		algorithm Algorithm
		mac       bool // the message is what is authenticated, and there is no text
		valid     int  // cases that are to be opened, with a nonce of 12 bytes
		invalid   int
	}{
		{"aes_gcm_test.json", AESGCM, false, 116, 81},
		{"aes_gmac_test.json", AESGCM, true, 45, 162},
		{"chacha20_poly1305_test.json", ChaCha20Poly1305, false, 256, 60},
	} {
		t.Run(file.name, func(t *testing.T) {
			valid, invalid := 0, 0
			for _, g := range load(t, file.name).TestGroups {
				if g.IVSize != 8*NonceBytes {
					continue // no protocol here has those
				}
				for _, v := range g.Tests {
					c, err := New(file.algorithm, v.Key, g.TagSize/8)
					require.NoError(t, err, "case %d", v.TcID)
					msg, aad := v.Msg, v.AAD
					if file.mac {
						msg, aad = nil, v.Msg
					}
					nonce := [NonceBytes]byte(v.IV)
					frame := append(append([]byte{}, v.Ct...), v.Tag...)
					if v.Result != "valid" {
						invalid++
						require.False(t, c.Open(&nonce, frame, len(v.Ct), aad), "case %d", v.TcID)
						require.Equal(t, make([]byte, len(v.Ct)), frame[:len(v.Ct)], "case %d", v.TcID)
						continue
					}
					valid++
					require.True(t, c.Open(&nonce, frame, len(v.Ct), aad), "case %d", v.TcID)
					require.True(t, bytes.Equal(msg, frame[:len(msg)]), "case %d", v.TcID)
					clear(frame[len(msg):])
					c.Seal(&nonce, frame, len(msg), aad)
					require.Equal(t, append(append([]byte{}, v.Ct...), v.Tag...), frame, "case %d", v.TcID)
				}
			}
			require.Equal(t, [2]int{file.valid, file.invalid}, [2]int{valid, invalid})
		})
	}
}

// A short tag is the begin of a whole one (NIST SP 800-38D 7.1, step 6), and what is behind
// it is not touched.
func TestShortTags(t *testing.T) {
	nonce, aad := [NonceBytes]byte{1, 2, 3}, []byte("header")
	for _, keyBytes := range []int{16, 24, 32} {
		key := bytes.Repeat([]byte{7}, keyBytes)
		whole, err := New(AESGCM, key, 16)
		require.NoError(t, err)
		for _, textBytes := range []int{0, 1, 15, 16, 17, 1500, 9000} {
			plain := bytes.Repeat([]byte{'x'}, textBytes)
			want := make([]byte, textBytes+16)
			copy(want, plain)
			whole.Seal(&nonce, want, textBytes, aad)
			for _, tagBytes := range []int{8, 12} {
				t.Run(fmt.Sprint(keyBytes, textBytes, tagBytes), func(t *testing.T) {
					c, err := New(AESGCM, key, tagBytes)
					require.NoError(t, err)
					require.Equal(t, tagBytes, c.TagBytes())
					frame := append(make([]byte, textBytes+tagBytes), "behind"...)
					copy(frame, plain)
					c.Seal(&nonce, frame, textBytes, aad)
					require.Equal(t, append(want[:textBytes+tagBytes:textBytes+tagBytes], "behind"...), frame)
					for bit := range 8 * tagBytes {
						forged := bytes.Clone(frame)
						forged[textBytes+bit/8] ^= 1 << (bit % 8)
						require.False(t, c.Open(&nonce, forged, textBytes, aad))
						require.Equal(t, make([]byte, textBytes), forged[:textBytes])
					}
					require.True(t, c.Open(&nonce, frame, textBytes, aad))
					require.Equal(t, plain, frame[:textBytes])
					require.Equal(t, "behind", string(frame[textBytes+tagBytes:]))
				})
			}
		}
	}
}

func TestWhatNoProtocolHasIsRefused(t *testing.T) {
	for _, c := range []struct {
		a        Algorithm
		keyBytes int
		tagBytes int
		why      string
	}{
		{AESGCM, 15, 16, "a key of 15 bytes: 16, 24 or 32 were expected"},
		{AESGCM, 16, 13, "a tag of 13 bytes: 8, 12 or 16 were expected"},
		{ChaCha20Poly1305, 16, 16, "a key of 16 bytes: 32 were expected"},
		{ChaCha20Poly1305, 32, 12, "a tag of 12 bytes: 16 were expected"},
		{9, 32, 16, "there is no algorithm 9"},
	} {
		_, err := New(c.a, make([]byte, c.keyBytes), c.tagBytes)
		require.ErrorContains(t, err, c.why)
	}
}

func TestSealingAndOpeningAllocateNothing(t *testing.T) {
	nonce, aad := [NonceBytes]byte{}, make([]byte, 12)
	for _, c := range []struct {
		a        Algorithm
		tagBytes int
	}{{AESGCM, 8}, {AESGCM, 12}, {AESGCM, 16}, {ChaCha20Poly1305, 16}} {
		sealer, err := New(c.a, make([]byte, 32), c.tagBytes)
		require.NoError(t, err)
		frame := make([]byte, 1500+c.tagBytes)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			sealer.Seal(&nonce, frame, 1500, aad)
			if !sealer.Open(&nonce, frame, 1500, aad) {
				t.Fatal("what was sealed does not open")
			}
		}), "%v, tag of %d bytes", c.a, c.tagBytes)
	}
}
