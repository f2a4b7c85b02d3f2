package ixgbe

import "encoding/binary"

// LegacyTx is a legacy transmit descriptor (82599 datasheet 7.2.3.2.2).
type LegacyTx struct {
	Addr   uint64 // guest address of the buffer
	Length uint16 // bytes in the buffer
	Flags  TxFlags
	Insert
}

// Insert is what a legacy transmit descriptor has inserted: with IC a
// checksum, with VLE a tag.
type Insert struct {
	CSO  uint8 // where the checksum goes, in bytes from the frame's start
	CSS  uint8 // where the summed bytes begin
	VLAN uint16
}

const legacyFlags = 0xF_FF00_0000 &^ TxDEXT

// ParseLegacyTx reads a legacy transmit descriptor.
func ParseLegacyTx(b *[16]byte) (LegacyTx, error) {
	w := binary.LittleEndian.Uint64(b[8:])
	if w&dext != 0 {
		return LegacyTx{}, ErrKind
	}
	return LegacyTx{
		Addr:   binary.LittleEndian.Uint64(b[0:]),
		Length: uint16(w),
		Flags:  TxFlags(w) & legacyFlags,
		Insert: Insert{CSO: uint8(w >> 16), CSS: uint8(w >> 40), VLAN: uint16(w >> 48)},
	}, nil
}

// Put writes d.
func (d LegacyTx) Put(b *[16]byte) {
	binary.LittleEndian.PutUint64(b[0:], d.Addr)
	binary.LittleEndian.PutUint64(b[8:], uint64(d.Length)|uint64(d.CSO)<<16|
		uint64(d.Flags&legacyFlags)|uint64(d.CSS)<<40|uint64(d.VLAN)<<48)
}

// AdvData is an advanced transmit data descriptor (82599 datasheet
// 7.2.3.2.4). DTYP and DCMD.DEXT are implied.
type AdvData struct {
	Addr   uint64 // guest address of the buffer
	DTALEN uint16 // bytes in the buffer
	PAYLEN uint32 // bytes of the packet, with TSE of its payload; 18 bits
	Flags  TxFlags
}

// The reserved bits among DCMD, STA and POPTS are kept, so that a trace shows
// what a driver wrote.
const dataFlags = 0x3FFF_FF0C_0000 &^ TxDEXT

// ParseAdvData reads an advanced data descriptor.
func ParseAdvData(b *[16]byte) (AdvData, error) {
	w := binary.LittleEndian.Uint64(b[8:])
	if w&kindMask != dext|dtypData {
		return AdvData{}, ErrKind
	}
	return AdvData{
		Addr:   binary.LittleEndian.Uint64(b[0:]),
		DTALEN: uint16(w),
		PAYLEN: uint32(w >> 46),
		Flags:  TxFlags(w) & dataFlags,
	}, nil
}

// Put writes d.
func (d AdvData) Put(b *[16]byte) {
	binary.LittleEndian.PutUint64(b[0:], d.Addr)
	binary.LittleEndian.PutUint64(b[8:], dext|dtypData|uint64(d.DTALEN)|
		uint64(d.Flags&dataFlags)|uint64(d.PAYLEN)<<46)
}

// TxFlags are the flags of a transmit descriptor at their places in its
// second word: CMD and STA of the legacy format (82599 datasheet 7.2.3.2.2);
// MAC, DCMD, STA, IDX, CC and POPTS of the advanced one (7.2.3.2.4).
type TxFlags uint64

const (
	TxILinkSec TxFlags = 1 << 18 // MAC: apply LinkSec
	Tx1588     TxFlags = 1 << 19 // MAC: latch the transmit time stamp

	TxEOP  TxFlags = 1 << 24 // last buffer of the packet
	TxIFCS TxFlags = 1 << 25 // append the Ethernet CRC
	TxIC   TxFlags = 1 << 26 // legacy: insert a checksum at CSO
	TxRS   TxFlags = 1 << 27 // report status: write DD back
	TxDEXT TxFlags = 1 << 29 // advanced format; implied by the type, never shown
	TxVLE  TxFlags = 1 << 30 // insert the VLAN tag
	TxTSE  TxFlags = 1 << 31 // advanced: segment

	TxDD TxFlags = 1 << 32 // STA: descriptor done

	TxCC    TxFlags = 1 << 39 // check context: the context that IDX names applies
	TxIXSM  TxFlags = 1 << 40 // POPTS: insert the IPv4 header checksum
	TxTXSM  TxFlags = 1 << 41 // POPTS: insert the L4 checksum or SCTP CRC
	TxIPSEC TxFlags = 1 << 42 // POPTS: apply IPsec
)

// TxIDX names context slot i, 0 to 7, of which 82599 has two.
func TxIDX(i int) TxFlags { return TxFlags(i&7) << 36 }

