package i82599

import (
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/offloads/ipsec"
)

const (
	numSAs         = 1024 // associations of a direction (7.12.2)
	numRxAddresses = 128  // that receive associations are for
)

// ipsecEngine is the tables of associations, which software reaches through index
// registers (8.2.3.18), and the state of the engines that use them (7.12).
//
// 7.12 is cited as a whole: what it says is taken from what registers and descriptors have of
// it (7.1.6.2, 7.2.3.2.3, 8.2.3.12, 8.2.3.18) and from what the drivers of Linux and DPDK do.
type ipsecEngine struct {
	txOn, rxOn bool

	tx        [numSAs]txSA
	rx        [numSAs]rxSA
	addresses [numRxAddresses][16]byte

	// byPacket finds the valid associations, the first of those that are alike. It is made
	// anew when a table has changed.
	byPacket map[rxKey]uint16
	stale    bool

	counts ipsecCounts
}

// ipsecCounts are packets. The hardware has no such counters: the first two are those of the
// kernel's driver, the others what descriptors say.
type ipsecCounts struct {
	sent, received                    uint64
	badProtocol, badLength, forgeries uint64
}

// count counts a packet for which there was an association.
func (c *ipsecCounts) count(secErr ixgbe.RxStatus) {
	switch secErr {
	case 0:
		c.received++
	case ixgbe.RxIPsecProtocol:
		c.badProtocol++
	case ixgbe.RxIPsecLength:
		c.badLength++
	case ixgbe.RxIPsecAuth:
		c.forgeries++
	}
}

// saKey is a key and a salt, which both directions have.
type saKey struct {
	secret [16]byte
	salt   [4]byte
}

// txSA is an association for transmit. Whether it encrypts is what each packet says.
type txSA struct {
	saKey
	encrypting, authenticating *ipsec.Transform // made when first used
}

// rxSA is an association for receive.
type rxSA struct {
	saKey
	spi       [4]byte // as on the wire
	address   uint8   // index into the table of addresses
	mode      uint32  // IPSRXMOD
	transform *ipsec.Transform
}

// rxKey is by what a packet's association is found.
type rxKey struct {
	spi     [4]byte
	ipv6    bool
	address [16]byte // destination; that of IPv4 in the last four bytes
}

// Bits of IPSTXIDX and IPSRXIDX, and of IPSRXMOD.
const (
	ipsIdxEnable = 1 << 0
	ipsIdxRead   = 1 << 30
	ipsIdxWrite  = 1 << 31

	ipsRxAddresses = 1 // values of IPSRXIDX.TABLE, bits 2:1
	ipsRxSPIs      = 2
	ipsRxKeys      = 3

	rxModValid   = 1 << 0
	rxModESP     = 1 << 2
	rxModDecrypt = 1 << 3
	rxModIPv6    = 1 << 4

	secDisable = 1 << 0 // SECTXCTRL.SECTX_DIS, SECRXCTRL.SECRX_DIS
)

// refreshIPsec follows the registers that turn the engines on.
func (d *Device) refreshIPsec() {
	e := &d.ipsec
	e.txOn = d.reg.Get(atIPSTXIDX)&ipsIdxEnable != 0 && d.reg.Get(atSECTXCTRL)&secDisable == 0
	e.rxOn = d.reg.Get(atIPSRXIDX)&ipsIdxEnable != 0 && d.reg.Get(atSECRXCTRL)&secDisable == 0
}

func (d *Device) wroteSECCTRL(int, uint32, uint32) {
	d.refreshIPsec()
	d.linkSec.stale = true
}

// wroteIPSTXIDX moves an association between the registers and the transmit table.
func (d *Device) wroteIPSTXIDX(_ int, _, v uint32) {
	d.refreshIPsec()
	sa := &d.ipsec.tx[v>>3&(numSAs-1)]
	switch {
	case v&ipsIdxWrite != 0:
		*sa = txSA{saKey: d.keyAt(atIPSTXKEY, atIPSTXSALT)}
	case v&ipsIdxRead != 0:
		d.setKeyAt(atIPSTXKEY, atIPSTXSALT, &sa.saKey)
	}
}

