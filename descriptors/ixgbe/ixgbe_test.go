package ixgbe

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// A field is a row of a descriptor table of the datasheet: bits of the 128,
// counted from the first byte's lowest, and how the parsed value shows them.
type field struct {
	name   string
	lo, n  int
	parsed func(b *[16]byte) (uint64, error)
}

// A format is a descriptor table: the bits that tell its kind, its fields,
// and a parse followed by a put.
type format struct {
	name   string
	kind   [16]byte
	fields []field
	again  func(b *[16]byte) ([16]byte, error)
	kept   []int // reserved bits that flags keep
}

func rx[T interface{ Put(*[16]byte) }](parse func(*[16]byte) T) func(*[16]byte) (T, error) {
	return func(b *[16]byte) (T, error) { return parse(b), nil }
}

func again[T interface{ Put(*[16]byte) }](parse func(*[16]byte) (T, error)) func(*[16]byte) ([16]byte, error) {
	return func(b *[16]byte) (out [16]byte, err error) {
		d, err := parse(b)
		d.Put(&out)
		return out, err
	}
}

func at[T any](name string, lo, n int, parse func(*[16]byte) (T, error), get func(T) uint64) field {
	return field{name, lo, n, func(b *[16]byte) (uint64, error) {
		d, err := parse(b)
		return get(d), err
	}}
}

// flag is a row for one typed constant.
func flag[T any, F ~uint16 | ~uint32 | ~uint64](name string, lo, n int, parse func(*[16]byte) (T, error), word func(T) F, mask F) field {
	return at(name, lo, n, parse, func(d T) uint64 {
		if mask == 0 {
			panic("empty mask")
		}
		low := mask & -mask
		return uint64(word(d)&mask) / uint64(low)
	})
}

func legacyTx(d LegacyTx) TxFlags      { return d.Flags }
func advData(d AdvData) TxFlags        { return d.Flags }
func advCtx(d AdvContext) ContextFlags { return d.Flags }
func wbInfo(d AdvRxWB) RxInfo          { return d.Info }
func wbStatus(d AdvRxWB) RxStatus      { return d.Status }
func lwb(d LegacyRxWB) LegacyStatus    { return d.Status }

