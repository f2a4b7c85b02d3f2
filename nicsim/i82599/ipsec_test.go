package i82599

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/refmodel"
	"nicsim.dev/offloads/refmodel/craft"
)

var (
	ipsecSecret = unhex("2b7e151628aed2a6abf7158809cf4f3d")
	ipsecSalt   = unhex("deadbeef")
)

// silicon is a frame that a real 82599 sent, from its IPv4 header on: SPI 0x3ed, from
// 172.16.1.5 to 172.16.2.5, in tunnel mode.
var silicon = unhex("4500006c0000000040321f36ac100105ac100205000003ed000000090000000000000009" +
	"4468a4af58537545b21d977cb9117ec674a03349b98602d2a322d0508a0d4ffcef4d624686fe26f0937784b58b06c7e005d31ac51a301a9386604292999ac84d49edff9589a16917")

var ethernet4 = unhex("0200000000020200000000010800")

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// startIPsec turns both engines on.
func (h *hands) startIPsec() {
	h.set("SECRXCTRL", 0)
	h.set("SECTXCTRL", 4)
	h.set("IPSTXIDX", 1)
	h.set("IPSRXIDX", 1)
}

// setSAKey writes key and salt as 8.2.3.18 has them: big endian, the key's begin in
// the last register.
func (h *hands) setSAKey(direction string, secret, salt []byte) {
	for i := range 4 {
		h.setAt("IPS"+direction+"KEY", 3-i, binary.BigEndian.Uint32(secret[4*i:]))
	}
	h.set("IPS"+direction+"SALT", binary.BigEndian.Uint32(salt))
}

func (h *hands) setTxSA(i int) {
	h.setSAKey("TX", ipsecSecret, ipsecSalt)
	h.set("IPSTXIDX", 1|uint32(i)<<3|1<<31)
}

// setRxSA makes association i one for packets to an address, which goes to place ip of
// the table of addresses.
func (h *hands) setRxSA(i, ip int, spi uint32, address []byte, mode uint32) {
	var a [16]byte
	copy(a[16-len(address):], address)
	for k := range 4 {
		h.setAt("IPSRXIPADDR", k, binary.LittleEndian.Uint32(a[4*k:]))
	}
	h.set("IPSRXIDX", 1|ipsRxAddresses<<1|uint32(ip)<<3|1<<31)
	var wire [4]byte
	binary.BigEndian.PutUint32(wire[:], spi)
	h.set("IPSRXSPI", binary.LittleEndian.Uint32(wire[:]))
	h.set("IPSRXIPIDX", uint32(ip))
	h.set("IPSRXIDX", 1|ipsRxSPIs<<1|uint32(i)<<3|1<<31)
	h.setSAKey("RX", ipsecSecret, ipsecSalt)
	h.set("IPSRXMOD", mode)
	h.set("IPSRXIDX", 1|ipsRxKeys<<1|uint32(i)<<3|1<<31)
}

// gcm is the cipher, from Go's library.
func gcm() cipher.AEAD {
	block, err := aes.NewCipher(ipsecSecret)
	if err != nil {
		panic(err)
	}
	c, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return c
}

func nonce(iv []byte) []byte { return append(bytes.Clone(ipsecSalt), iv...) }

// sealed is an ESP packet from its header to its ICV (RFC 4106), of the text behind the IV.
func sealed(esp []byte) []byte {
	return gcm().Seal(bytes.Clone(esp[:16]), nonce(esp[8:16]), esp[16:], esp[:8])
}

func opened(t testing.TB, esp []byte) []byte {
	text, err := gcm().Open(nil, nonce(esp[8:16]), esp[16:], esp[:8])
	require.NoError(t, err)
	return append(bytes.Clone(esp[:16]), text...)
}

