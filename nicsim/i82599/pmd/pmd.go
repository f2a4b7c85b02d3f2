// Package pmd is a poll-mode driver for the 82599 in Go. It reaches the adapter
// as any driver does: configuration space, registers, descriptors in memory. It
// shares no code with the model, so that a misreading of the datasheet does not
// hide on both sides.
package pmd

import (
	"errors"
	"fmt"

	"nicsim.dev/nicsim/dma"
	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/pci"
)

// Registers (82599 datasheet 8.2.3) that this driver uses.
const (
	regCTRL     = 0x00000
	regCTRLEXT  = 0x00018
	regSTATUS   = 0x00008
	regEIMC     = 0x00888
	regRDRXCTL  = 0x02F00
	regRXCTRL   = 0x03000
	regFCTTV0   = 0x03200
	regFCRTL0   = 0x03220
	regFCRTH0   = 0x03260
	regFCRTV    = 0x032A0
	regFCCFG    = 0x03D00
	regHLREG0   = 0x04240
	regMAXFRS   = 0x04268
	regMFLCN    = 0x04294
	regLINKS    = 0x042A4
	regDMATXCTL = 0x04A80
	regRXCSUM   = 0x05000
	regFCTRL    = 0x05080
	regVLNCTRL  = 0x05088
	regRETA     = 0x05C00
	regRSSRK    = 0x05C80
	regRAL0     = 0x0A200
	regRAH0     = 0x0A204
	regMRQC     = 0x0EC80
	regPSRTYPE0 = 0x0EA00

	rxRDBAL  = 0x00
	rxRDBAH  = 0x04
	rxRDLEN  = 0x08
	rxRDH    = 0x10
	rxSRRCTL = 0x14
	rxRDT    = 0x18
	rxRXDCTL = 0x28
	rxRSCCTL = 0x2C

	txTDBAL  = 0x00
	txTDBAH  = 0x04
	txTDLEN  = 0x08
	txTDH    = 0x10
	txTDT    = 0x18
	txTXDCTL = 0x28

	bitCTRLReset   = 1 << 26
	bitMasterOff   = 1 << 2 // CTRL.PCIE_Master_Disable
	bitMasterState = 1 << 19
	bitLinkUp      = 1 << 30
	bitQueueOn     = 1 << 25
)

// IOVA is where the driver's memory begins in the adapter's view.
const IOVA dma.Addr = 0x1_0000_0000

const (
	defaultRing   = 512
	defaultBuffer = 2048
	maxRing       = 4096
	maxQueues     = 16 // what RSS without virtualization spreads over (7.1.2.8)
	// txArenaBytes is what a transmit queue may hold in flight.
	txArenaBytes = 1 << 20
	// chunkBytes is the most that one transmit descriptor carries: 7.2.3.2.4
	// allows 15.5 KiB.
	chunkBytes = 15 << 10
	// maxPacketBytes is the longest packet taken, a TCP super-segment of 64 KiB
	// with its headers.
	maxPacketBytes = 64<<10 + 256
	maxMTU         = 31<<9 - 18 // 15.5 KiB less Ethernet header and FCS
)

// BadConfig says which field of a driver.Config makes no sense.
type BadConfig struct {
	Field string
	Value int
	Want  string
}

func (e *BadConfig) Error() string {
	return fmt.Sprintf("82599 driver: %s is %d, want %s", e.Field, e.Value, e.Want)
}

// PMD is a running driver.
type PMD struct {
	fn    *pci.Function
	mem   *dma.Space
	cfg   driver.Config
	arena []byte // everything that is mapped for the adapter
	used  int
	mac   [6]byte
	tx    []txQueue
	rx    []rxQueue
	stats driver.Stats
}

