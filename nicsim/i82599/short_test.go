package i82599

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel/craft"
)

// blind is a probe that looks away. With a probe an adapter goes the long way.
type blind struct{}

func (blind) Observe(*nicsim.Event) {}

// looped is an adapter whose port leads back into it, with one transmit queue
// and four receive queues.
type looped struct {
	d     *Device
	clock *sim.Clock
	pool  *nicsim.Pool
	mem   []byte
	tx    uint32 // tail
	rx    [4]uint32
}

// Where things lie in the memory of a looped adapter.
const (
	loopSlots   = 64 // descriptors of every ring
	loopTxRing  = 0x0000
	loopRxRing  = 0x0400 // and every 0x400 further
	loopTxData  = 0x10000
	loopRxData  = 0x40000
	loopBytes   = 0xC0000
	loopRegions = 0x80000 // where one region of memory ends and the next begins
)

func newLooped(t testing.TB, probe nicsim.Probe) *looped {
	l := &looped{clock: sim.NewVirtual(), pool: new(nicsim.Pool), mem: make([]byte, loopBytes)}
	var err error
	l.d, err = newDevice(nicsim.Config{Name: "A", MAC: [6]byte{2, 0, 0, 0, 0, 2}, Clock: l.clock, Pool: l.pool})
	require.NoError(t, err)
	require.NoError(t, l.d.fn.Memory.Map(0, l.mem[:loopRegions:loopRegions], dma.Read|dma.Write))
	require.NoError(t, l.d.fn.Memory.Map(loopRegions, l.mem[loopRegions:], dma.Read|dma.Write))
	l.d.fn.ConfigWrite([]byte{6, 0}, 4)
	l.d.SetProbe(probe)
	l.set("HLREG0", 0, hlregLoopback|hlregPad|hlregStripCRC|1)
	l.set("DMATXCTL", 0, 0x81000001)
	l.set("RXCTRL", 0, 1)
	l.set("RXCSUM", 0, 1<<13)
	l.set("MRQC", 0, 1|0x0033<<16)
	for i := range 10 {
		l.set("RSSRK", i, 0x6d5a56da*uint32(i+1))
	}
	for i := range 32 {
		l.set("RETA", i, 0x03020100^uint32(i>>4)*0x01010101)
	}
	l.set("TDBAL", 0, loopTxRing)
	l.set("TDLEN", 0, loopSlots*ixgbe.Size)
	l.set("TXDCTL", 0, queueEnable)
	for q := range l.rx {
		l.set("RDBAL", q, uint32(loopRxRing+0x400*q))
		l.set("RDLEN", q, loopSlots*ixgbe.Size)
		l.set("SRRCTL", q, 1|1<<25)
		l.set("RXDCTL", q, queueEnable)
		l.repost(q, loopSlots-1)
	}
	return l
}

func (l *looped) set(name string, i int, v uint32) {
	off, ok := table.Lookup(name, i)
	if !ok {
		panic(name)
	}
	l.d.writeReg(off, v)
}

// repost gives n more descriptors to receive queue q.
func (l *looped) repost(q int, n uint32) {
	for range n {
		i := l.rx[q]
		ixgbe.AdvRx{Addr: uint64(loopRxData + (q*loopSlots+int(i))*0x800)}.Put((*[16]byte)(l.mem[loopRxRing+0x400*q+int(i)*ixgbe.Size:]))
		l.rx[q] = (i + 1) % loopSlots
	}
	l.set("RDT", q, l.rx[q])
}

// post sends a frame in descriptors of at most part bytes.
func (l *looped) post(frame []byte, part int, flags ixgbe.TxFlags) {
	at := loopTxData + int(l.tx)*0x800
	copy(l.mem[at:], frame)
	for rest := len(frame); rest > 0; {
		n := min(rest, part)
		d := ixgbe.AdvData{Addr: uint64(at), DTALEN: uint16(n), PAYLEN: uint32(len(frame)), Flags: flags}
		if rest == n {
			d.Flags |= ixgbe.TxEOP
		}
		d.Put((*[16]byte)(l.mem[loopTxRing+int(l.tx)*ixgbe.Size:]))
		l.tx = (l.tx + 1) % loopSlots
		at, rest = at+n, rest-n
	}
	l.set("TDT", 0, l.tx)
}