// espFrame is a frame of ESP whose packet carries payload in an upper layer of proto, with
// room for the ICV.
func espFrame(ipv6 bool, spi, seq uint32, proto uint8, payload []byte) (frame []byte, at int) {
	padding := -(len(payload) + 2) & 3
	body := binary.BigEndian.AppendUint32(nil, spi)
	body = binary.BigEndian.AppendUint32(body, seq)
	body = binary.BigEndian.AppendUint64(body, uint64(seq)|1<<60)
	body = append(append(body, payload...), make([]byte, padding)...)
	body = append(body, uint8(padding), proto)
	frame = craft.Packet{IPv6: ipv6, Proto: protoESP, Payload: append(body, make([]byte, 16)...)}.Frame()
	if ipv6 {
		return frame, 54
	}
	return frame, 34
}

// tcp is a TCP packet's upper layer, with a checksum for the addresses of craft.
func tcp(ipv6 bool, n int) []byte {
	b := craft.Packet{IPv6: ipv6, Proto: craft.TCP, Seq: 7, Flags: 0x10, Payload: craft.Payload(n)}.Frame()
	if ipv6 {
		return b[54:]
	}
	return b[34:]
}

// protects sends a frame in one descriptor with a context, and returns what the wire got.
func (h *hands) protects(frame []byte, ctx ixgbe.AdvContext, flags ixgbe.TxFlags) []*nicsim.Frame {
	from := len(h.wire.sent)
	h.put(0, ctx)
	h.put(0, whole(h.buffer(0, frame), len(frame), wholeTx|ixgbe.TxIPSEC|ixgbe.TxCC|flags))
	h.ring(0)
	h.settle()
	return h.wire.sent[from:]
}

func TestTheFrameOfSiliconIsSent(t *testing.T) {
	h := newHands(t)
	h.openTx(0)
	h.startIPsec()
	h.setTxSA(1023)
	plain := append(bytes.Clone(silicon[:20]), opened(t, silicon[20:])...)
	plain = append(append(bytes.Clone(ethernet4), plain...), make([]byte, 16)...)
	got := h.protects(plain, ixgbe.AdvContext{
		Lengths: ixgbe.Lengths{MACLEN: 14, IPLEN: 20}, Flags: ixgbe.ContextESP | ixgbe.ContextEncryption,
		Security: ixgbe.Security{SAIndex: 1023, ESPLEN: 20},
	}, 0)
	require.Len(t, got, 1)
	require.Equal(t, silicon, got[0].Data[14:])
}

func TestTheFrameOfSiliconIsOpened(t *testing.T) {
	h := newHands(t)
	h.startIPsec()
	h.setRxSA(1023, 127, 0x3ed, []byte{172, 16, 2, 5}, rxModValid|rxModESP|rxModDecrypt)
	r := h.openRing(ringSetup{count: 8, packetKB: 2})
	r.give(1)
	h.set("FCTRL", 1<<9)
	h.deliver(1, append(bytes.Clone(ethernet4), silicon...))
	h.settle()
	parts := r.take()
	require.Len(t, parts, 1)
	wb := parts[0].wb
	require.Equal(t, ixgbe.RxSECP, wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR))
	require.Equal(t, ixgbe.PacketIPv4|ixgbe.PacketESP, wb.Info.PacketType())
	text := parts[0].data[14+20:]
	require.Equal(t, opened(t, silicon[20:]), text[:len(text)-16])
	require.Equal(t, silicon[len(silicon)-16:], text[len(text)-16:])
}

