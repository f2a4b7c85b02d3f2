package refmodel

import "slices"

// PushTag returns a copy of frame with a tag at byte at.
func PushTag(frame []byte, at int, tpid, tci uint16) []byte {
	tag := []byte{byte(tpid >> 8), byte(tpid), byte(tci >> 8), byte(tci)}
	return slices.Concat(frame[:at], tag, frame[at:])
}

// PopTag returns a copy of frame without the tag at byte at.
func PopTag(frame []byte, at int) []byte {
	return slices.Concat(frame[:at], frame[at+4:])
}
