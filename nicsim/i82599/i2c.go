package i82599

// Bits of I2CCTL (8.2.3.1.5). A line is high unless one side pulls it down.
const (
	i2cClockIn  = 1 << 0
	i2cClockOut = 1 << 1
	i2cDataIn   = 1 << 2
	i2cDataOut  = 1 << 3
)

// i2cMemory is what answers on the bus: byte memories at device addresses.
type i2cMemory interface {
	// present says whether a device of this seven-bit address acknowledges.
	present(addr byte) bool
	read(addr, off byte) byte
	write(addr, off, v byte)
}

type i2cState uint8

const (
	i2cIdle i2cState = iota
	i2cAddress
	i2cOffset
	i2cWrite
	i2cRead
)

// i2cSlave is the far end of the two-wire bus (I2C specification 3.1; SFF-8472
// 4.1): it changes the data line while the clock is low, and takes bits when the
// clock rises.
type i2cSlave struct {
	mem         i2cMemory
	clock, data bool // the lines as the master last left them
	low         bool // this end pulls the data line down

	state i2cState
	addr  byte
	off   [2]byte // the place in each of a module's two memories, kept between commands
	shift byte
	bits  int  // of the byte, 0 to 8; the ninth clock is the acknowledgement
	ack   bool // in it
	more  bool // the master acknowledged: it wants the next byte
}

func (s *i2cSlave) reset(mem i2cMemory) {
	off := s.off
	*s = i2cSlave{mem: mem, clock: true, data: true, off: off}
}

// line returns the level of the data line.
func (s *i2cSlave) line() bool { return s.data && !s.low }

// set moves the master's ends of the lines.
func (s *i2cSlave) set(clock, data bool) {
	before := s.line()
	rose, fell := clock && !s.clock, !clock && s.clock
	s.data = data
	after := s.line()
	s.clock = clock
	switch {
	case rose:
		s.rise(after)
	case fell:
		s.fall()
	case clock && before && !after: // start, or start again
		s.state, s.bits, s.ack = i2cAddress, 0, false
	case clock && !before && after: // stop
		s.state, s.low = i2cIdle, false
	}
}

func (s *i2cSlave) rise(data bool) {
	switch {
	case s.state == i2cIdle:
	case s.ack:
		s.more = !data
	case s.state != i2cRead:
		s.shift <<= 1
		if data {
			s.shift |= 1
		}
		s.bits++
	default:
		s.bits++
	}
}

func (s *i2cSlave) fall() {
	switch {
	case s.state == i2cIdle:
	case s.ack:
		s.endAck()
	case s.bits < 8:
		s.show()
	case s.state == i2cRead:
		s.ack, s.low = true, false // the master acknowledges
	default:
		s.ack, s.low = true, s.take()
	}
}

// take is called with a byte complete, and says whether to acknowledge it.
func (s *i2cSlave) take() bool {
	switch s.state {
	case i2cAddress:
		if s.addr = s.shift >> 1; !s.mem.present(s.addr) {
			return false
		}
	case i2cOffset:
		s.off[s.addr&1] = s.shift
	case i2cWrite:
		s.mem.write(s.addr, s.off[s.addr&1], s.shift)
		s.off[s.addr&1]++
	}
	return true
}

// endAck goes on to the next byte once the acknowledgement is over.
func (s *i2cSlave) endAck() {
	acked := s.low
	s.ack, s.bits, s.low = false, 0, false
	switch {
	case s.state == i2cRead && !s.more, s.state != i2cRead && !acked:
		s.state = i2cIdle
	case s.state == i2cAddress && s.shift&1 != 0, s.state == i2cRead:
		s.state = i2cRead
		s.shift = s.mem.read(s.addr, s.off[s.addr&1])
		s.off[s.addr&1]++
		s.show()
	case s.state == i2cAddress:
		s.state = i2cOffset
	default:
		s.state = i2cWrite
	}
}

// show puts the next bit of a byte that is read on the data line.
func (s *i2cSlave) show() {
	if s.state == i2cRead {
		s.low = s.shift>>(7-s.bits)&1 == 0
	}
}

func (d *Device) wroteI2CCTL(int, uint32, uint32) {
	v := d.reg.Get(atI2CCTL)
	d.i2c.set(v&i2cClockOut != 0, v&i2cDataOut != 0)
}

func (d *Device) readI2CCTL(int) uint32 {
	v := d.reg.Get(atI2CCTL) & (i2cClockOut | i2cDataOut)
	if v&i2cClockOut != 0 {
		v |= i2cClockIn
	}
	if d.i2c.line() {
		v |= i2cDataIn
	}
	return v
}
