package i82599

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/nicsim/sim"
	"nicsim.dev/offloads/refmodel/craft"
)

// linkSecSetup is what DPDK's testpmd can say of LinkSec: of an association to send by and
// one to receive by.
type linkSecSetup struct {
	key     string
	address string // of the channel
	port    uint16
	an, idx uint32
	pn      uint32
	encrypt bool
	replay  bool
}

var usual = linkSecSetup{key: "00112200000000000000000000000000", address: "000000000001", encrypt: true, replay: true}

// secureTx programs the sender as DPDK does (rte_pmd_ixgbe_macsec_*).
func (h *hands) secureTx(s linkSecSetup) {
	a, key := unhex(s.address), unhex(s.key)
	h.set("LSECTXSCL", binary.LittleEndian.Uint32(a))
	h.set("LSECTXSCH", uint32(binary.LittleEndian.Uint16(a[4:])))
	name := fmt.Sprintf("LSECTXKEY%d", s.idx)
	h.set(fmt.Sprintf("LSECTXPN%d", s.idx), bits.ReverseBytes32(s.pn))
	for i := range 4 {
		h.setAt(name, i, binary.LittleEndian.Uint32(key[4*i:]))
	}
	h.set("LSECTXSA", s.an<<(2*s.idx)|s.idx<<4)
	h.set("SECTXCTRL", 0)
	h.set("LSECTXCTRL", 0xFFFFFE00|1<<5|map[bool]uint32{false: 1, true: 2}[s.encrypt])
}

func (h *hands) secureRx(s linkSecSetup, mode uint32) {
	a, key := unhex(s.address), unhex(s.key)
	h.set("LSECRXSCL", binary.LittleEndian.Uint32(a))
	h.set("LSECRXSCH", uint32(binary.LittleEndian.Uint16(a[4:]))|uint32(bits.ReverseBytes16(s.port))<<16)
	h.setAt("LSECRXSAPN", int(s.idx), bits.ReverseBytes32(s.pn))
	for i := range 4 {
		h.setAt("LSECRXKEY", int(4*s.idx)+i, binary.LittleEndian.Uint32(key[4*i:]))
	}
	h.setAt("LSECRXSA", int(s.idx), s.an|1<<2)
	h.set("SECRXCTRL", 0)
	h.set("LSECRXCTRL", mode<<2|map[bool]uint32{true: 1 << 7}[s.replay])
}

// secured is two adapters; what the first sends arrives at the second.
type secured struct {
	a, b  *hands
	ring  *rxRing
	plain []byte
}

func newSecured(t testing.TB) *secured {
	l := &secured{a: newHands(t), b: newHands(t), plain: craft.Packet{Payload: craft.Payload(100)}.Frame()}
	l.a.openTx(0)
	l.b.set("FCTRL", 1<<9)
	l.ring = l.b.openRing(ringSetup{count: 64, packetKB: 2})
	l.ring.give(60)
	return l
}

// send sends n frames that ask for LinkSec, and returns what arrived.
func (l *secured) send(n int) (arrived [][]rxPart) {
	from := len(l.a.wire.sent)
	for range n {
		l.a.put(0, whole(l.a.buffer(0, l.plain), len(l.plain), wholeTx|ixgbe.TxILinkSec))
		l.a.ring(0)
		l.a.settle()
	}
	return l.deliver(l.a.wire.sent[from:])
}

func (l *secured) deliver(frames []*nicsim.Frame) (arrived [][]rxPart) {
	for _, f := range frames {
		l.b.deliver(1, f.Data)
		l.b.settle()
		if parts := l.ring.take(); parts != nil {
			arrived = append(arrived, parts)
			l.ring.give(1)
		}
	}
	return arrived
}

// counts are counters of the sender or receiver since they were last asked for.
func (h *hands) counts(names ...string) (all []uint32) {
	for _, name := range names {
		all = append(all, h.get(name))
	}
	return all
}

func u32(v ...uint32) []uint32 { return v }

