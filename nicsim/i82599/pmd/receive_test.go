package pmd_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
)

// TestWhatIsSaidOfReceivedPackets: checksums, hash and tag.
func TestWhatIsSaidOfReceivedPackets(t *testing.T) {
	good := craft.Packet{Proto: craft.TCP, Payload: craft.Payload(50)}.Frame()
	bad := bytes.Clone(good)
	bad[60] ^= 1
	badIP := bytes.Clone(good)
	badIP[22] ^= 1
	none := craft.Packet{NoChecksum: true, Payload: craft.Payload(50)}.Frame()
	tagged := refmodel.PushTag(good, 12, 0x8100, 0xE123)
	for _, on := range []bool{true, false} {
		cfg := driver.Config{Offloads: driver.RSS}
		if on {
			cfg.Offloads |= driver.RxChecksum
			cfg.StripVLAN = true
		}
		p := open(t, cfg)
		p.deliver(good, bad, badIP, none, tagged)
		got := p.receive(0)
		require.Len(t, got, 5)
		want := []driver.Checksum{driver.ChecksumUnnecessary, driver.ChecksumBad, driver.ChecksumBad, driver.ChecksumNone, driver.ChecksumUnnecessary}
		for i := range got {
			if !on {
				want[i] = driver.ChecksumNone
			}
			require.Equal(t, want[i], got[i].Checksum, "packet %d", i)
			require.Equal(t, 1, got[i].Merged)
			require.Equal(t, driver.NoGSO, got[i].GSO)
		}
		require.EqualValues(t, 1, got[0].HashType, "TCP over IPv4")
		require.NotZero(t, got[0].Hash)
		require.Equal(t, got[0].Hash, got[4].Hash)
		require.Equal(t, on, got[4].VLAN)
		if on {
			require.EqualValues(t, 0xE123, got[4].VLANTCI)
			require.Equal(t, good, got[4].Pieces[0])
			require.EqualValues(t, 2, p.drv.Stats().RxChecksumBad)
		} else {
			require.Equal(t, tagged, got[4].Pieces[0])
		}
	}
}

// TestHashesSpreadOverQueues: a flow stays on its queue, and flows use all.
func TestHashesSpreadOverQueues(t *testing.T) {
	p := open(t, driver.Config{Queues: 4, Offloads: driver.RSS})
	for flow := range 64 {
		for range 2 {
			p.deliver(craft.Packet{Proto: craft.TCP, SrcPort: uint16(1000 + flow), DstPort: 80}.Frame())
		}
	}
	queueOf := map[uint16]int{}
	total := 0
	for q := range 4 {
		got := p.receive(q)
		require.NotEmpty(t, got)
		for _, r := range got {
			flow := header.TCP(r.Pieces[0][34:]).SourcePort()
			if before, ok := queueOf[flow]; ok {
				require.Equal(t, before, q)
			}
			queueOf[flow] = q
			total++
		}
	}
	require.Equal(t, 128, total)
}

// TestCoalescedPackets come with what a stack needs to cut them up again.
func TestCoalescedPackets(t *testing.T) {
	for _, split := range []driver.Offloads{0, driver.HeaderSplit} {
		for _, v6 := range []bool{false, true} {
			p := open(t, driver.Config{Offloads: driver.RSC | split}) // without RxChecksum
			var payload []byte
			var frames [][]byte
			for i, n := range []int{1000, 1000, 400, 1000, 700} {
				b := bytes.Repeat([]byte{byte(i)}, n)
				frames = append(frames, craft.Packet{IPv6: v6, Proto: craft.TCP, Seq: uint32(len(payload)), Flags: 0x10, Payload: b}.Frame())
				payload = append(payload, b...)
			}
			p.deliver(frames...)
			got := p.receive(0)
			require.Len(t, got, 1)
			r := got[0]
			headerBytes := 54
			kind := driver.TCPv4
			if v6 {
				headerBytes, kind = 74, driver.TCPv6
			}
			require.Equal(t, payload, bytes.Join(r.Pieces, nil)[headerBytes:])
			require.Equal(t, 5, r.Merged)
			require.Equal(t, kind, r.GSO)
			require.Equal(t, 820, r.GSOBytes, "4100 bytes in 5 segments")
			require.Equal(t, driver.ChecksumUnnecessary, r.Checksum, "its checksum field is the first frame's")
			require.EqualValues(t, 5, p.drv.Stats().RxMerged)
			if split != 0 {
				require.Equal(t, headerBytes, r.HeaderBytes)
				require.Len(t, r.Pieces[0], headerBytes)
			}
		}
	}
}

