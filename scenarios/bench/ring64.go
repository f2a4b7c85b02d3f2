package bench

import (
	"bytes"
	"fmt"
	"time"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/rss"
	"nicsim.dev/tapbridge/pair"
)

const (
	// ringDescriptors is what ixgbe gives a ring by default.
	ringDescriptors = 512
	// burst is how many packets a driver handles at a time: a NAPI poll. A ring
	// holds a whole number of them.
	burst = 64
	// smallBytes is the shortest frame, without its frame check sequence.
	smallBytes = 60
	// lineMpps is how many frames of 64 bytes 10 Gbit/s carry in a second.
	lineMpps = 14.88

	ringAt    = 0       // of the ring in guest memory
	buffersAt = 1 << 20 // of its buffers, 2 KiB each
	ringArena = buffersAt + ringDescriptors*bufferBytes
)

// ring64 sends 64-byte UDP frames of 512 flows from the transmit ring of one
// adapter over a cable to the receive ring of another, on one goroutine. The
// sender's driver writes a descriptor a frame, each asking for status, and rings
// the doorbell for 64; the receiver's looks whether they are all done and posts
// the buffers again. Between them the adapters do all that adapters do: fetch,
// translate addresses, count by length and kind, deliver, filter by MAC address,
// verify both checksums, hash, choose the queue, copy, write back.
//
// The reference works on memory of the same layout and holds nothing but what
// cannot be left out: it writes, parses and completes the same descriptors,
// hashes the same four-tuple with the same tables, sums the same datagram, and
// copies the frame once, straight from the sender's buffer to the receiver's.
type ring64 struct {
	a, b       *adapter
	loop       *sim.Loop
	tdt, rdt   uint32 // addresses of the doorbells
	post, give int    // descriptors: next to send, next to give back
	sent       uint64
}

func newRing64() (*contest, error) {
	r, err := newRingPair()
	if err != nil {
		return nil, err
	}
	bare := newBareRing()
	return &contest{
		ours:      load{run: r.run, check: r.check, least: 2 * ringDescriptors},
		reference: load{run: bare.run, check: bare.check, least: 2 * ringDescriptors},
		unit:      "Mpps", scale: 1e-6,
		note: func(v float64) string {
			return fmt.Sprintf("%.2f times the %.2f Mpps of a 10 GbE wire", v/lineMpps, lineMpps)
		},
	}, nil
}

func newRingPair() (*ring64, error) {
	clock := sim.NewVirtual()
	pool := new(nicsim.Pool)
	r := &ring64{loop: sim.NewLoop(clock)}
	var err error
	if r.a, err = newAdapter(clock, pool, "a", macA, make([]byte, ringArena)); err != nil {
		return nil, err
	}
	if r.b, err = newAdapter(clock, pool, "b", macB, make([]byte, ringArena)); err != nil {
		return nil, err
	}
	wire, err := pair.New(clock, pool, r.a.dev.Port(), r.b.dev.Port(), pair.Impairment{}, pair.Impairment{}, 1)
	if err != nil {
		return nil, err
	}
	r.loop.Add(r.a.dev, wire, r.b.dev)

	r.a.transmitRing(0, ringAt, ringDescriptors)
	r.b.spread(rssKey)
	r.b.receiveRing(0, ringAt, ringDescriptors, oneBuffer)
	r.b.write("RXCTRL", 0, 1)
	r.tdt, r.rdt = r.a.offset("TDT", 0), r.b.offset("RDT", 0)
	for i := range ringDescriptors {
		copy(r.a.mem[bufferAt(i):], smallFrame(i))
		r.repost(i)
	}
	r.b.fn.Write32(0, r.rdt, ringDescriptors-1)
	if r.a.err != nil {
		return nil, r.a.err
	}
	return r, r.b.err
}

// bufferAt is the guest address of the buffer of descriptor i.
func bufferAt(i int) uint64 { return buffersAt + uint64(i)*bufferBytes }

// smallFrame is the frame in buffer i.
func smallFrame(i int) []byte { return udpFrame(smallBytes, uint16(1000+i), 2000) }

func (r *ring64) repost(i int) {
	ixgbe.AdvRx{Addr: bufferAt(i)}.Put(r.b.desc(ringAt, i))
}

func (r *ring64) run(n int) (done int, _ time.Duration, err error) {
	for done < n {
		if err := r.burst(); err != nil {
			return done, 0, err
		}
		done += burst
	}
	return done, 0, nil
}

// burst sends 64 frames and receives them.
func (r *ring64) burst() error {
	for i := r.post; i < r.post+burst; i++ {
		ixgbe.AdvData{
			Addr: bufferAt(i), DTALEN: smallBytes, PAYLEN: smallBytes, Flags: ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS,
		}.Put(r.a.desc(ringAt, i))
	}
	r.turn()
	first, last := r.give, r.give+burst-1
	if !ixgbe.AdvRxDone(r.b.desc(ringAt, first)) || !ixgbe.AdvRxDone(r.b.desc(ringAt, last)) {
		return fmt.Errorf("frames %d to %d did not arrive", first, last)
	}
	r.giveBack()
	return nil
}

// turn rings the transmit doorbell for a burst and lets it arrive.
func (r *ring64) turn() {
	r.post = (r.post + burst) % ringDescriptors
	r.a.fn.Write32(0, r.tdt, uint32(r.post))
	r.loop.Turn()
	r.sent += burst
}

