package i82599

const (
	// flashBytes is the size of the flash: 4 Mb, which the datasheet's list of
	// parts has (3.4.2).
	flashBytes  = 512 << 10
	flashPage   = 256
	flashSector = 32 << 10
)

// Bits of FLA (8.2.3.2.3), and of EEC, which protects the flash (8.2.3.2.1).
const (
	eecFlash      = 3 << 4 // FWE
	eecFlashWrite = 2 << 4

	flaClock   = 1 << 0
	flaSelect  = 1 << 1 // high while the chip is not selected
	flaIn      = 1 << 2
	flaOut     = 1 << 3
	flaRequest = 1 << 4
	flaGrant   = 1 << 5
	flaBusy    = 1 << 30
	flaErase   = 1 << 31
)

// flash is the serial flash. It holds ones until somebody writes to it, and
// takes no memory before.
type flash struct {
	d     *Device
	bytes []byte
	spi   spiSlave
}

func (f *flash) headBits() int     { return spiAddress + 8 }
func (f *flash) pageBytes() uint32 { return flashPage }

func (f *flash) byteAt(addr uint32) byte {
	if f.bytes == nil {
		return 0xFF
	}
	return f.bytes[addr%flashBytes]
}

// setByte programs a byte: that clears bits, only erasing sets them.
func (f *flash) setByte(addr uint32, v byte) {
	if !f.writable() {
		return
	}
	if f.bytes == nil {
		f.bytes = make([]byte, flashBytes)
		f.fill(0, flashBytes)
	}
	f.bytes[addr%flashBytes] &= v
}

// writable says whether EEC.FWE lets software write.
func (f *flash) writable() bool { return f.d.reg.Get(atEEC)&eecFlash == eecFlashWrite }

func (f *flash) fill(from, n uint32) {
	for i := from; i < from+n; i++ {
		f.bytes[i] = 0xFF
	}
}

// erase does what the opcodes that FLOP names ask for: a sector (7:0) or the
// device (15:8) becomes ones (8.2.3.2.8).
func (f *flash) erase(op byte, addr uint32) {
	if !f.writable() {
		return
	}
	switch v := f.d.reg.Get(atFLOP); op {
	case byte(v >> 8):
		f.bytes = nil
	case byte(v):
		if f.bytes != nil {
			f.fill(addr%flashBytes&^(flashSector-1), flashSector)
		}
	}
}

// wroteFLA grants the flash's pins to software and moves them. FL_ER erases the
// device, at once.
func (d *Device) wroteFLA(int, uint32, uint32) {
	v, chip := d.reg.Get(atFLA)&^(flaGrant|flaOut|flaBusy), &d.flash
	if v&flaErase != 0 {
		v &^= flaErase
		chip.erase(byte(d.reg.Get(atFLOP)>>8), 0)
	}
	requested := v&flaRequest != 0
	if requested {
		v |= flaGrant
	}
	chip.spi.set(chip, requested && v&flaSelect == 0, v&flaClock != 0, v&flaIn != 0)
	if chip.spi.out {
		v |= flaOut
	}
	d.reg.Set(atFLA, v)
}