// formats are the tables of 82599 datasheet 7.1.5, 7.1.6 and 7.2.3.2,
// written as bit positions.
func formats() []format {
	legacyRx, legacyRxWB := rx(ParseLegacyRx), rx(ParseLegacyRxWB)
	advRx, advRxWB := rx(ParseAdvRx), rx(ParseAdvRxWB)
	bit := func(n int) (b [16]byte) { b[n/8] = 1 << (n % 8); return b }
	or := func(a, b [16]byte) [16]byte {
		for i := range a {
			a[i] |= b[i]
		}
		return a
	}
	boolean := func(b bool) uint64 {
		if b {
			return 1
		}
		return 0
	}
	return []format{
		{name: "legacy rx", again: again(legacyRx), fields: []field{
			at("Addr", 0, 64, legacyRx, func(d LegacyRx) uint64 { return d.Addr }),
		}},
		{name: "legacy rx write-back", again: again(legacyRxWB), kept: []int{98, 105, 106, 107, 108, 109}, fields: []field{
			at("Length", 64, 16, legacyRxWB, func(d LegacyRxWB) uint64 { return uint64(d.Length) }),
			at("Checksum", 80, 16, legacyRxWB, func(d LegacyRxWB) uint64 { return uint64(d.Checksum) }),
			flag("DD", 96, 1, legacyRxWB, lwb, LegacyDD),
			flag("EOP", 97, 1, legacyRxWB, lwb, LegacyEOP),
			flag("VP", 99, 1, legacyRxWB, lwb, LegacyVP),
			flag("UDPCS", 100, 1, legacyRxWB, lwb, LegacyUDPCS),
			flag("L4CS", 101, 1, legacyRxWB, lwb, LegacyL4CS),
			flag("IPCS", 102, 1, legacyRxWB, lwb, LegacyIPCS),
			flag("PIF", 103, 1, legacyRxWB, lwb, LegacyPIF),
			flag("RXE", 104, 1, legacyRxWB, lwb, LegacyRXE),
			flag("TCPE", 110, 1, legacyRxWB, lwb, LegacyTCPE),
			flag("IPE", 111, 1, legacyRxWB, lwb, LegacyIPE),
			at("VLAN", 112, 16, legacyRxWB, func(d LegacyRxWB) uint64 { return uint64(d.VLAN) }),
		}},
		{name: "advanced rx", again: again(advRx), fields: []field{
			at("Addr", 0, 64, advRx, func(d AdvRx) uint64 { return d.Addr }),
			at("DD", 64, 1, advRx, func(d AdvRx) uint64 { return boolean(d.DD) }),
			at("Header", 65, 63, advRx, func(d AdvRx) uint64 { return d.Header >> 1 }),
		}},
		{name: "advanced rx write-back", again: again(advRxWB), kept: []int{76, 77, 78, 79, 83, 88, 89, 90}, fields: []field{
			at("RSSType", 0, 4, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.Info.RSSType()) }),
			flag("IPV4", 4, 1, advRxWB, wbInfo, PacketIPv4),
			flag("IPV4E", 5, 1, advRxWB, wbInfo, PacketIPv4E),
			flag("IPV6", 6, 1, advRxWB, wbInfo, PacketIPv6),
			flag("IPV6E", 7, 1, advRxWB, wbInfo, PacketIPv6E),
			flag("TCP", 8, 1, advRxWB, wbInfo, PacketTCP),
			flag("UDP", 9, 1, advRxWB, wbInfo, PacketUDP),
			flag("SCTP", 10, 1, advRxWB, wbInfo, PacketSCTP),
			flag("NFS", 11, 1, advRxWB, wbInfo, PacketNFS),
			flag("ESP", 12, 1, advRxWB, wbInfo, PacketESP),
			flag("AH", 13, 1, advRxWB, wbInfo, PacketAH),
			flag("LinkSec", 14, 1, advRxWB, wbInfo, PacketLinkSec),
			flag("L2", 15, 1, advRxWB, wbInfo, PacketL2),
			at("ETQF", 4, 3, advRxWB, func(d AdvRxWB) uint64 { n, _ := d.Info.ETQF(); return uint64(n) }),
			at("PacketType", 4, 13, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.Info.PacketType() >> 4) }),
			at("RSCCNT", 17, 4, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.Info.RSCCNT()) }),
			at("HDR_LEN", 21, 10, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.Info.HDRLEN()) }),
			flag("SPH", 31, 1, advRxWB, wbInfo, RxSPH),
			at("Param", 32, 32, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.Param) }),
			at("IPID", 32, 16, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.IPID()) }),
			at("FilterID", 32, 16, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.FilterID()) }),
			at("FragmentChecksum", 48, 16, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.FragmentChecksum()) }),
			at("FilterHash", 48, 15, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.FilterHash()) }),
			flag("DD", 64, 1, advRxWB, wbStatus, RxDD),
			flag("EOP", 65, 1, advRxWB, wbStatus, RxEOP),
			flag("FLM", 66, 1, advRxWB, wbStatus, RxFLM),
			flag("VP", 67, 1, advRxWB, wbStatus, RxVP),
			flag("UDPCS", 68, 1, advRxWB, wbStatus, RxUDPCS),
			flag("L4I", 69, 1, advRxWB, wbStatus, RxL4I),
			flag("FCSTAT", 68, 2, advRxWB, wbStatus, RxFCSTAT),
			flag("IPCS", 70, 1, advRxWB, wbStatus, RxIPCS),
			flag("FCEOFs", 70, 1, advRxWB, wbStatus, RxFCEOFs),
			flag("PIF", 71, 1, advRxWB, wbStatus, RxPIF),
			flag("CRCV", 72, 1, advRxWB, wbStatus, RxCRCV),
			flag("VEXT", 73, 1, advRxWB, wbStatus, RxVEXT),
			flag("UDPV", 74, 1, advRxWB, wbStatus, RxUDPV),
			flag("DYNINT", 75, 1, advRxWB, wbStatus, RxDYNINT),
			flag("TS", 80, 1, advRxWB, wbStatus, RxTS),
			flag("SECP", 81, 1, advRxWB, wbStatus, RxSECP),
			flag("LB", 82, 1, advRxWB, wbStatus, RxLB),
			at("NEXTP", 68, 16, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.Status.NEXTP()) }),
			flag("FDIRLength", 84, 1, advRxWB, wbStatus, RxFDIRLength),
			flag("FDIRDrop", 85, 1, advRxWB, wbStatus, RxFDIRDrop),
			flag("FDIRColl", 86, 1, advRxWB, wbStatus, RxFDIRColl),
			flag("FCERR", 84, 3, advRxWB, wbStatus, RxFCERR),
			flag("HBO", 87, 1, advRxWB, wbStatus, RxHBO),
			flag("SECERR", 91, 2, advRxWB, wbStatus, RxSECERR),
			flag("RXE", 93, 1, advRxWB, wbStatus, RxRXE),
			flag("L4E", 94, 1, advRxWB, wbStatus, RxL4E),
			flag("IPE", 95, 1, advRxWB, wbStatus, RxIPE),
			flag("FCEOFe", 95, 1, advRxWB, wbStatus, RxFCEOFe),
			at("PKT_LEN", 96, 16, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.PKTLEN) }),
			at("VLAN", 112, 16, advRxWB, func(d AdvRxWB) uint64 { return uint64(d.VLAN) }),
		}},
		{name: "legacy tx", again: again(ParseLegacyTx), kept: []int{92, 95, 97, 98, 99}, fields: []field{
			at("Addr", 0, 64, ParseLegacyTx, func(d LegacyTx) uint64 { return d.Addr }),
			at("Length", 64, 16, ParseLegacyTx, func(d LegacyTx) uint64 { return uint64(d.Length) }),
			at("CSO", 80, 8, ParseLegacyTx, func(d LegacyTx) uint64 { return uint64(d.CSO) }),
			flag("EOP", 88, 1, ParseLegacyTx, legacyTx, TxEOP),
			flag("IFCS", 89, 1, ParseLegacyTx, legacyTx, TxIFCS),
			flag("IC", 90, 1, ParseLegacyTx, legacyTx, TxIC),
			flag("RS", 91, 1, ParseLegacyTx, legacyTx, TxRS),
			flag("VLE", 94, 1, ParseLegacyTx, legacyTx, TxVLE),
			flag("DD", 96, 1, ParseLegacyTx, legacyTx, TxDD),
			at("CSS", 104, 8, ParseLegacyTx, func(d LegacyTx) uint64 { return uint64(d.CSS) }),
			at("VLAN", 112, 16, ParseLegacyTx, func(d LegacyTx) uint64 { return uint64(d.VLAN) }),
		}},
		{name: "context", kind: or(bit(93), bit(85)), again: again(ParseAdvContext), kept: []int{80, 81, 82, 83}, fields: []field{
			at("IPLEN", 0, 9, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.IPLEN) }),
			at("MACLEN", 9, 7, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.MACLEN) }),
			at("VLAN", 16, 16, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.VLAN) }),
			at("SAIndex", 32, 10, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.SAIndex) }),
			at("FCoEF", 42, 6, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.FCoEF) }),
			at("IPS_ESP_LEN", 64, 9, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.ESPLEN) }),
			flag("SNAP", 73, 1, ParseAdvContext, advCtx, ContextSNAP),
			flag("IPV4", 74, 1, ParseAdvContext, advCtx, ContextIPv4),
			flag("L4T", 75, 2, ParseAdvContext, advCtx, ContextL4T),
			flag("IPSEC_TYPE", 77, 1, ParseAdvContext, advCtx, ContextESP),
			flag("Encryption", 78, 1, ParseAdvContext, advCtx, ContextEncryption),
			flag("FCoE", 79, 1, ParseAdvContext, advCtx, ContextFCoE),
			at("BCNTLEN", 94, 6, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.Flags.BCNTLEN()) }),
			at("IDX", 100, 1, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.Flags.IDX()) }),
			at("L4LEN", 104, 8, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.L4LEN) }),
			at("MSS", 112, 16, ParseAdvContext, func(d AdvContext) uint64 { return uint64(d.MSS) }),
		}},
		{name: "data", kind: or(bit(93), or(bit(84), bit(85))), again: again(ParseAdvData),
			kept: []int{90, 92, 97, 98, 99, 107, 108, 109}, fields: []field{
				at("Addr", 0, 64, ParseAdvData, func(d AdvData) uint64 { return d.Addr }),
				at("DTALEN", 64, 16, ParseAdvData, func(d AdvData) uint64 { return uint64(d.DTALEN) }),
				flag("ILinkSec", 82, 1, ParseAdvData, advData, TxILinkSec),
				flag("1588", 83, 1, ParseAdvData, advData, Tx1588),
				flag("EOP", 88, 1, ParseAdvData, advData, TxEOP),
				flag("IFCS", 89, 1, ParseAdvData, advData, TxIFCS),
				flag("RS", 91, 1, ParseAdvData, advData, TxRS),
				flag("VLE", 94, 1, ParseAdvData, advData, TxVLE),
				flag("TSE", 95, 1, ParseAdvData, advData, TxTSE),
				flag("DD", 96, 1, ParseAdvData, advData, TxDD),
				at("IDX", 100, 3, ParseAdvData, func(d AdvData) uint64 { return uint64(d.Flags.IDX()) }),
				flag("CC", 103, 1, ParseAdvData, advData, TxCC),
				flag("IXSM", 104, 1, ParseAdvData, advData, TxIXSM),
				flag("TXSM", 105, 1, ParseAdvData, advData, TxTXSM),
				flag("IPSEC", 106, 1, ParseAdvData, advData, TxIPSEC),
				at("PAYLEN", 110, 18, ParseAdvData, func(d AdvData) uint64 { return uint64(d.PAYLEN) }),
			}},
	}
}