// New resets the adapter behind fn and programs it as cfg asks.
func New(fn *pci.Function, memory *dma.Space, cfg driver.Config) (driver.Driver, error) {
	if err := complete(&cfg); err != nil {
		return nil, err
	}
	p := &PMD{fn: fn, mem: memory, cfg: cfg}
	p.arena = make([]byte, p.arenaBytes())
	if err := memory.Map(IOVA, p.arena, dma.Read|dma.Write); err != nil {
		return nil, fmt.Errorf("82599 driver: %w", err)
	}
	if err := p.start(); err != nil {
		return nil, errors.Join(err, memory.Unmap(IOVA, len(p.arena)))
	}
	return p, nil
}

// complete puts defaults where cfg says nothing, and refuses what cannot be.
func complete(cfg *driver.Config) error {
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	set(&cfg.Queues, 1)
	set(&cfg.RingSize, defaultRing)
	set(&cfg.MTU, 1500)
	set(&cfg.Buffer, defaultBuffer)
	switch {
	case cfg.Queues < 1 || cfg.Queues > maxQueues:
		return &BadConfig{"queues", cfg.Queues, fmt.Sprintf("1 to %d", maxQueues)}
	case cfg.RingSize < 64 || cfg.RingSize > maxRing || cfg.RingSize%8 != 0:
		return &BadConfig{"ring size", cfg.RingSize, fmt.Sprintf("64 to %d, a multiple of 8", maxRing)}
	case cfg.MTU < 68 || cfg.MTU > maxMTU:
		return &BadConfig{"MTU", cfg.MTU, fmt.Sprintf("68 to %d", maxMTU)}
	case cfg.Buffer < 1024 || cfg.Buffer > 16384 || cfg.Buffer%1024 != 0:
		return &BadConfig{"buffer", cfg.Buffer, "1024 to 16384, a multiple of 1024"}
	case cfg.RSSKey != nil && len(cfg.RSSKey) != 40:
		return &BadConfig{"RSS key length", len(cfg.RSSKey), "40"}
	}
	return nil
}

func (p *PMD) arenaBytes() int {
	perQueue := 2*p.cfg.RingSize*16 + txArenaBytes + p.cfg.RingSize*(p.cfg.Buffer+headerBuffer)
	return p.cfg.Queues*(perQueue+4*4096) + 4096
}

// reserve takes n bytes of the arena, aligned to 128 as rings must be (7.1.9).
func (p *PMD) reserve(n int) (dma.Addr, []byte) {
	at := (p.used + 127) &^ 127
	p.used = at + n
	return IOVA + dma.Addr(at), p.arena[at : at+n : at+n]
}

func (p *PMD) read(off uint32) uint32   { return p.fn.Read32(0, off) }
func (p *PMD) write(off, v uint32)      { p.fn.Write32(0, off, v) }
func (p *PMD) set(off uint32, v uint32) { p.write(off, p.read(off)|v) }

// Queues returns the number of queue pairs.
func (p *PMD) Queues() int { return len(p.tx) }

// MAC returns the station address.
func (p *PMD) MAC() [6]byte { return p.mac }

// LinkUp says whether LINKS reports a link.
func (p *PMD) LinkUp() bool { return p.read(regLINKS)&bitLinkUp != 0 }

// Stats returns the driver's counters.
func (p *PMD) Stats() driver.Stats { return p.stats }

// Close disables the queues, ends the adapter's bus mastering (5.2.5.3.2), resets
// it and unmaps the memory.
func (p *PMD) Close() error {
	p.write(regRXCTRL, 0)
	for i := range p.rx {
		p.write(rxReg(i, rxRXDCTL), 0)
		p.write(txReg(i, txTXDCTL), 0)
	}
	p.set(regCTRL, bitMasterOff)
	for range resetPolls {
		if p.read(regSTATUS)&bitMasterState == 0 {
			break
		}
	}
	p.write(regCTRL, bitCTRLReset)
	p.command(0, pci.CommandMaster)
	return p.mem.Unmap(IOVA, len(p.arena))
}

func rxReg(q int, reg uint32) uint32 { return 0x1000 + 0x40*uint32(q) + reg }
func txReg(q int, reg uint32) uint32 { return 0x6000 + 0x40*uint32(q) + reg }