// What is on the wire is IEEE 802.1AE by another's cipher, and what arrives is what was
// sent.
func TestLinkSec(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		l := newSecured(t)
		s := usual
		s.encrypt = encrypt
		l.a.secureTx(s)
		l.b.secureRx(s, lsecRxStrict)
		arrived := l.send(3)
		require.Len(t, arrived, 3)
		for i, f := range l.a.wire.sent {
			b := f.Data
			tci := byte(0x20)
			if encrypt {
				tci = 0x2C
			}
			require.Equal(t, []byte{0x88, 0xE5, tci, 0, 0, 0, 0, byte(i), 0, 0, 0, 0, 0, 1, 0, 0}, b[12:28])
			block, err := aes.NewCipher(unhex(s.key))
			require.NoError(t, err)
			gcm, err := cipher.NewGCM(block)
			require.NoError(t, err)
			nonce := append(bytes.Clone(b[20:28]), b[16:20]...)
			if encrypt {
				text, err := gcm.Open(nil, nonce, b[28:], b[:28])
				require.NoError(t, err)
				require.Equal(t, l.plain[12:], text)
			} else {
				_, err := gcm.Open(nil, nonce, b[len(b)-16:], b[:len(b)-16])
				require.NoError(t, err)
				require.Equal(t, l.plain[12:], b[28:len(b)-16])
			}
		}
		n := uint32(len(l.plain) - 12)
		sent := l.a.counts("LSECTXPKTE", "LSECTXPKTP", "LSECTXOCTE", "LSECTXOCTP", "LSECTXUT")
		received := l.b.counts("LSECRXOCTE", "LSECRXOCTP", "LSECRXUT", "LSECRXNV", "LSECRXLATE")
		if encrypt {
			require.Equal(t, u32(3, 0, 3*n, 0, 0), sent)
			require.Equal(t, u32(3*n, 0, 0, 0, 0), received)
		} else {
			require.Equal(t, u32(0, 3, 0, 3*n, 0), sent)
			require.Equal(t, u32(0, 3*n, 0, 0, 0), received)
		}
	}
}

// The first of the vendor's cases: all counters agree, and what arrives is plain IPv4 and UDP.
func TestLinkSecCase1(t *testing.T) {
	l := newSecured(t)
	l.a.secureTx(usual)
	s := usual
	s.pn = 1
	l.b.secureRx(s, lsecRxStrict)
	s.pn = 1
	l.a.secureTx(s)
	for _, parts := range l.send(5) {
		wb := parts[0].wb
		require.Equal(t, l.plain, parts[0].data)
		require.Equal(t, ixgbe.RxSECP|ixgbe.RxIPCS|ixgbe.RxL4I, wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR|ixgbe.RxIPCS|ixgbe.RxL4I|ixgbe.RxIPE|ixgbe.RxL4E))
		require.Equal(t, ixgbe.PacketIPv4|ixgbe.PacketUDP, wb.Info.PacketType())
	}
	require.Equal(t, u32(5), l.a.counts("LSECTXPKTE"))
	require.Equal(t, u32(5), l.b.counts("LSECRXOK"))
	require.EqualValues(t, 6, bits.ReverseBytes32(l.a.get("LSECTXPN0")))
	require.EqualValues(t, 6, bits.ReverseBytes32(l.b.get("LSECRXSAPN")))
}

