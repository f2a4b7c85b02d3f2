package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// MaxBytes bounds a frame that a text may ask for: the largest that segmentation
// takes, which is 256 KiB (82599 datasheet 7.2.3.2.4, PAYLEN), with headers.
const MaxBytes = 1<<18 + 1024

// errTooLong is returned when a text asks for more than MaxBytes.
var errTooLong = errors.New("frame: longer than 256 KiB and headers")

// builder is where a layer stands among the others while bytes are made.
type builder struct {
	layers []Layer
	at     int
}

// Build makes the bytes of a frame, without frame check sequence and without
// padding, unless there is a layer of it.
func Build(layers []Layer) ([]byte, error) {
	b := &builder{layers: slices.Clone(layers)}
	for i := range b.layers { // building works out what a text left open
		b.layers[i].Fields = maps.Clone(layers[i].Fields)
	}
	var out, padding []byte
	for b.at = len(layers) - 1; b.at >= 0; b.at-- {
		l := b.layers[b.at]
		if err := l.check(); err != nil {
			return nil, err
		}
		if l.Kind == "pad" {
			padding = append(padding, make([]byte, min(l.num("len"), MaxBytes))...)
			continue
		}
		var err error
		if out, err = kinds[l.Kind].build(b, l, out); err != nil {
			return nil, fmt.Errorf("frame: %s: %w", l, err)
		}
		if len(out)+len(padding) > MaxBytes {
			return nil, errTooLong
		}
	}
	return append(out, padding...), nil
}

// Make parses text and builds it.
func Make(text string, names Names) ([]byte, error) {
	layers, err := Parse(text, names)
	if err != nil {
		return nil, err
	}
	return Build(layers)
}

// next returns the kind of the layer that follows, "" when none does.
func (b *builder) next() string {
	if b.at+1 < len(b.layers) {
		return b.layers[b.at+1].Kind
	}
	return ""
}

// etherType is what announces the layer that follows.
func (b *builder) etherType(l Layer) uint16 {
	if l.has("type") {
		return uint16(l.num("type"))
	}
	return etherTypes[b.next()]
}

// protocol is what announces the layer that follows in an IP header.
func (b *builder) protocol(l Layer, key string) uint8 {
	if l.has(key) {
		return uint8(l.num(key))
	}
	if p, ok := protocols[b.next()]; ok {
		return p
	}
	if b.next() == "" && l.Kind != "ip4" {
		return protoNoNext
	}
	return protoTest
}

// pseudo returns the sum of the pseudo-header for n bytes of protocol proto in
// the closest IP header outside.
func (b *builder) pseudo(proto uint8, n int) (uint16, error) {
	for i := b.at - 1; i >= 0; i-- {
		switch l := b.layers[i]; l.Kind {
		case "ip4", "ip6":
			return pseudo(proto, l.bytes("src"), l.bytes("dst"), n), nil
		}
	}
	return 0, errors.New("its checksum needs an ip4 or ip6 layer outside")
}

func pseudo(proto uint8, src, dst []byte, n int) uint16 {
	// Longer packets than 64 KiB are about to be segmented and get their length then.
	length := uint16(n)
	if n > 0xFFFF {
		length = 0
	}
	return header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(proto),
		tcpip.AddrFromSlice(src), tcpip.AddrFromSlice(dst), length)
}

// sum stores the Internet checksum of whole, which starts from initial, at
// field; or what the layer asks for in its place.
func sum(l Layer, whole, field []byte, initial uint16, zeroIsNone bool) {
	if l.on("partial") || l.on("tso") {
		binary.BigEndian.PutUint16(field, initial)
		return
	}
	v := ^checksum.Checksum(whole, initial)
	if v == 0 && zeroIsNone {
		v = 0xFFFF
	}
	binary.BigEndian.PutUint16(field, adjusted(l, v))
}

// adjusted is checksum v as the layer wants it.
func adjusted(l Layer, v uint16) uint16 {
	switch {
	case l.has("csum"):
		return uint16(l.num("csum"))
	case l.on("badcsum"):
		return v ^ 0x5555
	}
	return v
}

// Address gives a frame that starts with a MAC header the addresses that its
// text left open, unless the protocol inside has one of its own.
func Address(layers []Layer, src, dst string) {
	if len(layers) == 0 || layers[0].Kind != "eth" {
		return
	}
	l := layers[0]
	if !l.has("src") && src != "" {
		l.set("src", src)
	}
	own := ""
	if len(layers) > 1 {
		own = reserved[layers[1].Kind]
	}
	if !l.has("dst") && own == "" && dst != "" {
		l.set("dst", dst)
	}
}