// giveBack posts the buffers of a burst again.
func (r *ring64) giveBack() {
	for i := r.give; i < r.give+burst; i++ {
		r.repost(i)
	}
	r.b.fn.Write32(0, r.rdt, uint32(r.give+burst-1))
	r.give = (r.give + burst) % ringDescriptors
}

// check sends one more burst and looks at every byte of it, and at the counters.
func (r *ring64) check() error {
	first := r.post
	if err := r.burst(); err != nil {
		return err
	}
	for i := first; i < first+burst; i++ {
		if !bytes.Equal(r.b.mem[bufferAt(i):bufferAt(i)+smallBytes], smallFrame(i)) {
			return fmt.Errorf("frame %d did not arrive as it was sent", i)
		}
		if !ixgbe.TxDone(r.a.desc(ringAt, i)) {
			return fmt.Errorf("descriptor %d was not written back", i)
		}
	}
	if n := r.b.counter("rx-packets"); n != r.sent {
		return fmt.Errorf("%d frames sent, %d received", r.sent, n)
	}
	return r.checkDescriptors()
}

// checkDescriptors sends a burst with one bad checksum and looks at what the
// descriptors say of it.
func (r *ring64) checkDescriptors() error {
	const bad = 3
	field := r.a.mem[bufferAt(r.post+bad)+l4+6:]
	field[0] ^= 0xFF
	defer func() { field[0] ^= 0xFF }()
	for i := r.post; i < r.post+burst; i++ {
		ixgbe.AdvData{Addr: bufferAt(i), DTALEN: smallBytes, PAYLEN: smallBytes, Flags: ixgbe.TxEOP | ixgbe.TxIFCS}.Put(r.a.desc(ringAt, i))
	}
	sent := r.post
	r.turn()
	for k := range burst {
		wb := ixgbe.ParseAdvRxWB(r.b.desc(ringAt, r.give+k))
		want := ixgbe.RxDD | ixgbe.RxEOP | ixgbe.RxIPCS | ixgbe.RxL4I | ixgbe.RxUDPCS
		if k == bad {
			want |= ixgbe.RxL4E
		}
		f := smallFrame(sent + k)
		hash := refmodel.Toeplitz(rssKey, f[l3+12:l4+4])
		if wb.Status != want || wb.PKTLEN != smallBytes || wb.Param != hash || wb.Info.RSSType() != ixgbe.RSSUDPIPv4 {
			return fmt.Errorf("descriptor %d says %+v; status %#x and hash %#x were expected", r.give+k, wb, uint32(want), hash)
		}
	}
	r.giveBack()
	return nil
}

// bareRing is the reference.
type bareRing struct {
	tx, rx []byte // rings and buffers, laid out as the adapters'
	key    *rss.Key
	h      parse.Headers
}

func newBareRing() *bareRing {
	r := &bareRing{tx: make([]byte, ringArena), rx: make([]byte, ringArena), key: rss.NewKey(rssKey)}
	for i := range ringDescriptors {
		copy(r.tx[bufferAt(i):], smallFrame(i))
		ixgbe.AdvRx{Addr: bufferAt(i)}.Put((*[16]byte)(r.rx[ringAt+i*descriptorBytes:]))
	}
	parse.Frame(&r.h, smallFrame(0), 0) // all frames have the same headers
	return r
}

func (r *bareRing) run(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += ringDescriptors {
		for i := range ringDescriptors {
			r.one(i)
		}
	}
	return done, 0, nil
}

// one moves the frame of descriptor i. As one loop the same lines take half as
// long again.
func (r *bareRing) one(i int) {
	tx, rx := (*[16]byte)(r.tx[ringAt+i*descriptorBytes:]), (*[16]byte)(r.rx[ringAt+i*descriptorBytes:])
	ixgbe.AdvData{Addr: bufferAt(i), DTALEN: smallBytes, PAYLEN: smallBytes, Flags: ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS}.Put(tx)
	ixgbe.AdvRx{Addr: bufferAt(i)}.Put(rx)

	d, _ := ixgbe.ParseAdvData(tx)
	frame := r.tx[d.Addr : d.Addr+uint64(d.DTALEN)]
	hash, kind := r.key.Hash(frame, &r.h, rss.UDPv4)
	status := ixgbe.RxDD | ixgbe.RxEOP | ixgbe.RxL4I
	// The pseudo-header without its constant part, and the datagram.
	if checksum.Sum(frame[l3+12:], 17+smallBytes-l4) != 0xFFFF {
		status |= ixgbe.RxL4E
	}
	to := ixgbe.ParseAdvRx(rx)
	copy(r.rx[to.Addr:to.Addr+bufferBytes], frame)
	ixgbe.AdvRxWB{Info: ixgbe.RxInfo(kind), Param: hash, Status: status, RxData: ixgbe.RxData{PKTLEN: d.DTALEN}}.Publish(rx)
	ixgbe.PublishTx(tx)
}

func (r *bareRing) check() error {
	r.one(0)
	wb := ixgbe.ParseAdvRxWB((*[16]byte)(r.rx[ringAt:]))
	f := smallFrame(0)
	if wb.Status&ixgbe.RxL4E != 0 || wb.Param != refmodel.Toeplitz(rssKey, f[l3+12:l4+4]) || !bytes.Equal(r.rx[bufferAt(0):bufferAt(0)+smallBytes], f) {
		return fmt.Errorf("the reference went wrong: %+v", wb)
	}
	return nil
}
