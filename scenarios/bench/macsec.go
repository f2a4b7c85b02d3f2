package bench

import (
	"bytes"
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
)

// linkSecSCI is the channel: address 00:00:00:00:00:01, port 0.
const linkSecSCI = 0x00000000_00010000

const (
	addressBytes = 12
	secTagBytes  = 16
)

// newLinkSec prepares an adapter that protects frames, or that opens one frame again and
// again: nothing keeps it from that without replay protection.
func newLinkSec(side string, size int) (*secureLoad, error) {
	text := size
	if size > 64 {
		text += l3 - addressBytes // the type is sealed too
	}
	l, err := newSecureLoad(side, text)
	if err != nil {
		return nil, err
	}
	l.flags = ixgbe.TxILinkSec
	l.plain = make([]byte, addressBytes+text)
	fill(l.plain[l4:], 1)
	ipv4(l.plain, 50)
	l.opened = func(b []byte) bool { return bytes.HasPrefix(b, l.plain) }
	l.sealed = [][]byte{sealLinkSec(l.plain, 1)}
	l.sent = func(frame []byte) bool {
		return bytes.Equal(frame, sealLinkSec(l.plain, binary.BigEndian.Uint32(frame[addressBytes+4:])))
	}
	for i := range 4 {
		v := binary.LittleEndian.Uint32(secureKey[4*i:])
		l.write("LSECTXKEY0", i, v)
		l.write("LSECRXKEY", i, v)
	}
	var sci [8]byte
	binary.BigEndian.PutUint64(sci[:], linkSecSCI)
	l.write("LSECTXSCL", 0, binary.LittleEndian.Uint32(sci[:]))
	l.write("LSECTXSCH", 0, binary.LittleEndian.Uint32(sci[4:]))
	l.write("LSECRXSCL", 0, binary.LittleEndian.Uint32(sci[:]))
	l.write("LSECRXSCH", 0, binary.LittleEndian.Uint32(sci[4:]))
	l.write("LSECTXPN0", 0, 1<<24) // 1, in the order of the wire
	l.write("LSECTXCTRL", 0, 0xFFFFFE00|1<<5|2)
	l.write("LSECRXSA", 0, 1<<2)
	l.write("LSECRXCTRL", 0, 2<<2)
	return l.open(nil)
}

// sealLinkSec is a frame as it is on the wire (IEEE 802.1AE-2018 9, 14.5).
func sealLinkSec(plain []byte, pn uint32) []byte {
	text := plain[addressBytes:]
	short := byte(0)
	if len(text) < 48 {
		short = byte(len(text))
	}
	b := append(bytes.Clone(plain[:addressBytes]), 0x88, 0xE5, 0x2C, short)
	b = binary.BigEndian.AppendUint32(b, pn)
	b = binary.BigEndian.AppendUint64(b, linkSecSCI)
	return goGCM().Seal(b, append(bytes.Clone(b[addressBytes+8:]), b[addressBytes+4:addressBytes+8]...), text, b[:addressBytes+secTagBytes])
}
