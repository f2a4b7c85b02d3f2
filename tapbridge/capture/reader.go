package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
)

// Reader reads a capture: pcapng or classic pcap (times in microseconds or
// nanoseconds), of either byte order. Blocks that hold no packets and options
// that Packet has no field for are passed over. It holds one block of at most
// 16 MiB and the descriptions of the interfaces, and never more of a block
// than the input really has.
type Reader struct {
	in    *bufio.Reader
	at    int64 // bytes read
	block int64 // where the current block or record begins
	order binary.ByteOrder
	buf   []byte
	next  func(*Packet) error // of the format found

	section    Section
	base       int // the section's first interface in interfaces
	interfaces []Interface
	clocks     []clock
	stats      []*Stats // by interface, nil for those that have none

	pcapUnitNS uint32 // classic pcap: length of a unit of the second time word
}

// clock is how an interface counts time.
type clock struct {
	resolution    uint8 // if_tsresol
	offsetSeconds int64
}

// NewReader reads the head of a capture and finds out which format it has. The
// error is a *FormatError, or that of r.
func NewReader(r io.Reader) (*Reader, error) {
	d := &Reader{in: bufio.NewReaderSize(r, 64<<10)}
	magic, err := d.read(4)
	if err != nil {
		return nil, err
	}
	le, be := little.Uint32(magic), binary.BigEndian.Uint32(magic)
	switch {
	case le == blockSection:
		d.next = d.nextBlock
		return d, d.readSection()
	case le == pcapMicro || le == pcapNano:
		d.order = little
	case be == pcapMicro || be == pcapNano:
		d.order = binary.BigEndian
	default:
		return nil, d.malformed("expected pcapng or pcap, found % x", magic)
	}
	d.pcapUnitNS = 1000
	if le == pcapNano || be == pcapNano {
		d.pcapUnitNS = 1
	}
	d.next = d.nextRecord
	return d, d.readPcapHeader()
}

// Next reads the next packet into p, of which nothing is kept. The packet's
// bytes are valid until the next call. At the end it returns io.EOF; where the
// capture is malformed or cut off, a *FormatError.
func (r *Reader) Next(p *Packet) error { return r.next(p) }

// Section returns the description of the section that is being read.
func (r *Reader) Section() Section { return r.section }

// Interfaces returns the interfaces described so far, of all sections. The
// result is valid until the next call of Next.
func (r *Reader) Interfaces() []Interface { return r.interfaces }

// Stats returns the latest statistics of each interface that has any. They
// come at the end of a capture.
func (r *Reader) Stats() []Stats {
	var all []Stats
	for _, s := range r.stats {
		if s != nil {
			all = append(all, *s)
		}
	}
	return all
}

func (r *Reader) malformed(format string, args ...any) error {
	return &FormatError{Offset: r.block, Reason: fmt.Sprintf(format, args...)}
}

// read returns the next n bytes, valid until the next read.
func (r *Reader) read(n int) ([]byte, error) {
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		have := len(r.buf)
		step := min(n-have, 64<<10)
		r.buf = slices.Grow(r.buf, step)[:have+step]
		got, err := io.ReadFull(r.in, r.buf[have:])
		r.at += int64(got)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, &FormatError{
					Offset: r.block,
					Reason: fmt.Sprintf("expected %d bytes more, found %d", n, have+got),
					Err:    io.ErrUnexpectedEOF,
				}
			}
			return nil, err
		}
	}
	return r.buf, nil
}

// atEnd reports whether the input ends here, and marks the begin of a block.
func (r *Reader) atEnd() error {
	r.block = r.at
	_, err := r.in.Peek(1)
	return err
}

