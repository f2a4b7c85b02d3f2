package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"nicsim.dev/descriptors/ixgbe"
)

const (
	espHeaderBytes = 16   // ESP header and IV
	espSPI         = 1000 // of the first association
)

// esp measures IPsec by the adapter, and what it costs that it has all associations it can.
func esp(ctx context.Context, o *Options) ([]Result, error) {
	results, err := bothSides(func(side string, size int) (*secureLoad, error) { return newESP(side, size, 1) })(ctx, o)
	if err != nil {
		return nil, err
	}
	many, err := espLookup(o)
	if err != nil {
		return nil, fmt.Errorf("lookup: %w", err)
	}
	return append(results, many), ctx.Err()
}

// espLookup compares an adapter that has as many associations as it can, all in use in turn,
// with one that has one.
func espLookup(o *Options) (Result, error) {
	all, err := newESP("rx", 1500, 1024)
	if err != nil {
		return Result{}, err
	}
	one, err := newESP("rx", 1500, 1)
	if err != nil {
		return Result{}, err
	}
	c := contest{
		ours: load{run: all.run, check: all.check, least: 2 * 1024}, reference: load{run: one.run, check: one.check, least: 2 * secureRing},
		unit: "GB/s", scale: 1e-9 * float64(all.text),
	}
	r, err := c.measure(o)
	r.Name, r.Against = "lookup", "one association; 1024 in use in turn"
	return r, err
}

func newESP(side string, size, associations int) (*secureLoad, error) {
	text := size
	if size > 64 {
		text -= l4 - l3 + espHeaderBytes + tagBytes
	}
	l, err := newSecureLoad(side, text)
	if err != nil {
		return nil, err
	}
	l.flags = ixgbe.TxCC | ixgbe.TxIPSEC
	l.plain = make([]byte, l4+espHeaderBytes+text+tagBytes)
	fill(l.plain[l4+espHeaderBytes:], 1)
	ipv4(l.plain, 50)
	binary.BigEndian.PutUint32(l.plain[l4:], espSPI)
	for i := range associations {
		associate(l.adapter, i)
		l.sealed = append(l.sealed, sealESP(l.plain, uint32(espSPI+i)))
	}
	l.opened = func(b []byte) bool { // but for the SPI, which is one of many
		return bytes.HasPrefix(b, l.plain[:l4]) && bytes.HasPrefix(b[l4+espHeaderBytes:], l.plain[l4+espHeaderBytes:][:text])
	}
	l.sent = func(frame []byte) bool { return bytes.Equal(frame, l.sealed[0]) }
	return l.open(&ixgbe.AdvContext{
		Lengths:  ixgbe.Lengths{MACLEN: l3, IPLEN: l4 - l3},
		Flags:    ixgbe.ContextIPv4 | ixgbe.ContextESP | ixgbe.ContextEncryption,
		Security: ixgbe.Security{ESPLEN: tagBytes + 2},
	})
}

// associate fills in place i of the tables (82599 datasheet 8.2.3.18).
func associate(a *adapter, i int) {
	for k := range 4 {
		v := binary.BigEndian.Uint32(secureKey[4*k:])
		a.write("IPSTXKEY", 3-k, v)
		a.write("IPSRXKEY", 3-k, v)
	}
	var spi [4]byte
	binary.BigEndian.PutUint32(spi[:], uint32(espSPI+i))
	address := ipB.As4()
	a.write("IPSRXIPADDR", 3, binary.LittleEndian.Uint32(address[:]))
	a.write("IPSRXSPI", 0, binary.LittleEndian.Uint32(spi[:]))
	a.write("IPSRXMOD", 0, 1|1<<2|1<<3) // valid, ESP, decrypt
	const write = 1 << 31
	a.write("IPSTXIDX", 0, uint32(1|i<<3|write))
	a.write("IPSRXIDX", 0, 1|1<<1|write) // the address
	for table := uint32(2); table <= 3; table++ {
		a.write("IPSRXIDX", 0, 1|table<<1|uint32(i)<<3|write)
	}
}

// sealESP is a frame of an association as it is on the wire.
func sealESP(plain []byte, spi uint32) []byte {
	b := bytes.Clone(plain)
	at := b[l4:]
	binary.BigEndian.PutUint32(at, spi)
	text := at[espHeaderBytes : len(at)-tagBytes]
	goGCM().Seal(text[:0], append([]byte{0, 0, 0, 0}, at[8:espHeaderBytes]...), text, at[:8])
	return b
}