// TestLayout sets each of the 128 bits alone: exactly the fields that the
// table puts there show it, and a parse followed by a put keeps it unless it
// is reserved.
func TestLayout(t *testing.T) {
	for _, f := range formats() {
		t.Run(f.name, func(t *testing.T) {
			kept := map[int]bool{}
			for _, n := range f.kept {
				kept[n] = true
			}
			for n := range 128 {
				b := f.kind
				b[n/8] ^= 1 << (n % 8)
				if isKind := n == 93 || n >= 84 && n <= 87; isKind && (f.kind != [16]byte{} || f.name == "legacy tx" && n == 93) {
					_, err := f.again(&b)
					require.ErrorIs(t, err, ErrKind, "bit %d", n)
					continue
				}
				covered := kept[n]
				for _, fd := range f.fields {
					got, err := fd.parsed(&b)
					require.NoError(t, err)
					want := uint64(0)
					if n >= fd.lo && n < fd.lo+fd.n {
						want, covered = 1<<(n-fd.lo), true
					}
					require.Equal(t, want, got, "bit %d, %s", n, fd.name)
				}
				want := f.kind
				if covered {
					want = b
				}
				out, err := f.again(&b)
				require.NoError(t, err)
				require.Equal(t, want, out, "bit %d", n)
			}
		})
	}
}

