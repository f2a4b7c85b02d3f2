package i82599

import (
	"math/bits"

	"nicsim.dev/nicsim"
)

// statistics are the MAC's counters (8.2.3.23), which registers show and clear.
type statistics struct {
	txFrames, txOctets, txMulticast, txBroadcast uint64
	rxFrames, rxOctets, rxMulticast, rxBroadcast uint64
	rxTotalFrames, rxTotalOctets                 uint64 // good and bad
	txSizes, rxSizes                             [sizeClasses]uint64

	crcErrors, undersize, fragments, oversize, jabber uint64
	rxMissed                                          [8]uint64 // by packet buffer

	txBadChecksumAsk uint64 // checksums asked for that do not fit the packet
}

// sizeClasses are the frame lengths that have a counter each: 64, 65 to 127,
// 128 to 255, 256 to 511, 512 to 1023 and longer.
const sizeClasses = 6

// sizeClass tells which counter a frame of n bytes, FCS included, belongs to.
func sizeClass(n int) int {
	if n <= 64 {
		return 0
	}
	return min(bits.Len(uint(n))-6, sizeClasses-1)
}

func (s *statistics) countRx(p *rxPacket) {
	n := uint64(p.f.WireBytes())
	s.rxTotalFrames++
	s.rxTotalOctets += n
	if p.bad {
		return
	}
	s.rxFrames++
	s.rxOctets += n
	s.rxSizes[sizeClass(int(n))]++
	if p.f.Data[0]&1 != 0 {
		s.countGroup(p.f.Data, &s.rxMulticast, &s.rxBroadcast)
	}
}

func (s *statistics) countGroup(b []byte, multicast, broadcast *uint64) {
	if b[0]&b[1]&b[2]&b[3]&b[4]&b[5] == 0xFF {
		*broadcast++
	} else {
		*multicast++
	}
}

func (s *statistics) countBad(f *nicsim.Frame, why nicsim.Drop) {
	fcs := f.Flags&nicsim.BadFCS != 0
	switch {
	case len(f.Data) < minFrameBytes && fcs:
		s.fragments++
	case len(f.Data) < minFrameBytes:
		s.undersize++
	case why == nicsim.DropRxTooLong:
		s.oversize++
	case fcs && f.WireBytes() > defaultMaxBytes:
		s.jabber++
	}
	if fcs {
		s.crcErrors++
	}
}

func (s *statistics) missed(*nicsim.Frame) { s.rxMissed[0]++ }

// countTx counts the frames of a batch as sent.
func (d *Device) countTx(b *txBatch) {
	s := &d.stats
	for _, f := range b.frames[:b.n] {
		n := f.WireBytes()
		s.txOctets += uint64(n)
		s.txSizes[sizeClass(n)]++
		if f.Data[0]&1 != 0 {
			s.countGroup(f.Data, &s.txMulticast, &s.txBroadcast)
		}
	}
	s.txFrames += uint64(b.n)
}
