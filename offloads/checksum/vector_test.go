package checksum

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	gvisor "gvisor.dev/gvisor/pkg/tcpip/checksum"
)

// FuzzPaths holds that every way to a sum gives gVisor's, at every alignment,
// and that a copy is one.
func FuzzPaths(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0xFF}, 2000), uint16(0xFFFF), uint8(3))
	f.Add(bytes.Repeat([]byte{1, 2, 3}, 100), uint16(5), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, initial uint16, skip uint8) {
		b = b[min(int(skip), len(b)):]
		want := gvisor.Checksum(b, initial)
		require.Equal(t, want, Sum(b, initial))
		dst := make([]byte, len(b)+2)
		require.Equal(t, want, Copy(dst[1:], b, initial))
		require.Equal(t, b, dst[1:len(dst)-1])
		require.Zero(t, dst[0]|dst[len(dst)-1], "beyond the copy")
		if half := b[:len(b)/2]; len(half) <= shortBytes {
			require.Equal(t, gvisor.Checksum(half, initial), Sum(half, initial))
		}
	})
}

func TestEveryLength(t *testing.T) {
	b := bytes.Repeat([]byte{0xFF, 0x80, 0x7F, 1, 0xFE}, 200)
	for n := range b {
		dst := make([]byte, n+1)
		want := gvisor.Checksum(b[:n], 0xABCD)
		require.Equal(t, want, Sum(b[:n], 0xABCD), n)
		require.Equal(t, want, Copy(dst[:n], b, 0xABCD), n)
		require.Equal(t, b[:n], dst[:n], n)
		require.Zero(t, dst[n])
	}
}

func BenchmarkSum(b *testing.B) {
	src, dst := make([]byte, 1448), make([]byte, 1448)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"ours", func() { Sum(src, 0) }},
		{"gVisor", func() { gvisor.Checksum(src, 0) }},
		{"copying", func() { Copy(dst, src, 0) }},
		{"gVisor after copy", func() { copy(dst, src); gvisor.Checksum(dst, 0) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				c.run()
			}
		})
	}
}
