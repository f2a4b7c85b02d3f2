// Package macsec protects the frames of a link and validates those that are protected: the
// two halves of a SecY (IEEE 802.1AE-2018 10), without key agreement.
//
// A frame lies in a buffer with room ahead of it and behind it; its addresses move rather
// than its payload, and nothing is allocated for it.
package macsec

import (
	"encoding/binary"
	"fmt"
)

const (
	// EtherType begins a SecTAG (9.8).
	EtherType = 0x88E5
	// TagBytes is the size of a SecTAG with SCI, the longest.
	TagBytes = shortTagBytes + sciBytes
	// ICVBytes is the size of what ends a protected frame.
	ICVBytes = 16
	// Associations are the secure associations of a channel, which two bits number.
	Associations = 4
	// MaxClearBytes are the most that may lie between addresses and SecTAG: two VLAN tags.
	MaxClearBytes = 8

	shortTagBytes = 8 // EtherType, TCI and AN, SL, PN (figure 9-1)
	sciBytes      = 8
	addressBytes  = 12
	minFrameBytes = 60 // up to which a MAC pads, without the frame check sequence
	shortData     = 48 // less user data than this is told by SL (9.7)
)

// The bits of the octet behind the EtherType (9.5, 9.6).
const (
	tciV   = 0x80 // version, 0
	tciES  = 0x40 // end station: the SCI is the source address and a port
	tciSC  = 0x20 // the SCI is in the tag
	tciSCB = 0x10 // single copy broadcast, of passive optical networks
	tciE   = 0x08 // encrypted
	tciC   = 0x04 // what was sent is not the user data as it is
	anMask = 0x03
)

// SCI names a secure channel: an address and a port (9.9).
type SCI uint64

// NewSCI returns the SCI of a station's port.
func NewSCI(address [6]byte, port uint16) SCI {
	return SCI(binary.BigEndian.Uint64([]byte{address[0], address[1], address[2], address[3], address[4], address[5], byte(port >> 8), byte(port)}))
}

// noSCI is never that of a channel (9.9).
const noSCI SCI = 1<<64 - 1

// Ports of SCIs that a tag implies (9.5).
const (
	portES  = 1
	portSCB = 0
)

// pdu is what the tag of a frame says. Places are counted from the frame's begin.
type pdu struct {
	tci  uint8
	low  uint32 // of the packet number
	sci  SCI    // if the tag has one
	tag  int    // where the SecTAG begins
	user int    // where the user data does
	icv  int    // where the ICV does
}

func (p *pdu) encrypted() bool { return p.tci&tciE != 0 }
func (p *pdu) changed() bool   { return p.tci&tciC != 0 }
func (p *pdu) userBytes() int  { return p.icv - p.user }

// isTagged says whether a SecTAG begins at byte at of a frame.
func isTagged(frame []byte, at int) bool {
	return len(frame) >= at+2 && binary.BigEndian.Uint16(frame[at:]) == EtherType
}

// parse reads the SecTAG at byte at, and says whether the frame is a valid MPDU (9.12).
func parse(frame []byte, at int) (p pdu, ok bool) {
	tag := frame[at:]
	if len(tag) < shortTagBytes {
		return p, false
	}
	p.tci, p.low = tag[2], binary.BigEndian.Uint32(tag[4:])
	if p.tci&tciV != 0 || p.tci&tciSC != 0 && p.tci&(tciES|tciSCB) != 0 {
		return p, false
	}
	p.tag, p.user = at, at+shortTagBytes
	if p.tci&tciSC != 0 {
		if len(tag) < TagBytes {
			return p, false
		}
		p.sci = SCI(binary.BigEndian.Uint64(tag[shortTagBytes:]))
		p.user += sciBytes
	}
	short := int(tag[3]) // SL; its two high bits are 0
	if short == 0 {
		p.icv = len(frame) - ICVBytes
		return p, p.userBytes() >= shortData
	}
	p.icv = p.user + short
	end := p.icv + ICVBytes
	// A MAC pads behind the ICV, which is why there is an SL. No other byte may follow.
	padded := end < len(frame) && len(frame) <= minFrameBytes+at-addressBytes
	return p, short < 64 && (end == len(frame) || padded)
}

// put writes a SecTAG.
func put(tag []byte, tci uint8, userBytes int, low uint32, sci SCI) {
	binary.BigEndian.PutUint16(tag, EtherType)
	tag[2], tag[3] = tci, 0
	if userBytes < shortData {
		tag[3] = uint8(userBytes)
	}
	binary.BigEndian.PutUint32(tag[4:], low)
	if tci&tciSC != 0 {
		binary.BigEndian.PutUint64(tag[shortTagBytes:], uint64(sci))
	}
}

// rotate moves the last n bytes of a frame's begin to its front. What lies in clear between
// addresses and SecTAG is no part of what is authenticated: it steps ahead of the addresses
// meanwhile.
func rotate(head []byte, n int) {
	var b [addressBytes + MaxClearBytes]byte
	copy(b[:], head[len(head)-n:])
	copy(b[n:], head[:len(head)-n])
	copy(head, b[:])
}

// checkClear holds a caller to what may lie between addresses and SecTAG.
func checkClear(clearBytes int) {
	if clearBytes < 0 || clearBytes > MaxClearBytes {
		panic(fmt.Sprintf("macsec: %d bytes ahead of the SecTAG in clear: 0 to %d were expected", clearBytes, MaxClearBytes))
	}
}
