package i82599

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel/craft"
)

// rxTrial is a receive ring of some kind under some traffic, of which it is
// known what has to come out.
type rxTrial struct {
	*rxRing
	strip, keepFCS, drop bool
	seq                  [4]uint32
	sent, got            int
	streams, gotStreams  [4][]byte // payload of each flow
	others, gotOthers    [][]byte  // frames of no flow
}

// newTrial reads the kind of ring from four bytes.
func newTrial(t testing.TB, kind [4]byte) *rxTrial {
	h := newHands(t)
	r := &rxTrial{strip: kind[0]&1 != 0, keepFCS: kind[0]&2 != 0, drop: kind[0]&4 != 0}
	setup := ringSetup{
		count: 8 * (1 + int(kind[1]%8)), packetKB: [...]int{1, 2, 3, 16}[kind[2]%4],
		coalesce: kind[0]&8 != 0, maxDesc: uint32(kind[3] % 4),
		srrctl: [...]uint32{descOneBuffer, descSplit, descSplitAlways}[kind[0]>>4%3]<<25 | uint32(kind[3]>>2&3)<<8, // no header buffer to 192 bytes
	}
	if r.drop {
		setup.srrctl |= 1 << 28
	}
	if r.strip {
		setup.rxdctl = rxVLANStrip
	}
	if r.keepFCS {
		h.set("HLREG0", h.get("HLREG0")&^hlregStripCRC)
	}
	h.set("PSRTYPE", 1<<4|1<<12) // after TCP, or the Ethernet header
	setup.count = max(setup.count, 24)
	r.rxRing = h.openRing(setup)
	return r
}

func (r *rxTrial) inject(p craft.Packet, flow int) {
	frame := p.Frame()
	frame = append(frame, make([]byte, max(0, minFrameBytes-len(frame)))...)
	r.arrive(frame)
	r.sent++
	if flow >= 0 {
		r.streams[flow] = append(r.streams[flow], p.Payload...)
		return
	}
	want := frame
	if r.strip && len(p.Tags) > 0 {
		want = append(bytes.Clone(frame[:12]), frame[16:]...)
	}
	if r.keepFCS {
		want = binary.LittleEndian.AppendUint32(bytes.Clone(want), crc32.ChecksumIEEE(frame))
	}
	r.others = append(r.others, want)
}

func (r *rxTrial) harvest() {
	for {
		parts := r.take()
		if parts == nil {
			return
		}
		frame, frames := joined(parts)
		r.got += max(frames, 1)
		for k := range parts[1:] {
			require.EqualValues(r.t, parts[k+1].at, parts[k].wb.Status.NEXTP())
		}
		require.Zero(r.t, parts[len(parts)-1].wb.Status&(ixgbe.RxIPE|ixgbe.RxL4E|ixgbe.RxRXE))
		var h parse.Headers
		parse.Frame(&h, frame, 0)
		if h.Kind&parse.TCP == 0 {
			r.gotOthers = append(r.gotOthers, frame)
			continue
		}
		require.Zero(r.t, h.Kind&parse.Truncated)
		flow := int(be16(frame[h.L4:])) - 1
		r.gotStreams[flow] = append(r.gotStreams[flow], frame[h.Payload:h.End]...)
	}
}

// run plays a program: traffic, descriptors given back, time.
func (r *rxTrial) run(program []byte) {
	free := func() int { return (r.next - r.tail - 1 + 2*r.count) % r.count }
	for ; len(program) >= 3; program = program[3:] {
		a, b := int(program[1]), int(program[2])
		switch program[0] % 6 {
		case 0, 1:
			flow := a & 3
			p := craft.Packet{IPv6: flow == 3, Proto: craft.TCP, SrcPort: uint16(flow + 1), DstPort: 9, Seq: r.seq[flow], Flags: 0x10, Payload: bytes.Repeat([]byte{byte(b)}, b*5)}
			if flow == 2 {
				p.Tags = []craft.Tag{craft.VLAN(7)}
			}
			if a&0x1C == 0 {
				p.Flags |= 8
			}
			r.seq[flow] += uint32(len(p.Payload))
			r.inject(p, flow)
		case 2:
			p := craft.Packet{Payload: craft.Payload(b * 5)}
			if a&1 != 0 {
				p.Tags = []craft.Tag{craft.VLAN(uint16(a))}
			}
			r.inject(p, -1)
		case 3:
			r.harvest()
			r.give(min(a, free()))
		case 4:
			r.settle()
		case 5:
			r.pass(sim.Time(a) * 100)
			r.harvest()
		}
	}
	for range 2000 {
		r.give(free())
		r.pass(10 * sim.Microsecond)
		r.harvest()
		if r.pool.Out() == 0 {
			break
		}
	}
}

// FuzzReceiveRing holds that what arrives comes out of a ring of any kind:
// each flow's bytes in order, every other frame as it was, nothing lost without
// being counted, nothing written outside the buffers.
func FuzzReceiveRing(f *testing.F) {
	x := uint32(7)
	for kind := range 48 {
		program := []byte{byte(kind), byte(kind), byte(kind >> 2), byte(kind)}
		for range 300 {
			x = x*1664525 + 1013904223
			program = append(program, byte(x>>24))
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) < 4 || len(program) > 3000 {
			return
		}
		r := newTrial(t, [4]byte(program))
		r.run(program[4:])
		require.Zero(t, r.pool.Out())
		lost := int(r.d.drops[nicsim.DropRxNoDescriptor] + r.d.drops[nicsim.DropRxBufferFull])
		require.Equal(t, r.sent, r.got+lost)
		if lost > 0 {
			return
		}
		require.Equal(t, r.streams, r.gotStreams)
		require.Equal(t, r.others, r.gotOthers)
		q := &r.d.rx.queues[0]
		require.EqualValues(t, r.sent, q.packets)
	})
}
