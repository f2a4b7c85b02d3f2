package bench

import (
	"errors"
	"time"

	gchecksum "gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
)

// verifier verifies the IPv4 header and TCP checksums of frames with 0, 512 and
// 1448 bytes of payload with packages parse and checksum: acknowledgements,
// requests, bulk.
//
// The reference does the same for the same frames with gVisor's header and
// checksum packages, as its stack does.
type verifier struct {
	frames [][]byte
	bytes  int
	good   int // checksums found right in the last round
}

func newChecksum() (*contest, error) {
	v := new(verifier)
	for i, n := range []int{0, 1448, 0, 1448, 512, 1448} {
		f := tcpFrame(n, uint16(i), 1, header.TCPFlagAck)
		v.frames = append(v.frames, f)
		v.bytes += len(f)
	}
	check := func() error {
		if v.good != 2*len(v.frames) {
			return errors.New("a right checksum was found wrong")
		}
		return nil
	}
	return &contest{
		ours: load{run: v.ours, check: check}, reference: load{run: v.reference, check: check},
		unit: "GB/s", scale: 1e-9,
	}, nil
}

func (v *verifier) ours(n int) (done int, _ time.Duration, err error) {
	var h parse.Headers
	for ; done < n; done += v.bytes {
		v.good = 0
		for _, f := range v.frames {
			parse.Frame(&h, f, 0)
			if checksum.IPv4Header(f, &h) == checksum.Good {
				v.good++
			}
			if checksum.L4(f, &h) == checksum.Good {
				v.good++
			}
		}
	}
	return done, 0, nil
}

func (v *verifier) reference(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += v.bytes {
		v.good = 0
		for _, f := range v.frames {
			if header.Ethernet(f).Type() != header.IPv4ProtocolNumber {
				continue
			}
			ip := header.IPv4(f[l3:])
			if !ip.IsValid(len(ip)) {
				continue
			}
			if ip.IsChecksumValid() {
				v.good++
			}
			tcp := header.TCP(ip.Payload())
			payload := tcp.Payload()
			if tcp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), gchecksum.Checksum(payload, 0), uint16(len(payload))) {
				v.good++
			}
		}
	}
	return done, 0, nil
}