// play does what one instruction of four bytes says.
func (l *looped) play(op [4]byte) {
	a, b, c := int(op[1]), int(op[2]), op[3]
	switch op[0] % 8 {
	default: // a frame, plain or not quite
		p := craft.Packet{SrcPort: uint16(b), DstPort: 80, Seq: uint32(c), Payload: craft.Payload(a * (1 + b&7))}
		switch op[0] >> 3 & 7 {
		case 0, 1:
			p.Proto, p.Flags = craft.TCP, 0x10
		case 2:
			p.IPv6 = true
		case 3:
			p.Tags = []craft.Tag{craft.VLAN(uint16(c))}
		case 4:
			p.NoChecksum = true
		case 5:
			p.Fragment = uint16(c)
		case 6: // a PTP event
			p.DstPort, p.Payload = 319, make([]byte, 44+b)
			p.Payload[1] = 2
		}
		f := p.Frame()
		copy(f, []byte{2, 0, 0, 0, 0, 2})
		f = append(f, make([]byte, max(0, 60-len(f)))...)
		if c&1 != 0 { // one byte is another
			f[int(c)*len(f)/256] ^= byte(b | 1)
		}
		part, flags := len(f), ixgbe.TxIFCS
		if c&0x40 == 0 {
			flags |= ixgbe.TxRS
		}
		if c&0x82 == 0x82 {
			part = max(1, len(f)/2)
		}
		l.post(f[:min(len(f), 0x7F0)], part, flags)
	case 4:
		l.repost(a%4, uint32(b%loopSlots))
	case 5:
		l.d.Step(1 + a)
	case 6: // registers that decide what is plain
		r := []struct {
			name string
			v    uint32
		}{
			{"MRQC", 1 | uint32(b)<<16}, {"MRQC", 4 | 0x33<<16}, {"RXCSUM", uint32(b&1) << 13}, {"FCTRL", uint32(b) << 8 & 0x700},
			{"HLREG0", uint32(hlregLoopback|hlregPad|1) | uint32(b&1)<<1}, {"TSYNCRXCTL", uint32(b&1)<<4 | stampEventV2<<1}, {"ETQF", 1<<31 | 0x0800},
			{"SRRCTL", 1 | uint32(b&1)<<25 | uint32(b&2)<<27}, {"RSCCTL", uint32(b & 1)}, {"RXDCTL", uint32(b&1) << 25},
			{"RETA", uint32(b) & 3}, {"TXDCTL", queueEnable | uint32(b&7)<<16}, {"CTRL_EXT", uint32(b&1) << 26}, {"RAL", uint32(b)},
			{"RTRUP2TC", uint32(b)}, {"MAXFRS", uint32(b) << 20}, {"RQTC", uint32(b)},
		}[a%17]
		l.set(r.name, 0, r.v)
	case 7:
		l.clock.AdvanceTo(l.clock.Now() + sim.Time(a)*sim.Microsecond)
		l.clock.RunDue(100)
	}
}

// state is everything that a driver or an operator could tell apart.
func (l *looped) state() (s []string) {
	l.d.Counters(func(c nicsim.Counter) { s = append(s, fmt.Sprint(c)) })
	for _, r := range table.Rows() {
		for i := range max(r.N, 1) {
			if off, ok := table.Lookup(r.Name, i+r.First); ok && r.Alias == "" {
				if v := l.d.readReg(off); v != 0 {
					s = append(s, fmt.Sprintf("%s %#x", table.Name(off), v))
				}
			}
		}
	}
	return append(s, fmt.Sprint(l.pool.Out()))
}

// same says where memory begins to differ: all of it would be too much to print.
func same(t testing.TB, long, short []byte) {
	if bytes.Equal(long, short) {
		return
	}
	for at := 0; at < len(long); at += 16 {
		require.Equal(t, long[at:at+16], short[at:at+16], "memory at %#x, the long way first", at)
	}
}

// FuzzShortWay holds that frames which go the short way leave everything as the
// long way does: memory, descriptors, counters, registers.
func FuzzShortWay(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 5, 255, 0, 0})
	f.Add(binary.BigEndian.AppendUint64(nil, 0x0010_2040_05FF_0000))
	var all []byte
	for i := range byte(40) {
		all = append(all, i<<3, i*3, i*5, i*7, i<<3|1, i, i*2, i&^0x41, 5, 31, 0, 0, 4, i, 9, 0)
	}
	f.Add(all)
	f.Add(append([]byte{6, 1, 0, 0, 6, 16, 1, 0}, all[:256]...)) // traffic classes with two queues each
	for i := range byte(17) {
		for _, v := range []byte{0, 1, 2, 0x33} {
			f.Add(append([]byte{6, i, v, 0}, all[:256]...))
		}
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		short, long := newLooped(t, nil), newLooped(t, blind{})
		for i := 0; i+4 <= len(program) && i < 4*256; i += 4 {
			short.play([4]byte(program[i:]))
			long.play([4]byte(program[i:]))
			same(t, long.mem[:loopTxData], short.mem[:loopTxData])
		}
		for range 20 {
			short.d.Step(256)
			long.d.Step(256)
		}
		same(t, long.mem, short.mem)
		require.Equal(t, long.state(), short.state())
	})
}

// The short way is gone by the frames that it is for.
func TestPlainFramesGoTheShortWay(t *testing.T) {
	l := newLooped(t, nil)
	for i := range byte(20) {
		l.play([4]byte{1 << 3, i, i, 0})
	}
	b, q := &l.d.tx.batch, &l.d.tx.queues[0]
	require.True(t, q.ready(l.d.fn.Memory))
	require.Equal(t, 20, q.takePlain(b, txBatchFrames))
	l.d.send(b)
	done, wire := l.d.receiveShort()
	require.Equal(t, 20, done)
	require.Greater(t, wire, 20*64)
}
