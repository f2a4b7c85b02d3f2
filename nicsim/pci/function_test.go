package pci

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// scratch is a region of plain memory that remembers the lanes of the last write.
type scratch struct {
	words map[uint32]uint32
	lanes Lanes
}

func (s *scratch) Read32(off uint32) uint32 { return s.words[off] }

func (s *scratch) Write32(off, v uint32, lanes Lanes) {
	s.lanes = lanes
	s.words[off] = v
}

// sink collects interrupts and has room for so many messages.
type sink struct {
	room     int
	messages []message
	line     bool
}

type message struct {
	vector int
	addr   uint64
	data   uint32
}

func (s *sink) Message(i int, addr uint64, data uint32) bool {
	if len(s.messages) >= s.room {
		return false
	}
	s.messages = append(s.messages, message{i, addr, data})
	return true
}

func (s *sink) Line(on bool) { s.line = on }

// Offsets of the capabilities of endpoint.
const (
	pmAt, msiAt, msixAt, expressAt, vpdAt = 0x40, 0x50, 0x70, 0xA0, 0xE0
	aerAt, serialAt, ariAt                = 0x100, 0x140, 0x150
)

// endpoint is a function with every capability.
func endpoint(t testing.TB, noSoftReset bool) (*Function, *scratch) {
	regs := &scratch{words: map[uint32]uint32{}}
	f, err := New(
		ID{Vendor: 0x8086, Device: 0x10FB, SubsystemVendor: 0x8086, SubsystemDevice: 3, Class: 0x020000, Revision: 1, Pin: 1},
		[]BAR{{Index: 0, Bytes: 512 << 10, Wide: true, Region: regs}, {Index: 2, Bytes: 32, IO: true, Region: regs}, {Index: 4, Bytes: 16 << 10, Wide: true}},
		PM{At: pmAt, Capabilities: 0x4823, Status: 0x2000, NoSoftReset: noSoftReset},
		MSI{At: msiAt},
		MSIX{At: msixAt, Vectors: 64, TableBAR: 4, PendingBAR: 4, PendingOff: 0x2000},
		Express{At: expressAt, DeviceCapabilities: 0x10008CC2, DeviceControl: 0x2810, LinkCapabilities: 0x1C482, LinkStatus: 0x1082,
			DeviceCapabilities2: 0x1F, LinkControl2: 2},
		VPD{At: vpdAt, Data: []byte("\x82\x03\x00NIC\x78 tail")},
		AER{At: aerAt, Uncorrectable: 0x1FF010, Correctable: 0x31C1, Severity: 0x062010},
		SerialNumber{At: serialAt, Serial: 0x001B21FFFF123456},
		ARI{At: ariAt, NextFunction: 1},
	)
	require.NoError(t, err)
	return f, regs
}

func put16(f *Function, off int, v uint16) {
	f.ConfigWrite(binary.LittleEndian.AppendUint16(nil, v), off)
}

func put32(f *Function, off int, v uint32) {
	f.ConfigWrite(binary.LittleEndian.AppendUint32(nil, v), off)
}

func get16(f *Function, off int) uint16 {
	var b [2]byte
	f.ConfigRead(b[:], off)
	return binary.LittleEndian.Uint16(b[:])
}

func get32(f *Function, off int) uint32 {
	var b [4]byte
	f.ConfigRead(b[:], off)
	return binary.LittleEndian.Uint32(b[:])
}

func TestBARsTellTheirSize(t *testing.T) {
	f, _ := endpoint(t, false)
	for off, want := range map[int]uint32{
		0x10: 0xFFF80004, 0x14: 0xFFFFFFFF, 0x18: 0xFFFFFFE1, 0x1C: 0, 0x20: 0xFFFFC004, 0x24: 0xFFFFFFFF, 0x30: 0,
	} {
		put32(f, off, 0xFFFFFFFF)
		require.Equal(t, want, get32(f, off), "offset %#x", off)
	}
	require.Equal(t, []uint32{512 << 10, 0, 32, 0, 16 << 10, 0}, []uint32{
		f.BARBytes(0), f.BARBytes(1), f.BARBytes(2), f.BARBytes(-1), f.BARBytes(4), f.BARBytes(6),
	})
	put32(f, 0x10, 0xFEB81234)
	require.Equal(t, uint32(0xFEB80004), get32(f, 0x10))
}

