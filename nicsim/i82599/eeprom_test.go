package i82599

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// word reads a word by EERD, as drivers do.
func (b *bench) word(at int) uint16 {
	b.write(0x10014, uint32(at)<<2|1)
	v := b.read(0x10014)
	require.NotZero(b.t, v&2, "done")
	return uint16(v >> 16)
}

// eepromSumOf adds up what a driver adds up: words 0 to 0x3F and the sections
// that words 3 to 0xE point to.
func (b *bench) eepromSumOf() (sum uint16) {
	for at := range 0x40 {
		sum += b.word(at)
	}
	for at := 3; at < 0xF; at++ {
		p := int(b.word(at))
		if p == 0 || p == 0xFFFF {
			continue
		}
		n := int(b.word(p))
		if n == 0 || n == 0xFFFF {
			continue
		}
		for i := p + 1; i <= p+n; i++ {
			sum += b.word(i)
		}
	}
	return sum
}

func TestEEPROMHoldsWhatDriversReadOfIt(t *testing.T) {
	b := newBench(t, 0)
	require.Equal(t, uint32(0x300), b.read(0x10010)&0x380, "present, auto-read done, not granted")
	require.EqualValues(t, 4096, 1<<(b.read(0x10010)>>11&15+6))
	require.EqualValues(t, 0xBABA, b.eepromSumOf())

	core := int(b.word(9))
	require.Equal(t, []uint16{0x6E02, 0x1273, 0x5634}, []uint16{b.word(core + 1), b.word(core + 2), b.word(core + 3)})

	require.EqualValues(t, 0xFAFA, b.word(0x15))
	part := int(b.word(0x16))
	var text []byte
	for i := 1; i < int(b.word(part)); i++ {
		v := b.word(part + i)
		text = append(text, byte(v>>8), byte(v))
	}
	require.Equal(t, "N82599-001", string(text))

	firmware := int(b.word(0xF))
	require.EqualValues(t, 0xFFFF, b.word(firmware+2), "no link establishment state machine")
	require.Greater(t, b.word(int(b.word(firmware+4))+7), uint16(5))

	list := int(b.word(0x2B)) + 1
	for b.word(list) != 5 { // SR and LR on port 0
		require.NotEqual(t, uint16(0xFFFF), b.word(list))
		list += 2
	}
	data := int(b.word(list + 1))
	require.NotContains(t, []uint16{0, 0xFFFF}, uint16(data))
	n := 0
	for data++; b.word(data) != 0xFFFF; data++ {
		n++
	}
	require.Equal(t, 1, n)
	require.NotZero(t, b.word(0x2C)&1, "any module")
	require.EqualValues(t, 0xFFFF, b.word(0x3FFF), "beyond the end")
}

// spi drives the pins of EEC as a driver does.
type spi struct{ *bench }

const tEEC = 0x10010

func (s spi) begin() {
	s.write(tEEC, s.read(tEEC)|1<<6)
	require.NotZero(s.t, s.read(tEEC)&(1<<7), "granted")
	s.write(tEEC, s.read(tEEC)&^3) // chip select low, clock low
}

// standby ends a command and selects the chip for the next one.
func (s spi) standby() {
	s.write(tEEC, s.read(tEEC)|2)
	s.write(tEEC, s.read(tEEC)&^2)
}

func (s spi) end() {
	s.write(tEEC, s.read(tEEC)|2)
	s.write(tEEC, s.read(tEEC)&^(1<<6))
}

func (s spi) out(v uint32, bits int) {
	for i := bits - 1; i >= 0; i-- {
		e := s.read(tEEC) &^ 4
		if v>>i&1 != 0 {
			e |= 4
		}
		s.write(tEEC, e)
		s.write(tEEC, e|1)
		s.write(tEEC, e)
	}
}

func (s spi) in(bits int) (v uint32) {
	for range bits {
		s.write(tEEC, s.read(tEEC)|1)
		v = v<<1 | s.read(tEEC)>>3&1
		s.write(tEEC, s.read(tEEC)&^1)
	}
	return v
}

