package ixgbe

import "encoding/binary"

// LegacyRx is a legacy receive descriptor as the driver posts it (82599
// datasheet 7.1.5).
type LegacyRx struct {
	Addr uint64 // guest address of the buffer
}

// ParseLegacyRx reads a posted legacy receive descriptor.
func ParseLegacyRx(b *[16]byte) LegacyRx {
	return LegacyRx{Addr: binary.LittleEndian.Uint64(b[0:])}
}

// Put posts d: the address, and zero where the write-back will be.
func (d LegacyRx) Put(b *[16]byte) {
	binary.LittleEndian.PutUint64(b[0:], d.Addr)
	binary.LittleEndian.PutUint64(b[8:], 0)
}

// LegacyRxWB is the write-back of a legacy receive descriptor (82599
// datasheet 7.1.5). It fills the second half; the buffer address stays.
type LegacyRxWB struct {
	Length   uint16 // bytes in this buffer
	Checksum uint16 // fragment checksum
	Status   LegacyStatus
	VLAN     uint16 // stripped tag: priority, CFI, identifier
}

// ParseLegacyRxWB reads a legacy receive write-back.
func ParseLegacyRxWB(b *[16]byte) LegacyRxWB {
	w := binary.LittleEndian.Uint64(b[8:])
	return LegacyRxWB{uint16(w), uint16(w >> 16), LegacyStatus(w >> 32), uint16(w >> 48)}
}

func (d LegacyRxWB) word() uint64 {
	return uint64(d.Length) | uint64(d.Checksum)<<16 | uint64(d.Status)<<32 | uint64(d.VLAN)<<48
}

// Put writes d back without ordering; the first 8 bytes are left alone.
func (d LegacyRxWB) Put(b *[16]byte) { binary.LittleEndian.PutUint64(b[8:], d.word()) }

// Publish writes d back in one atomic store.
func (d LegacyRxWB) Publish(b *[16]byte) { publish64(b, d.word()) }

// LegacyStatus is the status byte of a legacy receive write-back with the
// error byte above it (82599 datasheet 7.1.5).
type LegacyStatus uint16

const (
	LegacyDD    LegacyStatus = 1 << 0 // descriptor done
	LegacyEOP   LegacyStatus = 1 << 1 // last buffer of the packet
	LegacyVP    LegacyStatus = 1 << 3 // tag matched VET
	LegacyUDPCS LegacyStatus = 1 << 4 // UDP checksum was computed
	LegacyL4CS  LegacyStatus = 1 << 5 // L4 checksum was computed
	LegacyIPCS  LegacyStatus = 1 << 6 // IPv4 header checksum was computed
	LegacyPIF   LegacyStatus = 1 << 7 // not a unicast address

	LegacyRXE  LegacyStatus = 1 << 8  // MAC error: CRC, length, symbol
	LegacyTCPE LegacyStatus = 1 << 14 // TCP or UDP checksum is wrong
	LegacyIPE  LegacyStatus = 1 << 15 // IPv4 header checksum is wrong
)

// AdvRx is an advanced receive descriptor as the driver posts it (82599
// datasheet 7.1.6.1).
type AdvRx struct {
	Addr   uint64 // guest address of the packet buffer; bit 0 is A0 or NSE
	Header uint64 // guest address of the header buffer, even
	DD     bool   // a driver posts it clear
}

// ParseAdvRx reads a posted advanced receive descriptor.
func ParseAdvRx(b *[16]byte) AdvRx {
	h := binary.LittleEndian.Uint64(b[8:])
	return AdvRx{Addr: binary.LittleEndian.Uint64(b[0:]), Header: h &^ 1, DD: h&1 != 0}
}

// Put posts d.
func (d AdvRx) Put(b *[16]byte) {
	h := d.Header &^ 1
	if d.DD {
		h |= 1
	}
	binary.LittleEndian.PutUint64(b[0:], d.Addr)
	binary.LittleEndian.PutUint64(b[8:], h)
}

// AdvRxWB is the write-back of an advanced receive descriptor (82599
// datasheet 7.1.6.2).
type AdvRxWB struct {
	Info RxInfo
	// Param is the RSS hash, or the fragment checksum and IP identification,
	// or the Flow Director filter, or the FCoE parameter: see the methods.
	Param  uint32
	Status RxStatus
	RxData
}

// RxData is what a receive write-back says of the packet buffer.
type RxData struct {
	PKTLEN uint16 // bytes in the packet buffer
	VLAN   uint16 // stripped tag: priority, CFI, identifier
}

