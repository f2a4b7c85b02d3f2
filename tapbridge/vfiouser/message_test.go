//go:build linux

package vfiouser

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

type format interface {
	parse([]byte)
	put([]byte)
}

// Each format beside its bytes, written out from the tables of the specification.
func TestFormats(t *testing.T) {
	for _, f := range []struct {
		full, empty format
		bytes       int
		hex         string
	}{
		{&dmaMap{32, 3, 0x1122334455667788, 0xFEDCBA9876543210, 0x1000}, &dmaMap{}, dmaMapBytes,
			"20000000 03000000 8877665544332211 1032547698badcfe 0010000000000000"},
		{&dmaUnmap{24, 2, 0x123456789ABCDEF0, 0x2000}, &dmaUnmap{}, dmaUnmapBytes,
			"18000000 02000000 f0debc9a78563412 0020000000000000"},
		{&deviceInfo{16, 3, 9, 5}, &deviceInfo{}, deviceInfoBytes, "10000000 03000000 09000000 05000000"},
		{&regionInfo{32, 3, 4, 7, 0x80000, 0x0102030405060708}, &regionInfo{}, regionInfoBytes,
			"20000000 03000000 04000000 07000000 0000080000000000 0807060504030201"},
		{&indexInfo{16, 9, 2, 64}, &indexInfo{}, indexInfoBytes, "10000000 09000000 02000000 40000000"},
		{&irqSet{20, 0x24, 2, 3, 16}, &irqSet{}, irqSetBytes, "14000000 24000000 02000000 03000000 10000000"},
		{&regionAccess{0x10148, 7, 4}, &regionAccess{}, regionAccessBytes, "4801010000000000 07000000 04000000"},
		{&dmaAccess{0x1_0000_0000, 4096}, &dmaAccess{}, dmaAccessBytes, "0000000001000000 0010000000000000"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(f.hex, " ", ""))
		require.NoError(t, err)
		got := make([]byte, f.bytes)
		f.full.put(got)
		require.Equal(t, want, got, "%T", f.full)
		f.empty.parse(want)
		require.Equal(t, f.full, f.empty)
	}
}

func TestHeader(t *testing.T) {
	h := header{0x1234, cmdRegionRead, 0x24, typeReply | errorFlag, unix.EEXIST}
	b := make([]byte, headerBytes)
	h.put(b)
	require.Equal(t, []byte{0x34, 0x12, 9, 0, 0x24, 0, 0, 0, 0x21, 0, 0, 0, 17, 0, 0, 0}, b)
	require.Equal(t, h, parseHeader(b))
	n, err := messageBytes(b)
	require.NoError(t, err)
	require.Equal(t, 0x24, n)
	require.Equal(t, "REGION_READ", h.cmd.String())
	require.Equal(t, "command 99", command(99).String())
}

func FuzzFormats(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []struct {
			format
			n int
		}{
			{&dmaMap{}, dmaMapBytes}, {&dmaUnmap{}, dmaUnmapBytes}, {&deviceInfo{}, deviceInfoBytes}, {&regionInfo{}, regionInfoBytes},
			{&indexInfo{}, indexInfoBytes}, {&irqSet{}, irqSetBytes}, {&regionAccess{}, regionAccessBytes}, {&dmaAccess{}, dmaAccessBytes},
		} {
			if len(b) >= m.n {
				got := make([]byte, m.n)
				m.parse(b)
				m.put(got)
				require.Equal(t, b[:m.n], got)
			}
		}
		if len(b) >= headerBytes {
			got := make([]byte, headerBytes)
			parseHeader(b).put(got)
			require.Equal(t, b[:headerBytes], got)
			messageBytes(b)
		}
		if len(b) >= versionBytes {
			if reply, piece, err := negotiate(b); err == nil {
				require.NotEmpty(t, reply)
				require.Positive(t, piece)
			}
		}
	})
}
