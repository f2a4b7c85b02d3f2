package refmodel

import "nicsim.dev/offloads/parse"

// Boundary goes through a packet's headers from the outside and remembers the
// end of the last that is to be split off.
func Boundary(h *parse.Headers, tcp, udp, ipv4, ipv6, l2 bool) (headerBytes int, ok bool) {
	layers := []struct {
		present, wanted bool
		end             uint16
	}{
		{h.L2Bytes > 0, l2, uint16(h.L2Bytes)},
		{h.Is(parse.IPv4), ipv4, h.L3End},
		{h.Is(parse.IPv6), ipv6, h.L3End},
		{h.Is(parse.UDP), udp, h.Payload},
		{h.Is(parse.TCP), tcp, h.Payload},
	}
	for _, l := range layers {
		if l.present && l.wanted {
			headerBytes, ok = int(l.end), true
		}
	}
	if headerBytes >= 1024 {
		return 0, false
	}
	return headerBytes, ok
}