// TestPutMasks gives fields more than they hold: the excess is cut off and
// does not reach the neighbours.
func TestPutMasks(t *testing.T) {
	ones := func(lo, n int) (b [16]byte) {
		for i := lo; i < lo+n; i++ {
			b[i/8] |= 1 << (i % 8)
		}
		return b
	}
	kind := func(b [16]byte, dtyp byte) [16]byte {
		b[11] |= 0x20
		b[10] |= dtyp << 4
		return b
	}
	for _, c := range []struct {
		d    interface{ Put(*[16]byte) }
		want [16]byte
	}{
		{AdvContext{Lengths: Lengths{IPLEN: 0xFFFF}}, kind(ones(0, 9), 2)},
		{AdvContext{Lengths: Lengths{MACLEN: 0xFF}}, kind(ones(9, 7), 2)},
		{AdvContext{Security: Security{SAIndex: 0xFFFF}}, kind(ones(32, 10), 2)},
		{AdvContext{Security: Security{FCoEF: 0xFF}}, kind(ones(42, 6), 2)},
		{AdvContext{Security: Security{ESPLEN: 0xFFFF}}, kind(ones(64, 9), 2)},
		{AdvContext{Flags: ContextIDX(3)}, kind(ones(100, 1), 2)},
		{AdvContext{Flags: ^ContextFlags(0) &^ ContextBCNTLEN &^ ContextIDX(1)}, kind(ones(73, 11), 2)},
		{AdvData{PAYLEN: 0xFFFFFFFF}, kind(ones(110, 18), 3)},
		{AdvData{Flags: TxIDX(15)}, kind(ones(100, 3), 3)},
		{AdvData{Flags: TxDEXT}, kind([16]byte{}, 3)},
		{LegacyTx{Flags: TxDEXT | TxCC | TxILinkSec}, [16]byte{}},
		{AdvRx{Header: 1}, [16]byte{}},
		{AdvRxWB{Info: HDRLEN(0xFFFF)}, ones(21, 10)},
		{AdvRxWB{Info: RSCCNT(0xFFFF)}, ones(17, 4)},
		{AdvRxWB{Info: PacketETQF(0xFFFF)}, [16]byte{0x70, 0x80}},
	} {
		var b [16]byte
		c.d.Put(&b)
		require.Equal(t, c.want, b, "%v", c.d)
	}
}