// Checksums of a packet that is then encrypted are inserted ahead of that, and those of
// one that was opened are verified.
func TestChecksumsUnderESP(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		h := newHands(t)
		h.openTx(0)
		h.startIPsec()
		h.setTxSA(3)
		payload := tcp(ipv6, 333)
		frame, at := espFrame(ipv6, 77, 5, craft.TCP, payload)
		asked := bytes.Clone(frame)
		seed(asked, ipv6, at)
		ctx := ixgbe.AdvContext{
			Lengths: ixgbe.Lengths{MACLEN: 14, IPLEN: uint16(at - 14 + 16), L4LEN: 20},
			Flags:   ixgbe.ContextTCP | ixgbe.ContextESP | ixgbe.ContextEncryption,
		}
		ctx.SAIndex, ctx.ESPLEN = 3, uint16(len(frame)-at-16-len(payload))
		flags := ixgbe.TxTXSM
		if !ipv6 {
			ctx.Flags |= ixgbe.ContextIPv4
			flags |= ixgbe.TxIXSM
		}
		got := h.protects(asked, ctx, flags)
		require.Len(t, got, 1)
		require.Equal(t, frame[:at], got[0].Data[:at], "headers in clear, with the IPv4 checksum")
		require.Equal(t, frame[at:len(frame)-16], opened(t, got[0].Data[at:]))

		h.set("MRQC", 1|0x33<<16)
		h.setRxSA(0, 0, 77, destination(frame, ipv6), rxModValid|rxModESP|rxModDecrypt|map[bool]uint32{true: rxModIPv6}[ipv6])
		h.set("FCTRL", 1<<9)
		r := h.openRing(ringSetup{count: 8, packetKB: 2})
		r.give(2)
		h.deliver(1, got[0].Data)
		asked[at+16+20] ^= 1 // the checksum does not know
		h.deliver(1, append(bytes.Clone(frame[:at]), sealed(asked[at:len(asked)-16])...))
		h.settle()
		for _, bad := range []ixgbe.RxStatus{0, ixgbe.RxL4E} {
			parts := r.take()
			require.Len(t, parts, 1)
			wb := parts[0].wb
			require.Equal(t, ixgbe.RxSECP|ixgbe.RxL4I|bad, wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR|ixgbe.RxL4I|ixgbe.RxL4E|ixgbe.RxIPE))
			require.Equal(t, ixgbe.PacketESP|ixgbe.PacketTCP, wb.Info.PacketType()&(ixgbe.PacketESP|ixgbe.PacketTCP))
			if bad == 0 {
				require.Equal(t, frame[:len(frame)-16], parts[0].data[:len(frame)-16])
			}
		}
	}
}

// seed leaves in the checksum fields of a frame with ESP at byte at what a driver does.
func seed(frame []byte, ipv6 bool, at int) {
	l4 := at + 16
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, header.IPv6(frame[14:]).SourceAddress(), header.IPv6(frame[14:]).DestinationAddress(), 0)
	end := len(frame) - 16
	end -= int(frame[end-2]) + 2
	if !ipv6 {
		sum = header.PseudoHeaderChecksum(header.TCPProtocolNumber, header.IPv4(frame[14:]).SourceAddress(), header.IPv4(frame[14:]).DestinationAddress(), 0)
		header.IPv4(frame[14:]).SetChecksum(0)
	}
	n := uint32(sum) + uint32(end-l4)
	header.TCP(frame[l4:]).SetChecksum(uint16(n>>16 + n&0xFFFF))
}

func destination(frame []byte, ipv6 bool) []byte {
	if ipv6 {
		return frame[38:54]
	}
	return frame[30:34]
}

// Segments of a packet with IPsec are packets of their own, with the next sequence
// number and IV each, and good checksums inside.
func TestSegmentationUnderIPsec(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		for _, proto := range []uint8{protoESP, protoAH} {
			t.Run(fmt.Sprintf("IPv6 %v, protocol %d", ipv6, proto), func(t *testing.T) {
				h := newHands(t)
				h.openTx(0)
				h.startIPsec()
				h.setTxSA(0)
				frame, ctx, data := securedSuper(ipv6, proto, 3001, 700)
				data.Addr = h.buffer(0, frame)
				h.put(0, ctx)
				h.put(0, data)
				h.ring(0)
				h.settle()
				require.Len(t, h.wire.sent, 5)
				var sent []byte
				for i, f := range h.wire.sent {
					sent = append(sent, inner(t, f.Data, ipv6, proto, uint32(100+i), uint64(900+i))...)
				}
				require.Equal(t, craft.Payload(3001), sent)
			})
		}
	}
}