// TestHeadersInTheirOwnPiece, unless they are longer than a header buffer.
func TestHeadersInTheirOwnPiece(t *testing.T) {
	p := open(t, driver.Config{Offloads: driver.HeaderSplit, Queues: 2, Buffer: 1024, MTU: 4000})
	udp := craft.Packet{Payload: craft.Payload(2500)}.Frame()
	arp := append([]byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6}, make([]byte, 46)...)
	long := craft.Packet{IPv6: true, Proto: craft.TCP, Payload: craft.Payload(2500)}
	for range 12 {
		long.Extensions = append(long.Extensions, craft.Extension{Proto: 60, Bytes: append([]byte{0, 2, 1, 20}, make([]byte, 20)...)})
	}
	p.deliver(udp, arp, long.Frame(), udp)
	got := p.receive(0)
	require.Len(t, got, 4)
	for i, want := range []struct {
		frame  []byte
		header int
	}{{udp, 42}, {arp, 0}, {long.Frame(), 0}, {udp, 42}} {
		require.Equal(t, want.header, got[i].HeaderBytes, "packet %d", i)
		require.Equal(t, want.frame, bytes.Join(got[i].Pieces, nil))
	}
}

// TestReceiveRingsWrap: packets of one and more buffers, for several times the
// ring, in order.
func TestReceiveRingsWrap(t *testing.T) {
	p := open(t, driver.Config{RingSize: 64, Buffer: 1024, MTU: 9000})
	var want [][]byte
	n := 0
	for round := range 60 {
		for i := range 5 {
			f := craft.Packet{ID: uint16(round*5 + i), Payload: craft.Payload((round*577 + i*911) % 8000)}.Frame()
			want = append(want, padded(f))
			p.deliver(f)
		}
		for {
			require.Equal(t, p.drv.Pending(0), p.drv.Pending(0))
			got := p.receive(0)
			if len(got) == 0 {
				break
			}
			for _, r := range got {
				require.Equal(t, want[n], bytes.Join(r.Pieces, nil), "packet %d", n)
				n++
			}
			p.settle()
		}
	}
	require.Equal(t, len(want), n)
	require.False(t, p.drv.Pending(0))
}

// TestDamagedFramesAreNobodys: here, of a buffer that the adapter may not write.
func TestDamagedFramesAreNobodys(t *testing.T) {
	p := open(t, driver.Config{})
	frame := craft.Packet{Payload: craft.Payload(50)}.Frame()
	p.fn.Write32(0, 0x5080, 1<<1|1<<8) // FCTRL.SBP
	f := p.pool.Get(len(frame))
	copy(f.Data, frame)
	f.Flags = nicsim.BadFCS
	p.dev.Port().Deliver([]*nicsim.Frame{f})
	p.deliver(frame)
	got := p.receive(0)
	require.Len(t, got, 1)
	require.Equal(t, frame, got[0].Pieces[0])
	require.EqualValues(t, 1, p.drv.Stats().RxErrors)
	require.EqualValues(t, 1, p.drv.Stats().RxPackets)
}

// TestTwoTags: the outer one stays in the frame, the inner one is the driver's,
// both ways and with every offload.
func TestTwoTags(t *testing.T) {
	outer := []craft.Tag{craft.VLAN(0x1009)}
	p := open(t, driver.Config{Offloads: driver.AllOffloads, StripVLAN: true, DoubleVLAN: true})
	kind := craft.Packet{Proto: craft.TCP, Flags: 0x10, Tags: outer, Payload: craft.Payload(3000)}
	pkt, want := super(kind, 1000, 0x8100, true)
	require.Equal(t, want, p.send(pkt))

	kind.Payload = craft.Payload(200)
	frame, start, offset := unfinished(kind.Frame(), 0x8100)
	require.Equal(t, [][]byte{refmodel.PushTag(kind.Frame(), 16, 0x8100, 5)},
		p.send(driver.TxPacket{Pieces: [][]byte{frame}, NeedsChecksum: true, ChecksumStart: start, ChecksumOffset: offset, VLAN: true, VLANTCI: 5}))

	p.deliver(want...)
	p.deliver(kind.Frame())
	got := p.receive(0)
	require.Len(t, got, 2)
	r := got[0]
	require.Equal(t, 3, r.Merged)
	require.Equal(t, driver.TCPv4, r.GSO)
	require.Equal(t, 1000, r.GSOBytes)
	require.True(t, r.VLAN)
	require.EqualValues(t, 0x2005, r.VLANTCI)
	require.Equal(t, []byte{0x81, 0x00, 0x10, 0x09, 0x08, 0x00}, r.Pieces[0][12:18])
	require.False(t, got[1].VLAN)
	require.Equal(t, driver.ChecksumUnnecessary, got[1].Checksum)
}
