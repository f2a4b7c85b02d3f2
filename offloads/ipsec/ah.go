package ipsec

import (
	"encoding/binary"
	"errors"
)

const (
	ahFixedBytes = 12 // next header, length, reserved, SPI, sequence number (RFC 4302 2)
	ahIVAt       = ahFixedBytes
	ahICVAt      = ahIVAt + IVBytes
)

// AHBytes is the size of an AH header with IV and ICV: IPv6 has it padded to a multiple of
// eight bytes (RFC 4543 4 with erratum 3643).
func AHBytes(ipv6 bool) int {
	if ipv6 {
		return 40
	}
	return 36
}

// ErrHeader is why nobody can tell where a packet's parts are.
var ErrHeader = errors.New("ipsec: the packet's headers make no sense")

// SealAH writes the ICV of a packet, which reaches from the IP header to the end and has an
// AH header at byte ah, complete but for its ICV. high is the half of an extended sequence
// number that is not sent. The association's algorithm is AESGMAC.
func (t *Transform) SealAH(packet []byte, ah int, high uint32) error {
	if err := t.authenticated(packet, ah, high); err != nil {
		return err
	}
	t.aead.Seal(&t.nonce, packet[ah+ahICVAt:], 0, t.aad)
	return nil
}

// OpenAH says whether the ICV is the packet's. It changes nothing.
func (t *Transform) OpenAH(packet []byte, ah int, high uint32) error {
	if err := t.authenticated(packet, ah, high); err != nil {
		return err
	}
	if !t.aead.Open(&t.nonce, packet[ah+ahICVAt:], 0, t.aad) {
		return ErrAuth
	}
	return nil
}

// authenticated makes nonce and aad those of a packet: the packet itself, what routers may
// change and the ICV field as zeros, and the half of the sequence number that is not sent
// behind it (RFC 4302 2.5.1, 3.3.3).
func (t *Transform) authenticated(packet []byte, ah int, high uint32) error {
	if !t.mac || len(packet) < ah+ahICVAt+t.ICVBytes() || ah < ipv4Bytes {
		return ErrLength
	}
	// RFC 4302 2.2: in words of four bytes, less two.
	if n := (int(packet[ah+1]) + 2) * 4; n < AHBytes(false) || n > len(packet)-ah {
		return ErrLength
	}
	copy(t.nonce[4:], packet[ah+ahIVAt:ah+ahICVAt])
	t.aad = append(t.aad[:0], packet...)
	clear(t.aad[ah+ahIVAt : ah+ahICVAt+t.ICVBytes()])
	if t.esn {
		t.aad = binary.BigEndian.AppendUint32(t.aad, high)
	}
	if !immutable(t.aad[:ah]) {
		return ErrHeader
	}
	return nil
}

const (
	ipv4Bytes = 20
	ipv6Bytes = 40
)

// immutable brings the headers ahead of AH to what they are for the ICV, and says whether
// they are all there (RFC 4302 3.3.3.1).
func immutable(b []byte) bool {
	switch {
	case b[0]>>4 == 4 && int(b[0]&15)*4 == len(b):
		return immutableIPv4(b)
	case b[0]>>4 == 6 && len(b) >= ipv6Bytes:
		return immutableIPv6(b)
	}
	return false
}

// Options of IPv4 (RFC 4302 A1).
const (
	optionEnd         = 0
	optionNop         = 1
	optionSecurity    = 130
	optionLooseRoute  = 131
	optionExtended    = 133
	optionCommercial  = 134
	optionStrictRoute = 137
	optionAlert       = 148
	optionDirected    = 149
)

// immutableIPv4 clears type of service, flags, offset, time to live and checksum, and each
// option that may change; the destination is the last of a source route (RFC 4302
// 3.3.3.1.1).
func immutableIPv4(b []byte) bool {
	b[1] = 0
	clear(b[6:9])
	clear(b[10:12])
	for at := ipv4Bytes; at < len(b); {
		if b[at] == optionEnd {
			return true
		}
		if b[at] == optionNop {
			at++
			continue
		}
		if at+1 == len(b) {
			return false
		}
		n := int(b[at+1])
		if n < 2 || at+n > len(b) {
			return false
		}
		option := b[at : at+n]
		switch option[0] {
		case optionSecurity, optionExtended, optionCommercial, optionAlert, optionDirected:
		case optionLooseRoute, optionStrictRoute:
			if n < 7 {
				return false
			}
			if int(option[2])+3 <= n { // there are hops to come
				copy(b[16:20], option[n-4:])
			}
			fallthrough
		default:
			clear(option)
		}
		at += n
	}
	return true
}

// Extension headers of IPv6 that may be ahead of AH.
const (
	extensionHop         = 0
	extensionRouting     = 43
	extensionAH          = 51
	extensionDestination = 60
)

// immutableIPv6 clears class, flow label and hop limit, and the options that may change on
// the way; a routing header of type 0 is as its last receiver has it (RFC 4302 3.3.3.1.2).
func immutableIPv6(b []byte) bool {
	b[0] &= 0xF0
	clear(b[1:4])
	b[7] = 0
	next, at := b[6], ipv6Bytes
	for next != extensionAH {
		if at+8 > len(b) {
			return false
		}
		n := (int(b[at+1]) + 1) * 8
		if at+n > len(b) {
			return false
		}
		extension, ok := b[at:at+n], true
		switch next {
		case extensionHop, extensionDestination:
			ok = immutableOptions(extension[2:])
		case extensionRouting:
			ok = lastHop(b[24:40], extension)
		default:
			ok = false
		}
		if !ok {
			return false
		}
		next, at = extension[0], at+n
	}
	return at == len(b)
}

// optionMutable is the bit in an option's type that says that its data may change (RFC 8200
// 4.2).
const optionMutable = 0x20

func immutableOptions(b []byte) bool {
	for len(b) > 0 {
		if b[0] == 0 { // Pad1
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return false
		}
		n := 2 + int(b[1])
		if b[0]&optionMutable != 0 {
			clear(b[2:n])
		}
		b = b[n:]
	}
	return true
}

// lastHop brings a routing header of type 0 and the destination to what they are when no
// segments are left: each node on the way puts its own address in the place of the next.
func lastHop(destination, routing []byte) bool {
	const addressBytes = 16
	if routing[2] != 0 {
		return routing[3] == 0 // of the others only what has arrived is known
	}
	addresses := routing[8:]
	all, left := len(addresses)/addressBytes, int(routing[3])
	if len(addresses)%addressBytes != 0 || left > all {
		return false
	}
	for i := all - left; i < all; i++ {
		next := addresses[i*addressBytes:][:addressBytes]
		var here [addressBytes]byte
		copy(here[:], destination)
		copy(destination, next)
		copy(next, here[:])
	}
	routing[3] = 0
	return true
}