func (r *Reader) nextBlock(p *Packet) error {
	for {
		if err := r.atEnd(); err != nil {
			return err
		}
		head, err := r.read(4)
		if err != nil {
			return err
		}
		kind := r.order.Uint32(head)
		if kind == blockSection {
			if err := r.readSection(); err != nil {
				return err
			}
			continue
		}
		if head, err = r.read(4); err != nil {
			return err
		}
		body, err := r.readBody(r.order.Uint32(head), 8)
		if err != nil {
			return err
		}
		switch kind {
		case blockInterface:
			err = r.parseInterface(body)
		case blockStatistics:
			err = r.parseStats(body)
		case blockEnhanced:
			return r.parseEnhanced(body, p)
		case blockSimplePacket:
			return r.parseSimple(body, p)
		case blockPacket:
			return r.parseObsolete(body, p)
		}
		if err != nil {
			return err
		}
	}
}

// readBody reads the rest of a block of which already bytes have been read, and
// checks the length that ends it.
func (r *Reader) readBody(total uint32, already int) ([]byte, error) {
	if total < blockOverheadBytes || int(total) < already+4 || total%4 != 0 || total > maxBlockBytes {
		return nil, r.malformed("expected a block length of 12 to %d and a multiple of 4, found %d",
			maxBlockBytes, total)
	}
	body, err := r.read(int(total) - already)
	if err != nil {
		return nil, err
	}
	body, tail := body[:len(body)-4], body[len(body)-4:]
	if again := r.order.Uint32(tail); again != total {
		return nil, r.malformed("block length %d, but %d at its end", total, again)
	}
	return body, nil
}

// readSection reads a Section Header Block from behind its type on.
func (r *Reader) readSection() error {
	head, err := r.read(8)
	if err != nil {
		return err
	}
	switch uint32(byteOrderMagic) {
	case little.Uint32(head[4:]):
		r.order = little
	case binary.BigEndian.Uint32(head[4:]):
		r.order = binary.BigEndian
	default:
		return r.malformed("expected the byte-order magic 0x1a2b3c4d, found % x", head[4:])
	}
	body, err := r.readBody(r.order.Uint32(head), 12)
	if err != nil {
		return err
	}
	if len(body) < 12 {
		return r.malformed("section header too short")
	}
	if major := r.order.Uint16(body); major != 1 {
		return r.malformed("expected version 1, found %d", major)
	}
	r.section = Section{}
	r.base = len(r.interfaces)
	opts := r.options(body[12:])
	for opts.next() {
		switch opts.code {
		case optComment:
			r.section.Comments = append(r.section.Comments, string(opts.value))
		case shbHardware:
			r.section.Hardware = string(opts.value)
		case shbOS:
			r.section.OS = string(opts.value)
		case shbUserAppl:
			r.section.App = string(opts.value)
		}
	}
	return opts.err()
}

func (r *Reader) parseInterface(body []byte) error {
	if len(body) < 8 {
		return r.malformed("interface description too short")
	}
	if len(r.interfaces) == maxInterfaces {
		return r.malformed("more than %d interfaces", maxInterfaces)
	}
	i := Interface{LinkType: r.order.Uint16(body), SnapBytes: r.order.Uint32(body[4:])}
	c := clock{resolution: 6}
	opts := r.options(body[8:])
	for opts.next() {
		switch opts.code {
		case optComment:
			i.Comments = append(i.Comments, string(opts.value))
		case ifName:
			i.Name = string(opts.value)
		case ifDescription:
			i.Description = string(opts.value)
		case ifHardware:
			i.Hardware = string(opts.value)
		case ifSpeed:
			i.SpeedBPS = opts.uint64()
		case ifTSOffset:
			i.OffsetSeconds = int64(opts.uint64())
		case ifTSResol:
			if opts.sized(1) {
				c.resolution = opts.value[0]
			}
		}
	}
	c.offsetSeconds = i.OffsetSeconds
	r.interfaces = append(r.interfaces, i)
	r.clocks = append(r.clocks, c)
	r.stats = append(r.stats, nil)
	return opts.err()
}