// Parameters that the hardware takes, and where packet numbers end: of real hardware four
// frames arrived that began at 0xFFFFFFEC, and three that began later.
func TestLinkSecCase2(t *testing.T) {
	for an := range uint32(4) {
		for idx := range uint32(2) {
			l := newSecured(t)
			s := usual
			s.an, s.idx, s.pn = an, idx, 1
			l.a.secureTx(s)
			l.b.secureRx(s, lsecRxStrict)
			require.Len(t, l.send(2), 2)
			require.EqualValues(t, 2, l.b.getAt("LSECRXOK", int(idx)))
			require.EqualValues(t, idx<<4|idx<<5, l.a.get("LSECTXSA")&0x30, "selected, and active")
		}
	}
	for pn, want := range map[uint32]int{0xFFFFFFEC: 4, 0xFFFFFFED: 3, 0xFFFFFFEE: 3, 0xFFFFFFEF: 3, 0xFFFFFFFD: 3} {
		l := newSecured(t)
		s := usual
		s.pn = pn
		l.a.secureTx(s)
		l.b.secureRx(s, lsecRxStrict)
		l.send(2)
		l.a.setAt("LSECRXSAPN", 0, 0) // none of the sender's
		l.a.set("LSECTXPN1", 0)
		l.send(6)
		require.EqualValues(t, want, l.b.get("LSECRXOK"), "%#x", pn)
		require.Zero(t, l.a.get("LSECTXCTRL")&3, "LSTXEN")
	}
	for _, key := range []string{"00000000000000000000000000000000", "ffffffffffffffffffffffffffffffff"} {
		l := newSecured(t)
		s := usual
		s.key, s.pn = key, 1
		l.a.secureTx(s)
		l.b.secureRx(s, lsecRxStrict)
		require.Len(t, l.send(2), 2)
	}
	for _, port := range []uint16{1, 0xFFFF} { // what is sent has port 0
		l := newSecured(t)
		s := usual
		s.port, s.pn = port, 1
		l.a.secureTx(s)
		l.b.secureRx(s, lsecRxStrict)
		require.Empty(t, l.send(2))
	}
}

// Receivers and senders without LinkSec.
func TestLinkSecCases3And4(t *testing.T) {
	l := newSecured(t)
	l.a.secureTx(usual)
	arrived := l.send(2)
	require.Len(t, arrived, 2)
	require.Equal(t, []byte{0x88, 0xE5}, arrived[0][0].data[12:14])
	require.Zero(t, arrived[0][0].wb.Info.PacketType())
	require.Equal(t, u32(0, 0), l.b.counts("LSECRXOCTE", "LSECRXOCTP"))

	l = newSecured(t)
	l.b.secureRx(usual, lsecRxStrict)
	arrived = l.send(2)
	require.Len(t, arrived, 2)
	require.Equal(t, l.plain, arrived[0][0].data)
	require.Equal(t, ixgbe.PacketIPv4|ixgbe.PacketUDP, arrived[0][0].wb.Info.PacketType())
	require.Equal(t, u32(0, 2), l.b.counts("LSECRXOCTE", "LSECRXUT"))
}

// Two ends that do not agree.
func TestLinkSecCase5(t *testing.T) {
	l := newSecured(t)
	l.a.secureTx(usual)
	l.b.secureRx(usual, lsecRxStrict)
	sent := uint32(5)
	l.send(5)
	l.a.set("LSECTXPN0", 0)
	l.send(8)
	sent += l.a.get("LSECTXPKTE") - 5
	got := l.b.counts("LSECRXLATE", "LSECRXOK")
	require.Equal(t, sent, got[0]+got[1])
	require.NotZero(t, got[0])

	for name, c := range map[string]struct {
		change  func(s *linkSecSetup)
		counter string
		ok      uint32
	}{
		"key":   {func(s *linkSecSetup) { s.key = "00112200000000000000000000000001" }, "LSECRXNV", 0},
		"port":  {func(s *linkSecSetup) { s.port = 1 }, "LSECRXNOSCI", 0},
		"an":    {func(s *linkSecSetup) { s.an = 1 }, "LSECRXNUSA", 0},
		"index": {func(s *linkSecSetup) { s.idx = 1 }, "", 4},
	} {
		l := newSecured(t)
		s := usual
		s.pn = 1
		l.a.secureTx(s)
		c.change(&s)
		l.b.secureRx(s, lsecRxStrict)
		require.Len(t, l.send(4), int(c.ok), name)
		require.Equal(t, c.ok, l.b.getAt("LSECRXOK", 0)+l.b.getAt("LSECRXOK", 1), name)
		if c.counter != "" {
			require.EqualValues(t, 4, l.b.get(c.counter), name)
			require.EqualValues(t, 4, l.b.d.drops[nicsim.DropRxLinkSec], name)
		}
		if name == "key" {
			require.Equal(t, l.a.get("LSECTXOCTE"), l.b.get("LSECRXOCTE"))
		}
		require.False(t, bytes.Contains(l.b.mem, craft.Payload(100)[:40]))
	}
}

