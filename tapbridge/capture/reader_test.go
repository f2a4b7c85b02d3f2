package capture

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
)

// readAll returns the packets with their bytes copied, and what ended them.
func readAll(in io.Reader) (*Reader, []Packet, error) {
	r, err := NewReader(in)
	if err != nil {
		return r, nil, err
	}
	var all []Packet
	var p Packet
	for {
		if err := r.Next(&p); err != nil {
			return r, all, err
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

func TestReaderEveryOption(t *testing.T) {
	r, got, err := readAll(iotest.OneByteReader(bytes.NewReader(unhex(t, everyOption))))
	require.Equal(t, io.EOF, err)
	require.Equal(t, Section{Hardware: "hw", OS: "os", App: "app"}, r.Section())
	require.Equal(t, []Interface{{
		Name: "A tx0", Description: "d", Hardware: "hi",
		LinkType: LinkEthernet, SnapBytes: 256 << 10, SpeedBPS: 10e9,
	}}, r.Interfaces())
	require.Equal(t, []Packet{{
		TimeNS: 1<<32 + 2,
		Data:   []byte{1, 2, 3, 4, 5}, OrigBytes: 9,
		Flags:     Outbound | ChecksumNotReady | CRCError,
		DropCount: 3, PacketID: 42, Queue: 3, HasQueue: true,
		Verdicts: []Verdict{{Type: VerdictXDP, Action: 2}},
		Comments: []string{"wxy", "z"},
	}}, got)
	require.Equal(t, Outbound, got[0].Flags.Direction())
	require.Equal(t, []Stats{{StartNS: 1, EndNS: 1<<32 + 2, Received: 5, Dropped: 5}}, r.Stats())
}

// Two sections of different byte order, every kind of packet block, and blocks
// and options that say nothing to us.
const mixed = `
	0a0d0d0a 0000001c 1a2b3c4d 0001 0002 ffffffffffffffff 0000001c # big-endian, version 1.2
	00000001 0000002c 0001 0000 00000004 # interface, 4 bytes of each packet
	0009 0001 03 000000        # milliseconds
	000e 0008 0000000000000064 # if_tsoffset 100 s
	0000 0000 0000002c
	00000004 00000010 0000 0000 00000010 # names
	0000000a 00000010 deadbeef 00000010  # secrets
	00000006 0000002c 00000000 00000000 000003e8 00000004 00000004 61626364 # at 1000 ms
	8042 0003 aabbcc 00        # an option that nobody knows
	0000002c                   # no opt_endofopt
	00000003 00000014 00000008 65666768 00000014 # simple: 4 of 8 bytes
	00000002 00000038 0000 0002 00000000 000007d0 00000003 00000003 696a6b 00 # obsolete, 2 lost
	0002 0004 00000001
	0006 0004 00000000
	0000 0000
	00000038

	0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000 # little-endian
	01000000 14000000 0100 0000 00000000 14000000
	06000000 30000000 00000000 00000000 01000000 00000000 00000000 # 1 us, no bytes
	0700 0900 01 0300000000000000 000000 # TC_ACT_
	30000000`

func TestReaderBothByteOrdersAndAllBlocks(t *testing.T) {
	r, got, err := readAll(bytes.NewReader(unhex(t, mixed)))
	require.Equal(t, io.EOF, err)
	require.Equal(t, []Packet{
		{TimeNS: 101e9, Data: []byte("abcd"), OrigBytes: 4},
		{Data: []byte("efgh"), OrigBytes: 8},
		{TimeNS: 102e9, Data: []byte("ijk"), OrigBytes: 3, DropCount: 2, Flags: Inbound, HasQueue: true},
		{Interface: 1, TimeNS: 1000, Data: []byte{}, Verdicts: []Verdict{{Type: VerdictTC, Action: 3}}},
	}, got)
	require.Len(t, r.Interfaces(), 2)
}

func TestReaderOfAnotherWriter(t *testing.T) {
	frame := []byte("frame bytes")
	at := time.Unix(1_700_000_000, 123456789)
	ci := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(frame), Length: 100}

	var ng bytes.Buffer
	nw, err := pcapgo.NewNgWriterInterface(&ng, pcapgo.NgInterface{
		Name: "eth0", LinkType: layers.LinkTypeEthernet, SnapLength: 96,
	}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "gopacket"}})
	require.NoError(t, err)
	require.NoError(t, nw.WritePacket(ci, frame))
	require.NoError(t, nw.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
		LastUpdate: at, PacketsReceived: 7, PacketsDropped: 6,
	}))
	require.NoError(t, nw.Flush())

	r, got, err := readAll(&ng)
	require.Equal(t, io.EOF, err)
	require.Equal(t, "gopacket", r.Section().App)
	require.Equal(t, "eth0", r.Interfaces()[0].Name)
	require.EqualValues(t, 96, r.Interfaces()[0].SnapBytes)
	require.Equal(t, []Packet{{TimeNS: at.UnixNano(), Data: frame, OrigBytes: 100}}, got)
	require.EqualValues(t, 7, r.Stats()[0].Received)
	require.EqualValues(t, 6, r.Stats()[0].Dropped)
	require.Equal(t, at.UnixNano(), r.Stats()[0].EndNS)

	for _, c := range []struct {
		make func(io.Writer) *pcapgo.Writer
		ns   int64
	}{
		{pcapgo.NewWriter, at.UnixNano() / 1000 * 1000},
		{pcapgo.NewWriterNanos, at.UnixNano()},
	} {
		var old bytes.Buffer
		w := c.make(&old)
		require.NoError(t, w.WriteFileHeader(2000, layers.LinkTypeEthernet))
		require.NoError(t, w.WritePacket(ci, frame))
		r, got, err := readAll(&old)
		require.Equal(t, io.EOF, err)
		require.Equal(t, []Interface{{LinkType: LinkEthernet, SnapBytes: 2000}}, r.Interfaces())
		require.Equal(t, []Packet{{TimeNS: c.ns, Data: frame, OrigBytes: 100}}, got)
	}
}