func TestConfigurationAccessesOfAnySize(t *testing.T) {
	f, _ := endpoint(t, false)
	f.ConfigWrite([]byte{1, 2, 3, 4, 5, 6, 7}, 0x0A) // only the cache line size is writable there
	require.Equal(t, uint32(0x02000001), get32(f, 8))
	require.Equal(t, uint32(0x00000003), get32(f, 0xC))
	b := make([]byte, 8)
	f.ConfigRead(b, 0xFFC)
	require.Equal(t, []byte{0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}, b)
	f.ConfigRead(b[:2], -1)
	require.Equal(t, []byte{0xFF, 0x86}, b[:2])
	f.ConfigWrite([]byte{9, 9}, -1)
	f.ConfigWrite(b, 0x7FFFFFF8)
	require.Equal(t, uint32(0x10FB8086), get32(f, 0))
}

func TestCommandGatesAccesses(t *testing.T) {
	f, regs := endpoint(t, false)
	regs.words[0x10] = 0x11223344
	require.Equal(t, ^uint32(0), f.Read32(0, 0x10))
	f.Write32(0, 0x10, 5)
	require.Equal(t, uint32(0x11223344), regs.words[0x10])

	put16(f, offCommand, CommandMemory)
	require.False(t, f.BusMaster())
	require.Equal(t, uint32(0x11223344), f.Read32(0, 0x10))
	require.Equal(t, ^uint32(0), f.Read32(2, 0x10), "port space is off")
	put16(f, offCommand, CommandIO|CommandMaster)
	require.True(t, f.BusMaster())
	require.Equal(t, ^uint32(0), f.Read32(0, 0x10))
	require.Equal(t, uint32(0x11223344), f.Read32(2, 0x10))
	require.Equal(t, ^uint32(0), f.Read32(2, 0x20), "beyond its end")
}

func TestRegisterAccessesOfAnySize(t *testing.T) {
	f, regs := endpoint(t, false)
	put16(f, offCommand, CommandMemory)
	regs.words[0x10], regs.words[0x14] = 0x11223344, 0x55667788
	b := make([]byte, 8)
	f.Read(0, b[:5], 0x12)
	require.Equal(t, []byte{0x22, 0x11, 0x88, 0x77, 0x66}, b[:5])
	f.Read(0, b, 512<<10-4)
	require.Equal(t, []byte{0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}, b)
	for _, bar := range []int{-1, 1, 3, 5, 6} {
		f.Read(bar, b[:1], 0)
		f.Write(bar, b[:1], 0)
		require.Equal(t, byte(0xFF), b[0])
	}
	f.Read(0, b, ^uint64(0)-3)
	require.Equal(t, byte(0xFF), b[0])

	f.Write(0, []byte{0xAB, 0xCD}, 0x21)
	require.Equal(t, uint32(0x00CDAB00), regs.words[0x20])
	require.Equal(t, Lanes(0b0110), regs.lanes)
	f.Write(0, []byte{1, 2, 3, 4, 5, 6, 7, 8}, 0x40)
	require.Equal(t, AllLanes, regs.lanes)
	require.Equal(t, []uint32{0x04030201, 0x08070605}, []uint32{regs.words[0x40], regs.words[0x44]})
	require.Equal(t, ^uint32(0), f.Read32(0, 0x41), "unaligned")
}

