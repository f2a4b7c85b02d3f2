package capture

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/scenarios/need"
)

func TestEndpointNames(t *testing.T) {
	for name, e := range map[string]Endpoint{
		"":                    {},
		"A":                   {Device: "A"},
		"wire":                {Place: AtWire},
		"A wire":              {Device: "A", Place: AtWire},
		"A tx":                {Device: "A", Place: AtTxQueue, Queue: AnyQueue},
		"rx queue 3":          {Place: AtRxQueue, Queue: 3},
		"left nic tx queue 0": {Device: "left nic", Place: AtTxQueue},
	} {
		got, err := ParseEndpoint(name)
		require.NoError(t, err)
		require.Equal(t, e, got)
		require.Equal(t, name, got.String())
	}
	for name, want := range map[string]string{
		"A tx queue x":     `found "x"`,
		"A tx queue -1":    `found "-1"`,
		"A tx queue 70000": `found "70000"`,
		"A queue 1":        `expected "tx queue 1" or "rx queue 1"`,
	} {
		_, err := ParseEndpoint(name)
		require.ErrorContains(t, err, want)
	}
}

func TestFilter(t *testing.T) {
	events := map[string]*nicsim.Event{
		"wire out":  {Kind: nicsim.PacketWire, Device: "A", Side: nicsim.Tx},
		"wire in":   {Kind: nicsim.PacketWire, Device: "A", Side: nicsim.Rx, Drop: nicsim.DropRxCRC},
		"tx 0":      {Kind: nicsim.PacketQueue, Device: "A", Side: nicsim.Tx},
		"rx 3":      {Kind: nicsim.PacketQueue, Device: "A", Side: nicsim.Rx, Queue: 3},
		"B wire in": {Kind: nicsim.PacketWire, Device: "B", Side: nicsim.Rx},
	}
	for _, c := range []struct {
		filter Filter
		picks  []string
	}{
		{Filter{}, []string{"wire out", "wire in", "tx 0", "rx 3", "B wire in"}},
		{Filter{At: Endpoint{Device: "B"}}, []string{"B wire in"}},
		{Filter{At: Endpoint{Place: AtWire}}, []string{"wire out", "wire in", "B wire in"}},
		{Filter{At: Endpoint{Device: "A", Place: AtWire}, Direction: Inbound}, []string{"wire in"}},
		{Filter{Direction: Outbound}, []string{"wire out", "tx 0"}},
		{Filter{At: Endpoint{Place: AtRxQueue, Queue: AnyQueue}}, []string{"rx 3"}},
		{Filter{At: Endpoint{Place: AtRxQueue, Queue: 2}}, nil},
		{Filter{DropsOnly: true}, []string{"wire in"}},
	} {
		var got []string
		for name, e := range events {
			if c.filter.Picks(e) {
				got = append(got, name)
			}
		}
		require.ElementsMatch(t, c.picks, got, "%+v", c.filter)
	}
}

