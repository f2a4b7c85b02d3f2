package i82599

import "encoding/binary"

// The EEPROM has 2^(6+eepromSize) words, eepromSize being EEC.EE_SIZE.
const (
	eepromSize  = 6
	eepromWords = 64 << eepromSize
)

// Words of the EEPROM map (6.1). Pointers are word addresses, 0xFFFF for none.
const (
	wordFirstPointer = 0x03 // to the hardware's own sections, which begin with
	wordLastPointer  = 0x0E // their length and count in the checksum
	wordCore0        = 0x09
	wordFirmware     = 0x0F
	wordPartGuard    = 0x15
	wordPart         = 0x16
	wordAltSAN       = 0x27
	wordSAN          = 0x28
	wordModules      = 0x2B
	wordCapabilities = 0x2C
	wordVersionLow   = 0x2D
	wordVersionHigh  = 0x2E
	wordVPD          = 0x2F
	wordAltMAC       = 0x37
	wordChecksum     = 0x3F
	wordSections     = 0x60 // where this image's sections begin
)

const (
	noWord      = 0xFFFF // erased, and the end of lists
	partGuard   = 0xFAFA
	eepromSum   = 0xBABA
	anyModule   = 1 << 0 // of the capabilities: modules of other vendors are welcome
	imageLow    = 0x0001 // version of this image
	imageHigh   = 0x8001 // its top bit says that the two words are a version
	patchNumber = 0x0006 // firmware of SFI adapters is trusted from here on
)

// Codes of module kinds in the list of modules, those that port 0 has.
var moduleKinds = [...]uint16{3, 5} // direct attach; SR and LR optics

// eeprom is the serial EEPROM behind EEC and EERD. It outlives every reset.
type eeprom struct {
	words [eepromWords]uint16
	spi   spiSlave
}

// fill writes the image of an adapter with this address.
func (e *eeprom) fill(mac [6]byte) {
	w := &e.words
	for i := range w {
		w[i] = noWord
	}
	for i := range wordFirstPointer {
		w[i] = 0
	}
	free := uint16(wordSections)
	// put stores a section and returns where.
	put := func(words ...uint16) uint16 {
		at := free
		free += uint16(copy(w[at:], words))
		return at
	}
	w[wordCore0] = put(3,
		binary.LittleEndian.Uint16(mac[0:]), binary.LittleEndian.Uint16(mac[2:]), binary.LittleEndian.Uint16(mac[4:]))
	patch := put(8, 0, 0, 0, 0, 0, 0, patchNumber)
	w[wordFirmware] = put(8, noWord, noWord, noWord, patch, noWord, noWord, noWord)

	part := []uint16{1 + uint16(len(partNumber)+1)/2}
	for i := 0; i < len(partNumber); i += 2 {
		part = append(part, binary.BigEndian.Uint16([]byte(partNumber[i:])))
	}
	w[wordPartGuard], w[wordPart] = partGuard, put(part...)

	// What to write to the analog core for each kind of module: nothing much.
	tuning := put(1, 0x2F80, noWord)
	list := []uint16{2 * uint16(len(moduleKinds))}
	for _, kind := range moduleKinds {
		list = append(list, kind, tuning)
	}
	w[wordModules] = put(append(list, noWord)...)

	vpd := productData()
	var pairs []uint16
	for i := 0; i < len(vpd); i += 2 {
		pairs = append(pairs, binary.LittleEndian.Uint16(append(vpd[i:len(vpd):len(vpd)], 0)))
	}
	w[wordVPD] = put(pairs...)

	w[wordCapabilities] = anyModule
	w[wordVersionLow], w[wordVersionHigh] = imageLow, imageHigh
	w[wordChecksum] = e.checksum()
}

// checksum returns what word 0x3F must be: the words before it, it, and the
// hardware's sections add up to 0xBABA (6.3.2.18).
func (e *eeprom) checksum() uint16 {
	var sum uint16
	for _, v := range e.words[:wordChecksum] {
		sum += v
	}
	for p := wordFirstPointer; p <= wordLastPointer; p++ {
		at := int(e.words[p])
		if at == 0 || at >= eepromWords || e.words[at] == noWord {
			continue
		}
		for i := at + 1; i <= at+int(e.words[at]) && i < eepromWords; i++ {
			sum += e.words[i]
		}
	}
	return eepromSum - sum
}

// mac returns the station address in the image, where auto-load finds it (6.3.5.2).
func (e *eeprom) mac() (m [6]byte) {
	at := int(e.words[wordCore0])
	if at == 0 || at+3 >= eepromWords {
		return m
	}
	for i := range 3 {
		binary.LittleEndian.PutUint16(m[2*i:], e.words[at+1+i])
	}
	return m
}

// Bits of EERD (8.2.3.2.2) and EEC (8.2.3.2.1).
const (
	eerdStart   = 1 << 0
	eerdDone    = 1 << 1
	eerdAddress = 0x3FFF // from bit 2 on

	eecClock   = 1 << 0
	eecSelect  = 1 << 1 // high while the chip is not selected
	eecIn      = 1 << 2
	eecOut     = 1 << 3
	eecRequest = 1 << 6
	eecGrant   = 1 << 7
)

// wroteEERD reads a word. Beyond the end all bits are one.
func (d *Device) wroteEERD(_ int, _, v uint32) {
	if v&eerdStart == 0 {
		return
	}
	word, at := uint16(noWord), int(v>>2&eerdAddress)
	if at < eepromWords {
		word = d.eeprom.words[at]
	}
	d.reg.Set(atEERD, uint32(word)<<16|uint32(at)<<2|eerdDone)
}

// wroteEEC grants the EEPROM's pins to software and moves them.
func (d *Device) wroteEEC(int, uint32, uint32) {
	v, chip := d.reg.Get(atEEC)&^(eecGrant|eecOut), &d.eeprom
	if v&eecRequest != 0 {
		v |= eecGrant
		chip.spi.set(chip, v&eecSelect == 0, v&eecClock != 0, v&eecIn != 0)
		if chip.spi.out {
			v |= eecOut
		}
	} else {
		chip.spi.set(chip, false, false, false)
	}
	d.reg.Set(atEEC, v)
}