func TestRemovedFunctionIsSilent(t *testing.T) {
	f, _ := endpoint(t, false)
	irq := &sink{room: 9}
	f.SetInterrupter(irq)
	put16(f, offCommand, CommandMemory|CommandMaster)
	f.SetLine(true)
	require.True(t, irq.line)
	f.SetPresent(false)
	require.False(t, irq.line)
	require.False(t, f.BusMaster())
	require.Equal(t, ^uint32(0), get32(f, 0))
	require.Equal(t, ^uint32(0), f.Read32(0, 0))
	put16(f, offCommand, 0)
	f.SetPresent(true)
	require.True(t, f.BusMaster())
	require.True(t, irq.line)
}

func TestResets(t *testing.T) {
	// What is set before each reset, and what of it is left.
	for _, c := range []struct {
		cause             Cause
		reset             func(f *Function)
		noSoftReset, none bool
		payload           uint16
		status            uint32
	}{
		{cause: FLR, reset: func(f *Function) { put16(f, expressAt+8, 0x8040) }, payload: 0x40, status: 1 << 20},
		{cause: PowerUp, reset: func(f *Function) { put16(f, pmAt+4, 3); put16(f, pmAt+4, 0) }, payload: 0, status: 1 << 20},
		{cause: BusReset, reset: func(f *Function) { f.Reset(BusReset) }, payload: 0, status: 1 << 20},
		{cause: TransportReset, reset: func(f *Function) { f.Reset(TransportReset) }},
		{none: true, noSoftReset: true, reset: func(f *Function) { put16(f, pmAt+4, 3); put16(f, pmAt+4, 0) }},
	} {
		f, _ := endpoint(t, c.noSoftReset)
		var causes []Cause
		f.OnReset(func(c Cause) { causes = append(causes, c) })
		put16(f, offCommand, CommandMemory|CommandMaster)
		put16(f, expressAt+8, 0x2840) // 512 bytes payload
		put32(f, 0x10, 0xFEB80000)
		put16(f, msixAt+2, 0x8000)
		f.Write32(4, 12, 0)
		f.Report(UnsupportedRequest, [4]uint32{1, 2, 3, 4})
		c.reset(f)
		if c.none {
			require.Empty(t, causes)
			require.True(t, f.BusMaster())
			continue
		}
		require.Equal(t, []Cause{c.cause}, causes)
		require.False(t, f.BusMaster())
		require.Zero(t, get16(f, offCommand))
		require.Equal(t, uint32(4), get32(f, 0x10))
		require.Equal(t, uint16(63), get16(f, msixAt+2))
		require.Equal(t, c.payload, get16(f, expressAt+8)&0xE0, c.cause)
		require.Zero(t, get16(f, expressAt+8)&0x8000)
		require.Equal(t, c.status, get32(f, aerAt+4))
		put16(f, offCommand, CommandMemory)
		require.Equal(t, uint32(1), f.Read32(4, 12), "vectors are masked")
	}
}

func TestD3(t *testing.T) {
	f, _ := endpoint(t, false)
	put16(f, offCommand, CommandMemory|CommandMaster)
	put16(f, pmAt+4, 1) // D1 is not there
	require.Equal(t, uint16(0x2000), get16(f, pmAt+4))
	require.True(t, f.BusMaster())
	put16(f, pmAt+4, 3)
	require.False(t, f.BusMaster())
	require.Equal(t, ^uint32(0), f.Read32(0, 0))
	require.Equal(t, uint32(0x10FB8086), get32(f, 0))
}

