// Package macsec protects Ethernet frames between stations of a network (IEEE
// 802.1AE-2018): the SecTAG, and the two halves of a SecY that send and receive by it.
//
// Clauses cited in this package are that standard's unless they say otherwise.
package macsec

import "encoding/binary"

const (
	// EtherType is that of a SecTAG (9.8).
	EtherType = 0x88E5
	// ICVBytes is the size of what ends a protected frame (14.5).
	ICVBytes = 16

	addressBytes = 12 // both MAC addresses
	shortTag     = 8  // EtherType, TCI and AN, SL, PN
	sciBytes     = 8
	// longest is from where on a frame's length is not in SL (9.7).
	longest = 48
)

// Bits of the octet behind the EtherType (9.5).
const (
	tciVersion = 0x80
	tciES      = 0x40 // the SCI is the source address and port 1
	tciSC      = 0x20 // the SCI is there
	tciSCB     = 0x10 // the frame is a single copy broadcast of EPON
	tciE       = 0x08 // the text is encrypted
	tciC       = 0x04 // the text is not what it was: encrypted, or with another cipher
	anMask     = 0x03
)

// SCI names a secure channel: a MAC address and a port (9.9).
type SCI uint64

// NewSCI returns the one of an address and a port.
func NewSCI(address [6]byte, port uint16) SCI {
	return SCI(uint64(binary.BigEndian.Uint16(address[:]))<<48 | uint64(binary.BigEndian.Uint32(address[2:]))<<16 | uint64(port))
}

// impliedPort is that of an SCI whose address is the source address (9.5).
func impliedPort(singleCopy bool) uint16 {
	if singleCopy {
		return 0
	}
	return 1
}

// tag is what a SecTAG says.
type tag struct {
	tci   uint8 // with the AN
	short uint8 // SL: the bytes of secure data if they are fewer than 48, else 0
	pn    uint32
	sci   SCI
	bytes int // 8 or 16
}

func (t *tag) an() uint8 { return t.tci & anMask }

// tagBytes is the size of a SecTAG with a TCI.
func tagBytes(tci uint8) int {
	if tci&tciSC != 0 {
		return shortTag + sciBytes
	}
	return shortTag
}

// put writes a tag.
func (t *tag) put(b []byte) {
	binary.BigEndian.PutUint16(b, EtherType)
	b[2], b[3] = t.tci, t.short
	binary.BigEndian.PutUint32(b[4:], t.pn)
	if t.tci&tciSC != 0 {
		binary.BigEndian.PutUint64(b[shortTag:], uint64(t.sci))
	}
}

// isTagged says whether a frame has a SecTAG behind its addresses and so many bytes of
// other tags.
func isTagged(frame []byte, clear int) bool {
	at := addressBytes + clear
	return len(frame) >= at+2 && binary.BigEndian.Uint16(frame[at:]) == EtherType
}

// readTag reads the tag that a frame has, and says whether it is valid (9.12): with the
// right bits, and as much behind it as it says. The secure data is text bytes long.
func readTag(frame []byte, clear int) (t tag, text int, ok bool) {
	b := frame[addressBytes+clear:]
	if len(b) < shortTag {
		return t, 0, false
	}
	t = tag{tci: b[2], short: b[3], pn: binary.BigEndian.Uint32(b[4:])}
	t.bytes = tagBytes(t.tci)
	text = len(b) - t.bytes - ICVBytes
	switch {
	case t.tci&tciVersion != 0,
		t.tci&tciSC != 0 && t.tci&(tciES|tciSCB) != 0,
		t.tci&(tciE|tciC) == tciE, // reserved to others (9.5)
		t.short >= longest,
		text < 0,
		t.short == 0 && text < longest,
		int(t.short) > text:
		return t, 0, false
	}
	if t.short != 0 {
		text = int(t.short) // what is beyond is padding of the MAC
	}
	if t.tci&tciSC != 0 {
		t.sci = SCI(binary.BigEndian.Uint64(b[shortTag:]))
	}
	return t, text, true
}

// implied is the SCI of a frame that carries none, if its TCI says which (9.5).
func (t *tag) implied(frame []byte) (SCI, bool) {
	if t.tci&(tciES|tciSCB) == 0 {
		return 0, false
	}
	return NewSCI([6]byte(frame[6:]), impliedPort(t.tci&tciSCB != 0)), true
}
