package bench

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"time"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
)

// esp measures IPsec by the adapter: a driver posts packets of ESP in clear and the wire
// gets them sealed, or the wire delivers them sealed and the driver finds them opened.
// The reference is the bare cipher of Go's library on the same bytes with the same
// nonces. Sizes are those of the IP packets, but for the smallest, which is the text's.
func esp(ctx context.Context, o *Options) (results []Result, err error) {
	for _, size := range []int{64, 1500, 9000} {
		for _, side := range []string{"tx", "rx"} {
			r, err := espSide(o, side, size, 1)
			if err != nil {
				return nil, fmt.Errorf("%s-%d: %w", side, size, err)
			}
			r.Name = fmt.Sprintf("%s-%d", side, size)
			r.Against = "Go's AES-GCM"
			results = append(results, r)
		}
	}
	many, err := espLookup(o)
	if err != nil {
		return nil, fmt.Errorf("lookup: %w", err)
	}
	return append(results, many), ctx.Err()
}

func espSide(o *Options, side string, size, associations int) (Result, error) {
	e, err := newESP(side, size, associations)
	if err != nil {
		return Result{}, err
	}
	bare := newBareESP(side, e.text)
	c := contest{
		ours: load{run: e.run, check: e.check, least: 2 * espRing}, reference: load{run: bare.run, check: bare.check},
		unit: "GB/s", scale: 1e-9 * float64(e.text),
	}
	return c.measure(o)
}

// espLookup compares an adapter that has as many associations as it can, all in use in turn,
// with one that has one.
func espLookup(o *Options) (Result, error) {
	all, err := newESP("rx", 1500, 1024)
	if err != nil {
		return Result{}, err
	}
	one, err := newESP("rx", 1500, 1)
	if err != nil {
		return Result{}, err
	}
	c := contest{
		ours: load{run: all.run, check: all.check, least: 2 * 1024}, reference: load{run: one.run, check: one.check, least: 2 * espRing},
		unit: "GB/s", scale: 1e-9 * float64(all.text),
	}
	r, err := c.measure(o)
	r.Name, r.Against = "lookup", "one association; 1024 in use in turn"
	return r, err
}

const (
	espRing        = 128
	espBufferBytes = 16 << 10
	espBuffers     = 1 << 20 // where they are
	espHeaderBytes = 16      // ESP header and IV
	espICVBytes    = 16
	espSPI         = 1000 // of the first association
)

var espKey = []byte("a key of 16 byte")

// espLoad is an adapter whose driver sends, or receives, packets of ESP.
type espLoad struct {
	*adapter
	side         string
	text         int // bytes that are sealed in each packet
	associations int
	pool         *nicsim.Pool
	wire         espWire
	doorbell     uint32
	next, packet int
	plain        []byte   // a frame as the driver has it
	sealed       [][]byte // frames as the wire has them, one of each association
	batch        []*nicsim.Frame
}

// espWire keeps the last frame.
type espWire struct {
	pool *nicsim.Pool
	last []byte
}

func (*espWire) Room() int { return burst }
func (w *espWire) Send(frames []*nicsim.Frame) {
	w.last = append(w.last[:0], frames[len(frames)-1].Data...)
	w.pool.PutAll(frames)
}

// espTexts are how many bytes packets of a size have sealed.
var espTexts = map[int]int{64: 64, 1500: 1500 - 20 - espHeaderBytes - espICVBytes, 9000: 9000 - 20 - espHeaderBytes - espICVBytes}

func newESP(side string, size, associations int) (*espLoad, error) {
	e := &espLoad{side: side, text: espTexts[size], associations: associations, pool: new(nicsim.Pool)}
	var err error
	if e.adapter, err = newAdapter(sim.NewVirtual(), e.pool, "a", macB, make([]byte, espBuffers+espRing*espBufferBytes)); err != nil {
		return nil, err
	}
	e.wire.pool = e.pool
	e.dev.Port().Attach(&e.wire)
	e.dev.Port().SetCarrier(true)
	e.write("SECTXCTRL", 0, 4)
	e.write("SECRXCTRL", 0, 0)
	e.write("HLREG0", 0, 0x0801040B|4) // jumbo frames
	e.write("MAXFRS", 0, 9600<<16)
	e.plain = make([]byte, l4+espHeaderBytes+e.text+espICVBytes)
	fill(e.plain[l4+espHeaderBytes:], 1)
	ipv4(e.plain, 50)
	for i := range associations {
		e.associate(i)
		e.sealed = append(e.sealed, e.seal(uint32(espSPI+i)))
	}
	if side == "tx" {
		e.openTransmit()
	} else {
		e.openReceive()
	}
	return e, e.err
}