func TestReaderBigEndianPcap(t *testing.T) {
	_, got, err := readAll(bytes.NewReader(unhex(t, `
		a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001
		00000002 00000003 00000002 00000004 abcd`)))
	require.Equal(t, io.EOF, err)
	require.Equal(t, []Packet{{TimeNS: 2e9 + 3e3, Data: []byte{0xAB, 0xCD}, OrigBytes: 4}}, got)
}

func TestReaderTellsWhatIsWrong(t *testing.T) {
	const section = `0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000 `
	const iface = `01000000 14000000 0100 0000 00000000 14000000 `
	for name, c := range map[string]struct {
		in     string
		reason string
		offset int64
	}{
		"no capture":       {`47494638 00000000`, "expected pcapng or pcap, found 47 49 46 38", 0},
		"empty":            {``, "expected 4 bytes more, found 0", 0},
		"no magic":         {`0a0d0d0a 1c000000 00000000 00000000`, "byte-order magic", 0},
		"version":          {`0a0d0d0a 1c000000 4d3c2b1a 0200 0000 ffffffffffffffff 1c000000`, "version 1, found 2", 0},
		"pcap version":     {`a1b2c3d4 0003 0004 00000000 00000000 0000ffff 00000001`, "pcap version 2, found 3", 0},
		"short section":    {`0a0d0d0a 10000000 4d3c2b1a 10000000`, "too short", 0},
		"length odd":       {section + `01000000 15000000`, "multiple of 4, found 21", 28},
		"length small":     {section + `01000000 08000000`, "12 to 16777216", 28},
		"length large":     {section + `01000000 fcffffff`, "found 4294967292", 28},
		"lengths differ":   {section + `01000000 14000000 0100 0000 00000000 18000000`, "but 24 at its end", 28},
		"no interface":     {section + `06000000 20000000 00000000 00000000 00000000 00000000 00000000 20000000`, "described 0", 28},
		"packet too long":  {section + iface + `06000000 20000000 00000000 00000000 00000000 04000000 04000000 20000000`, "4 bytes of packet", 48},
		"option too long":  {section + iface + `06000000 28000000 00000000 00000000 00000000 00000000 00000000 0100 0900 00000000 28000000`, "option 1 has 9 bytes", 48},
		"option size":      {section + iface + `06000000 28000000 00000000 00000000 00000000 00000000 00000000 0400 0400 00000000 28000000`, "expected 8 bytes, found 4", 48},
		"verdict empty":    {section + iface + `06000000 28000000 00000000 00000000 00000000 00000000 00000000 0700 0000 00000000 28000000`, "without a type", 48},
		"record too large": {`a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001 00000002 00000003 ff000000 00000004`, "at most 16777216", 24},
		"record cut":       {`a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001 00000002`, "expected 16 bytes more, found 4", 24},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readAll(bytes.NewReader(unhex(t, c.in)))
			var bad *FormatError
			require.ErrorAs(t, err, &bad)
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, c.offset, bad.Offset)
		})
	}
}