// In check mode software is told what is wrong; with PLSH it gets the tag too.
func TestLinkSecCheckMode(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(s *linkSecSetup)
		encrypt bool
		want    ixgbe.RxStatus
	}{
		"good":          {func(*linkSecSetup) {}, true, 0},
		"other key":     {func(s *linkSecSetup) { s.key = "ff112200000000000000000000000001" }, false, ixgbe.RxLinkSecBadSig},
		"encrypted":     {func(s *linkSecSetup) { s.key = "ff112200000000000000000000000001" }, true, ixgbe.RxLinkSecBadSig},
		"other an":      {func(s *linkSecSetup) { s.an = 3 }, false, ixgbe.RxLinkSecNoSA},
		"other channel": {func(s *linkSecSetup) { s.port = 3 }, false, ixgbe.RxLinkSecNoSA},
		"late":          {func(s *linkSecSetup) { s.pn = 99 }, true, ixgbe.RxLinkSecReplay},
	} {
		for _, keep := range []uint32{0, lsecRxTag} {
			l := newSecured(t)
			s := usual
			s.encrypt, s.pn = c.encrypt, 1
			l.a.secureTx(s)
			c.change(&s)
			l.b.secureRx(s, lsecRxCheck)
			l.b.set("LSECRXCTRL", lsecRxCheck<<2|lsecRxReplay|keep)
			arrived := l.send(1)
			require.Len(t, arrived, 1, name)
			require.Equal(t, c.want|ixgbe.RxSECP, arrived[0][0].wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR), name)
			got := arrived[0][0].data
			switch {
			case c.want == ixgbe.RxLinkSecReplay:
				require.Equal(t, l.a.wire.sent[0].Data, got, "untouched")
			case c.encrypt && c.want != 0:
				require.False(t, bytes.Contains(got, craft.Payload(100)[:40]))
			case keep != 0:
				require.Equal(t, l.a.wire.sent[0].Data[:28], got[:28])
				require.Equal(t, l.plain[12:], got[28:len(got)-16])
			default:
				require.Equal(t, l.plain, got)
			}
		}
	}
}

// Numbers that end at once stop it too, ahead of any that would be used again.
func TestLinkSecStopsWhereNumbersWrap(t *testing.T) {
	for _, pn := range []uint32{0xFFFFFFFE, 0xFFFFFFFF} {
		l := newSecured(t)
		s := usual
		s.pn = pn
		l.a.secureTx(s)
		l.send(8)
		require.EqualValues(t, 3, l.a.get("LSECTXPKTE"))
		require.Zero(t, l.a.get("LSECTXCTRL")&3)
	}
}

// With PLSH the tag stays, also one without an SCI.
func TestLinkSecKeepsShortTags(t *testing.T) {
	l := newSecured(t)
	s := usual
	s.pn = 1
	l.a.secureTx(s)
	l.a.set("LSECTXCTRL", 0xFFFFFE00|2)
	l.b.secureRx(s, lsecRxStrict)
	l.b.set("LSECRXCTRL", lsecRxStrict<<2|lsecRxTag)
	got := l.send(1)[0][0].data
	require.Equal(t, l.a.wire.sent[0].Data[:20], got[:20])
	require.Equal(t, l.plain[12:], got[20:len(got)-16])
}