// securedSuper is a super-frame with ESP or AH ahead of TCP, sequence number 100, IV 900.
func securedSuper(ipv6 bool, proto uint8, n, mss int) (frame []byte, ctx ixgbe.AdvContext, data ixgbe.AdvData) {
	frame = craft.Packet{IPv6: ipv6, Proto: craft.TCP, Flags: 0x10, Payload: craft.Payload(n)}.Frame()
	at := 34
	ctx.Flags = ixgbe.ContextTCP | ixgbe.ContextIPv4
	if ipv6 {
		at, ctx.Flags = 54, ixgbe.ContextTCP
	}
	refmodel.Seed(frame, 14, at, craft.TCP)
	head := binary.BigEndian.AppendUint32(nil, 77)
	head = binary.BigEndian.AppendUint32(head, 100)
	head = binary.BigEndian.AppendUint64(head, 900)
	if proto == protoESP {
		ctx.Flags |= ixgbe.ContextESP | ixgbe.ContextEncryption
	} else {
		n := 36
		if ipv6 {
			n = 40
		}
		head = append(append([]byte{craft.TCP, uint8(n/4 - 2), 0, 0}, head...), make([]byte, n-20)...)
	}
	frame = append(append(bytes.Clone(frame[:at]), head...), frame[at:]...)
	if ipv6 {
		frame[20] = proto
	} else {
		frame[23] = proto
	}
	ctx.Lengths = ixgbe.Lengths{MACLEN: 14, IPLEN: uint16(at - 14 + len(head)), L4LEN: 20, MSS: uint16(mss)}
	data = ixgbe.AdvData{DTALEN: uint16(len(frame)), PAYLEN: uint32(n), Flags: wholeTx | ixgbe.TxTSE | ixgbe.TxIXSM | ixgbe.TxTXSM | ixgbe.TxIPSEC | ixgbe.TxCC | ixgbe.TxRS}
	return frame, ctx, data
}

// inner holds a frame of IPsec against what it must be, and returns the payload of TCP.
func inner(t *testing.T, frame []byte, ipv6 bool, proto uint8, seq uint32, iv uint64) []byte {
	at := 34
	if ipv6 {
		at = 54
		require.EqualValues(t, len(frame)-54, header.IPv6(frame[14:]).PayloadLength())
	} else {
		require.True(t, header.IPv4(frame[14:]).IsChecksumValid())
		require.EqualValues(t, len(frame)-14, header.IPv4(frame[14:]).TotalLength())
	}
	plain := bytes.Clone(frame[:at])
	if proto == protoESP {
		esp := opened(t, frame[at:])
		require.Equal(t, seq, binary.BigEndian.Uint32(esp[4:]))
		require.Equal(t, iv, binary.BigEndian.Uint64(esp[8:]))
		end := len(esp) - 2
		require.Equal(t, craft.TCP, esp[end+1])
		plain = append(plain, esp[16:end-int(esp[end])]...)
	} else {
		ah := frame[at:]
		require.Equal(t, seq, binary.BigEndian.Uint32(ah[8:]))
		require.Equal(t, iv, binary.BigEndian.Uint64(ah[12:]))
		aad := bytes.Clone(frame[14:])
		if ipv6 {
			copy(aad, []byte{0x60, 0, 0, 0})
			aad[7] = 0
		} else {
			aad[1], aad[6], aad[7], aad[8], aad[10], aad[11] = 0, 0, 0, 0, 0, 0
		}
		clear(aad[at-14+12 : at-14+36])
		_, err := gcm().Open(nil, nonce(ah[12:20]), ah[20:36], aad)
		require.NoError(t, err)
		plain = append(plain, ah[(int(ah[1])+2)*4:]...)
	}
	if ipv6 {
		plain[20] = craft.TCP
		header.IPv6(plain[14:]).SetPayloadLength(uint16(len(plain) - 54))
	} else {
		plain[23] = craft.TCP
		header.IPv4(plain[14:]).SetTotalLength(uint16(len(plain) - 14))
	}
	var h parse.Headers
	parse.Frame(&h, plain, 0)
	require.True(t, h.Is(parse.TCP))
	require.True(t, refmodel.GoodL4(plain, &h), "checksum of TCP")
	return plain[h.Payload:h.End]
}

