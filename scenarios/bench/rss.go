package bench

import (
	"encoding/binary"
	"errors"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/rss"
)

// rssFlows is how many flows are hashed in turn.
const rssFlows = 256

// hasher hashes the addresses and ports of TCP segments of 256 flows with
// package rss, which tells by itself from the parsed headers what to hash.
//
// The reference is handed those 12 bytes and hashes them without tables: for
// each bit that is set it adds the 32 bits of the key that a 64-bit window holds
// there.
type hasher struct {
	key    *rss.Key
	frames [rssFlows][]byte
	h      parse.Headers
	last   uint32 // hash of the last frame
}

func newRSS() (*contest, error) {
	r := &hasher{key: rss.NewKey(rssKey)}
	for i := range r.frames {
		r.frames[i] = tcpFrame(0, uint16(i)*257, uint32(i), header.TCPFlagAck)
		for k := range r.frames[i][l3+12 : l4] {
			r.frames[i][l3+12+k] ^= byte(i * (k + 3)) // addresses of their own
		}
	}
	parse.Frame(&r.h, r.frames[0], 0)
	check := func() error {
		if r.last != refmodel.Toeplitz(rssKey, r.frames[rssFlows-1][l3+12:l4+4]) {
			return errors.New("the hash is wrong")
		}
		return nil
	}
	return &contest{
		ours: load{run: r.ours, check: check}, reference: load{run: r.reference, check: check},
		unit: "Mhash/s", scale: 1e-6,
	}, nil
}

func (r *hasher) ours(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += rssFlows {
		for _, f := range r.frames {
			r.last, _ = r.key.Hash(f, &r.h, rss.TCPv4)
		}
	}
	return done, 0, nil
}

func (r *hasher) reference(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += rssFlows {
		for _, f := range r.frames {
			r.last = toeplitz(&rssKey, f[l3+12:l4+4])
		}
	}
	return done, 0, nil
}

// toeplitz is the hash without tables.
func toeplitz(key *[40]byte, input []byte) (hash uint32) {
	window := binary.BigEndian.Uint64(key[:])
	next := key[8:]
	for _, v := range input {
		for bit := 7; bit >= 0; bit-- {
			if v>>bit&1 != 0 {
				hash ^= uint32(window >> 32)
			}
			window <<= 1
		}
		window |= uint64(next[0])
		next = next[1:]
	}
	return hash
}