// What was opened is not coalesced with what was not.
func TestLinkSecAndCoalescing(t *testing.T) {
	l := newSecured(t)
	s := usual
	s.pn = 1
	l.a.secureTx(s)
	h := newHands(t)
	h.secureRx(s, lsecRxStrict)
	h.set("FCTRL", 1<<9)
	r := h.openRSC(ringSetup{count: 16, packetKB: 2, maxDesc: 3})
	r.give(12)
	for seq := range uint32(3) {
		l.plain = craft.Packet{Proto: craft.TCP, Flags: 0x10, Seq: 100 * seq, Payload: craft.Payload(100)}.Frame()
		if seq == 1 { // somebody else's, in clear
			h.deliver(1, l.plain)
		} else {
			l.a.put(0, whole(l.a.buffer(0, l.plain), len(l.plain), wholeTx|ixgbe.TxILinkSec))
			l.a.ring(0)
			l.a.settle()
			h.deliver(1, l.a.wire.sent[len(l.a.wire.sent)-1].Data)
		}
	}
	h.settle()
	h.clock.AdvanceTo(h.clock.Now() + sim.Second)
	h.settle()
	secure := map[bool]int{}
	for parts := r.take(); parts != nil; parts = r.take() {
		last := parts[len(parts)-1]
		require.Len(t, last.data, 154)
		secure[last.wb.Status&ixgbe.RxSECP != 0]++
	}
	require.Equal(t, map[bool]int{true: 2, false: 1}, secure)
}

// Modes in which nothing of LinkSec arrives, or nothing is done.
func TestLinkSecDropsAndDisables(t *testing.T) {
	l := newSecured(t)
	l.a.secureTx(usual)
	l.b.secureRx(usual, lsecRxDrop)
	require.Empty(t, l.send(2))
	l.b.set("SECRXCTRL", 1)
	require.Len(t, l.send(1), 1)
	l.a.set("SECTXCTRL", 1)
	require.Equal(t, l.plain, l.send(1)[0][0].data)
	l.b.set("CTRL", ctrlReset)
	l.a.set("CTRL", ctrlReset)
	require.Zero(t, l.a.get("LSECTXCTRL")&3)
}

// The threshold of packet numbers interrupts (LSECTXCTRL.PNTHRSH).
func TestLinkSecThreshold(t *testing.T) {
	l := newSecured(t)
	s := usual
	s.pn = 0x123FE
	l.a.secureTx(s)
	l.a.set("LSECTXCTRL", 0x12400|1<<5|2)
	l.a.get("EICR")
	l.send(1)
	require.Zero(t, l.a.get("EICR")&causeLinkSec)
	l.send(1)
	require.NotZero(t, l.a.get("EICR")&causeLinkSec)
	l.send(1)
	require.Zero(t, l.a.get("EICR")&causeLinkSec)
}

// A frame of a segmented packet is protected like any other, tags inserted by the
// adapter included.
func TestLinkSecOfSegments(t *testing.T) {
	l := newSecured(t)
	s := usual
	s.pn = 1
	l.a.secureTx(s)
	l.b.secureRx(s, lsecRxStrict)
	frame, ctx, data := super(craft.Packet{Proto: craft.TCP, Payload: craft.Payload(2500)}, 1000)
	ctx.VLAN = 5
	data.Addr = l.a.buffer(0, frame)
	data.Flags |= ixgbe.TxILinkSec | ixgbe.TxVLE
	l.a.put(0, ctx)
	l.a.put(0, data)
	l.a.ring(0)
	l.a.settle()
	var got []byte
	for _, parts := range l.deliver(l.a.wire.sent) {
		require.Equal(t, []byte{0x81, 0, 0, 5}, parts[0].data[12:16])
		require.Equal(t, ixgbe.RxSECP|ixgbe.RxL4I, parts[0].wb.Status&(ixgbe.RxSECP|ixgbe.RxSECERR|ixgbe.RxL4I|ixgbe.RxL4E))
		got = append(got, parts[0].data[58:]...)
	}
	require.Equal(t, craft.Payload(2500), got)
}

// FuzzLinkSecArrivals holds that no frame makes the adapter panic or keep it.
func FuzzLinkSecArrivals(f *testing.F) {
	l := newSecured(f)
	l.a.secureTx(usual)
	l.send(2)
	f.Add(l.a.wire.sent[1].Data, uint8(lsecRxStrict<<2))
	f.Add(l.a.wire.sent[1].Data[:44], uint8(lsecRxCheck<<2|lsecRxTag))
	f.Fuzz(func(t *testing.T, frame []byte, ctrl uint8) {
		if len(frame) > 1500 {
			return
		}
		h := newHands(t)
		h.secureRx(usual, 0)
		h.set("LSECRXCTRL", uint32(ctrl))
		h.digests(frame)
	})
}
