package frame

import (
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

// maxLayers bounds what is read from one frame.
const maxLayers = 32

// parser is what reading a layer needs to know of those outside it.
type parser struct {
	src, dst []byte // of the closest IP header
	end      int    // bytes of b that belong to the packet; the rest is padding
	fragment bool   // what follows is part of a datagram
}

// Read takes a frame apart.
func Read(data []byte) []Layer {
	p := &parser{}
	var layers []Layer
	off, padding := 0, 0
	kindName := "eth"
	for len(data) > 0 && kindName != "" && len(layers) < maxLayers {
		p.end = len(data)
		l, n, next, ok := kinds[kindName].parse(p, data)
		if !ok {
			break
		}
		l.off = off
		layers = append(layers, l)
		if p.end < len(data) {
			padding += len(data) - p.end
			data = data[:p.end]
		}
		data, off, kindName = data[n:], off+n, next
	}
	if len(data) > 0 {
		l := bytesLayer(data)
		l.off = off
		layers = append(layers, l)
	}
	if padding > 0 {
		l := Layer{Kind: "pad", Fields: map[string]string{}}
		l.set("len", padding)
		layers = append(layers, l)
	}
	return layers
}

// bytesLayer describes what has no header: payload, if it counts as ours does,
// or any other bytes.
func bytesLayer(b []byte) Layer {
	l := Layer{Kind: "payload", Fields: map[string]string{}}
	l.set("len", len(b))
	if at, ok := patternAt(b); ok {
		l.set("at", at)
	} else if same(b) {
		l.set("fill", int(b[0]))
	} else {
		l.set("data", b)
	}
	return l
}

func same(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}

// good says whether whole, with its checksum in it, sums up right.
func good(whole []byte, initial uint16) bool {
	return checksum.Checksum(whole, initial) == 0xFFFF
}
