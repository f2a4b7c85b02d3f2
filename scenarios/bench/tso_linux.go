package bench

import (
	"time"
	_ "unsafe" // for go:linkname

	_ "golang.zx2c4.com/wireguard/tun"
)

// wireguard is the benchmark against wireguard-go, whose segmentation is built
// for Linux alone.
var wireguard = []benchmark{{name: "tso", against: "gsoSplit of wireguard-go", run: compare(newTSO)}}

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

// split has wireguard-go cut the same super-frame, which lies in one piece, into
// buffers of 2 KiB that are used over and over.
type split struct {
	in    []byte
	out   [][]byte
	sizes []int
	n     int
}

func newTSO() (*contest, error) {
	r, err := newSuperRing()
	if err != nil {
		return nil, err
	}
	s := &split{in: superFrame()[l3:], out: make([][]byte, burst), sizes: make([]int, burst)}
	for i := range s.out {
		s.out[i] = make([]byte, bufferBytes)
	}
	return &contest{
		ours: load{run: r.run, check: r.check}, reference: load{run: s.run, check: s.check},
		unit: "GB/s", scale: 1e-9,
	}, nil
}

func (s *split) run(n int) (done int, _ time.Duration, err error) {
	const gsoTCPv4 = 1 // VIRTIO_NET_HDR_GSO_TCPV4
	h := virtioNetHdr{gsoType: gsoTCPv4, hdrLen: headerBytes - l3, gsoSize: bulkBytes, csumStart: l4 - l3, csumOffset: 16}
	for ; done < n; done += superBytes {
		if s.n, err = gsoSplit(s.in, h, s.out, s.sizes, 0, false); err != nil {
			return done, 0, err
		}
	}
	return done, 0, nil
}

func (s *split) check() error {
	segments := make([][]byte, s.n)
	for i := range segments {
		segments[i] = s.out[i][:s.sizes[i]]
	}
	return checkSegments(segments, 0)
}