func TestErrorsAreReported(t *testing.T) {
	f, _ := endpoint(t, false)
	require.Equal(t, NoMessage, f.Report(MalformedTLP, [4]uint32{7}), "not enabled")
	require.Equal(t, uint16(1<<2), get16(f, expressAt+0xA))
	require.Equal(t, uint32(7), get32(f, aerAt+0x1C))
	put32(f, aerAt+4, 1<<18)
	require.Zero(t, get32(f, aerAt+4))

	put16(f, expressAt+8, 0xF)
	require.Equal(t, FatalMessage, f.Report(MalformedTLP, [4]uint32{1, 2, 3, 4}))
	require.Equal(t, NonFatalMessage, f.Report(CompletionTimeout, [4]uint32{9}))
	require.Equal(t, uint32(18), get32(f, aerAt+0x18)&0x1F, "the log keeps the first")
	require.Equal(t, uint32(4), get32(f, aerAt+0x28))
	require.Equal(t, uint32(1<<18|1<<14), get32(f, aerAt+4))

	put32(f, aerAt+8, 1<<15)
	require.Equal(t, NoMessage, f.Report(CompleterAbort, [4]uint32{}))
	require.Equal(t, CorrectableMessage, f.Report(BadTLP, [4]uint32{}))
	require.Equal(t, NoMessage, f.Report(AdvisoryNonFatal, [4]uint32{}), "masked by default")
	require.Equal(t, uint32(1<<6|1<<13), get32(f, aerAt+0x10))
	require.Equal(t, NoMessage, f.Report(Error(5), [4]uint32{}), "not one of this function's")
	require.Zero(t, get32(f, aerAt+4)&(1<<5))

	put16(f, expressAt+8, 0)
	put16(f, offCommand, commandSERR)
	put32(f, aerAt+4, ^uint32(0))
	require.Equal(t, NonFatalMessage, f.Report(UnsupportedRequest, [4]uint32{}))
	require.NotZero(t, get16(f, offStatus)&statusSERR)
}

func TestVPDIsReadByAddress(t *testing.T) {
	f, _ := endpoint(t, false)
	put16(f, vpdAt+2, 4)
	require.Equal(t, uint16(0x8004), get16(f, vpdAt+2))
	require.Equal(t, "IC\x78 ", string(binary.LittleEndian.AppendUint32(nil, get32(f, vpdAt+4))))
	put16(f, vpdAt+2, 0x7FFC)
	require.Zero(t, get32(f, vpdAt+4))
	put16(f, vpdAt+2, 0x8004)
	require.Equal(t, uint16(4), get16(f, vpdAt+2), "a write ends at once")
}

func TestNewRefuses(t *testing.T) {
	bar := BAR{Index: 0, Bytes: 4096}
	for name, c := range map[string]struct {
		bars []BAR
		caps []Capability
	}{
		"two at one index":     {bars: []BAR{bar, bar}},
		"over a wide half":     {bars: []BAR{{Index: 0, Bytes: 4096, Wide: true}, {Index: 1, Bytes: 4096}}},
		"wide over another":    {bars: []BAR{{Index: 1, Bytes: 4096}, {Index: 0, Bytes: 4096, Wide: true}}},
		"wide at the end":      {bars: []BAR{{Index: 5, Bytes: 4096, Wide: true}}},
		"no power of two":      {bars: []BAR{{Index: 0, Bytes: 4095}}},
		"wide port":            {bars: []BAR{{Index: 0, Bytes: 32, Wide: true, IO: true}}},
		"in the header":        {caps: []Capability{MSI{At: 0x30}}},
		"across the boundary":  {caps: []Capability{MSI{At: 0xF0}}},
		"unaligned":            {caps: []Capability{MSI{At: 0x41}}},
		"overlap":              {caps: []Capability{PM{At: 0x40}, MSI{At: 0x44}}},
		"extended starts late": {caps: []Capability{ARI{At: 0x140}}},
		"table too long":       {bars: []BAR{bar}, caps: []Capability{MSIX{At: 0x70, Vectors: 257}}},
		"no vectors":           {bars: []BAR{bar}, caps: []Capability{MSIX{At: 0x70}}},
	} {
		_, err := New(ID{}, c.bars, c.caps...)
		require.Error(t, err, name)
	}
}

func TestRegisterAccessDoesNotAllocate(t *testing.T) {
	f, _ := endpoint(t, false)
	put16(f, offCommand, CommandMemory)
	f.Write32(0, 8, 1)
	b := make([]byte, 4)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		f.Write32(0, 8, f.Read32(0, 8)+1)
		f.Read(0, b, 8)
		f.Write(0, b, 8)
	}))
}