// TestLiteral parses descriptors written down as the bytes that a driver or
// the adapter leaves in memory.
func TestLiteral(t *testing.T) {
	parse := func(s string) *[16]byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return (*[16]byte)(b)
	}

	// One 60-byte frame, EOP, IFCS, RS, as DPDK's and ixy's drivers post it.
	data, err := ParseAdvData(parse("00002001" + "00000000" + "3c00302b" + "00000f00"))
	require.NoError(t, err)
	require.Equal(t, AdvData{Addr: 0x1200000, DTALEN: 60, PAYLEN: 60, Flags: TxEOP | TxIFCS | TxRS}, data)

	// The context of a TCP segmentation over IPv4, 1448 bytes a segment.
	ctx, err := ParseAdvContext(parse("141c0000" + "00000000" + "000c2020" + "0020a805"))
	require.NoError(t, err)
	require.Equal(t, AdvContext{
		Lengths: Lengths{MACLEN: 14, IPLEN: 20, L4LEN: 32, MSS: 1448},
		Flags:   ContextIPv4 | ContextTCP,
	}, ctx)

	// A 1514-byte TCP frame, good checksums, hash 0xDDCCBBAA.
	wb := ParseAdvRxWB(parse("11010000" + "aabbccdd" + "63000000" + "ea050000"))
	require.Equal(t, AdvRxWB{
		Info:   RSSTCPIPv4 | PacketIPv4 | PacketTCP,
		Param:  0xDDCCBBAA,
		Status: RxDD | RxEOP | RxL4I | RxIPCS,
		RxData: RxData{PKTLEN: 1514},
	}, wb)

	// A merged frame that continues at ring index 0x0123.
	wb = ParseAdvRxWB(parse("00000000" + "00000000" + "31120000" + "00080000"))
	require.Equal(t, RxNext(0x123), wb.Status)
	require.Equal(t, uint16(0x123), wb.Status.NEXTP())
}