// associate fills in place i of the tables (82599 datasheet 8.2.3.18).
func (e *espLoad) associate(i int) {
	for k := range 4 {
		v := binary.BigEndian.Uint32(espKey[4*k:])
		e.write("IPSTXKEY", 3-k, v)
		e.write("IPSRXKEY", 3-k, v)
	}
	var spi [4]byte
	binary.BigEndian.PutUint32(spi[:], uint32(espSPI+i))
	address := ipB.As4()
	e.write("IPSRXIPADDR", 3, binary.LittleEndian.Uint32(address[:]))
	e.write("IPSRXSPI", 0, binary.LittleEndian.Uint32(spi[:]))
	e.write("IPSRXMOD", 0, 1|1<<2|1<<3) // valid, ESP, decrypt
	const write = 1 << 31
	e.write("IPSTXIDX", 0, uint32(1|i<<3|write))
	e.write("IPSRXIDX", 0, 1|1<<1|write) // the address
	for table := uint32(2); table <= 3; table++ {
		e.write("IPSRXIDX", 0, 1|table<<1|uint32(i)<<3|write)
	}
}

// seal is the frame of an association as it is on the wire.
func (e *espLoad) seal(spi uint32) []byte {
	b := bytes.Clone(e.plain)
	at := b[l4:]
	binary.BigEndian.PutUint32(at, spi)
	goGCM().Seal(at[espHeaderBytes:espHeaderBytes], append([]byte{0, 0, 0, 0}, at[8:16]...), at[espHeaderBytes:espHeaderBytes+e.text], at[:8])
	return b
}

func goGCM() cipher.AEAD {
	block, err := aes.NewCipher(espKey)
	if err != nil {
		panic(err) // the key is a constant
	}
	c, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return c
}

func espBuffer(i int) uint64 { return espBuffers + uint64(i)*espBufferBytes }

func (e *espLoad) openTransmit() {
	e.transmitRing(0, ringAt, espRing)
	e.doorbell = e.offset("TDT", 0)
	ixgbe.AdvContext{
		Lengths:  ixgbe.Lengths{MACLEN: l3, IPLEN: l4 - l3},
		Flags:    ixgbe.ContextIPv4 | ixgbe.ContextESP | ixgbe.ContextEncryption,
		Security: ixgbe.Security{ESPLEN: espICVBytes + 2},
	}.Put(e.desc(ringAt, 0))
	e.next = 1
	binary.BigEndian.PutUint32(e.plain[l4:], espSPI)
	for i := range espRing {
		copy(e.mem[espBuffer(i):], e.plain)
	}
}

func (e *espLoad) openReceive() {
	e.receiveRing(0, ringAt, espRing, oneBuffer)
	e.write("SRRCTL", 0, oneBuffer|15) // 15 KiB a buffer
	e.write("RXCTRL", 0, 1)
	e.doorbell = e.offset("RDT", 0)
	for i := range espRing {
		ixgbe.AdvRx{Addr: espBuffer(i)}.Put(e.desc(ringAt, i))
	}
	e.fn.Write32(0, e.doorbell, espRing-1)
}

// run leaves out what it takes to make the frames that a wire delivers.
func (e *espLoad) run(n int) (done int, took time.Duration, err error) {
	for done < n {
		if e.side == "rx" {
			e.arrive()
		}
		begin := time.Now()
		if e.side == "tx" {
			e.send()
		} else if err := e.receive(); err != nil {
			return done, took, err
		}
		took += time.Since(begin)
		done += burst / 2
	}
	return done, took, nil
}

