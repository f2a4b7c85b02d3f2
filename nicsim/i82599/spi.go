package i82599

// Opcodes of serial EEPROMs and flashes, as 6.5 and every maker's sheet (AT25128,
// AT25F1024) have them.
const (
	spiWriteStatus  = 0x01
	spiWrite        = 0x02
	spiRead         = 0x03
	spiWriteDisable = 0x04
	spiReadStatus   = 0x05
	spiWriteEnable  = 0x06

	spiLatch   = 1 << 1 // of the status: writing is enabled
	spiAddress = 24     // bits of opcode and address of an EEPROM, eight more of a flash
)

// spiChip is what stands behind the pins of EEC or of FLA.
type spiChip interface {
	byteAt(addr uint32) byte
	setByte(addr uint32, v byte)
	// headBits is the length of an opcode and its address; pageBytes is inside
	// what a write wraps.
	headBits() int
	pageBytes() uint32
	// erase does what an opcode of the chip's own asks for.
	erase(op byte, addr uint32)
}

// spiSlave is a chip's end of four pins, in SPI mode 0: it takes a bit when the
// clock rises and shows one when it falls.
type spiSlave struct {
	selected, clock bool
	out             bool

	bits  int    // taken since the chip was selected
	shift uint32 // the last of them
	op    byte
	addr  uint32 // of bytes; 16 bits
	reply byte
	latch bool
}

// set moves the pins.
func (s *spiSlave) set(c spiChip, selected, clock, in bool) {
	switch {
	case !selected:
		s.deselect(c)
	case !s.selected:
		s.selected, s.bits, s.op, s.out = true, 0, 0, false
	case clock && !s.clock:
		s.rise(c, in)
	case !clock && s.clock:
		s.fall(c)
	}
	s.clock = clock
}

// deselect ends a command. What it began is done at once: writing and erasing
// take no time here.
func (s *spiSlave) deselect(c spiChip) {
	switch {
	case !s.selected:
	case s.op == spiWrite && s.bits > c.headBits():
		s.latch = false
	case s.latch && s.bits >= 8 && s.op > spiWriteEnable:
		c.erase(s.op, s.addr)
		s.latch = false
	}
	s.selected, s.out = false, false
}

func (s *spiSlave) rise(c spiChip, in bool) {
	s.shift <<= 1
	if in {
		s.shift |= 1
	}
	s.bits++
	switch {
	case s.bits == 8:
		s.op = byte(s.shift)
		switch s.op {
		case spiWriteEnable:
			s.latch = true
		case spiWriteDisable:
			s.latch = false
		}
	case s.bits == c.headBits():
		s.addr = s.shift & (1<<(c.headBits()-8) - 1)
	case s.bits > c.headBits() && s.bits%8 == 0 && s.op == spiWrite && s.latch:
		c.setByte(s.addr, byte(s.shift))
		page := c.pageBytes() - 1
		s.addr = s.addr&^page | (s.addr+1)&page
	}
	if s.bits == 1<<20 {
		s.bits -= 1 << 19 // a master that never deselects
	}
}

// fall shows the next bit of a reply, the highest of a byte first.
func (s *spiSlave) fall(c spiChip) {
	start := c.headBits()
	switch s.op {
	case spiReadStatus:
		start = 8
	case spiRead:
	default:
		return
	}
	at := s.bits - start
	if at < 0 {
		return
	}
	if at%8 == 0 {
		if s.op == spiRead {
			s.reply = c.byteAt(s.addr)
			s.addr++
		} else {
			s.reply = 0
			if s.latch {
				s.reply = spiLatch
			}
		}
	}
	s.out = s.reply>>(7-at%8)&1 != 0
}

// byteAt and setByte see the EEPROM as bytes, the low one of a word first; its
// address wraps at the end.
func (e *eeprom) byteAt(addr uint32) byte {
	return byte(e.words[addr/2%eepromWords] >> (8 * (addr % 2)))
}

func (e *eeprom) setByte(addr uint32, v byte) {
	w, shift := &e.words[addr/2%eepromWords], 8*(addr%2)
	*w = *w&^(0xFF<<shift) | uint16(v)<<shift
}

func (e *eeprom) headBits() int      { return spiAddress }
func (e *eeprom) pageBytes() uint32  { return 32 }
func (e *eeprom) erase(byte, uint32) {} // it has no such opcode
