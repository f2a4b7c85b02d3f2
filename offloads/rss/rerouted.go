package rss

import "nicsim.dev/offloads/parse"

// rerouted returns where the addresses are that stand for the two ends of an
// IPv6 packet under way to or from a mobile node: the home address of the Home
// Address option (RFC 6275 6.3) in place of the source, that of a type 2
// routing header (RFC 6275 6.4) in place of the destination.
func rerouted(b []byte, h *parse.Headers) (src, dst int) {
	src, dst = int(h.L3)+8, int(h.L3)+24
	const hopByHop, routing, fragment, ah, destination, mobility = 0, 43, 44, 51, 60, 135
	proto := b[h.L3+6]
	for at := int(h.L3) + 40; at < int(h.L3End); {
		n := (int(b[at+1]) + 1) * 8
		switch proto {
		case destination:
			if home := homeAddress(b[:at+n], at+2); home != 0 {
				src = home
			}
		case routing:
			if b[at+2] == 2 && n == 24 {
				dst = at + 8
			}
		case fragment:
			n = 8
		case ah:
			n = (int(b[at+1]) + 2) * 4
		case hopByHop, mobility:
		}
		proto = b[at]
		at += n
	}
	return src, dst
}

// homeAddress returns where the address of the Home Address option is among the
// options from byte at to the end of b, and 0 if there is none.
func homeAddress(b []byte, at int) int {
	const pad1, home = 0, 0xC9
	for at < len(b) {
		if b[at] == pad1 {
			at++
			continue
		}
		if at+1 == len(b) {
			return 0
		}
		n := int(b[at+1])
		if b[at] == home {
			if n != 16 || at+18 > len(b) {
				return 0
			}
			return at + 2
		}
		at += 2 + n
	}
	return 0
}