// A super-frame of three segments leaves; two segments arrive at the other
// end, are merged and delivered; one is lost, and others with it.
func TestTap(t *testing.T) {
	payload := bytes.Repeat([]byte("nicsim"), 500)
	super := tcpFrame(t, 0, payload)
	segments := [][]byte{
		tcpFrame(t, 0, payload[:1000]), tcpFrame(t, 1000, payload[1000:2000]), tcpFrame(t, 2000, payload[2000:]),
	}
	merged := tcpFrame(t, 0, payload[:2000])
	events := []nicsim.Event{
		{Kind: nicsim.RegisterWrite, Device: "A", Name: "TDT", Data: []byte{1}},
		{Kind: nicsim.PacketQueue, At: 10, Device: "A", Queue: 5, ID: 7, TSO: true,
			Checksum: nicsim.ChecksumNotReady, Data: super[:54], More: [][]byte{super[54:100], super[100:]}},
		{Kind: nicsim.PacketWire, At: 20, Device: "A", ID: 7, Data: segments[0]},
		{Kind: nicsim.PacketWire, At: 30, Device: "A", ID: 7, Data: segments[1]},
		{Kind: nicsim.PacketWire, At: 40, Device: "A", ID: 7, Data: segments[2]},
		{Kind: nicsim.PacketWire, At: 41, Device: "A", ID: 7, Data: segments[2], Drop: nicsim.DropWireLoss},
		{Kind: nicsim.PacketWire, At: 50, Device: "B", Side: nicsim.Rx, ID: 7, Data: segments[0], Checksum: nicsim.ChecksumValid},
		{Kind: nicsim.PacketWire, At: 51, Device: "B", Side: nicsim.Rx, Drop: nicsim.DropRxBufferFull},
		{Kind: nicsim.PacketWire, At: 51, Device: "B", Side: nicsim.Rx, Drop: nicsim.DropRxBufferFull},
		{Kind: nicsim.PacketWire, At: 51, Device: "B", Side: nicsim.Rx, Drop: nicsim.DropRxCRC},
		{Kind: nicsim.PacketWire, At: 60, Device: "B", Side: nicsim.Rx, ID: 7, Data: segments[1], Checksum: nicsim.ChecksumValid},
		{Kind: nicsim.PacketWire, At: 61, Device: "B", Side: nicsim.Rx, Data: segments[0][:58], Drop: nicsim.DropRxTooShort},
		{Kind: nicsim.PacketWire, At: 62, Device: "B", Side: nicsim.Rx, Data: segments[0], Flags: nicsim.BadFCS, Drop: nicsim.DropRxCRC},
		{Kind: nicsim.PacketWire, At: 63, Device: "B", Side: nicsim.Rx, Data: segments[0], Checksum: nicsim.ChecksumBad, Drop: nicsim.DropRxTooLong},
		{Kind: nicsim.PacketQueue, At: 70, Device: "B", Side: nicsim.Rx, Queue: 3, ID: 7, TSO: true, Checksum: nicsim.ChecksumValid, Data: merged},
		{Kind: nicsim.PacketQueue, At: 71, Device: "B", Side: nicsim.Rx, Queue: 3, Drop: nicsim.DropRxNoDescriptor},
	}
	record := func() []byte {
		var out bytes.Buffer
		tap := NewTap(NewWriter(&out, "test", Section{}), TapConfig{EpochNS: 1000})
		tap.Describe("A", "82599", 10e9)
		tap.Describe("B", "82599", 1e9)
		for i := range events {
			tap.Observe(&events[i])
		}
		require.NoError(t, tap.Close())
		return out.Bytes()
	}
	file := record()
	require.Equal(t, file, record(), "the same events give the same bytes")

	r, got, err := readAll(bytes.NewReader(file))
	require.Equal(t, io.EOF, err)
	var names []string
	for _, i := range r.Interfaces() {
		names = append(names, i.Name)
		require.Equal(t, "82599", i.Hardware)
		require.Equal(t, map[byte]uint64{'A': 10e9, 'B': 1e9}[i.Name[0]], i.SpeedBPS)
	}
	require.Equal(t, []string{"A tx queue 5", "A wire", "B wire", "B rx queue 3"}, names)

	lost := "lost ahead of this packet: 1 rx_crc_error, 2 tail_drop"
	want := []Packet{
		{Interface: 0, TimeNS: 1010, Data: super, Flags: Outbound | ChecksumNotReady | SegmentOffload, PacketID: 7, Queue: 5, HasQueue: true},
		{Interface: 1, TimeNS: 1020, Data: segments[0], Flags: Outbound, PacketID: 7},
		{Interface: 1, TimeNS: 1030, Data: segments[1], Flags: Outbound, PacketID: 7},
		{Interface: 1, TimeNS: 1040, Data: segments[2], Flags: Outbound, PacketID: 7},
		{Interface: 1, TimeNS: 1041, Data: segments[2], Flags: Outbound, PacketID: 7, DropCount: 1, Comments: []string{"dropped: wire_loss: lost by the impairment of the wire"}},
		{Interface: 2, TimeNS: 1050, Data: segments[0], Flags: Inbound | ChecksumValid, PacketID: 7},
		{Interface: 2, TimeNS: 1060, Data: segments[1], Flags: Inbound | ChecksumValid, PacketID: 7, DropCount: 3, Comments: []string{lost}},
		{Interface: 2, TimeNS: 1061, Data: segments[0][:58], Flags: Inbound | TooShort, DropCount: 1, Comments: []string{"dropped: rx_too_short: shorter than a frame may be"}},
		{Interface: 2, TimeNS: 1062, Data: segments[0], Flags: Inbound | CRCError, DropCount: 1, Comments: []string{"dropped: rx_crc_error: frame check sequence wrong"}},
		{Interface: 2, TimeNS: 1063, Data: segments[0], Flags: Inbound | TooLong, DropCount: 1,
			Comments: []string{"dropped: mtu_value_is_too_small: beyond the maximum frame size", "the adapter found a wrong checksum"}},
		{Interface: 3, TimeNS: 1070, Data: merged, Flags: Inbound | ChecksumValid | SegmentOffload, PacketID: 7, Queue: 3, HasQueue: true},
	}
	for i := range want {
		want[i].OrigBytes = len(want[i].Data)
	}
	require.Equal(t, want, got)

	stats := map[string][2]uint64{}
	for _, s := range r.Stats() {
		stats[names[s.Interface]] = [2]uint64{s.Received, s.Dropped}
		if s.Interface == 3 {
			require.Equal(t, []string{"lost after the last packet: 1 rx_no_descriptor"}, s.Comments)
		}
	}
	require.Equal(t, map[string][2]uint64{
		"A tx queue 5": {1, 0}, "A wire": {4, 1}, "B wire": {8, 6}, "B rx queue 3": {2, 1},
	}, stats)
}

