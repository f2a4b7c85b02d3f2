package capture

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
)

// unhex decodes a literal that may have spaces, line ends and remarks behind #.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err)
	return b
}

// The bytes of a small capture, written out by hand from the draft.
const everyOption = `
	0a0d0d0a 38000000 4d3c2b1a 0100 0000 ffffffffffffffff # section, length not known
	0200 0200 6877 0000      # shb_hardware "hw"
	0300 0200 6f73 0000      # shb_os "os"
	0400 0300 617070 00      # shb_userappl "app"
	0000 0000 38000000

	01000000 48000000 0100 0000 00000400 # interface, Ethernet, 256 KiB
	0200 0500 4120747830 000000          # if_name "A tx0"
	0300 0100 64 000000                  # if_description "d"
	0800 0800 00e40b5402000000           # if_speed 10 Gb/s
	0900 0100 09 000000                  # if_tsresol
	0f00 0200 6869 0000                  # if_hardware "hi"
	0000 0000 48000000

	06000000 74000000 00000000 01000000 02000000 05000000 09000000 # 5 of 9 bytes at 2^32+2 ns
	0102030405 000000
	0100 0300 777879 00      # opt_comment "wxy"
	0100 0100 7a 000000      # opt_comment "z"
	0200 0400 02020001       # epb_flags outbound, checksum not ready, CRC error
	0400 0800 0300000000000000 # epb_dropcount: two, and the packet itself
	0500 0800 2a00000000000000 # epb_packetid
	0600 0400 03000000       # epb_queue 3
	0700 0900 02 0200000000000000 000000 # epb_verdict XDP_PASS
	0000 0000 74000000

	05000000 4c000000 00000000 01000000 02000000 # statistics
	0200 0800 00000000 01000000 # isb_starttime 1 ns
	0300 0800 01000000 02000000 # isb_endtime
	0400 0800 0500000000000000  # isb_ifrecv
	0500 0800 0500000000000000  # isb_ifdrop
	0000 0000 4c000000`

func TestWriterBytes(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, "test", Section{Hardware: "hw", OS: "os", App: "app", StartNS: 1})
	n := w.AddInterface(Interface{Name: "A tx0", Description: "d", Hardware: "hi", SpeedBPS: 10e9})
	w.Drop(n, 2)
	w.WritePacket(&Packet{
		Interface: n,
		TimeNS:    1<<32 + 2,
		Data:      []byte{1, 2},
		More:      [][]byte{{3}, {}, {4, 5}},
		OrigBytes: 9,
		Flags:     Outbound | ChecksumNotReady | CRCError,
		DropCount: 1,
		PacketID:  42,
		Queue:     3, HasQueue: true,
		Verdicts: []Verdict{{Type: VerdictXDP, Action: 2}},
		Comments: []string{"wxy", "z"},
	})
	w.Drop(n, 2)
	require.NoError(t, w.Close())
	require.Equal(t, hex.EncodeToString(unhex(t, everyOption)), hex.EncodeToString(out.Bytes()))
}

func TestWriterIsReadByAnotherReader(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, "test", Section{App: "nicsim"})
	tx := w.AddInterface(Interface{Name: "A tx queue 0"})
	w.WritePacket(&Packet{Interface: tx, TimeNS: 5, Data: bytes.Repeat([]byte{1}, 61)})
	rx := w.AddInterface(Interface{Name: "A rx queue 3", SnapBytes: 64, Comments: []string{"späť"}})
	w.WritePacket(&Packet{Interface: rx, TimeNS: 1e9 + 1, Data: bytes.Repeat([]byte{2}, 100), Flags: Inbound})
	w.WritePacket(&Packet{Interface: tx, TimeNS: 1e9 + 2, Data: nil})
	require.NoError(t, w.Close())

	r, err := pcapgo.NewNgReader(&out, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	require.NoError(t, err)
	require.Equal(t, "nicsim", r.SectionInfo().Application)
	want := []struct {
		iface, captured, original int
		ns                        int64
	}{{0, 61, 61, 5}, {1, 64, 100, 1e9 + 1}, {0, 0, 0, 1e9 + 2}}
	for _, p := range want {
		_, ci, err := r.ReadPacketData()
		require.NoError(t, err)
		require.Equal(t, p.iface, ci.InterfaceIndex)
		require.Equal(t, p.captured, ci.CaptureLength)
		require.Equal(t, p.original, ci.Length)
		require.Equal(t, p.ns, ci.Timestamp.UnixNano())
	}
	_, _, err = r.ReadPacketData()
	require.Equal(t, io.EOF, err)
	i, err := r.Interface(1)
	require.NoError(t, err)
	require.Equal(t, "A rx queue 3", i.Name)
	require.Equal(t, layers.LinkTypeEthernet, i.LinkType)
	require.Equal(t, "späť", i.Comment)
	require.EqualValues(t, 1, i.Statistics.PacketsReceived)
}

