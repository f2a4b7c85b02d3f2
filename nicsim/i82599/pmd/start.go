package pmd

import (
	"encoding/binary"
	"errors"
	"fmt"

	"nicsim.dev/nicsim/driver"
	"nicsim.dev/nicsim/pci"
)

// defaultKey is the key of Microsoft's RSS verification suite, which every
// document of the field quotes.
var defaultKey = []byte{
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
}

const (
	// resetPolls bounds the wait for CTRL.RST to clear.
	resetPolls = 100

	headerBuffer = 256 // bytes of a header buffer when headers are split
)

// start brings the adapter up in the order of 4.6.3.
func (p *PMD) start() error {
	p.command(pci.CommandMemory|pci.CommandMaster, 0)
	p.write(regEIMC, 0x7FFFFFFF)
	p.write(regCTRL, bitCTRLReset)
	for i := 0; p.read(regCTRL)&bitCTRLReset != 0; i++ {
		if i == resetPolls {
			return errors.New("82599 driver: CTRL.RST does not clear: no adapter, or no memory decoding")
		}
	}
	p.write(regEIMC, 0x7FFFFFFF)
	low, high := p.read(regRAL0), p.read(regRAH0)
	binary.LittleEndian.PutUint32(p.mac[:], low)
	binary.LittleEndian.PutUint16(p.mac[4:], uint16(high))

	p.mtu()
	p.filters()
	if p.cfg.DoubleVLAN {
		p.set(regCTRLEXT, 1<<26) // EXTENDED_VLAN
		p.set(regDMATXCTL, 1<<3) // GDV
	}
	if p.cfg.FlowControl {
		p.flowControl()
	}
	p.rss()
	for i := range p.cfg.Queues {
		p.addQueues(i)
	}
	p.set(regDMATXCTL, 1)
	for i := range p.tx {
		if err := p.enableTx(i); err != nil {
			return err
		}
	}
	for i := range p.rx {
		if err := p.enableRx(i); err != nil {
			return err
		}
	}
	p.write(regRXCTRL, 1)
	return nil
}

// command sets and clears bits of the command register.
func (p *PMD) command(set, clear uint16) {
	var b [2]byte
	p.fn.ConfigRead(b[:], 4)
	binary.LittleEndian.PutUint16(b[:], binary.LittleEndian.Uint16(b[:])&^clear|set)
	p.fn.ConfigWrite(b[:], 4)
}

// mtu sets the longest frame: MTU, Ethernet header and FCS; a tag is allowed on
// top (8.2.3.22.13).
func (p *PMD) mtu() {
	p.write(regMAXFRS, uint32(p.cfg.MTU+18)<<16)
	h := p.read(regHLREG0) | 1<<10 | 1 // pad, CRC
	if p.cfg.MTU > 1500 {
		h |= 1 << 2 // JUMBOEN
	}
	p.write(regHLREG0, h)
}

// flowControl sends XOFF when half of the packet buffer is full, which leaves
// the other half for what is under way, and XON at a quarter (3.7.7.1.4).
func (p *PMD) flowControl() {
	const (
		enable     = 1 << 31
		high, low  = 256 << 10, 128 << 10
		link       = 1 << 3 // FCCFG.TFCE and MFLCN.RFCE
		discard    = 1 << 1 // MFLCN.DPF: the MAC keeps PAUSE frames
		pauseTime  = 0xFFFF // units of 512 bit times
		resendTime = pauseTime / 2
	)
	p.write(regFCTTV0, pauseTime)
	p.write(regFCRTV, resendTime)
	p.write(regFCRTL0, enable|low)
	p.write(regFCRTH0, enable|high)
	p.write(regFCCFG, link)
	p.write(regMFLCN, link|discard)
}

func (p *PMD) filters() {
	fctrl := uint32(1 << 10) // broadcast accept
	if p.cfg.Promisc {
		fctrl |= 1<<9 | 1<<8
	} else {
		fctrl |= 1 << 8 // stacks join groups without telling their driver
	}
	p.write(regFCTRL, fctrl)
	p.write(regVLNCTRL, 0x8100)
}

