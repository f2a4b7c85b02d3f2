package ixgbe

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bytes are worked out from the figures of 82599 datasheet 7.2.3.2.2 to
// 7.2.3.2.4 and 7.1.6.1.
func TestSpelledDescriptors(t *testing.T) {
	for text, want := range map[string]string{
		"legacy-tx Addr=0x1234 Length=60 Flags=EOP|IFCS|RS CSO=2 CSS=1": "34120000000000003c00020b00010000",
		"data Addr=0x1000 DTALEN=60 PAYLEN=60 Flags=EOP|IFCS|RS":        "00100000000000003c00302b00000f00",
		"data Flags=TSE|IXSM|TXSM|CC|IDX=1":                             "00000000000000000000 30a0 90030000",
		"context MACLEN=14 IPLEN=20 L4LEN=20 MSS=1448 Flags=IPV4|TCP":   "141c000000000000000c20200014a805",
		"rx Addr=0x2000 Header=0x3000":                                  "00200000000000000030000000000000",
		"raw 000102030405060708090a0b0c0d0e0f":                          "000102030405060708090a0b0c0d0e0f",
	} {
		var b [16]byte
		require.NoError(t, Spell(&b, strings.Fields(text)), text)
		require.Equal(t, strings.ReplaceAll(want, " ", ""), hex.EncodeToString(b[:]), text)
	}
}

func TestWhatIsDescribedCanBeSpelled(t *testing.T) {
	for _, text := range []string{
		"data Addr=0x1000 DTALEN=60 PAYLEN=70 Flags=EOP|IFCS|RS|VLE|CC|IDX=1",
		"context MACLEN=14 IPLEN=20 L4LEN=20 MSS=1448 VLAN=0x0005 Flags=IPV4|TCP|IDX=1 SAIndex=3 IPS_ESP_LEN=5 FCoEF=0",
	} {
		var b, again [16]byte
		require.NoError(t, Spell(&b, strings.Fields(text)))
		said, err := Describe("tx", &b)
		require.NoError(t, err)
		kind := strings.Fields(said)[2]
		said = strings.ReplaceAll(said[strings.Index(said, kind):], "FCoEF=EOFn", "FCoEF=0")
		require.NoError(t, Spell(&again, strings.Fields(said)), said)
		require.Equal(t, b, again)
	}
}

func TestMisspeltDescriptorsSayWhatWasExpected(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "legacy-tx, context",
		"dat":                 "legacy-tx, context",
		"data Address=1":      "a field: Addr, DTALEN, Flags, PAYLEN",
		"data DTALEN=65536":   "a value that fits DTALEN",
		"data Flags=EOP|FOO":  "a value that fits Flags",
		"context Flags=EOP":   "a value that fits Flags",
		"raw 00":              "16 bytes",
		"data Flags=IDX=nine": "a value that fits Flags",
	} {
		var b [16]byte
		require.ErrorContains(t, Spell(&b, strings.Fields(text)), want, text)
	}
	_, err := Describe("done", new([16]byte))
	require.ErrorContains(t, err, "-done")
}