// What the adapter hands on untouched, and what it says of the others (7.1.6.2, 7.12).
func TestWhatIsNotOpened(t *testing.T) {
	const mode = rxModValid | rxModESP | rxModDecrypt
	good, at := espFrame(false, 77, 5, craft.TCP, tcp(false, 100))
	good = append(bytes.Clone(good[:at]), sealed(good[at:len(good)-16])...)
	with := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	long := func(p craft.Packet) []byte {
		p.Proto, p.Payload = protoESP, good[at:]
		return p.Frame()
	}
	for _, c := range []struct {
		name  string
		frame []byte
		mode  uint32
		want  ixgbe.RxStatus
	}{
		{"good", good, mode, ixgbe.RxSECP},
		{"forged", with(func(b []byte) { b[at+20] ^= 1 }), mode, ixgbe.RxSECP | ixgbe.RxIPsecAuth},
		{"other ICV", with(func(b []byte) { b[len(b)-1] ^= 1 }), mode, ixgbe.RxSECP | ixgbe.RxIPsecAuth},
		{"an association of AH", good, rxModValid, ixgbe.RxSECP | ixgbe.RxIPsecProtocol},
		{"an association that does not encrypt", good, rxModValid | rxModESP, ixgbe.RxSECP | ixgbe.RxIPsecAuth},
		{"not a multiple of four", craft.Packet{Proto: protoESP, Payload: good[at : len(good)-1]}.Frame(), mode, ixgbe.RxSECP | ixgbe.RxIPsecLength},
		{"other SPI", with(func(b []byte) { b[at]++ }), mode, 0},
		{"other destination", with(func(b []byte) { b[33]++ }), mode, 0},
		{"an association that is not valid", good, mode &^ rxModValid, 0},
		{"an association of IPv6", good, mode | rxModIPv6, 0},
		{"IPv4 options", long(craft.Packet{Options: []byte{1, 1, 1, 0}}), mode, 0},
		{"first fragment", long(craft.Packet{Fragment: 0x2000}), mode, 0},
		{"last fragment", long(craft.Packet{Fragment: 3}), mode, 0},
		{"shorter than any", craft.Packet{Proto: protoESP, Payload: good[at : at+35]}.Frame(), mode, 0},
		{"longer than its frame", with(func(b []byte) { b[17]++ }), mode, 0},
		{"SNAP", long(craft.Packet{SNAP: true}), mode, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHands(t)
			h.startIPsec()
			h.setRxSA(9, 3, 77, good[30:34], c.mode)
			h.set("FCTRL", 1<<9)
			r := h.openRing(ringSetup{count: 8, packetKB: 2})
			r.give(1)
			h.deliver(1, c.frame)
			h.settle()
			parts := r.take()
			require.Len(t, parts, 1, "it is handed on")
			require.Equal(t, c.want, parts[0].wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR))
			plain := bytes.Contains(parts[0].data, craft.Payload(100)[20:60])
			require.Equal(t, c.name == "good", plain, "plaintext")
			if c.want&ixgbe.RxSECERR != ixgbe.RxIPsecAuth && c.name != "good" {
				require.Equal(t, c.frame, parts[0].data, "untouched")
			}
			require.False(t, bytes.Contains(h.mem, craft.Payload(100)[20:60]))
		})
	}
}

// What is no packet that IPsec can be applied to is not sent in clear.
func TestWhatIsNotProtected(t *testing.T) {
	good, at := espFrame(false, 77, 5, craft.TCP, tcp(false, 100))
	for name, change := range map[string]func(b []byte, ctx *ixgbe.AdvContext){
		"no ESP":              func(b []byte, _ *ixgbe.AdvContext) { b[23] = craft.TCP },
		"AH of an ESP packet": func(_ []byte, ctx *ixgbe.AdvContext) { ctx.Flags &^= ixgbe.ContextESP },
		"IP length too long":  func(b []byte, _ *ixgbe.AdvContext) { b[16] = 9 },
		"IP length too short": func(b []byte, _ *ixgbe.AdvContext) { b[17] = 24 },
		"no IP header":        func(_ []byte, ctx *ixgbe.AdvContext) { ctx.MACLEN = 127 },
		"no IP version":       func(b []byte, _ *ixgbe.AdvContext) { b[14] = 0x25 },
		"length odd":          func(b []byte, _ *ixgbe.AdvContext) { b[17]-- },
	} {
		h := newHands(t)
		h.openTx(0)
		h.startIPsec()
		b := bytes.Clone(good)
		ctx := ixgbe.AdvContext{Lengths: ixgbe.Lengths{MACLEN: 14, IPLEN: uint16(at - 14)}, Flags: ixgbe.ContextIPv4 | ixgbe.ContextESP | ixgbe.ContextEncryption}
		ctx.ESPLEN = 20
		change(b, &ctx)
		require.Empty(t, h.protects(b, ctx, 0), name)
		require.EqualValues(t, 1, h.d.drops[nicsim.DropTxIPsec], name)
		require.Zero(t, h.pool.Out(), name)
	}
}