// ParseAdvRxWB reads an advanced receive write-back.
func ParseAdvRxWB(b *[16]byte) AdvRxWB {
	lo := binary.LittleEndian.Uint64(b[0:])
	hi := binary.LittleEndian.Uint64(b[8:])
	return AdvRxWB{RxInfo(lo), uint32(lo >> 32), RxStatus(hi), RxData{uint16(hi >> 32), uint16(hi >> 48)}}
}

func (d AdvRxWB) high() uint64 {
	return uint64(d.Status) | uint64(d.PKTLEN)<<32 | uint64(d.VLAN)<<48
}

// Put writes d back without ordering.
func (d AdvRxWB) Put(b *[16]byte) {
	binary.LittleEndian.PutUint64(b[0:], uint64(d.Info)|uint64(d.Param)<<32)
	binary.LittleEndian.PutUint64(b[8:], d.high())
}

// Publish writes d back: first its first word, then, in one atomic store,
// the word that holds DD.
func (d AdvRxWB) Publish(b *[16]byte) {
	binary.LittleEndian.PutUint64(b[0:], uint64(d.Info)|uint64(d.Param)<<32)
	publish64(b, d.high())
}

// IPID returns the IP identification, which Param holds when RXCSUM.PCSD is
// clear.
func (d AdvRxWB) IPID() uint16 { return uint16(d.Param) }

// FragmentChecksum returns the fragment checksum, which Param holds when
// RXCSUM.PCSD is clear.
func (d AdvRxWB) FragmentChecksum() uint16 { return uint16(d.Param >> 16) }

// FilterID returns the software index of the Flow Director filter that
// matched, which Param holds when the RSS type is RSSFlowDirector.
func (d AdvRxWB) FilterID() uint16 { return uint16(d.Param) }

// FilterHash returns the 15-bit Flow Director hash beside FilterID.
func (d AdvRxWB) FilterHash() uint16 { return uint16(d.Param>>16) & 0x7FFF }

// RxInfo is the first word of an advanced receive write-back: RSS type,
// packet type, RSCCNT, HDR_LEN and SPH (82599 datasheet 7.1.6.2).
type RxInfo uint32

// The RSS type: which hash Param holds.
const (
	RSSNone         RxInfo = 0x0
	RSSTCPIPv4      RxInfo = 0x1
	RSSIPv4         RxInfo = 0x2
	RSSTCPIPv6      RxInfo = 0x3
	RSSIPv6         RxInfo = 0x5
	RSSUDPIPv4      RxInfo = 0x7
	RSSUDPIPv6      RxInfo = 0x8
	RSSFlowDirector RxInfo = 0xF // Param holds a Flow Director filter
	RSSMask         RxInfo = 0xF
)

// The packet type: which headers were recognized. With PacketL2 set, the
// three lowest of its bits are instead the index of the EtherType filter that
// matched.
const (
	PacketIPv4    RxInfo = 1 << 4
	PacketIPv4E   RxInfo = 1 << 5 // with options
	PacketIPv6    RxInfo = 1 << 6
	PacketIPv6E   RxInfo = 1 << 7 // with extension headers
	PacketTCP     RxInfo = 1 << 8
	PacketUDP     RxInfo = 1 << 9
	PacketSCTP    RxInfo = 1 << 10
	PacketNFS     RxInfo = 1 << 11
	PacketESP     RxInfo = 1 << 12
	PacketAH      RxInfo = 1 << 13
	PacketLinkSec RxInfo = 1 << 14
	PacketL2      RxInfo = 1 << 15
	PacketMask    RxInfo = 0x1FFF << 4
)

// RxSPH is set when the header was recognized.
const RxSPH RxInfo = 1 << 31

// PacketETQF is the packet type of a match of EtherType filter i, 0 to 7.
func PacketETQF(i int) RxInfo { return PacketL2 | RxInfo(i&7)<<4 }

// HDRLEN is HDR_LEN for a header of n bytes, 0 to 1023.
func HDRLEN(n int) RxInfo { return RxInfo(n&0x3FF) << 21 }

// RSCCNT is the receive-side coalescing count n, 0 to 15.
func RSCCNT(n int) RxInfo { return RxInfo(n&0xF) << 17 }

// RSSType returns the RSS type alone.
func (i RxInfo) RSSType() RxInfo { return i & RSSMask }