func TestEEPROMByItsPins(t *testing.T) {
	b := newBench(t, 0)
	s := spi{b}
	s.begin()
	s.standby()
	s.out(3, 8)
	s.out(0x15*2, 16)
	require.EqualValues(t, 0xFAFA, s.in(16), "sequential")
	next := s.in(16)
	require.EqualValues(t, b.word(0x16), next>>8|next&0xFF<<8)

	write := func(at int, v uint16) {
		s.standby()
		s.out(2, 8)
		s.out(uint32(at*2), 16)
		s.out(uint32(v&0xFF), 8)
		s.out(uint32(v>>8), 8)
	}
	before := b.word(0x20)
	write(0x20, 0x1234)
	s.standby()
	require.Equal(t, before, b.word(0x20), "not enabled")
	s.out(6, 8)
	s.standby()
	s.out(5, 8)
	require.EqualValues(t, 2, s.in(8), "write enable latch")
	write(0x20, 0x1234)
	s.standby()
	require.EqualValues(t, 0x1234, b.word(0x20))
	s.out(5, 8)
	require.Zero(t, s.in(8), "the latch falls after a write")
	s.end()
	require.Zero(t, b.read(tEEC)&(1<<7))
	b.write(0, 1<<26)
	require.EqualValues(t, 0x1234, b.word(0x20), "a reset leaves it alone")
}

func TestAddressInTheEEPROMIsLoadedByReset(t *testing.T) {
	b := newBench(t, 0)
	require.Equal(t, uint32(0x12736E02), b.read(0x5400))
	require.Equal(t, uint32(0x80005634), b.read(0x5404))
	s := spi{b}
	s.begin()
	s.standby()
	s.out(6, 8)
	s.standby()
	s.out(2, 8)
	s.out(uint32(b.word(9))*2+2, 16)
	s.out(0x02AB, 16)
	s.end()
	require.Equal(t, uint32(0x12736E02), b.read(0x5400))
	b.write(0, 1<<26)
	require.Equal(t, uint32(0x1273AB02), b.read(0x5400))
}

func FuzzPinsOfEEPROM(f *testing.F) {
	f.Add([]byte{0x40, 0x42, 0x40, 0x45, 0x44, 0x45})
	f.Fuzz(func(t *testing.T, moves []byte) {
		var e eeprom
		e.fill([6]byte{2})
		for _, m := range moves {
			e.spi.set(&e, m&2 == 0, m&1 != 0, m&4 != 0)
		}
	})
}

func TestSemaphoreBelongsToWhoeverReadsZero(t *testing.T) {
	b := newBench(t, 0)
	require.Zero(t, b.read(0x10140)&1)
	require.NotZero(t, b.read(0x10140)&1)
	b.write(0x10140, b.read(0x10140)|2) // SWESMBI
	require.NotZero(t, b.read(0x10140)&2)
	b.write(0x10160, 0x1)
	require.Equal(t, uint32(1), b.read(0x10160))
	b.write(0x10160, 0)
	b.write(0x10140, b.read(0x10140)&^3)
	require.Zero(t, b.read(0x10140)&3)
	require.NotZero(t, b.read(0x10148)&(1<<15), "firmware is valid")
}

func TestFirmwareTakesTheDriversVersion(t *testing.T) {
	b := newBench(t, 0)
	send := func(command ...byte) (status byte) {
		var sum byte
		for _, c := range command {
			sum += c
		}
		command[3] = -sum
		for len(command)%4 != 0 {
			command = append(command, 0)
		}
		require.NotZero(t, b.read(0x15F00)&1, "HICR.EN")
		for i := 0; i < len(command); i += 4 {
			b.write(0x15800+uint32(i), uint32(command[i])|uint32(command[i+1])<<8|uint32(command[i+2])<<16|uint32(command[i+3])<<24)
		}
		b.write(0x15F00, b.read(0x15F00)|2)
		require.Equal(t, uint32(0x5), b.read(0x15F00)&0x7, "done, with a valid status")
		answer := b.read(0x15800)
		require.EqualValues(t, command[0], byte(answer))
		require.Zero(t, byte(answer>>8), "no data")
		require.Zero(t, byte(answer)+byte(answer>>8)+byte(answer>>16)+byte(answer>>24))
		return byte(answer >> 16)
	}
	require.EqualValues(t, 1, send(0xDD, 5, 0, 0, 0, 1, 2, 3, 6))
	require.NotEqualValues(t, 1, send(0x12, 0, 0, 0))
	b.write(0x15800, 0x000005DD)
	b.write(0x15F00, 2)
	require.NotEqual(t, uint32(1), b.read(0x15800)>>16&0xFF, "wrong checksum")
}