// rss spreads flows over the queues (7.1.2.8); RXCSUM.PCSD puts the hash into
// descriptors.
func (p *PMD) rss() {
	p.write(regRXCSUM, 1<<13|1<<12)
	if p.cfg.Offloads&driver.RSS == 0 {
		return
	}
	key := p.cfg.RSSKey
	if key == nil {
		key = defaultKey
	}
	for i := 0; i < 40; i += 4 {
		p.write(regRSSRK+uint32(i), binary.LittleEndian.Uint32(key[i:]))
	}
	for i := uint32(0); i < 128; i += 4 {
		var v uint32
		for k := range uint32(4) {
			v |= (i + k) % uint32(p.cfg.Queues) << (8 * k)
		}
		p.write(regRETA+i, v)
	}
	const types = 0x00F3 // TCP and IP over IPv4 and IPv6, UDP over both
	p.write(regMRQC, types<<16|1)
}

// addQueues allots rings and buffers to queue pair i.
func (p *PMD) addQueues(i int) {
	ringBytes := 16 * p.cfg.RingSize
	var t txQueue
	t.ringAt, t.ring = p.reserve(ringBytes)
	t.arenaAt, t.arena = p.reserve(txArenaBytes)
	t.posted = make([]posted, p.cfg.RingSize)
	p.tx = append(p.tx, t)

	r := rxQueue{bufferBytes: p.cfg.Buffer, split: p.cfg.Offloads&driver.HeaderSplit != 0}
	r.ringAt, r.ring = p.reserve(ringBytes)
	r.buffersAt, r.buffers = p.reserve(p.cfg.RingSize * p.cfg.Buffer)
	r.headersAt, r.headers = p.reserve(p.cfg.RingSize * headerBuffer)
	r.count = p.cfg.RingSize
	p.rx = append(p.rx, r)
}

func (p *PMD) enableTx(i int) error {
	t := &p.tx[i]
	p.write(txReg(i, txTDBAL), uint32(t.ringAt))
	p.write(txReg(i, txTDBAH), uint32(t.ringAt>>32))
	p.write(txReg(i, txTDLEN), uint32(len(t.ring)))
	p.write(txReg(i, txTDH), 0)
	p.write(txReg(i, txTDT), 0)
	p.write(txReg(i, txTXDCTL), bitQueueOn)
	if p.read(txReg(i, txTXDCTL))&bitQueueOn == 0 {
		return fmt.Errorf("82599 driver: transmit queue %d does not come up", i)
	}
	return nil
}

func (p *PMD) enableRx(i int) error {
	r := &p.rx[i]
	p.write(rxReg(i, rxRDBAL), uint32(r.ringAt))
	p.write(rxReg(i, rxRDBAH), uint32(r.ringAt>>32))
	p.write(rxReg(i, rxRDLEN), uint32(len(r.ring)))
	srrctl := uint32(p.cfg.Buffer>>10) | 1<<25
	if r.split {
		srrctl = uint32(p.cfg.Buffer>>10) | headerBuffer/64<<8 | 2<<25
		p.write(regPSRTYPE0+4*uint32(i), 1<<4|1<<5|1<<8|1<<9) // TCP, UDP, IPv4, IPv6
	}
	p.write(rxReg(i, rxSRRCTL), srrctl)
	if p.cfg.Offloads&driver.RSC != 0 {
		p.set(regRDRXCTL, 1<<25|1<<26) // RSCACKC, FCOE_WRFIX: required with RSC (8.2.3.8.8)
		p.write(rxReg(i, rxRSCCTL), 1|p.maxDescriptors()<<2)
	}
	p.write(rxReg(i, rxRDH), 0)
	p.write(rxReg(i, rxRDT), 0)
	rxdctl := uint32(bitQueueOn)
	if p.cfg.StripVLAN {
		rxdctl |= 1 << 30
	}
	p.write(rxReg(i, rxRXDCTL), rxdctl)
	if p.read(rxReg(i, rxRXDCTL))&bitQueueOn == 0 {
		return fmt.Errorf("82599 driver: receive queue %d does not come up", i)
	}
	for k := range r.count {
		r.post(k)
	}
	p.write(rxReg(i, rxRDT), uint32(r.count-1))
	return nil
}

// maxDescriptors is RSCCTL.MAXDESC for buffers of this size: their number times
// their size must stay under 64 KiB (8.2.3.8.12).
func (p *PMD) maxDescriptors() uint32 {
	switch {
	case 16*p.cfg.Buffer < 65536:
		return 3
	case 8*p.cfg.Buffer < 65536:
		return 2
	case 4*p.cfg.Buffer < 65536:
		return 1
	}
	return 0
}