// Without the engines packets pass as they are (8.2.3.12.1, 8.2.3.12.5).
func TestEnginesThatAreOff(t *testing.T) {
	for name, off := range map[string]func(h *hands){
		"SECTX_DIS and SECRX_DIS": func(h *hands) { h.set("SECTXCTRL", 1); h.set("SECRXCTRL", 1) },
		"look-up disabled":        func(h *hands) { h.set("IPSTXIDX", 0); h.set("IPSRXIDX", 0) },
	} {
		h := newHands(t)
		h.openTx(0)
		h.startIPsec()
		h.setTxSA(0)
		h.setRxSA(0, 0, 0x3ed, []byte{172, 16, 2, 5}, rxModValid|rxModESP|rxModDecrypt)
		off(h)
		frame := append(bytes.Clone(ethernet4), silicon...)
		got := h.protects(frame, ixgbe.AdvContext{Lengths: ixgbe.Lengths{MACLEN: 14, IPLEN: 20}, Flags: ixgbe.ContextESP | ixgbe.ContextEncryption}, 0)
		require.Equal(t, frame, got[0].Data, name)
		h.set("FCTRL", 1<<9)

		r0 := h.openRing(ringSetup{count: 8, packetKB: 2})

		r0.give(1)
		h.deliver(1, frame)
		h.settle()
		parts := r0.take()
		require.Len(t, parts, 1)
		require.Zero(t, parts[0].wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR), name)
		require.Equal(t, frame, parts[0].data)
	}
}

// Tables are read back through the registers by which they are written, and outlive a
// reset by software but not one by the bus.
func TestIPsecTables(t *testing.T) {
	h := newHands(t)
	h.setTxSA(513)
	h.setRxSA(1000, 77, 0x01020304, []byte{10, 9, 8, 7}, rxModValid|rxModESP)
	look := func() (tx, rx, spi, ip, mode uint32, address [4]uint32) {
		for _, name := range []string{"IPSTXSALT", "IPSRXSALT", "IPSRXSPI", "IPSRXIPIDX", "IPSRXMOD"} {
			h.set(name, 0)
		}
		h.setAt("IPSRXIPADDR", 3, 0)
		h.set("IPSTXIDX", 513<<3|1<<30)
		h.set("IPSRXIDX", ipsRxAddresses<<1|77<<3|1<<30)
		h.set("IPSRXIDX", ipsRxSPIs<<1|1000<<3|1<<30)
		h.set("IPSRXIDX", ipsRxKeys<<1|1000<<3|1<<30)
		for i := range address {
			address[i] = h.getAt("IPSRXIPADDR", i)
		}
		return h.get("IPSTXSALT"), h.get("IPSRXSALT"), h.get("IPSRXSPI"), h.get("IPSRXIPIDX"), h.get("IPSRXMOD"), address
	}
	for range 2 {
		tx, rx, spi, ip, mode, address := look()
		require.Equal(t, []uint32{0xDEADBEEF, 0xDEADBEEF, 0x04030201, 77, rxModValid | rxModESP}, []uint32{tx, rx, spi, ip, mode})
		require.Equal(t, [4]uint32{3: 0x0708090A}, address)
		require.EqualValues(t, 0x2b7e1516, h.getAt("IPSTXKEY", 3))
		require.EqualValues(t, 0x09cf4f3d, h.getAt("IPSRXKEY", 0))
		require.Zero(t, h.get("IPSRXIDX")&(3<<30), "commands are done at once")
		h.set("CTRL", ctrlReset)
	}
	h.d.powerOn()
	tx, rx, spi, _, mode, _ := look()
	require.Equal(t, []uint32{0, 0, 0, 0}, []uint32{tx, rx, spi, mode})
}