func TestWriterAllocatesNothingPerPacket(t *testing.T) {
	w := NewWriter(io.Discard, "test", Section{})
	n := w.AddInterface(Interface{Name: "A wire"})
	p := &Packet{
		Interface: n, Data: make([]byte, 1500), Flags: Inbound | ChecksumValid, PacketID: 1,
		HasQueue: true, Comments: []string{"why"}, Verdicts: []Verdict{{Type: VerdictXDP, Action: 1}},
	}
	w.WritePacket(p)
	require.Zero(t, testing.AllocsPerRun(1000, func() { w.WritePacket(p) }))
	require.NoError(t, w.Err())
	require.LessOrEqual(t, cap(w.buf), 2*flushBytes)
}

func TestWriterCutsWhatIsTooLong(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, "test", Section{})
	n := w.AddInterface(Interface{Name: "A wire"})
	long := strings.Repeat("x", maxOptionBytes-1) + "ť and more"
	w.WritePacket(&Packet{
		Interface: n,
		Data:      make([]byte, MaxPacketBytes-10),
		More:      [][]byte{make([]byte, 20), make([]byte, 20)},
		Comments:  append([]string{long, "bad \xff utf"}, make([]string, 40)...),
	})
	require.NoError(t, w.Close())

	r, err := NewReader(&out)
	require.NoError(t, err)
	var p Packet
	require.NoError(t, r.Next(&p))
	require.Len(t, p.Data, MaxPacketBytes)
	require.Equal(t, MaxPacketBytes+30, p.OrigBytes)
	require.Len(t, p.Comments, maxComments)
	require.Equal(t, long[:maxOptionBytes-1], p.Comments[0])
	require.Equal(t, "bad \uFFFD utf", p.Comments[1])
	require.Equal(t, io.EOF, r.Next(&p))
}

// failing fails from the nth call on.
type failing struct {
	calls, from int
	err         error
}

func (f *failing) Write(b []byte) (int, error) {
	f.calls++
	if f.calls >= f.from {
		return 0, f.err
	}
	return len(b), nil
}

func TestWriterErrorsStick(t *testing.T) {
	full := errors.New("disk full")
	out := &failing{from: 2, err: full}
	w := NewWriter(out, "dir/a.pcapng", Section{})
	n := w.AddInterface(Interface{Name: "A wire"})
	for range 1000 {
		w.WritePacket(&Packet{Interface: n, Data: make([]byte, 1500)})
	}
	require.Equal(t, 2, out.calls, "no more writes after the one that failed")
	for _, err := range []error{w.Err(), w.Flush(), w.Close(), w.Close()} {
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, "dir/a.pcapng")
	}

	w = NewWriter(io.Discard, "b", Section{})
	w.WritePacket(&Packet{Interface: 0})
	require.ErrorContains(t, w.Close(), "no interface 0, there are 0")
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pcapng")
	w, err := Create(path, Section{App: "nicsim"})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	r, err := NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, "nicsim", r.Section().App)

	_, err = Create(filepath.Join(path, "below a file"), Section{})
	require.ErrorContains(t, err, "below a file")
}

// narrow takes blocks while it has room, and then none at all.
type narrow struct {
	bytes.Buffer
	room int
}

func (n *narrow) Write(b []byte) (int, error) {
	if len(b) > n.room {
		return 0, ErrFull
	}
	n.room -= len(b)
	return n.Buffer.Write(b)
}

func TestLiveWriterCountsWhatFindsNoRoom(t *testing.T) {
	out := &narrow{room: 1 << 20}
	w := NewLive(out, "client", Section{})
	a := w.AddInterface(Interface{Name: "A wire"})
	frame := make([]byte, 60)
	w.WritePacket(&Packet{Interface: a, TimeNS: 1, Data: frame})

	out.room = 0
	b := w.AddInterface(Interface{Name: "B wire"})
	for range 3 {
		w.WritePacket(&Packet{Interface: a, TimeNS: 2, Data: frame})
	}
	w.WritePacket(&Packet{Interface: b, TimeNS: 2, Data: frame})
	require.NoError(t, w.Err())

	out.room = 1 << 20
	c := w.AddInterface(Interface{Name: "C wire"})
	w.WritePacket(&Packet{Interface: c, TimeNS: 3, Data: frame})
	w.WritePacket(&Packet{Interface: b, TimeNS: 4, Data: frame})
	w.WritePacket(&Packet{Interface: a, TimeNS: 5, Data: frame})
	w.WritePacket(&Packet{Interface: a, TimeNS: 6, Data: frame})
	require.NoError(t, w.Close())

	r, err := NewReader(&out.Buffer)
	require.NoError(t, err)
	type seen struct {
		name  string
		ns    int64
		drops uint64
		why   string
	}
	var got []seen
	var p Packet
	for r.Next(&p) == nil {
		got = append(got, seen{r.Interfaces()[p.Interface].Name, p.TimeNS, p.DropCount, strings.Join(p.Comments, ";")})
	}
	require.Equal(t, []seen{
		{"A wire", 1, 0, ""},
		{"C wire", 3, 0, ""},
		{"B wire", 4, 1, "1 packets were not captured: the reader was too slow"},
		{"A wire", 5, 3, "3 packets were not captured: the reader was too slow"},
		{"A wire", 6, 0, ""},
	}, got)
	dropped := map[string]uint64{}
	for _, s := range r.Stats() {
		dropped[r.Interfaces()[s.Interface].Name] = s.Dropped
	}
	require.Equal(t, map[string]uint64{"A wire": 3, "B wire": 1, "C wire": 0}, dropped)
}