func TestTxKind(t *testing.T) {
	for dtyp := range 16 {
		var b [16]byte
		b[10] = byte(dtyp)<<4 | 0xF
		b[11] = 0xDF
		require.Equal(t, KindLegacy, TxKind(&b), "without DEXT, DTYP %d", dtyp)
		b[11] = 0x20
		want := map[int]Kind{2: KindContext, 3: KindData}[dtyp]
		require.Equal(t, want, TxKind(&b), "DTYP %d", dtyp)
	}
	for kind, name := range []string{"unknown", "legacy", "context", "data"} {
		require.Equal(t, name, Kind(kind).String())
	}
}

// TestPublish writes back at every alignment of the host's memory; the bytes
// are those of Put.
func TestPublish(t *testing.T) {
	room := make([]uint64, 5)
	memory := unsafe.Slice((*byte)(unsafe.Pointer(&room[0])), 8*len(room))
	for shift := range 9 {
		b := (*[16]byte)(memory[shift:])
		var want [16]byte

		wb := AdvRxWB{Info: RxSPH | HDRLEN(54), Param: 0x01020304, Status: RxDD | RxEOP | RxIPE, RxData: RxData{60, 0x2064}}
		*b = [16]byte{}
		require.False(t, AdvRxDone(b))
		wb.Publish(b)
		wb.Put(&want)
		require.Equal(t, want, *b)
		require.True(t, AdvRxDone(b))

		legacy := LegacyRxWB{Length: 60, Checksum: 0xBEEF, Status: LegacyDD | LegacyEOP, VLAN: 100}
		LegacyRx{Addr: 0x1122334455667788}.Put(b)
		want = *b
		require.False(t, LegacyRxDone(b))
		legacy.Publish(b)
		legacy.Put(&want)
		require.Equal(t, want, *b)
		require.Equal(t, uint64(0x1122334455667788), binary.LittleEndian.Uint64(b[:]), "the address stays")
		require.True(t, LegacyRxDone(b))

		data := AdvData{Addr: 4096, DTALEN: 60, PAYLEN: 60, Flags: TxEOP | TxRS}
		data.Put(b)
		require.False(t, TxDone(b))
		PublishTx(b)
		require.True(t, TxDone(b))
		data.Flags |= TxDD
		data.Put(&want)
		require.Equal(t, want, *b)
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		d    fmt.Stringer
		want string
	}{
		{LegacyRx{Addr: 0x1000}, "legacy rx Addr=0x1000"},
		{LegacyRxWB{Length: 60, Checksum: 0xABCD, Status: LegacyDD | LegacyEOP | LegacyIPE, VLAN: 5},
			"legacy rx write-back Length=60 Checksum=0xabcd Status=DD|EOP|IPE VLAN=0x0005"},
		{AdvRx{Addr: 0x1000, Header: 0x2000, DD: true}, "advanced rx Addr=0x1000 Header=0x2000 DD=1"},
		{AdvRxWB{Info: RSSUDPIPv6 | PacketIPv6 | PacketUDP | HDRLEN(62) | RxSPH, Status: RxDD | RxEOP | RxVP | RxIPsecAuth | RxL4E, RxData: RxData{100, 7}},
			"advanced rx write-back RSSType=HASH_UDP_IPV6 PacketType=IPV6|UDP RSCCNT=0 HDR_LEN=62 SPH=1 " +
				"Param=0x00000000 Status=DD|EOP|VP|L4E|SECERR=3 PKT_LEN=100 VLAN=0x0007"},
		{RSSFlowDirector | PacketETQF(5) | PacketLinkSec | RSCCNT(3),
			"RSSType=FlowDirector PacketType=ETQF[5]|LinkSec RSCCNT=3 HDR_LEN=0 SPH=0"},
		{RxInfo(4), "RSSType=0x4 PacketType=0 RSCCNT=0 HDR_LEN=0 SPH=0"},
		{RxNext(17), "DD|NEXTP=17"},
		{RxStatus(0), "0"},
		{LegacyTx{Addr: 0x1000, Length: 60, Flags: TxEOP | TxIC, Insert: Insert{CSO: 50, CSS: 34, VLAN: 1}},
			"legacy tx Addr=0x1000 Length=60 Flags=EOP|IC CSO=50 CSS=34 VLAN=0x0001"},
		{AdvData{Addr: 0x1000, DTALEN: 54, PAYLEN: 65000, Flags: TxEOP | TxTSE | TxCC | TxIXSM | TxTXSM | TxIDX(1) | Tx1588},
			"advanced tx data Addr=0x1000 DTALEN=54 PAYLEN=65000 Flags=1588|EOP|TSE|CC|IXSM|TXSM|IDX=1"},
		{AdvContext{Lengths: Lengths{14, 20, 20, 1448}, VLAN: 9, Flags: ContextIPv4 | ContextTCP | ContextIDX(1) | ContextBCNTLEN},
			"advanced tx context MACLEN=14 IPLEN=20 L4LEN=20 MSS=1448 VLAN=0x0009 Flags=IPV4|TCP|BCNTLEN=0x3f|IDX=1 " +
				"SAIndex=0 IPS_ESP_LEN=0 FCoEF=EOFn"},
		{ContextUDP, "UDP"},
		{ContextSCTP | ContextFCoE, "FCoE|SCTP"},
		{FCoESOF | FCoEORIS | 1, "EOFt|SOF|ORIS"},
	} {
		require.Equal(t, c.want, c.d.String())
	}
}

