// Package pci is the bus side of an adapter: configuration space, base address
// registers and interrupts. Transports drive it, models build on it.
package pci

// Interrupter is what a transport or a driver offers a function to interrupt it.
type Interrupter interface {
	// Message delivers message-signalled vector i. It returns false when the bus
	// has no room; the function keeps the vector pending and tries again.
	Message(i int, addr uint64, data uint32) bool
	// Line sets the level of the legacy interrupt.
	Line(asserted bool)
}

// Region answers accesses to a base address register. Offsets are inside it.
type Region interface {
	ReadAt(p []byte, off uint64)
	WriteAt(p []byte, off uint64)
}

// Function is one PCI function.
type Function struct {
	bars  [6]Region
	irq   Interrupter
	reset func()
}

// Read answers a read of base address register bar.
func (f *Function) Read(bar int, p []byte, off uint64) { f.bars[bar].ReadAt(p, off) }

// Write takes a write to base address register bar.
func (f *Function) Write(bar int, p []byte, off uint64) { f.bars[bar].WriteAt(p, off) }