// IDX returns the context slot.
func (f TxFlags) IDX() int { return int(f >> 36 & 7) }

// AdvContext is an advanced transmit context descriptor (82599 datasheet
// 7.2.3.2.3). DTYP and DEXT are implied.
type AdvContext struct {
	Lengths
	VLAN  uint16 // tag that VLE inserts
	Flags ContextFlags
	Security
}

// Lengths are the header lengths and the segment size of a context.
type Lengths struct {
	MACLEN uint8  // bytes of MAC header; 7 bits
	IPLEN  uint16 // bytes of IP header; 9 bits
	L4LEN  uint8  // bytes of L4 header
	MSS    uint16 // bytes of payload in a segment
}

// Security is what a context says of IPsec and FCoE.
type Security struct {
	SAIndex uint16 // IPsec SA index; 10 bits
	ESPLEN  uint16 // IPS_ESP_LEN: bytes of ESP trailer and ICV; 9 bits
	FCoEF   FCoEF  // 6 bits
}

const contextFlags ContextFlags = 0x1F_C00F_FE00

// ParseAdvContext reads an advanced context descriptor.
func ParseAdvContext(b *[16]byte) (AdvContext, error) {
	lo := binary.LittleEndian.Uint64(b[0:])
	hi := binary.LittleEndian.Uint64(b[8:])
	if hi&kindMask != dext|dtypContext {
		return AdvContext{}, ErrKind
	}
	return AdvContext{
		Lengths: Lengths{
			MACLEN: uint8(lo >> 9 & 0x7F),
			IPLEN:  uint16(lo & 0x1FF),
			L4LEN:  uint8(hi >> 40),
			MSS:    uint16(hi >> 48),
		},
		VLAN:  uint16(lo >> 16),
		Flags: ContextFlags(hi) & contextFlags,
		Security: Security{
			SAIndex: uint16(lo >> 32 & 0x3FF),
			ESPLEN:  uint16(hi & 0x1FF),
			FCoEF:   FCoEF(lo >> 42 & 0x3F),
		},
	}, nil
}

// Put writes d.
func (d AdvContext) Put(b *[16]byte) {
	binary.LittleEndian.PutUint64(b[0:], uint64(d.IPLEN&0x1FF)|uint64(d.MACLEN&0x7F)<<9|
		uint64(d.VLAN)<<16|uint64(d.SAIndex&0x3FF)<<32|uint64(d.FCoEF&0x3F)<<42)
	binary.LittleEndian.PutUint64(b[8:], dext|dtypContext|uint64(d.ESPLEN&0x1FF)|
		uint64(d.Flags&contextFlags)|uint64(d.L4LEN)<<40|uint64(d.MSS)<<48)
}

// ContextFlags are TUCMD, BCNTLEN and IDX of a context descriptor at their
// places in its second word (82599 datasheet 7.2.3.2.3).
type ContextFlags uint64

const (
	ContextSNAP       ContextFlags = 1 << 9
	ContextIPv4       ContextFlags = 1 << 10 // clear: IPv6
	ContextL4T        ContextFlags = 3 << 11 // mask
	ContextUDP        ContextFlags = 0 << 11
	ContextTCP        ContextFlags = 1 << 11
	ContextSCTP       ContextFlags = 2 << 11
	ContextESP        ContextFlags = 1 << 13 // IPSEC_TYPE; clear: AH
	ContextEncryption ContextFlags = 1 << 14 // ESP encrypts; clear: authenticates only
	ContextFCoE       ContextFlags = 1 << 15

	// ContextBCNTLEN is the value a rate-limited queue wants.
	ContextBCNTLEN ContextFlags = 0x3F << 30
)

// ContextIDX names context slot i, 0 or 1.
func ContextIDX(i int) ContextFlags { return ContextFlags(i&1) << 36 }

// IDX returns the context slot, 0 or 1.
func (f ContextFlags) IDX() int { return int(f >> 36 & 1) }

// BCNTLEN returns the 6-bit field of that name.
func (f ContextFlags) BCNTLEN() int { return int(f >> 30 & 0x3F) }

// FCoEF is the FCoE field of a context descriptor (82599 datasheet
// 7.2.3.2.3).
type FCoEF uint8

const (
	FCoEEOF    FCoEF = 3 << 0 // mask: 0 EOFn, 1 EOFt, 2 EOFni, 3 EOFa
	FCoESOF    FCoEF = 1 << 2 // the first frame starts a sequence
	FCoEPARINC FCoEF = 1 << 3 // the parameter field advances by frame
	FCoEORIE   FCoEF = 1 << 4 // orientation at the end
	FCoEORIS   FCoEF = 1 << 5 // orientation at the start
)