func TestTapOfOneQueue(t *testing.T) {
	var out bytes.Buffer
	at := Endpoint{Device: "A", Place: AtRxQueue, Queue: 3}
	tap := NewTap(NewLive(&out, "client", Section{}), TapConfig{Filter: Filter{At: at}})
	tap.Describe("B", "82599", 0)
	head := out.Len()
	tap.Describe("A", "82599", 0)
	require.Greater(t, out.Len(), head, "it is there ahead of its first packet")
	for q := range 5 {
		tap.Observe(&nicsim.Event{Kind: nicsim.PacketQueue, Device: "A", Side: nicsim.Rx, Queue: q, At: sim.Time(q), Data: []byte{1}})
	}
	require.NoError(t, tap.Close())
	r, got, err := readAll(&out)
	require.Equal(t, io.EOF, err)
	require.Len(t, r.Interfaces(), 1)
	require.Equal(t, "A rx queue 3", r.Interfaces()[0].Name)
	require.Len(t, got, 1)
	require.EqualValues(t, 3, got[0].TimeNS)
}

func TestTapAllocatesNothingPerPacket(t *testing.T) {
	tap := NewTap(NewWriter(io.Discard, "test", Section{}), TapConfig{})
	data := make([]byte, 1500)
	e := &nicsim.Event{Kind: nicsim.PacketWire, Device: "A", Side: nicsim.Rx, Data: data,
		Checksum: nicsim.ChecksumBad, Drop: nicsim.DropRxMACFilter}
	tap.Observe(e)
	require.Zero(t, testing.AllocsPerRun(1000, func() { tap.Observe(e) }))
}

func TestTsharkReadsATap(t *testing.T) {
	need.Test(t, "tshark")
	path := filepath.Join(t.TempDir(), "a.pcapng")
	w, err := Create(path, Section{App: "nicsim"})
	require.NoError(t, err)
	tap := NewTap(w, TapConfig{})
	data := tcpFrame(t, 0, make([]byte, 100))
	tap.Observe(&nicsim.Event{Kind: nicsim.PacketQueue, Device: "A", Queue: 2, ID: 1, Data: data, TSO: true})
	tap.Observe(&nicsim.Event{Kind: nicsim.PacketWire, Device: "A", ID: 1, Data: data})
	tap.Observe(&nicsim.Event{Kind: nicsim.PacketWire, Device: "B", Side: nicsim.Rx, ID: 1, Data: data, Drop: nicsim.DropRxMACFilter})
	require.NoError(t, tap.Close())
	require.Equal(t, []string{
		"A tx queue 2\t0x00000802\t1\t2\t\t",
		"A wire\t0x00000002\t1\t\t\t",
		"B wire\t0x00000001\t1\t\t1\tdropped: dmac_filter: destination address matches no filter",
	}, tshark(t, path, "frame.interface_name", "frame.packet_flags", "frame.packet_id",
		"frame.interface_queue", "frame.drop_count", "frame.comment"))
}
