package segment_test

import (
	"testing"
	"time"
	_ "unsafe" // for go:linkname

	"github.com/stretchr/testify/require"
	_ "golang.zx2c4.com/wireguard/tun"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
	"nicsim.dev/offloads/segment"
)

// virtioNetHdr has the layout of the type of that name in wireguard-go's
// tun/offload_linux.go, and of struct virtio_net_hdr.
type virtioNetHdr struct {
	_, gsoType                             uint8
	hdrLen, gsoSize, csumStart, csumOffset uint16
}

// gsoSplit is wireguard-go's segmentation of a packet that starts with its IP
// header.
//
//go:linkname gsoSplit golang.zx2c4.com/wireguard/tun.gsoSplit
func gsoSplit(in []byte, hdr virtioNetHdr, out [][]byte, sizes []int, outOffset int, isV6 bool) (int, error)

// BenchmarkSegment cuts 65000 bytes of TCP payload into segments of 1448 with
// checksums, in turn with wireguard-go on the same input and with one copy and
// one sum over the same bytes. The ratios are of bytes per second, ours to
// theirs; they are to be 1.5 and 0.66 at least.
func BenchmarkSegment(b *testing.B) {
	const mss, payloadBytes = 1448, 65000
	spec, frame := super(craft.Packet{Proto: craft.TCP, Flags: 0x18, TCPOptions: make([]byte, 12), Payload: craft.Payload(payloadBytes)}, mss)
	outs, sizes := make([][]byte, payloadBytes/mss+1), make([]int, payloadBytes/mss+1)
	for i := range outs {
		outs[i] = make([]byte, 2048+i%16*64)
	}
	pieces, header := [][]byte{frame}, virtioNetHdr{gsoType: 1, hdrLen: 52, gsoSize: mss, csumStart: 20, csumOffset: 16}
	var s segment.Segmenter
	var ours, theirs, limit time.Duration
	for b.Loop() {
		start := time.Now()
		if err := s.Start(&spec, pieces); err != nil {
			b.Fatal(err)
		}
		for i := range s.Segments() {
			s.Next(outs[i])
		}
		ours += time.Since(start)

		start = time.Now()
		if _, err := gsoSplit(frame[14:], header, outs, sizes, 0, false); err != nil {
			b.Fatal(err)
		}
		theirs += time.Since(start)
		refmodel.Seed(frame, spec.L3, spec.L4, craft.TCP) // which gsoSplit clears

		start = time.Now()
		for i, rest := 0, frame; len(rest) > 0; i++ {
			n := copy(outs[i][:mss], rest)
			checksum.Sum(outs[i][:n], 0)
			rest = rest[n:]
		}
		limit += time.Since(start)
	}
	b.ReportMetric(float64(b.N)*payloadBytes/float64(ours.Microseconds()), "MB/s")
	b.ReportMetric(float64(theirs)/float64(ours), "wireguard-ratio")
	b.ReportMetric(float64(limit)/float64(ours), "limit-ratio")
}

// TestWireguardAgrees compares segments with those of wireguard-go.
func TestWireguardAgrees(t *testing.T) {
	for name, p := range stacks() {
		if p.SNAP || p.Tags != nil || p.Extensions != nil || p.Options != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p.Flags = 0x18
			spec, frame := super(p, 1000)
			segments := all(t, spec, [][]byte{frame})
			outs, sizes := make([][]byte, len(segments)), make([]int, len(segments))
			for i := range outs {
				outs[i] = make([]byte, 2048)
			}
			header := virtioNetHdr{gsoType: 1, hdrLen: uint16(spec.HeaderBytes - 14), gsoSize: 1000, csumStart: uint16(spec.L4 - 14), csumOffset: 16}
			if spec.UDP {
				header.gsoType, header.csumOffset = 5, 6
			}
			n, err := gsoSplit(frame[14:], header, outs, sizes, 0, p.IPv6)
			require.NoError(t, err)
			require.Len(t, segments, n)
			for i, s := range segments {
				require.Equal(t, outs[i][:sizes[i]], s[14:])
			}
		})
	}
}
