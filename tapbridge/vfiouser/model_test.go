//go:build linux

package vfiouser

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/i82599/pmd"
	"nicsim.dev/nicsim/pci"

	_ "nicsim.dev/nicsim/i82599"
)

// mirror is a wire that sends frames back to where they came from. With little room
// it makes the adapter wait amid a segmented packet.
type mirror struct {
	port   nicsim.Port
	room   int
	frames []*nicsim.Frame
}

func (m *mirror) Room() int                   { return m.room - len(m.frames) }
func (m *mirror) Send(frames []*nicsim.Frame) { m.frames = append(m.frames, frames...) }
func (m *mirror) Step(int) int {
	n := len(m.frames)
	if n > 0 {
		m.port.Deliver(m.frames)
		m.frames = m.frames[:0]
	}
	return n
}

// adapter serves an 82599 whose wire is a mirror.
func (r *rig) adapter(name string) (nicsim.Device, string) {
	model, err := nicsim.Find("82599")
	require.NoError(r.t, err)
	d, err := model.New(nicsim.Config{Name: name, MAC: [6]byte{2, 0, 0, 0, 0, 1}, Clock: r.loop.Sim.Clock, Pool: new(nicsim.Pool)})
	require.NoError(r.t, err)
	path := filepath.Join(r.dir, name)
	_, err = Serve(r.host, Config{Name: name, Path: path, Function: d.Functions()[0]})
	require.NoError(r.t, err)
	wire := &mirror{port: d.Port(), room: 8}
	d.Port().Attach(wire)
	d.Port().SetCarrier(true)
	r.loop.Sim.Add(wire)
	r.host.Add(d)
	return d, path
}

// frame is built by gopacket: a broadcast, which every adapter takes.
func frame(t testing.TB, id uint16, payload int) []byte {
	buf := gopacket.NewSerializeBuffer()
	ip := &layers.IPv4{Version: 4, TTL: 64, Id: id, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
	udp := &layers.UDP{SrcPort: 1000, DstPort: 2000}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: bytes.Repeat([]byte{0xFF}, 6), EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(bytes.Repeat([]byte{byte(id)}, payload))))
	return buf.Bytes()
}

// Registers of the 82599 (datasheet 8.2.3) and places of the test in memory.
const (
	handMemory  = 0x1_0000_0000
	handTxRing  = 0x0000
	handRxRing  = 0x1000
	handBuffers = 0x10000
	handRing    = 64
)

// A driver by hand, with raw descriptors, over shared memory: what it sends comes back,
// with the interrupts that it asked for.
func TestModelOverSharedMemory(t *testing.T) {
	r := newRig(t)
	_, path := r.adapter("nic0")
	r.run()
	for round := range 3 {
		c := connect(t, path)
		mem, memfd := c.memory(handMemory, 1<<20)
		c.master()
		c.config16(0x72, 0x8000) // MSI-X
		fd := eventFDs(t, 1, unix.EFD_NONBLOCK)[0]
		c.assign(irqMSIX, 0, fd)
		ring := func(base uint32, at uint64) {
			c.write32(0, uint64(base), uint32(handMemory+at))
			c.write32(0, uint64(base)+4, uint32((handMemory+at)>>32))
			c.write32(0, uint64(base)+8, handRing*16)
			c.write32(0, uint64(base)+0x28, 1<<25)
		}
		for i := range uint64(handRing) {
			le.PutUint64(mem[handRxRing+16*i:], handMemory+handBuffers+0x20000+2048*i)
		}
		c.write32(0, 0x5080, 1<<10)   // FCTRL: broadcasts
		c.write32(0, 0x4A80, 1)       // DMATXCTL
		c.write32(0, 0x3000, 1)       // RXCTRL
		c.write32(0, 0x900, 0x80)     // IVAR0: receive queue 0 by vector 0
		c.write32(0, 0x880, 0x1)      // EIMS
		c.write32(0, 0x1014, 2|1<<25) // SRRCTL0: 2 KiB, one buffer
		ring(0x6000, handTxRing)
		ring(0x1000, handRxRing)
		c.write32(0, 0x1018, handRing-1)
		for i := range uint64(20) {
			f := frame(t, uint16(i), 100+10*int(i))
			copy(mem[handBuffers+2048*i:], f)
			desc := mem[handTxRing+16*i:]
			le.PutUint64(desc, handMemory+handBuffers+2048*i)
			le.PutUint64(desc[8:], uint64(len(f))<<46|0x2B30_0000|uint64(len(f))) // EOP, IFCS, RS, DEXT
			c.post(0, 0x6018, uint32(i+1))
			wb := mem[handRxRing+16*i:]
			for end := time.Now().Add(patience); wb[8]&1 == 0; {
				require.True(t, time.Now().Before(end), "round %d, frame %d:\n%v", round, i, r.log)
				fired(t, fd)
				c.write32(0, 0x880, 1)
			}
			n := int(le.Uint16(wb[12:]))
			require.Equal(t, f, mem[handBuffers+0x20000+2048*i:][:n])
			require.EqualValues(t, 1, mem[handTxRing+16*i+12]&1, "the transmit descriptor is done")
		}
		// The memory goes while the adapter works on it: the next client finds one
		// that works.
		require.NoError(t, unix.Ftruncate(memfd, 0))
		c.post(0, 0x6018, 40)
		c.ended()
		r.logged("is gone")
	}
}

