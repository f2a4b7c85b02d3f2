package bench

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	gchecksum "gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

const (
	// superBytes is the payload of a super-frame whose IPv4 packet has 65535
	// bytes, the most that there is.
	superBytes = 0xFFFF - (headerBytes - l3)
	// pageBytes is what one descriptor has of the payload: a page, as sendfile
	// finds it.
	pageBytes    = 4096
	superHeader  = 1 << 16 // address of the header
	superPayload = 1 << 20 // address of the payload
	superArena   = superPayload + 1<<16
)

// superRing sends TCP super-frames of 64 KiB from a transmit ring: for each the
// driver writes a context, a descriptor for the header and one for each page of
// payload, and rings the doorbell. The adapter reads them, cuts segments of 1448
// bytes with IPv4 and TCP checksums, hands them to a wire that gives the frames
// back, and reports the descriptors.
type superRing struct {
	*adapter
	wire segmentSink
	tdt  uint32
	next int
}

// segmentSink is a wire that counts, and keeps what is to be looked at.
type segmentSink struct {
	pool   *nicsim.Pool
	frames uint64
	keep   bool
	kept   [][]byte
}

func (*segmentSink) Room() int { return burst }

func (w *segmentSink) Send(frames []*nicsim.Frame) {
	w.frames += uint64(len(frames))
	for _, f := range frames {
		if w.keep {
			w.kept = append(w.kept, bytes.Clone(f.Data))
		}
		w.pool.Put(f)
	}
}

func newSuperRing() (*superRing, error) {
	pool := new(nicsim.Pool)
	r := &superRing{wire: segmentSink{pool: pool}}
	var err error
	if r.adapter, err = newAdapter(sim.NewVirtual(), pool, "a", macA, make([]byte, superArena)); err != nil {
		return nil, err
	}
	r.dev.Port().Attach(&r.wire)
	r.dev.Port().SetCarrier(true)
	r.transmitRing(0, ringAt, ringDescriptors)
	r.tdt = r.offset("TDT", 0)
	f := superFrame()
	copy(r.mem[superHeader:], f[:headerBytes])
	copy(r.mem[superPayload:], f[headerBytes:])
	return r, r.err
}

// superFrame is the super-frame as a driver gives it to the adapter: the TCP
// checksum field holds the sum of the pseudo-header without length, and whose IPv4
// one holds nothing (82599 datasheet 7.2.4.4).
func superFrame() []byte {
	f := tcpFrame(superBytes, 1000, 1, header.TCPFlagAck|header.TCPFlagPsh)
	header.IPv4(f[l3:]).SetChecksum(0)
	header.TCP(f[l4:]).SetChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, ipA, ipB, 0))
	return f
}

// superContext is what segmentation needs to know.
var superContext = ixgbe.AdvContext{
	Lengths: ixgbe.Lengths{MACLEN: l3, IPLEN: header.IPv4MinimumSize, L4LEN: tcpHeaderBytes, MSS: bulkBytes},
	Flags:   ixgbe.ContextIPv4 | ixgbe.ContextTCP,
}

func (r *superRing) desc() *[16]byte {
	d := r.adapter.desc(ringAt, r.next)
	r.next = (r.next + 1) % ringDescriptors
	return d
}

// send sends one super-frame.
func (r *superRing) send() error {
	superContext.Put(r.desc())
	const flags = ixgbe.TxIFCS | ixgbe.TxTSE | ixgbe.TxIXSM | ixgbe.TxTXSM
	ixgbe.AdvData{Addr: superHeader, DTALEN: headerBytes, PAYLEN: superBytes, Flags: flags}.Put(r.desc())
	var last *[16]byte
	for at := 0; at < superBytes; at += pageBytes {
		d := ixgbe.AdvData{
			Addr: superPayload + uint64(at), DTALEN: uint16(min(pageBytes, superBytes-at)), PAYLEN: superBytes, Flags: flags,
		}
		if at+pageBytes >= superBytes {
			d.Flags |= ixgbe.TxEOP | ixgbe.TxRS
		}
		last = r.desc()
		d.Put(last)
	}
	r.fn.Write32(0, r.tdt, uint32(r.next))
	r.dev.Step(sim.StepBudget)
	if !ixgbe.TxDone(last) {
		return errors.New("a super-frame was not sent in one turn")
	}
	return nil
}

func (r *superRing) run(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += superBytes {
		if err := r.send(); err != nil {
			return done, 0, err
		}
	}
	return done, 0, nil
}

// check looks at each segment of one more super-frame.
func (r *superRing) check() error {
	r.wire.keep, r.wire.kept = true, nil
	err := r.send()
	r.wire.keep = false
	if err != nil {
		return err
	}
	if err := r.drops(); err != nil {
		return err
	}
	return checkSegments(r.wire.kept, l3)
}

// checkSegments says whether segments are those of the super-frame; their IPv4
// header is at byte at.
func checkSegments(segments [][]byte, at int) error {
	want := superFrame()[headerBytes:]
	if n := (superBytes + bulkBytes - 1) / bulkBytes; len(segments) != n {
		return fmt.Errorf("%d segments, %d were expected", len(segments), n)
	}
	for i, s := range segments {
		ip := header.IPv4(s[at:])
		if !ip.IsValid(len(ip)) || !ip.IsChecksumValid() || ip.ID() != uint16(1+i) {
			return fmt.Errorf("segment %d has a bad IPv4 header", i)
		}
		tcp := header.TCP(ip.Payload())
		payload := tcp.Payload()
		sum := gchecksum.Checksum(payload, 0)
		last := i == len(segments)-1
		switch {
		case !tcp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), sum, uint16(len(payload))):
			return fmt.Errorf("segment %d has a bad TCP checksum", i)
		case tcp.SequenceNumber() != uint32(1+i*bulkBytes), tcp.Flags().Contains(header.TCPFlagPsh) != last:
			return fmt.Errorf("segment %d has sequence number %d and flags %s", i, tcp.SequenceNumber(), tcp.Flags())
		case len(payload) != min(bulkBytes, len(want)), !bytes.Equal(payload, want[:len(payload)]):
			return fmt.Errorf("segment %d has another payload", i)
		}
		want = want[len(payload):]
	}
	return nil
}

// copyAndSum is the least that segmentation can be: the payload copied once and
// summed once, in one piece, without a header anywhere.
type copyAndSum struct {
	from, to []byte
	sum      uint16
}

func newTSOLimit() (*contest, error) {
	r, err := newSuperRing()
	if err != nil {
		return nil, err
	}
	c := &copyAndSum{from: superFrame()[headerBytes:], to: make([]byte, superBytes)}
	return &contest{
		ours: load{run: r.run, check: r.check}, reference: load{run: c.run, check: c.check},
		unit: "GB/s", scale: 1e-9,
	}, nil
}

func (c *copyAndSum) run(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += superBytes {
		copy(c.to, c.from)
		c.sum = gchecksum.Checksum(c.to, 0)
	}
	return done, 0, nil
}

func (c *copyAndSum) check() error {
	if !bytes.Equal(c.to, c.from) || c.sum != gchecksum.Checksum(c.from, 0) {
		return errors.New("the reference went wrong")
	}
	return nil
}