func TestReaderCutAnywhere(t *testing.T) {
	for _, whole := range []string{everyOption, mixed} {
		in := unhex(t, whole)
		ends := 0
		for n := range in {
			_, _, err := readAll(bytes.NewReader(in[:n]))
			if err == io.EOF {
				ends++ // between two blocks
				continue
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut at %d", n)
		}
		require.Less(t, ends, 10)
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	broken := errors.New("disk fell off")
	in := unhex(t, everyOption)
	_, _, err := readAll(io.MultiReader(bytes.NewReader(in[:130]), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		clock clock
		units uint64
		ns    int64
	}{
		{clock{resolution: 0}, 7, 7e9},
		{clock{resolution: 9}, math.MaxInt64, math.MaxInt64},
		{clock{resolution: 9}, math.MaxUint64, math.MaxInt64},
		{clock{resolution: 3}, math.MaxUint64, math.MaxInt64},
		{clock{resolution: 12}, 12345, 12},
		{clock{resolution: 28}, math.MaxUint64, 1},
		{clock{resolution: 127}, math.MaxUint64, 0},
		{clock{resolution: 0x80}, 3, 3e9},
		{clock{resolution: 0x80 | 10}, 1536, 1.5e9},
		{clock{resolution: 0x80 | 32}, 3<<32 + 1<<31, 3.5e9},
		{clock{resolution: 0x80 | 64}, 1 << 63, 5e8},
		{clock{resolution: 0x80 | 94}, math.MaxUint64, 0},
		{clock{resolution: 0x80 | 127}, math.MaxUint64, 0},
		{clock{resolution: 9, offsetSeconds: -2}, 1, -2e9 + 1},
		{clock{resolution: 9, offsetSeconds: math.MaxInt64}, math.MaxUint64, math.MaxInt64},
		{clock{resolution: 9, offsetSeconds: math.MinInt64}, 0, -9223372036e9},
	} {
		require.Equal(t, c.ns, c.clock.toNS(c.units), "%+v %d", c.clock, c.units)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(unhex(f, everyOption))
	f.Add(unhex(f, mixed))
	f.Add(unhex(f, `a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001
		00000002 00000003 00000002 00000004 abcd`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, packets, err := readAll(bytes.NewReader(in))
		if err == nil || (r != nil && len(r.buf) > len(in)+64<<10) {
			t.Fatalf("error %v, %d bytes held for %d", err, len(r.buf), len(in))
		}
		bytesSeen := 0
		for _, p := range packets {
			bytesSeen += len(p.Data)
			if p.Interface < 0 || p.Interface >= len(r.Interfaces()) || p.OrigBytes < len(p.Data) {
				t.Fatalf("%+v of %d interfaces", p, len(r.Interfaces()))
			}
		}
		if bytesSeen > len(in) {
			t.Fatalf("%d bytes of packets in %d", bytesSeen, len(in))
		}

		// What was read can be written, and reads the same again.
		var out bytes.Buffer
		w := NewWriter(&out, "fuzz", Section{})
		n := w.AddInterface(Interface{})
		for _, p := range packets {
			p.Interface, p.DropCount = n, 0
			w.WritePacket(&p)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_, again, err := readAll(&out)
		if err != io.EOF || len(again) != len(packets) {
			t.Fatalf("%d packets again, %d written: %v", len(again), len(packets), err)
		}
		for i, p := range packets {
			q := again[i]
			kept := p.Data[:min(len(p.Data), MaxPacketBytes)]
			if !bytes.Equal(kept, q.Data) || p.Flags != q.Flags || p.PacketID != q.PacketID ||
				p.Queue != q.Queue || p.HasQueue != q.HasQueue || p.OrigBytes != q.OrigBytes ||
				max(p.TimeNS, 0) != q.TimeNS {
				t.Fatalf("packet %d: wrote %+v, read %+v", i, p, q)
			}
		}
	})
}
