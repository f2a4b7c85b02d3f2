package ipsec

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
)

// silicon is a frame that a real 82599 sent, from its IPv4 header on.
const silicon = "4500006c0000000040321f36ac100105ac100205" + // IPv4
	"000003ed00000009" + "0000000000000009" + // SPI and sequence number, IV
	"4468a4af58537545b21d977cb9117ec674a03349b98602d2a322d0508a0d4ffcef4d624686fe26f0937784b58b06c7e005d31ac51a301a9386604292999ac84d49edff9589a16917"

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func transform(t testing.TB, k Key) *Transform {
	tr, err := NewTransform(k)
	require.NoError(t, err)
	return tr
}

func TestAFrameOfRealHardware(t *testing.T) {
	tr := transform(t, Key{
		Secret: unhex(t, "2b7e151628aed2a6abf7158809cf4f3d"), Salt: [4]byte{0xDE, 0xAD, 0xBE, 0xEF}, TagBytes: 16,
	})
	sent := unhex(t, silicon)
	esp := bytes.Clone(sent[20:])
	require.NoError(t, tr.OpenESP(esp, 0))
	inner, next, err := tr.Inner(esp)
	require.NoError(t, err)
	require.EqualValues(t, 4, next)
	p := gopacket.NewPacket(inner, layers.LayerTypeIPv4, gopacket.Default)
	ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	require.Equal(t, "192.168.105.10", ip.SrcIP.String())
	require.EqualValues(t, 52, ip.Length)
	require.EqualValues(t, 1, ip.Id)
	require.EqualValues(t, 63, ip.TTL)
	require.EqualValues(t, 0x2764, ip.Checksum)
	require.Contains(t, string(inner), "|->test-test-test-test-test-t<-|")

	clear(esp[len(esp)-tr.ICVBytes():])
	require.NoError(t, tr.SealESP(esp, 0))
	require.Equal(t, sent[20:], esp)
}

// keys are one of each kind.
func keys() (all []Key) {
	for _, esn := range []bool{false, true} {
		for _, n := range []int{16, 24, 32} {
			secret := bytes.Repeat([]byte{byte(n)}, n)
			for _, tag := range []int{8, 12, 16} {
				all = append(all, Key{AESGCM, secret, [4]byte{1, 2, 3, 4}, tag, esn})
			}
			all = append(all, Key{AESGMAC, secret, [4]byte{5, 6, 7, 8}, 16, esn})
		}
		all = append(all, Key{ChaCha20Poly1305, make([]byte, 32), [4]byte{9}, 16, esn})
	}
	return all
}

func TestEveryBitIsAuthenticated(t *testing.T) {
	for _, k := range keys() {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			tr := transform(t, k)
			packet := make([]byte, ESPHeaderBytes+IVBytes+24+k.TagBytes)
			copy(packet, "spi.seq.initvec.payload of a packet.....")
			packet[ESPHeaderBytes+IVBytes+22], packet[ESPHeaderBytes+IVBytes+23] = 2, 17
			plain := bytes.Clone(packet)
			require.NoError(t, tr.SealESP(packet, 7))
			require.Equal(t, k.Algorithm == AESGMAC, bytes.Contains(packet, []byte("payload")))
			sealed := bytes.Clone(packet)
			for bit := range 8 * len(packet) {
				copy(packet, sealed)
				packet[bit/8] ^= 1 << (bit % 8)
				require.ErrorIs(t, tr.OpenESP(packet, 7), ErrAuth, "bit %d", bit)
				require.Equal(t, make([]byte, 24), packet[16:40], "something is left of a forged packet")
			}
			copy(packet, sealed)
			if k.ESN {
				require.ErrorIs(t, tr.OpenESP(packet, 8), ErrAuth)
				copy(packet, sealed)
			}
			require.NoError(t, tr.OpenESP(packet, 7))
			require.Equal(t, plain[:40], packet[:40])
			payload, next, err := tr.Inner(packet)
			require.NoError(t, err)
			require.Equal(t, plain[16:36], payload)
			require.EqualValues(t, 17, next)
		})
	}
}

func TestPacketsOfNoSuchLength(t *testing.T) {
	for _, k := range keys() {
		tr := transform(t, k)
		shortest := ESPHeaderBytes + IVBytes + espAlign + k.TagBytes
		for n := range shortest + 9 {
			packet := make([]byte, n)
			fits := n >= shortest && (n-shortest)%espAlign == 0
			require.Equal(t, fits, tr.SealESP(packet, 0) == nil, "%v, %d bytes", k, n)
			err := tr.OpenESP(packet, 0)
			if fits {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, ErrLength)
			_, _, err = tr.Inner(packet)
			require.ErrorIs(t, err, ErrLength)
		}
	}
}

func TestMorePaddingThanText(t *testing.T) {
	tr := transform(t, keys()[0])
	packet := make([]byte, ESPHeaderBytes+IVBytes+8+tr.ICVBytes())
	for padding, want := range map[byte]error{0: nil, 6: nil, 7: ErrPad, 255: ErrPad} {
		packet[ESPHeaderBytes+IVBytes+6] = padding
		_, _, err := tr.Inner(packet)
		require.ErrorIs(t, err, want)
	}
}

func TestKeysThatNoAssociationHas(t *testing.T) {
	for _, k := range []Key{
		{Algorithm: AESGCM, Secret: make([]byte, 20), TagBytes: 16},
		{Algorithm: AESGCM, Secret: make([]byte, 16), TagBytes: 10},
		{Algorithm: AESGMAC, Secret: make([]byte, 16), TagBytes: 12},
		{Algorithm: ChaCha20Poly1305, Secret: make([]byte, 16), TagBytes: 16},
		{Algorithm: 3, Secret: make([]byte, 16), TagBytes: 16},
	} {
		_, err := NewTransform(k)
		require.Error(t, err, "%v", k)
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	k := Key{Secret: []byte("secretsecretsecr"), Salt: [4]byte{'s', 'a', 'l', 't'}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		text := fmt.Sprintf(verb, k)
		for _, s := range []string{"secret", "salt", hex.EncodeToString([]byte("secret")), "115"} {
			require.NotContains(t, text, s)
		}
	}
}

func TestSealingAllocatesNothing(t *testing.T) {
	for _, k := range keys() {
		tr := transform(t, k)
		packet := make([]byte, ESPHeaderBytes+IVBytes+1400+k.TagBytes)
		require.Zero(t, testing.AllocsPerRun(50, func() {
			if tr.SealESP(packet, 1) != nil || tr.OpenESP(packet, 1) != nil {
				t.Fatal("what was sealed does not open")
			}
		}), "%v", k)
	}
}
