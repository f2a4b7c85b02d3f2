package netstack

import (
	"encoding/binary"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"

	"nicsim.dev/nicsim/driver"
)

// fakeDriver is half of a wire that carries super-segments whole, as an adapter
// that segments and one that coalesces would together.
type fakeDriver struct {
	mac   [6]byte
	peer  *fakeDriver
	size  int // of a ring
	piece int // bytes of a receive buffer
	// seen is called for every packet that is sent.
	seen func(q int, p *driver.TxPacket)
	// received may change what is said of a packet.
	received func(p *driver.RxPacket)

	in    [][]driver.RxPacket // by queue
	stats driver.Stats
}

func fakePair(queues, size int) (a, b *fakeDriver) {
	a = &fakeDriver{mac: [6]byte{2, 0, 0, 0, 0, 1}, size: size, piece: 2048}
	b = &fakeDriver{mac: [6]byte{2, 0, 0, 0, 0, 2}, size: size, piece: 2048}
	for _, d := range []*fakeDriver{a, b} {
		d.in = make([][]driver.RxPacket, queues)
	}
	a.peer, b.peer = b, a
	return a, b
}

func (d *fakeDriver) Queues() int         { return len(d.in) }
func (d *fakeDriver) MAC() [6]byte        { return d.mac }
func (d *fakeDriver) LinkUp() bool        { return true }
func (d *fakeDriver) Stats() driver.Stats { return d.stats }
func (d *fakeDriver) Close() error        { return nil }
func (d *fakeDriver) Pending(q int) bool  { return len(d.in[q]) > 0 }

func (d *fakeDriver) Transmit(q int, packets []driver.TxPacket) int {
	for i := range packets {
		p := &packets[i]
		if len(d.peer.in[q]) >= d.size {
			return i
		}
		if d.seen != nil {
			d.seen(q, p)
		}
		var frame []byte
		for _, b := range p.Pieces {
			frame = append(frame, b...)
		}
		if p.NeedsChecksum {
			at := frame[p.ChecksumStart+p.ChecksumOffset:]
			sum := ^checksum.Checksum(frame[p.ChecksumStart:], 0)
			binary.BigEndian.PutUint16(at, sum)
		}
		r := driver.RxPacket{Checksum: driver.ChecksumUnnecessary, Merged: 1, GSO: p.GSO, GSOBytes: p.GSOBytes, VLAN: p.VLAN, VLANTCI: p.VLANTCI}
		if p.GSO != driver.NoGSO {
			d.stats.TxGSOPackets++
			r.Merged = (len(frame) - p.HeaderBytes + p.GSOBytes - 1) / p.GSOBytes
		}
		for len(frame) > d.piece {
			r.Pieces = append(r.Pieces, frame[:d.piece])
			frame = frame[d.piece:]
		}
		r.Pieces = append(r.Pieces, frame)
		if d.peer.received != nil {
			d.peer.received(&r)
		}
		d.peer.in[q] = append(d.peer.in[q], r)
	}
	return len(packets)
}

func (d *fakeDriver) Receive(q int, out []driver.RxPacket) int {
	n := copy(out, d.in[q])
	d.in[q] = d.in[q][n:]
	return n
}

var _ driver.Driver = (*fakeDriver)(nil)

// once returns a function that fails the test at most once.
func once(t *testing.T) func(format string, args ...any) {
	var o sync.Once
	return func(format string, args ...any) { o.Do(func() { t.Errorf(format, args...) }) }
}