// wroteIPSRXIDX moves an entry between the registers and one of the receive tables.
func (d *Device) wroteIPSRXIDX(_ int, _, v uint32) {
	d.refreshIPsec()
	write, read := v&ipsIdxWrite != 0, v&ipsIdxRead != 0
	if !write && !read {
		return
	}
	e := &d.ipsec
	e.stale = e.stale || write
	i := v >> 3 & (numSAs - 1)
	sa := &e.rx[i]
	switch v >> 1 & 3 {
	case ipsRxAddresses:
		address := &e.addresses[i%numRxAddresses]
		for k := range 4 { // the lowest byte is the first on the wire
			word, at := address[4*k:], atIPSRXIPADDR+4*uint32(k)
			if write {
				binary.LittleEndian.PutUint32(word, d.reg.Get(at))
			} else {
				d.reg.Set(at, binary.LittleEndian.Uint32(word))
			}
		}
	case ipsRxSPIs:
		if write {
			binary.LittleEndian.PutUint32(sa.spi[:], d.reg.Get(atIPSRXSPI))
			sa.address = uint8(d.reg.Get(atIPSRXIPIDX)) % numRxAddresses
		} else {
			d.reg.Set(atIPSRXSPI, binary.LittleEndian.Uint32(sa.spi[:]))
			d.reg.Set(atIPSRXIPIDX, uint32(sa.address))
		}
	case ipsRxKeys:
		if write {
			sa.saKey, sa.mode, sa.transform = d.keyAt(atIPSRXKEY, atIPSRXSALT), d.reg.Get(atIPSRXMOD), nil
		} else {
			d.setKeyAt(atIPSRXKEY, atIPSRXSALT, &sa.saKey)
			d.reg.Set(atIPSRXMOD, sa.mode)
		}
	}
}

// keyAt reads a key and a salt from registers: their first byte is the highest, and the
// key begins in the last of its registers.
func (d *Device) keyAt(key, salt uint32) (k saKey) {
	for i := range 4 {
		binary.BigEndian.PutUint32(k.secret[12-4*i:], d.reg.Get(key+4*uint32(i)))
	}
	binary.BigEndian.PutUint32(k.salt[:], d.reg.Get(salt))
	return k
}

func (d *Device) setKeyAt(key, salt uint32, k *saKey) {
	for i := range 4 {
		d.reg.Set(key+4*uint32(i), binary.BigEndian.Uint32(k.secret[12-4*i:]))
	}
	d.reg.Set(salt, binary.BigEndian.Uint32(k.salt[:]))
}

// transform makes a key ready for use. The only cipher is AES-128 with ICVs of 16 bytes.
func (k *saKey) transform(encrypt bool) *ipsec.Transform {
	key := ipsec.Key{Algorithm: ipsec.AESGMAC, Secret: k.secret[:], Salt: k.salt, TagBytes: 16}
	if encrypt {
		key.Algorithm = ipsec.AESGCM
	}
	t, err := ipsec.NewTransform(key)
	if err != nil {
		panic(err) // sizes are constants
	}
	return t
}

// transform returns what protects packets.
func (sa *txSA) transform(encrypt bool) *ipsec.Transform {
	t := &sa.authenticating
	if encrypt {
		t = &sa.encrypting
	}
	if *t == nil {
		*t = sa.saKey.transform(encrypt)
	}
	return *t
}

// find returns the association of a received packet.
func (e *ipsecEngine) find(k *rxKey) (*rxSA, bool) {
	if e.stale {
		e.index()
	}
	i, ok := e.byPacket[*k]
	if !ok {
		return nil, false
	}
	sa := &e.rx[i]
	if sa.transform == nil {
		sa.transform = sa.saKey.transform(sa.mode&(rxModESP|rxModDecrypt) == rxModESP|rxModDecrypt)
	}
	return sa, true
}

func (e *ipsecEngine) index() {
	e.stale = false
	if e.byPacket == nil {
		e.byPacket = make(map[rxKey]uint16)
	}
	clear(e.byPacket)
	for i := range e.rx {
		sa := &e.rx[i]
		if sa.mode&rxModValid == 0 {
			continue
		}
		k := rxKey{sa.spi, sa.mode&rxModIPv6 != 0, e.addresses[sa.address]}
		if !k.ipv6 {
			clear(k.address[:12])
		}
		if _, ok := e.byPacket[k]; !ok {
			e.byPacket[k] = uint16(i)
		}
	}
}

// resetIPsec empties the tables, as power-on does. A reset by software leaves them, which
// is why drivers clear them.
func (d *Device) resetIPsec() { d.ipsec = ipsecEngine{} }