// TestFields keeps the promise that the compiler can hold a descriptor in
// registers: it takes structs apart up to four fields each.
func TestFields(t *testing.T) {
	var check func(reflect.Type)
	check = func(s reflect.Type) {
		if s.Kind() != reflect.Struct {
			return
		}
		require.LessOrEqual(t, s.NumField(), 4, s)
		for field := range s.Fields() {
			check(field.Type)
		}
	}
	for _, d := range []any{LegacyRx{}, LegacyRxWB{}, AdvRx{}, AdvRxWB{}, LegacyTx{}, AdvContext{}, AdvData{}} {
		require.LessOrEqual(t, int(reflect.TypeOf(d).Size()), 32, "%T", d)
		check(reflect.TypeOf(d))
	}
}

// FuzzFormats holds Parse(Put(x)) == x for every format, on arbitrary bytes.
func FuzzFormats(f *testing.F) {
	f.Add(make([]byte, 16))
	f.Add([]byte("\x00\x00\x20\x01\x00\x00\x00\x00\x3c\x00\x30\x2b\x00\x00\x0f\x00"))
	f.Add([]byte("\x14\x1c\x00\x00\x00\x00\x00\x00\x00\x0c\x20\x20\x00\x20\xa8\x05"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b [16]byte
		copy(b[:], raw)
		fixed(t, &b, rx(ParseLegacyRx))
		fixed(t, &b, rx(ParseLegacyRxWB))
		fixed(t, &b, rx(ParseAdvRx))
		fixed(t, &b, rx(ParseAdvRxWB))
		parsed := 0
		for _, ok := range []bool{fixed(t, &b, ParseLegacyTx), fixed(t, &b, ParseAdvContext), fixed(t, &b, ParseAdvData)} {
			if ok {
				parsed++
			}
		}
		if TxKind(&b) == KindUnknown {
			require.Zero(t, parsed)
		} else {
			require.Equal(t, 1, parsed, "a transmit descriptor is of one kind")
		}
	})
}

func fixed[T interface {
	comparable
	Put(*[16]byte)
	String() string
}](t *testing.T, b *[16]byte, parse func(*[16]byte) (T, error)) bool {
	d, err := parse(b)
	if err != nil {
		return false
	}
	require.NotEmpty(t, d.String())
	var out [16]byte
	d.Put(&out)
	back, err := parse(&out)
	require.NoError(t, err)
	require.Equal(t, d, back)
	return true
}