func (r *Reader) parseStats(body []byte) error {
	if len(body) < 12 {
		return r.malformed("interface statistics too short")
	}
	iface, err := r.resolve(r.order.Uint32(body))
	if err != nil {
		return err
	}
	s := Stats{Interface: iface, EndNS: r.timeNS(iface, body[4:])}
	opts := r.options(body[12:])
	for opts.next() {
		switch opts.code {
		case optComment:
			s.Comments = append(s.Comments, string(opts.value))
		case isbStartTime:
			if opts.sized(8) {
				s.StartNS = r.timeNS(iface, opts.value)
			}
		case isbEndTime:
			if opts.sized(8) {
				s.EndNS = r.timeNS(iface, opts.value)
			}
		case isbIfRecv:
			s.Received = opts.uint64()
		case isbIfDrop:
			s.Dropped = opts.uint64()
		}
	}
	r.stats[iface] = &s
	return opts.err()
}

func (r *Reader) parseEnhanced(body []byte, p *Packet) error {
	if len(body) < 20 {
		return r.malformed("packet block too short")
	}
	iface, err := r.resolve(r.order.Uint32(body))
	if err != nil {
		return err
	}
	*p = Packet{Interface: iface, TimeNS: r.timeNS(iface, body[4:])}
	return r.parsePacket(p, body[20:], r.order.Uint32(body[12:]), r.order.Uint32(body[16:]))
}

// parseObsolete parses a Packet Block, draft-ietf-opsawg-pcapng appendix A.
func (r *Reader) parseObsolete(body []byte, p *Packet) error {
	if len(body) < 20 {
		return r.malformed("packet block too short")
	}
	iface, err := r.resolve(uint32(r.order.Uint16(body)))
	if err != nil {
		return err
	}
	*p = Packet{Interface: iface, TimeNS: r.timeNS(iface, body[4:])}
	if drops := r.order.Uint16(body[2:]); drops != 0xFFFF { // all ones: not known
		p.DropCount = uint64(drops)
	}
	return r.parsePacket(p, body[20:], r.order.Uint32(body[12:]), r.order.Uint32(body[16:]))
}

// parsePacket takes the data and the options from rest.
func (r *Reader) parsePacket(p *Packet, rest []byte, captured, original uint32) error {
	if uint64(captured) > uint64(len(rest)) {
		return r.malformed("%d bytes of packet in a block that has %d left", captured, len(rest))
	}
	n := int(captured)
	p.Data = rest[:n:n]
	p.OrigBytes = int(min(max(original, captured), math.MaxInt32))
	// Blocks are multiples of 4 bytes, so that the padding is there.
	opts := r.options(rest[n+(-n&3):])
	for opts.next() {
		switch opts.code {
		case optComment:
			p.Comments = append(p.Comments, string(opts.value))
		case epbFlags:
			if opts.sized(4) {
				p.Flags = Flags(r.order.Uint32(opts.value))
			}
		case epbDropCount:
			p.DropCount = opts.uint64()
		case epbPacketID:
			p.PacketID = opts.uint64()
		case epbQueue:
			if opts.sized(4) {
				p.Queue, p.HasQueue = r.order.Uint32(opts.value), true
			}
		case epbVerdict:
			p.Verdicts = r.appendVerdict(p.Verdicts, &opts)
		}
	}
	return opts.err()
}

func (r *Reader) appendVerdict(vs []Verdict, o *options) []Verdict {
	if len(o.value) == 0 {
		o.fail("a verdict without a type")
		return vs
	}
	v := Verdict{Type: VerdictType(o.value[0])}
	switch v.Type {
	case VerdictTC, VerdictXDP:
		if !o.sized(9) {
			return vs
		}
		v.Action = r.order.Uint64(o.value[1:])
	default:
		v.Data = o.value[1:]
	}
	return append(vs, v)
}

