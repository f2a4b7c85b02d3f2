package i82599

// Opcodes of serial EEPROMs, as 6.5 and every maker's sheet (AT25128) have them.
const (
	spiWriteStatus  = 0x01
	spiWrite        = 0x02
	spiRead         = 0x03
	spiWriteDisable = 0x04
	spiReadStatus   = 0x05
	spiWriteEnable  = 0x06

	spiLatch     = 1 << 1 // of the status: writing is enabled
	spiPageBytes = 32     // a write wraps inside its page
)

// spiSlave is the EEPROM's end of the pins of EEC, in SPI mode 0: it takes a bit
// when the clock rises and shows one when it falls.
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
func (s *spiSlave) set(e *eeprom, selected, clock, in bool) {
	switch {
	case !selected:
		s.deselect()
	case !s.selected:
		s.selected, s.bits, s.op, s.out = true, 0, 0, false
	case clock && !s.clock:
		s.rise(e, in)
	case !clock && s.clock:
		s.fall(e)
	}
	s.clock = clock
}

func (s *spiSlave) deselect() {
	if s.selected && s.op == spiWrite && s.bits > 24 {
		s.latch = false // a write cycle ends; here it takes no time
	}
	s.selected, s.out = false, false
}

func (s *spiSlave) rise(e *eeprom, in bool) {
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
	case s.bits == 24:
		s.addr = s.shift & 0xFFFF
	case s.bits > 24 && s.bits%8 == 0 && s.op == spiWrite && s.latch:
		e.setByte(s.addr, byte(s.shift))
		s.addr = s.addr&^(spiPageBytes-1) | (s.addr+1)&(spiPageBytes-1)
	}
	if s.bits == 1<<20 {
		s.bits -= 1 << 19 // a master that never deselects
	}
}

// fall shows the next bit of a reply, the highest of a byte first.
func (s *spiSlave) fall(e *eeprom) {
	start := 24
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
			s.reply = e.byteAt(s.addr)
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
