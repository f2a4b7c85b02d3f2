package pci

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Interrupter is what a transport or a driver offers a function to interrupt
// it. Its methods are called amid the function's work and must not call back.
type Interrupter interface {
	// Message delivers message-signalled vector i. It returns false when the bus
	// has no room; the function keeps the vector pending until Retry.
	Message(i int, addr uint64, data uint32) bool
	// Line sets the level of the legacy interrupt.
	Line(asserted bool)
}

// Mode is how a function may interrupt.
type Mode uint8

const (
	NoInterrupts Mode = iota // the line is disabled and messages are not enabled
	INTx
	MessageMode // MSI
	MessageXMode
)

var modeNames = [...]string{"none", "INTx", "MSI", "MSI-X"}

func (m Mode) String() string {
	if int(m) < len(modeNames) {
		return modeNames[m]
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// MSI is message-signalled interrupts: one vector with a 64-bit address and a
// mask bit (PCI 3.0 6.8.1).
type MSI struct{ At int }

// Offsets inside the MSI capability, and bits of its control word.
const (
	msiControl = 0x02
	msiAddress = 0x04
	msiData    = 0x0C
	msiMask    = 0x10
	msiPending = 0x14

	msiEnable   = 1 << 0
	msi64       = 1 << 7
	msiMaskable = 1 << 8
)

func (c MSI) shape() (uint16, int, int, uint8) { return 0x05, c.At, 0x18, 0 }

func (c MSI) build(f *Function) error {
	s := &f.space
	s.set16(c.At+msiControl, msi64|msiMaskable)
	or16(&s.writable, c.At+msiControl, msiEnable|7<<4)
	or32(&s.writable, c.At+msiAddress, ^uint32(3))
	or32(&s.writable, c.At+msiAddress+4, ^uint32(0))
	or16(&s.writable, c.At+msiData, 0xFFFF)
	or32(&s.writable, c.At+msiMask, 1)
	f.msi = c.At
	return nil
}

// MSIX is message-signalled interrupts with a table in memory (PCI 3.0 6.8.2).
type MSIX struct {
	At                   int
	Vectors              int // 1 to 2048
	TableBAR, PendingBAR int
	// TableOff and PendingOff are byte offsets inside their BARs.
	TableOff, PendingOff uint32
}

const (
	msixControl = 0x02

	msixMaskAll = 1 << 14
	msixEnable  = 1 << 15

	entryBytes  = 16
	entryMasked = 1
)

// messageTable is the MSI-X table with its pending bits.
type messageTable struct {
	at                     int // offset of the capability, 0 for none
	entries                []entry
	pending                []uint64
	tableBAR, pendingBAR   int
	tableOff, pendingOff   uint32
	tableSize, pendingSize uint32
}

type entry struct {
	addr          uint64
	data, control uint32
}

func (c MSIX) shape() (uint16, int, int, uint8) { return 0x11, c.At, 12, 0 }

func (c MSIX) build(f *Function) error {
	if c.Vectors < 1 || c.Vectors > 2048 {
		return fmt.Errorf("pci: an MSI-X table has 1 to 2048 vectors, not %d", c.Vectors)
	}
	words := (c.Vectors + 63) / 64
	m := messageTable{
		at: c.At, tableBAR: c.TableBAR, tableOff: c.TableOff, pendingBAR: c.PendingBAR, pendingOff: c.PendingOff,
		tableSize: uint32(c.Vectors * entryBytes), pendingSize: uint32(8 * words),
		entries: make([]entry, c.Vectors), pending: make([]uint64, words),
	}
	for _, r := range [...]struct {
		bar       int
		off, size uint32
	}{{m.tableBAR, m.tableOff, m.tableSize}, {m.pendingBAR, m.pendingOff, m.pendingSize}} {
		if r.bar < 0 || r.bar >= len(f.bars) || r.off%8 != 0 || uint64(r.off)+uint64(r.size) > uint64(f.bars[r.bar].bytes) {
			return fmt.Errorf("pci: MSI-X needs %d bytes at %#x of base address register %d", r.size, r.off, r.bar)
		}
	}
	m.reset()
	f.msix = m
	s := &f.space
	s.set16(c.At+msixControl, uint16(c.Vectors-1))
	or16(&s.writable, c.At+msixControl, msixMaskAll|msixEnable)
	s.set32(c.At+4, c.TableOff|uint32(c.TableBAR))
	s.set32(c.At+8, c.PendingOff|uint32(c.PendingBAR))
	return nil
}

func (m *messageTable) reset() {
	for i := range m.entries {
		m.entries[i] = entry{control: entryMasked}
	}
	clear(m.pending)
}

// covers says whether the table or the pending bits answer at off of bar.
func (m *messageTable) covers(bar int, off uint32) bool {
	return m.at > 0 && (bar == m.tableBAR && off-m.tableOff < m.tableSize ||
		bar == m.pendingBAR && off-m.pendingOff < m.pendingSize)
}

func (m *messageTable) read32(bar int, off uint32) uint32 {
	if bar == m.tableBAR && off-m.tableOff < m.tableSize {
		e := &m.entries[(off-m.tableOff)/entryBytes]
		switch (off - m.tableOff) % entryBytes {
		case 0:
			return uint32(e.addr)
		case 4:
			return uint32(e.addr >> 32)
		case 8:
			return e.data
		}
		return e.control
	}
	w := m.pending[(off-m.pendingOff)/8]
	return uint32(w >> ((off - m.pendingOff) % 8 * 8))
}

// write32 takes a write to the table; the pending bits are read-only.
func (m *messageTable) write32(bar int, off, v uint32) {
	if bar != m.tableBAR || off-m.tableOff >= m.tableSize {
		return
	}
	e := &m.entries[(off-m.tableOff)/entryBytes]
	switch (off - m.tableOff) % entryBytes {
	case 0:
		e.addr = e.addr>>32<<32 | uint64(v&^3)
	case 4:
		e.addr = uint64(v)<<32 | e.addr&0xFFFFFFFF
	case 8:
		e.data = v
	case 12:
		e.control = v & entryMasked
	}
}

// Mode returns how the function may interrupt now.
func (f *Function) Mode() Mode { return f.mode }

func (f *Function) interruptMode() Mode {
	s := &f.space
	switch {
	case f.msix.at > 0 && s.get16(f.msix.at+msixControl)&msixEnable != 0:
		return MessageXMode
	case f.msi > 0 && s.get16(f.msi+msiControl)&msiEnable != 0:
		return MessageMode
	case s.now[offPin] != 0 && s.get16(offCommand)&CommandINTxDisable == 0:
		return INTx
	}
	return NoInterrupts
}

// Vectors returns the size of the MSI-X table, 0 for none.
func (f *Function) Vectors() int { return len(f.msix.entries) }

// Raise posts message vector i: it is sent at once, or stays pending while it is
// masked, the function may not master the bus, or the bus has no room. In MSI
// mode every vector is the one message; in other modes nothing happens.
func (f *Function) Raise(i int) {
	switch f.mode {
	case MessageXMode:
		if i >= 0 && i < len(f.msix.entries) && !f.send(i) {
			f.msix.pending[i/64] |= 1 << (i % 64)
		}
	case MessageMode:
		if !f.sendMSI() {
			f.space.now[f.msi+msiPending] |= 1
		}
	}
}

func (f *Function) send(i int) bool {
	e := &f.msix.entries[i]
	return f.master && f.irq != nil && !f.vectorMasked(i) && f.irq.Message(i, e.addr, e.data)
}

func (f *Function) sendMSI() bool {
	s := &f.space
	addr := binary.LittleEndian.Uint64(s.now[f.msi+msiAddress:])
	return f.master && f.irq != nil && s.now[f.msi+msiMask]&1 == 0 &&
		f.irq.Message(0, addr, uint32(s.get16(f.msi+msiData)))
}

// Retry sends what is pending and not masked, in order of vector, until the bus
// has no room. It returns whether everything that may be sent was sent.
func (f *Function) Retry() bool {
	if !f.master || f.irq == nil {
		return true
	}
	switch f.mode {
	case MessageMode:
		if s := &f.space; s.now[f.msi+msiPending]&1 != 0 && s.now[f.msi+msiMask]&1 == 0 {
			if !f.sendMSI() {
				return false
			}
			s.now[f.msi+msiPending] &^= 1
		}
	case MessageXMode:
		if f.space.get16(f.msix.at+msixControl)&msixMaskAll != 0 {
			return true
		}
		for w := range f.msix.pending {
			for left := f.msix.pending[w]; left != 0; left &= left - 1 {
				i := 64*w + bits.TrailingZeros64(left)
				if f.msix.entries[i].control&entryMasked != 0 {
					continue
				}
				if !f.send(i) {
					return false
				}
				f.msix.pending[w] &^= 1 << (i % 64)
			}
		}
	}
	return true
}

// MaskVector sets the mask bit of MSI-X vector i, for transports whose client
// keeps the table to itself (vfio-user: a vector without an eventfd is masked).
func (f *Function) MaskVector(i int, masked bool) {
	if i < 0 || i >= len(f.msix.entries) {
		return
	}
	f.msix.entries[i].control = 0
	if masked {
		f.msix.entries[i].control = entryMasked
	}
	f.Retry()
}

// ClearPending forgets that masked MSI-X vector i is pending. One that only waits
// for room on the bus has been sent, as far as the model and its driver know, and
// stays.
func (f *Function) ClearPending(i int) {
	if i >= 0 && i < len(f.msix.entries) && f.vectorMasked(i) {
		f.msix.pending[i/64] &^= 1 << (i % 64)
	}
}

func (f *Function) vectorMasked(i int) bool {
	return f.msix.entries[i].control&entryMasked != 0 || f.space.get16(f.msix.at+msixControl)&msixMaskAll != 0
}

// SetLine says whether the function has an interrupt to signal by its pin. The
// pin follows while Mode is INTx; the status register shows it always.
func (f *Function) SetLine(asserted bool) {
	if asserted != f.line {
		f.line = asserted
		f.driveLine()
	}
}

func (f *Function) driveLine() {
	f.space.bits(offStatus, statusINTx, f.line)
	drive := f.line && f.mode == INTx && f.awake
	if drive != f.driven {
		f.driven = drive
		if f.irq != nil {
			f.irq.Line(drive)
		}
	}
}

// SetInterrupter says who takes interrupts from now on; nil ends that. What is
// pending is sent to it.
func (f *Function) SetInterrupter(irq Interrupter) {
	f.irq = irq
	if irq != nil && f.driven {
		irq.Line(true)
	}
	f.Retry()
}