// parseSimple parses a Simple Packet Block: the section's first interface, no
// time, no options, and a captured length that only SnapLen tells.
func (r *Reader) parseSimple(body []byte, p *Packet) error {
	if len(body) < 4 {
		return r.malformed("packet block too short")
	}
	iface, err := r.resolve(0)
	if err != nil {
		return err
	}
	original := r.order.Uint32(body)
	captured := original
	if snap := r.interfaces[iface].SnapBytes; snap != 0 {
		captured = min(captured, snap)
	}
	if uint64(captured) > uint64(len(body)-4) {
		return r.malformed("%d bytes of packet in a block that has %d left", captured, len(body)-4)
	}
	*p = Packet{
		Interface: iface,
		Data:      body[4 : 4+captured : 4+captured],
		OrigBytes: int(min(original, math.MaxInt32)),
	}
	return nil
}

// resolve turns a section's interface number into an index into interfaces.
func (r *Reader) resolve(id uint32) (int, error) {
	if uint64(id) >= uint64(len(r.interfaces)-r.base) {
		return 0, r.malformed("interface %d, but the section has described %d", id, len(r.interfaces)-r.base)
	}
	return r.base + int(id), nil
}

// timeNS reads a time of two words, the upper one first.
func (r *Reader) timeNS(iface int, b []byte) int64 {
	units := uint64(r.order.Uint32(b))<<32 | uint64(r.order.Uint32(b[4:]))
	return r.clocks[iface].toNS(units)
}

// toNS converts a time stamp to nanoseconds, clamped to what an int64 holds.
func (c clock) toNS(units uint64) int64 {
	exponent := c.resolution & 0x7F
	var hi, lo uint64
	switch {
	case c.resolution&0x80 != 0: // units of 2^-exponent s
		hi, lo = bits.Mul64(units, 1e9)
		if exponent >= 64 {
			hi, lo = 0, hi>>(exponent-64)
		} else if exponent > 0 {
			lo = lo>>exponent | hi<<(64-exponent)
			hi >>= exponent
		}
	case exponent <= 9: // units of 10^-exponent s
		hi, lo = bits.Mul64(units, pow10(9-exponent))
	case exponent-9 <= 19:
		lo = units / pow10(exponent-9)
	}
	ns := int64(math.MaxInt64)
	if hi == 0 && lo <= math.MaxInt64 {
		ns = int64(lo)
	}
	const second = 1_000_000_000
	off := min(max(c.offsetSeconds, -math.MaxInt64/second), math.MaxInt64/second) * second
	if off > 0 && ns > math.MaxInt64-off {
		return math.MaxInt64
	}
	return ns + off
}

func pow10(n uint8) uint64 {
	v := uint64(1)
	for range n {
		v *= 10
	}
	return v
}

// options walks through the options of a block.
type options struct {
	r     *Reader
	rest  []byte
	code  uint16
	value []byte
	bad   error
}

func (r *Reader) options(b []byte) options { return options{r: r, rest: b} }

// next steps to the next option. A list may end without opt_endofopt.
func (o *options) next() bool {
	if o.bad != nil || len(o.rest) < 4 {
		return false
	}
	o.code = o.r.order.Uint16(o.rest)
	n := int(o.r.order.Uint16(o.rest[2:]))
	if o.code == optEnd {
		return false
	}
	padded := 4 + n + (-n & 3)
	if padded > len(o.rest) {
		o.fail(fmt.Sprintf("option %d has %d bytes in a block that has %d left", o.code, n, len(o.rest)-4))
		return false
	}
	o.value = o.rest[4 : 4+n : 4+n]
	o.rest = o.rest[padded:]
	return true
}

func (o *options) fail(why string) {
	if o.bad == nil {
		o.bad = o.r.malformed("%s", why)
	}
}

func (o *options) err() error { return o.bad }

// sized reports whether the option's value has n bytes, and fails if not.
func (o *options) sized(n int) bool {
	if len(o.value) != n {
		o.fail(fmt.Sprintf("option %d: expected %d bytes, found %d", o.code, n, len(o.value)))
		return false
	}
	return true
}

func (o *options) uint64() uint64 {
	if !o.sized(8) {
		return 0
	}
	return o.r.order.Uint64(o.value)
}
