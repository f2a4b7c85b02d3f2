package pmd

import "fmt"

// The two-wire bus to the SFP+ module, by the pins of I2CCTL (82599 datasheet
// 8.2.3.1.5; I2C specification 3.1).
const (
	regI2CCTL = 0x00028

	bitI2CClock  = 1 << 1
	bitI2CDataIn = 1 << 2
	bitI2CData   = 1 << 3
)

// i2cPins sets the lines; high lets go of one.
func (p *PMD) i2cPins(clock, data bool) {
	var v uint32
	if clock {
		v |= bitI2CClock
	}
	if data {
		v |= bitI2CData
	}
	p.write(regI2CCTL, v)
}

func (p *PMD) i2cStart() {
	p.i2cPins(false, true)
	p.i2cPins(true, true)
	p.i2cPins(true, false)
	p.i2cPins(false, false)
}

func (p *PMD) i2cStop() {
	p.i2cPins(false, false)
	p.i2cPins(true, false)
	p.i2cPins(true, true)
}

// i2cBit gives the bus a clock, and returns the data line in it.
func (p *PMD) i2cBit(data bool) bool {
	p.i2cPins(false, data)
	p.i2cPins(true, data)
	in := p.read(regI2CCTL)&bitI2CDataIn != 0
	p.i2cPins(false, data)
	return in
}

// i2cSend sends a byte and returns whether it was acknowledged.
func (p *PMD) i2cSend(b byte) bool {
	for i := 7; i >= 0; i-- {
		p.i2cBit(b>>i&1 != 0)
	}
	return !p.i2cBit(true)
}

// i2cReceive takes a byte, and acknowledges it when more are wanted.
func (p *PMD) i2cReceive(more bool) (b byte) {
	for range 8 {
		b <<= 1
		if p.i2cBit(true) {
			b |= 1
		}
	}
	p.i2cBit(!more)
	return b
}

// address begins a transfer at an offset of a module's memory.
func (p *PMD) address(device, offset byte) error {
	p.i2cStart()
	if !p.i2cSend(device) || !p.i2cSend(offset) {
		p.i2cStop()
		return fmt.Errorf("82599 driver: nothing answers at I2C address %#x", device)
	}
	return nil
}

// ReadModule fills b from a memory of the SFP+ module (SFF-8472 4.1).
func (p *PMD) ReadModule(device, offset byte, b []byte) error {
	if err := p.address(device, offset); err != nil {
		return err
	}
	p.i2cStart()
	p.i2cSend(device | 1)
	for i := range b {
		b[i] = p.i2cReceive(i < len(b)-1)
	}
	p.i2cStop()
	return nil
}

// WriteModule writes b into a memory of the SFP+ module.
func (p *PMD) WriteModule(device, offset byte, b []byte) error {
	if err := p.address(device, offset); err != nil {
		return err
	}
	defer p.i2cStop()
	for i, v := range b {
		if !p.i2cSend(v) {
			return fmt.Errorf("82599 driver: byte %d was not acknowledged at I2C address %#x", i, device)
		}
	}
	return nil
}