// proxy is an 82599 as its driver in another process sees it: registers by messages.
type proxy struct{ c *client }

func (p proxy) Read32(off uint32) uint32 { return p.c.read32(0, uint64(off)) }

func (p proxy) Write32(off, v uint32, _ pci.Lanes) { p.c.post(0, uint64(off), v) }

// The Go driver, unchanged, in a client that shares no memory: its rings and buffers are
// read and written by messages.
func TestDriverOverMessages(t *testing.T) {
	r := newRig(t)
	d, path := r.adapter("nic0")
	r.run()
	c := connect(t, path)
	c.master()
	fn, err := pci.New(pci.ID{Vendor: 0x8086, Device: 0x10FB}, []pci.BAR{{Index: 0, Bytes: 512 << 10, Wide: true, Region: proxy{c}}})
	require.NoError(t, err)
	var space dma.Space
	c.memoryOf = &space
	const most = 64 << 20
	c.must(cmdDMAMap, put(&dmaMap{32, 3, 0, uint64(pmd.IOVA), most}, 32))
	drv, err := pmd.New(fn, &space, driver.Config{Offloads: driver.AllOffloads &^ driver.RSC, RingSize: 128})
	require.NoError(t, err)
	for end := time.Now().Add(patience); !drv.LinkUp(); {
		require.True(t, time.Now().Before(end))
	}

	var out [64]driver.RxPacket
	receive := func(n int) (got [][]byte) {
		t.Helper()
		for end := time.Now().Add(patience); len(got) < n; {
			require.True(t, time.Now().Before(end), "%d of %d packets came back\n%v", len(got), n, r.log)
			drv.LinkUp() // answers the adapter while it waits for the register
			for _, p := range out[:drv.Receive(0, out[:])] {
				require.NotEqual(t, driver.ChecksumBad, p.Checksum)
				got = append(got, bytes.Join(p.Pieces, nil))
			}
		}
		return got
	}
	for round := range 10 {
		var want [][]byte
		var packets []driver.TxPacket
		for i := range 30 {
			f := frame(t, uint16(100*round+i), 60+40*i)
			want = append(want, f)
			packets = append(packets, driver.TxPacket{Pieces: [][]byte{f[:20], f[20:]}})
		}
		require.Equal(t, len(packets), drv.Transmit(0, packets))
		require.Equal(t, want, receive(len(want)))
	}

	// A packet that is segmented while the wire has hardly room.
	big := frame(t, 7, 30000)
	copy(big[40:], []byte{0, 0}) // to be filled in
	require.Equal(t, 1, drv.Transmit(0, []driver.TxPacket{{
		Pieces: [][]byte{big}, NeedsChecksum: true, ChecksumStart: 34, ChecksumOffset: 6, GSO: driver.UDP, GSOBytes: 1000, HeaderBytes: 42,
	}}))
	payload := 0
	for _, s := range receive(30) {
		payload += len(s) - 42
	}
	require.Equal(t, 30000, payload)
	require.Positive(t, c.reads)
	require.Positive(t, c.writes)
	drv.LinkUp()
	r.do(func() {
		d.Counters(func(counter nicsim.Counter) {
			if counter.Name == "drop-"+nicsim.DropTxDMAFault.String() || counter.Name == "drop-"+nicsim.DropRxNoDescriptor.String() {
				require.Zero(t, counter.Value, counter.Name)
			}
		})
	})
	t.Logf("%d reads and %d writes of the client's memory", c.reads, c.writes)
}
