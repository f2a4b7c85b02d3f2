package frame

import (
	"encoding/binary"
	"errors"
)

// payloadKind is data that counts: each four bytes are the offset at which they
// stand, so that a piece of it tells where it came from, and bytes that are
// lost, repeated or out of order show.
var payloadKind = &kind{
	what:  "data: every 4 bytes hold their own offset, from at on; or fill, or data in hexadecimal",
	short: "len",
	fields: []field{
		{key: "len", bits: 19, def: ""},
		{key: "at", bits: 32, def: "0"},
		{key: "fill", form: hexa, bits: 8},
		{key: "data", form: blob},
	},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		if len(inner) > 0 {
			return nil, errors.New("nothing but padding follows payload")
		}
		if l.has("data") {
			return l.bytes("data"), nil
		}
		if l.num("len") > MaxBytes {
			return nil, errTooLong
		}
		out := make([]byte, l.num("len"))
		if l.has("fill") {
			for i := range out {
				out[i] = byte(l.num("fill"))
			}
			return out, nil
		}
		fillPattern(out, uint32(l.num("at")))
		return out, nil
	},
}

var hexKind = &kind{
	what:   "any bytes, in hexadecimal",
	short:  "data",
	fields: []field{{key: "data", form: blob, def: ""}},
	build: func(b *builder, l Layer, inner []byte) ([]byte, error) {
		return append(l.bytes("data"), inner...), nil
	},
}

var padKind = &kind{
	what:   "zeros that no header counts",
	short:  "len",
	fields: []field{{key: "len", bits: 19, def: "0"}},
}

func patternByte(at uint32) byte {
	var word [4]byte
	binary.BigEndian.PutUint32(word[:], at&^3)
	return word[at&3]
}

func fillPattern(b []byte, at uint32) {
	for i := range b {
		b[i] = patternByte(at + uint32(i))
	}
}

// patternAt finds where in the pattern b was cut from.
func patternAt(b []byte) (at uint32, ok bool) {
	for lead := range uint32(4) {
		if len(b) < int(lead)+4 {
			at = lead // too short to tell: try the beginning
		} else {
			at = binary.BigEndian.Uint32(b[lead:]) - lead
		}
		if matchesPattern(b, at) {
			return at, true
		}
	}
	return 0, false
}

func matchesPattern(b []byte, at uint32) bool {
	for i := range b {
		if b[i] != patternByte(at+uint32(i)) {
			return false
		}
	}
	return true
}