// spy keeps the values of registers that a probe sees.
type spy struct{ values []uint64 }

func (s *spy) Observe(e *nicsim.Event) {
	if e.Kind == nicsim.RegisterRead || e.Kind == nicsim.RegisterWrite {
		s.values = append(s.values, e.Value)
	}
}

func TestKeysAreNotTraced(t *testing.T) {
	for _, show := range []bool{false, true} {
		h := newHands(t)
		h.d.cfg.ShowKeys = show
		var s spy
		h.d.SetProbe(&s)
		h.setTxSA(1)
		h.setRxSA(1, 1, 1, []byte{1, 1, 1, 1}, rxModValid)
		for i := range 4 {
			h.getAt("IPSTXKEY", i)
			h.getAt("IPSRXKEY", i)
		}
		h.setAt("LSECTXKEY0", 0, 0x2b7e1516)
		for _, part := range [][]byte{ipsecSecret[:4], ipsecSecret[4:8], ipsecSecret[8:12], ipsecSecret[12:], ipsecSalt} {
			require.Equal(t, show, bytes.Contains(fmt.Append(nil, s.values), fmt.Append(nil, binary.BigEndian.Uint32(part))))
		}
	}
}

// digests delivers a frame to a queue with header split, and holds that the adapter comes to
// rest without writing beyond buffers or keeping it.
func (h *hands) digests(frame []byte) {
	h.set("FCTRL", 1<<9)
	r := h.openRing(ringSetup{count: 8, packetKB: 2, srrctl: descSplit<<25 | 4<<8})
	r.give(7)
	h.deliver(1, frame)
	h.settle()
	r.take()
	require.Zero(h.t, h.pool.Out())
}

// FuzzIPsecArrivals holds that no frame for which there is an association makes the adapter
// panic, write beyond buffers or keep a frame.
func FuzzIPsecArrivals(f *testing.F) {
	good, at := espFrame(false, 77, 5, craft.TCP, tcp(false, 100))
	f.Add(append(bytes.Clone(good[:at]), sealed(good[at:len(good)-16])...), uint32(rxModValid|rxModESP|rxModDecrypt))
	six, at := espFrame(true, 77, 5, craft.UDP, craft.Payload(40))
	f.Add(append(bytes.Clone(six[:at]), sealed(six[at:len(six)-16])...), uint32(rxModValid|rxModESP|rxModDecrypt|rxModIPv6))
	for _, ipv6 := range []bool{false, true} {
		frame, _, _ := securedSuper(ipv6, protoAH, 50, 700)
		f.Add(frame, uint32(rxModValid)|map[bool]uint32{true: rxModIPv6}[ipv6])
	}
	f.Add(good[:60], uint32(rxModValid|rxModESP))
	f.Fuzz(func(t *testing.T, frame []byte, mode uint32) {
		if len(frame) > 1500 || len(frame) < 14 {
			return
		}
		h := newHands(t)
		h.startIPsec()
		var p parse.Headers
		parse.Frame(&p, frame, 0)
		if p.L3 != 0 && int(p.L3)+40 <= len(frame) {
			address := frame[p.L3+16 : p.L3+20]
			if p.Is(parse.IPv6) {
				address = frame[p.L3+24 : p.L3+40]
			}
			for i, at := range []uint16{p.L3 + 20, p.L3 + 24, p.L3 + 40, p.L3 + 44} {
				if int(at)+4 <= len(frame) {
					h.setRxSA(i, i, binary.BigEndian.Uint32(frame[at:]), address, mode)
				}
			}
		}
		h.digests(frame)
	})
}