// send posts half a burst and lets it leave.
func (e *espLoad) send() {
	for range burst / 2 {
		n := len(e.plain)
		ixgbe.AdvData{
			Addr: espBuffer(e.next), DTALEN: uint16(n), PAYLEN: uint32(n),
			Flags: ixgbe.TxEOP | ixgbe.TxIFCS | ixgbe.TxRS | ixgbe.TxCC | ixgbe.TxIPSEC,
		}.Put(e.desc(ringAt, e.next))
		e.next = (e.next + 1) % espRing
	}
	e.fn.Write32(0, e.doorbell, uint32(e.next))
	e.dev.Step(sim.StepBudget)
}

// arrive makes half a burst of frames.
func (e *espLoad) arrive() {
	e.batch = e.batch[:0]
	for range burst / 2 {
		b := e.sealed[e.packet%e.associations]
		e.packet++
		f := e.pool.Get(len(b))
		copy(f.Data, b)
		e.batch = append(e.batch, f)
	}
}

// receive lets them arrive and gives their buffers back.
func (e *espLoad) receive() error {
	e.dev.Port().Deliver(e.batch)
	e.dev.Step(sim.StepBudget)
	last := (e.next + burst/2 - 1) % espRing
	if !ixgbe.AdvRxDone(e.desc(ringAt, last)) {
		return fmt.Errorf("packet %d did not arrive", e.packet)
	}
	wb := ixgbe.ParseAdvRxWB(e.desc(ringAt, last))
	if wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR) != ixgbe.RxSECP {
		return fmt.Errorf("packet %d was not opened: status %v", e.packet, wb.Status)
	}
	for range burst / 2 {
		ixgbe.AdvRx{Addr: espBuffer(e.next)}.Put(e.desc(ringAt, e.next))
		e.next = (e.next + 1) % espRing
	}
	e.fn.Write32(0, e.doorbell, uint32((e.next+espRing-1)%espRing))
	return nil
}

func (e *espLoad) check() error {
	if e.side == "tx" {
		if !bytes.Equal(e.wire.last, e.sealed[0]) {
			return fmt.Errorf("what was sent is not what Go's library seals")
		}
		return e.drops()
	}
	last := int(espBuffer((e.next + espRing - 1) % espRing))
	got := e.mem[last:][:l4+espHeaderBytes+e.text]
	if !bytes.Equal(got[l4+espHeaderBytes:], e.plain[l4+espHeaderBytes:][:e.text]) {
		return fmt.Errorf("what was received is not what was sealed")
	}
	return e.drops()
}

// bareESP is the reference. It has as many buffers as the driver, each with a text of its
// own, so that it finds them in the same cache.
type bareESP struct {
	gcm           cipher.AEAD
	side          string
	nonce, header []byte
	plain, sealed []byte
	from          [espRing][]byte
	work          []byte
	next          int
}

func newBareESP(side string, text int) *bareESP {
	b := &bareESP{gcm: goGCM(), side: side, nonce: make([]byte, 12), header: make([]byte, 8), plain: make([]byte, text)}
	fill(b.plain, 1)
	b.sealed = b.gcm.Seal(nil, b.nonce, b.plain, b.header)
	b.work = make([]byte, len(b.sealed))
	for i := range b.from {
		if b.from[i] = bytes.Clone(b.plain); side == "rx" {
			b.from[i] = bytes.Clone(b.sealed)
		}
	}
	return b
}

func (b *bareESP) run(n int) (int, time.Duration, error) {
	for range n {
		from := b.from[b.next]
		b.next = (b.next + 1) % espRing
		if b.side == "tx" {
			b.gcm.Seal(b.work[:0], b.nonce, from, b.header)
		} else if _, err := b.gcm.Open(b.work[:0], b.nonce, from, b.header); err != nil {
			return 0, 0, err
		}
	}
	return n, 0, nil
}

func (b *bareESP) check() error {
	want := b.sealed
	if b.side != "tx" {
		want = b.plain
	}
	if !bytes.Equal(b.work[:len(want)], want) {
		return fmt.Errorf("the reference's own text is wrong")
	}
	return nil
}
