//go:build linux

package vfiouser

import "encoding/binary"

// Where things are in configuration space (PCI 3.0 6.1, 6.7; PCI PM 1.2 3.2; PCIe 3.0
// 7.8).
const (
	configPin      = 0x3D
	configCapList  = 0x34
	capPM          = 0x01
	capMSI         = 0x05
	capExpress     = 0x10
	maxCaps        = 48 // what fits between the header and 256 bytes
	capResetBytes  = 10 // up to the registers by which software resets a function
	msiCountShift  = 1
	msiCountBits   = 7
	maxPin         = 4
	capControlByte = 2
)

// capability finds a capability of the function, 0 for none.
func (s *session) capability(id byte) int {
	var b [2]byte
	s.fn.ConfigRead(b[:1], configCapList)
	for at, n := int(b[0]&^3), 0; at != 0 && n < maxCaps; at, n = int(b[1]&^3), n+1 {
		if s.fn.ConfigRead(b[:], at); b[0] == id {
			return at
		}
	}
	return 0
}

// messages is the number of MSI vectors that the function asks for.
func (s *session) messages() int {
	at := s.capability(capMSI)
	if at == 0 {
		return 0
	}
	var b [2]byte
	s.fn.ConfigRead(b[:], at+capControlByte)
	return 1 << min(5, binary.LittleEndian.Uint16(b[:])>>msiCountShift&msiCountBits)
}

func (s *session) pins() int {
	var b [1]byte
	if s.fn.ConfigRead(b[:], configPin); b[0] == 0 || b[0] > maxPin {
		return 0
	}
	return 1
}

// mayHaveReset says whether a write to configuration space could have reset the
// function, by a function-level reset or by leaving D3.
func (s *session) mayHaveReset(p []byte, off int) bool {
	for _, id := range [...]byte{capExpress, capPM} {
		if at := s.capability(id); at != 0 && off < at+capResetBytes && at < off+len(p) {
			return true
		}
	}
	return false
}
