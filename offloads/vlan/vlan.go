// Package vlan inserts and removes VLAN tags (IEEE 802.1Q 9.3; 82599 datasheet
// 7.4).
//
// A frame lies in a buffer with room ahead of it, and its addresses move rather
// than its payload: Push starts the frame four bytes earlier, Pop four later.
// Neither allocates nor panics; where the buffer has no room for the change,
// nothing changes.
package vlan

import "encoding/binary"

// Where in a frame a tag is.
const (
	First  = 12 // the only tag, or the outer of two
	Second = 16 // the inner of two
)

// TagBytes is the size of a tag.
const TagBytes = 4

// VID is the VLAN identifier of a tag control word.
func VID(tci uint16) uint16 { return tci & 0xFFF }

// Push inserts a tag at byte at of the frame that starts at byte off of buf,
// and returns where the frame starts now. That is off itself if there are no
// four bytes ahead of the frame, or no at bytes in it.
func Push(buf []byte, off int, at int, tpid, tci uint16) (newOff int) {
	if off < TagBytes || off > len(buf) || at < 0 || at > len(buf)-off {
		return off
	}
	newOff = off - TagBytes
	copy(buf[newOff:], buf[off:off+at])
	binary.BigEndian.PutUint32(buf[newOff+at:], uint32(tpid)<<16|uint32(tci))
	return newOff
}

// Pop removes the tag at byte at of the frame that starts at byte off of buf,
// and returns its control word and where the frame starts now. That is 0 and
// off itself if the frame ends before the tag does.
func Pop(buf []byte, off int, at int) (tci uint16, newOff int) {
	if off < 0 || off > len(buf) || at < 0 || at > len(buf)-off-TagBytes {
		return 0, off
	}
	tci = binary.BigEndian.Uint16(buf[off+at+2:])
	newOff = off + TagBytes
	copy(buf[newOff:], buf[off:off+at])
	return tci, newOff
}