// PacketType returns the packet type alone, in place.
func (i RxInfo) PacketType() RxInfo { return i & PacketMask }

// ETQF returns the index of the EtherType filter that matched.
func (i RxInfo) ETQF() (n int, ok bool) { return int(i >> 4 & 7), i&PacketL2 != 0 }

// HDRLEN returns the bytes of header.
func (i RxInfo) HDRLEN() int { return int(i >> 21 & 0x3FF) }

// RSCCNT returns the receive-side coalescing count.
func (i RxInfo) RSCCNT() int { return int(i >> 17 & 0xF) }

// RxStatus is the extended status of an advanced receive write-back with the
// extended error above it (82599 datasheet 7.1.6.2).
type RxStatus uint32

const (
	RxDD     RxStatus = 1 << 0  // descriptor done
	RxEOP    RxStatus = 1 << 1  // last buffer of the packet
	RxFLM    RxStatus = 1 << 2  // Flow Director filter matched
	RxVP     RxStatus = 1 << 3  // tag matched VET
	RxUDPCS  RxStatus = 1 << 4  // UDP checksum was computed
	RxL4I    RxStatus = 1 << 5  // L4 checksum or SCTP CRC was computed
	RxIPCS   RxStatus = 1 << 6  // IPv4 header checksum was computed
	RxPIF    RxStatus = 1 << 7  // not a unicast address
	RxCRCV   RxStatus = 1 << 8  // speculative CRC valid on 82598; reserved on 82599
	RxVEXT   RxStatus = 1 << 9  // outer tag found in a double-VLAN packet
	RxUDPV   RxStatus = 1 << 10 // UDP fragment whose checksum field is not zero
	RxDYNINT RxStatus = 1 << 11 // LLINT: caused a low-latency interrupt
	RxTS     RxStatus = 1 << 16 // IEEE 1588 packet, time stamp latched
	RxSECP   RxStatus = 1 << 17 // the security engine processed it
	RxLB     RxStatus = 1 << 18 // sent by another pool of this port

	RxHBO    RxStatus = 1 << 23 // the header does not fit its buffer
	RxSECERR RxStatus = 3 << 27 // mask of the codes below
	RxRXE    RxStatus = 1 << 29 // MAC error: CRC, length, symbol
	RxL4E    RxStatus = 1 << 30 // L4 checksum or SCTP CRC is wrong
	RxIPE    RxStatus = 1 << 31 // IPv4 header checksum is wrong
)

// FDIRERR, of a packet that is not FCoE (82599 datasheet 7.1.6.2).
const (
	RxFDIRLength RxStatus = 1 << 20 // the bucket is longer than FDIRCTRL allows
	RxFDIRDrop   RxStatus = 1 << 21 // a drop filter matched
	RxFDIRColl   RxStatus = 1 << 22 // hash collision
)

// Fields that an FCoE packet has in place of others (82599 datasheet
// 7.1.6.2): FCSTAT for L4I and UDPCS, FCEOFs for IPCS, FCERR for FDIRERR,
// FCEOFe for IPE.
const (
	RxFCSTAT       RxStatus = 3 << 4 // mask
	RxFCSTATNoDDP  RxStatus = 1 << 4 // context matched, payload not placed
	RxFCSTATFCPRSP RxStatus = 2 << 4 // FCP_RSP: the context is closed
	RxFCSTATDDP    RxStatus = 3 << 4 // context matched, payload placed
	RxFCEOFs       RxStatus = 1 << 6
	RxFCERR        RxStatus = 7 << 20 // mask
	RxFCEOFe       RxStatus = 1 << 31
)

// Codes of SECERR (82599 datasheet 7.1.6.2).
const (
	RxIPsecProtocol RxStatus = 1 << 27 // not the protocol the SA has
	RxIPsecLength   RxStatus = 2 << 27
	RxIPsecAuth     RxStatus = 3 << 27
	RxLinkSecNoSA   RxStatus = 1 << 27
	RxLinkSecReplay RxStatus = 2 << 27
	RxLinkSecBadSig RxStatus = 3 << 27
)

// RxNext is the status of a done descriptor that the one at ring index nextp
// continues.
func RxNext(nextp uint16) RxStatus { return RxDD | RxStatus(nextp)<<4 }

// NEXTP returns the ring index of the descriptor that continues this one. It
// stands where the flags are while EOP is clear.
func (s RxStatus) NEXTP() uint16 { return uint16(s >> 4) }
