package pci

import "encoding/binary"

// ConfigBytes is the size of configuration space (PCIe 3.0 7.2).
const ConfigBytes = 4096

// space is configuration space: its bytes and, for each, which bits software
// may write, which it clears by writing a one, and which outlive a reset.
type space struct {
	now, initial [ConfigBytes]byte
	writable     [ConfigBytes]byte
	clears       [ConfigBytes]byte
	// sticky bits survive every reset but that of power (PCIe 3.0 7.4, RWS,
	// ROS, RW1CS); keptByFLR bits survive a function-level reset (6.6.2).
	sticky, keptByFLR [ConfigBytes]byte
	used              [ConfigBytes]bool
}

func (s *space) get16(off int) uint16    { return binary.LittleEndian.Uint16(s.now[off:]) }
func (s *space) get32(off int) uint32    { return binary.LittleEndian.Uint32(s.now[off:]) }
func (s *space) set16(off int, v uint16) { binary.LittleEndian.PutUint16(s.now[off:], v) }
func (s *space) set32(off int, v uint32) { binary.LittleEndian.PutUint32(s.now[off:], v) }

// bits changes the bits of the 16-bit word at off that mask names.
func (s *space) bits(off int, mask uint16, on bool) {
	if v := s.get16(off); on {
		s.set16(off, v|mask)
	} else {
		s.set16(off, v&^mask)
	}
}

// or16 and or32 add bits to one of the masks.
func or16(mask *[ConfigBytes]byte, off int, bits uint16) {
	binary.LittleEndian.PutUint16(mask[off:], binary.LittleEndian.Uint16(mask[off:])|bits)
}

func or32(mask *[ConfigBytes]byte, off int, bits uint32) {
	binary.LittleEndian.PutUint32(mask[off:], binary.LittleEndian.Uint32(mask[off:])|bits)
}

func (s *space) write(p []byte, off int) {
	for i, b := range p {
		at := off + i
		if at < 0 || at >= ConfigBytes {
			continue
		}
		w := s.writable[at]
		s.now[at] = (s.now[at]&^w | b&w) &^ (b & s.clears[at])
	}
}

func (s *space) read(p []byte, off int) {
	for i := range p {
		p[i] = 0xFF
		if at := off + i; at >= 0 && at < ConfigBytes {
			p[i] = s.now[at]
		}
	}
}

func (s *space) reset(c Cause) {
	for i := range s.now {
		var keep byte
		switch c {
		case FLR:
			keep = s.sticky[i] | s.keptByFLR[i]
		case PowerUp, BusReset:
			keep = s.sticky[i]
		}
		s.now[i] = s.initial[i]&^keep | s.now[i]&keep
	}
}

// writableAt returns which bits of the 32-bit word at off software may write.
func (s *space) writableAt(off int) uint32 {
	return binary.LittleEndian.Uint32(s.writable[off:])
}
