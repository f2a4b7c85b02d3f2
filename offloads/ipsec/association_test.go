package ipsec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel/craft"
)

var (
	tunnel4 = &Tunnel{Source: netip.MustParseAddr("203.0.113.1"), Destination: netip.MustParseAddr("203.0.113.2")}
	tunnel6 = &Tunnel{Source: netip.MustParseAddr("2001:db8:9::1"), Destination: netip.MustParseAddr("2001:db8:9::2"), HopLimit: 7}
)

// associations are one of each kind of association.
func associations() (all []Config) {
	for _, t := range []*Tunnel{nil, tunnel4, tunnel6} {
		for _, k := range keys() {
			for _, e := range []*Encap{nil, {4500, 4501}} {
				all = append(all, Config{SPI: 0x1234, Protocol: ESP, Key: k, Tunnel: t, Encap: e, Window: 64})
			}
			if k.Algorithm == AESGMAC {
				all = append(all, Config{SPI: 0x1234, Protocol: AH, Key: k, Tunnel: t, Window: 64})
			}
		}
	}
	return all
}

// inside are packets to protect, from their IP header on.
func inside() (all [][]byte) {
	for _, p := range []craft.Packet{
		{Payload: craft.Payload(100)},
		{Payload: craft.Payload(1), TOS: 0xB9},
		{Proto: craft.TCP, Payload: craft.Payload(1399), Options: []byte{148, 4, 0, 0}},
		{IPv6: true, Payload: craft.Payload(77), TOS: 0x2E},
		{IPv6: true, Proto: craft.TCP, Payload: craft.Payload(3), Extensions: []craft.Extension{craft.HopByHop, craft.Destination}},
	} {
		all = append(all, p.Frame()[14:])
	}
	return all
}

func ends(t testing.TB, c Config) (*Sender, *Receiver) {
	s, err := NewSender(c)
	require.NoError(t, err)
	r, err := NewReceiver(c)
	require.NoError(t, err)
	return s, r
}

func TestWhatIsSentArrives(t *testing.T) {
	for _, c := range associations() {
		t.Run(fmt.Sprintf("protocol %d, tunnel %v, encapsulation %v, %v", c.Protocol, c.Tunnel, c.Encap, c.Key), func(t *testing.T) {
			s, r := ends(t, c)
			for i, packet := range inside() {
				sent, err := s.Seal([]byte("ahead"), packet)
				require.NoError(t, err)
				require.Equal(t, "ahead", string(sent[:5]))
				sent = sent[5:]
				require.LessOrEqual(t, len(sent), len(packet)+s.Overhead())
				holds(t, c, uint32(i+1), packet, sent)
				got, err := r.Open(sent)
				require.NoError(t, err)
				require.Equal(t, packet, got)
			}
			require.EqualValues(t, len(inside()), r.Packets)
			require.Equal(t, s.Bytes, r.Bytes)
		})
	}
}

// holds checks what is in clear of a protected packet by gopacket.
func holds(t *testing.T, c Config, seq uint32, packet, sent []byte) {
	v6 := packet[0]>>4 == 6
	if c.Tunnel != nil {
		v6 = c.Tunnel == tunnel6
	}
	first := layers.LayerTypeIPv4
	if v6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(sent, first, gopacket.Default)
	var proto layers.IPProtocol
	if v6 {
		ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		require.EqualValues(t, len(sent)-40, ip.Length)
		require.Equal(t, trafficClass(packet), ip.TrafficClass)
		proto = ip.NextHeader
		if c.Tunnel != nil {
			require.Equal(t, c.Tunnel.Source.AsSlice(), []byte(ip.SrcIP))
			require.EqualValues(t, 7, ip.HopLimit)
		}
	} else {
		ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		require.EqualValues(t, len(sent), ip.Length)
		require.Equal(t, trafficClass(packet), ip.TOS)
		proto = ip.Protocol
		if c.Tunnel != nil {
			require.Equal(t, c.Tunnel.Destination.AsSlice(), []byte(ip.DstIP.To4()))
			require.EqualValues(t, 64, ip.TTL)
			require.Equal(t, seq, uint32(ip.Id))
		}
		var again [60]byte
		n := copy(again[:], sent[:int(ip.IHL)*4])
		sumIPv4(again[:n])
		require.Equal(t, sent[:n], again[:n], "header checksum")
	}
	switch {
	case c.Encap != nil && !hasExtensions(packet, c):
		udp := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		require.EqualValues(t, c.Encap.Source, udp.SrcPort)
		require.EqualValues(t, c.Encap.Destination, udp.DstPort)
		require.Len(t, udp.Payload, int(udp.Length)-8)
		require.Equal(t, v6, udp.Checksum != 0)
	case c.Protocol == AH && !hasExtensions(packet, c):
		ah := p.Layer(layers.LayerTypeIPSecAH).(*layers.IPSecAH)
		require.EqualValues(t, c.SPI, ah.SPI)
		require.Equal(t, seq, ah.Seq)
		require.Len(t, ah.AuthenticationData, AHBytes(v6)-12)
	case !hasExtensions(packet, c):
		require.Equal(t, layers.IPProtocolESP, proto)
		esp := p.Layer(layers.LayerTypeIPSecESP).(*layers.IPSecESP)
		require.EqualValues(t, c.SPI, esp.SPI)
		require.Equal(t, seq, esp.Seq)
	}
	if c.Protocol == ESP && c.Key.Algorithm != AESGMAC && len(packet) > 100 {
		require.False(t, bytes.Contains(sent, packet[len(packet)-40:]), "in clear")
	}
}

func hasExtensions(packet []byte, c Config) bool {
	return c.Tunnel == nil && packet[0]>>4 == 6 && packet[6] == extensionHop
}

// In transport mode options for the destination alone are protected, and those for each
// router are not (RFC 4303 3.1.1).
func TestWhereESPHasItsPlace(t *testing.T) {
	s, r := ends(t, Config{SPI: 300, Protocol: ESP, Key: keys()[0]})
	packet := inside()[4]
	sent, err := s.Seal(nil, packet)
	require.NoError(t, err)
	require.EqualValues(t, ESP, sent[40], "behind the hop-by-hop options")
	require.EqualValues(t, 300, binary.BigEndian.Uint32(sent[48:]))
	got, err := r.Open(sent)
	require.NoError(t, err)
	require.Equal(t, packet, got)
}

// Sequence numbers of 64 bits go on where those of 32 end.
func TestSequenceNumbersBeyond32Bits(t *testing.T) {
	k := keys()[0]
	s, r := ends(t, Config{SPI: 300, Protocol: ESP, Key: k, Window: 32, Sequence: math.MaxUint32 - 1})
	sent, err := s.Seal(nil, inside()[0])
	require.NoError(t, err)
	_, err = r.Open(sent)
	require.NoError(t, err)
	_, err = s.Seal(nil, inside()[0])
	require.ErrorIs(t, err, ErrSequence)

	k.ESN = true
	s, r = ends(t, Config{SPI: 300, Protocol: ESP, Key: k, Window: 32, Sequence: math.MaxUint32 - 2})
	for range 5 {
		sent, err := s.Seal(nil, inside()[0])
		require.NoError(t, err)
		_, err = r.Open(sent)
		require.NoError(t, err)
	}
	require.EqualValues(t, math.MaxUint32+3, r.window.Top())
	s, _ = ends(t, Config{SPI: 300, Protocol: ESP, Key: k, Sequence: math.MaxUint64})
	_, err = s.Seal(nil, inside()[0])
	require.ErrorIs(t, err, ErrSequence)
}

// A forged packet does not move the window, and a replayed one is not even decrypted.
func TestReplays(t *testing.T) {
	for _, protocol := range []Protocol{ESP, AH} {
		k := Key{AESGMAC, make([]byte, 16), [4]byte{}, 16, false}
		s, r := ends(t, Config{SPI: 300, Protocol: protocol, Key: k, Window: 32})
		var sent [][]byte
		for range 100 {
			b, err := s.Seal(nil, inside()[0])
			require.NoError(t, err)
			sent = append(sent, b)
		}
		open := func(b []byte) error {
			_, err := r.Open(bytes.Clone(b))
			return err
		}
		require.NoError(t, open(sent[0]))
		require.ErrorIs(t, open(sent[0]), ErrReplay)
		forged := bytes.Clone(sent[99])
		forged[len(forged)-1] ^= 1
		require.ErrorIs(t, open(forged), ErrAuth)
		require.NoError(t, open(sent[1]), "the window is where it was")
		require.NoError(t, open(sent[99]))
		require.ErrorIs(t, open(sent[67]), ErrReplay)
		require.NoError(t, open(sent[68]))
		require.Equal(t, []uint64{2, 1, 0, 4}, []uint64{r.Replays, r.Forgeries, r.Malformed, r.Packets})
	}
}

func TestLimits(t *testing.T) {
	packet := inside()[0]
	for _, l := range []Limits{
		{SoftPackets: 3, HardPackets: 5},
		{SoftBytes: uint64(3 * len(packet)), HardBytes: uint64(5 * len(packet))},
		{SoftBytes: uint64(3*len(packet)) - 1, HardBytes: uint64(5*len(packet)) - 1},
	} {
		var events []Event
		c := Config{SPI: 300, Protocol: ESP, Key: keys()[0], Limits: l, Notify: func(e Event) { events = append(events, e) }}
		s, _ := ends(t, c)
		c.Limits = Limits{}
		_, other := ends(t, c)
		for i := range 8 {
			sent, err := s.Seal(nil, packet)
			if i < 5 {
				require.NoError(t, err)
				_, err = other.Open(sent)
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ErrExpired)
				require.Empty(t, sent)
			}
			want := []Event(nil)
			if i >= 3 {
				want = append(want, SoftLimit)
			}
			if i >= 5 {
				want = append(want, HardLimit)
			}
			require.Equal(t, want, events)
		}
		require.EqualValues(t, 5, s.Sequence(), "what is refused has no number")
	}
	require.Equal(t, "soft limit, hard limit, event 9", fmt.Sprintf("%v, %v, %v", SoftLimit, HardLimit, Event(9)))
}

func TestTrafficThatIsHidden(t *testing.T) {
	c := Config{SPI: 300, Protocol: ESP, Key: keys()[0], Tunnel: tunnel6, PadTo: 512}
	s, r := ends(t, c)
	for _, packet := range inside() {
		sent, err := s.Seal(nil, packet)
		require.NoError(t, err)
		require.Contains(t, []int{512, 1024, 1536}, (len(sent)-40-16-s.transform.ICVBytes())/512*512)
		got, err := r.Open(sent)
		require.NoError(t, err)
		require.Equal(t, packet, got)
	}
	// A dummy has no next header, and any content (RFC 4303 2.6).
	dummy, err := s.esp(append([]byte(nil), mustOuter(s)...), 0, ip{v6: true, next: 6, end: 40}, make([]byte, 99), protoNoNext)
	require.NoError(t, err)
	_, err = r.Open(dummy)
	require.ErrorIs(t, err, ErrDummy)
	require.Zero(t, r.Malformed)
}

func mustOuter(s *Sender) []byte {
	s.seq++
	b, _ := s.outer(nil, inside()[3])
	return b
}

// A mark of congestion on the way through a tunnel reaches the packet inside (RFC 6040 4.2).
func TestCongestionMarks(t *testing.T) {
	for _, tun := range []*Tunnel{tunnel4, tunnel6} {
		for _, i := range []int{1, 3} { // of a packet that can bear it
			s, r := ends(t, Config{SPI: 300, Protocol: ESP, Key: keys()[0], Tunnel: tun})
			packet := inside()[i]
			sent, err := s.Seal(nil, packet)
			require.NoError(t, err)
			setTrafficClass(sent, trafficClass(sent)|3)
			got, err := r.Open(sent)
			require.NoError(t, err)
			setTrafficClass(packet, trafficClass(packet)|3)
			require.Equal(t, packet, got)
		}
		s, r := ends(t, Config{SPI: 300, Protocol: ESP, Key: keys()[0], Tunnel: tun})
		sent, err := s.Seal(nil, inside()[0])
		require.NoError(t, err)
		setTrafficClass(sent, 3)
		_, err = r.Open(sent)
		require.ErrorIs(t, err, ErrMode, "it cannot bear a mark")
	}
}

func TestPortOfEncapsulation(t *testing.T) {
	_, r := ends(t, Config{SPI: 300, Protocol: ESP, Key: keys()[0], Encap: &Encap{4500, 4500}})
	udp := func(payload []byte) []byte {
		return craft.Packet{SrcPort: 4500, DstPort: 4500, Payload: payload}.Frame()[14:]
	}
	for _, c := range []struct {
		packet []byte
		want   error
	}{
		{udp([]byte{0xFF}), ErrKeepalive},
		{udp([]byte{0, 0, 0, 0, 1, 2, 3, 4}), ErrIKE},
		{udp([]byte{0, 0, 1}), ErrLength},
		{udp([]byte{0, 0, 1, 0x2C, 0, 0, 0, 1, 9}), ErrLength},
		{craft.Packet{Proto: craft.TCP}.Frame()[14:], ErrMode},
	} {
		_, err := r.Open(c.packet)
		require.ErrorIs(t, err, c.want)
	}
}

func TestPacketsThatAreNoneOfTheAssociation(t *testing.T) {
	transport := Config{SPI: 300, Protocol: ESP, Key: keys()[0]}
	through := transport
	through.Tunnel = tunnel4
	for name, c := range map[string]struct {
		packet []byte
		r      Config
		want   error
	}{
		"no IP":            {[]byte{0x45}, transport, ErrHeader},
		"header too long":  {append([]byte{0x4F}, craft.Packet{}.Frame()[15:]...), transport, ErrHeader},
		"another protocol": {inside()[0], transport, ErrMode},
		"a fragment":       {craft.Packet{Proto: 50, Fragment: 0x2000, Payload: make([]byte, 40)}.Frame()[14:], transport, ErrFragment},
		"short":            {craft.Packet{Proto: 50, Payload: make([]byte, 7)}.Frame()[14:], transport, ErrLength},
		"no tunnel":        {seal(t, transport, inside()[0]), through, ErrMode},
		"extension beyond": {append(append([]byte{0x60, 0, 0, 0, 0, 8, 0, 9}, make([]byte, 32)...), 50, 9, 0, 0, 0, 0, 0, 0), transport, ErrHeader},
	} {
		_, r := ends(t, c.r)
		_, err := r.Open(c.packet)
		require.ErrorIs(t, err, c.want, name)
		require.EqualValues(t, 1, r.Malformed, name)
	}
	s, _ := ends(t, transport)
	_, err := s.Seal(nil, craft.Packet{Fragment: 0x2000}.Frame()[14:])
	require.ErrorIs(t, err, ErrFragment)
	_, err = s.Seal(nil, []byte{1, 2, 3})
	require.ErrorIs(t, err, ErrHeader)
	big := craft.Packet{Payload: make([]byte, 65500)}.Frame()[14:]
	_, err = s.Seal(nil, big)
	require.ErrorIs(t, err, ErrLength)
	require.Zero(t, s.Sequence())
}

func seal(t testing.TB, c Config, packet []byte) []byte {
	s, _ := ends(t, c)
	b, err := s.Seal(nil, packet)
	require.NoError(t, err)
	return b
}

func TestAssociationsThatCannotBe(t *testing.T) {
	good := Config{SPI: 300, Protocol: ESP, Key: keys()[0]}
	for name, change := range map[string]func(*Config){
		"reserved SPI":         func(c *Config) { c.SPI = 255 },
		"no protocol":          func(c *Config) { c.Protocol = 6 },
		"AH that encrypts":     func(c *Config) { c.Protocol = AH },
		"hiding in transport":  func(c *Config) { c.PadTo = 64 },
		"two kinds of address": func(c *Config) { c.Tunnel = &Tunnel{Source: tunnel4.Source, Destination: tunnel6.Source} },
		"half a tunnel":        func(c *Config) { c.Tunnel = &Tunnel{Source: tunnel4.Source} },
		"no such key":          func(c *Config) { c.Key.Secret = nil },
		"AH in UDP": func(c *Config) {
			c.Protocol, c.Key.Algorithm, c.Encap = AH, AESGMAC, &Encap{}
		},
	} {
		c := good
		change(&c)
		_, err := NewSender(c)
		require.Error(t, err, name)
		_, err = NewReceiver(c)
		require.Error(t, err, name)
	}
	good.Window = 4097
	_, err := NewReceiver(good)
	require.ErrorContains(t, err, "4096")
}

func TestAssociationsAllocateNothing(t *testing.T) {
	for _, c := range associations() {
		s, r := ends(t, c)
		for _, packet := range inside() {
			room := make([]byte, 0, len(packet)+s.Overhead())
			require.Zero(t, testing.AllocsPerRun(20, func() {
				sent, err := s.Seal(room, packet)
				if err != nil {
					t.Fatal(err)
				}
				if _, err = r.Open(sent); err != nil {
					t.Fatal(err)
				}
			}))
		}
	}
}

// FuzzAssociations holds that what is sent arrives, whatever it is, and that no
// bytes make a receiver panic.
func FuzzAssociations(f *testing.F) {
	for _, packet := range inside() {
		f.Add(packet, uint16(0))
		f.Add(seal(f, associations()[3], packet), uint16(3))
	}
	all := associations()
	f.Fuzz(func(t *testing.T, packet []byte, kind uint16) {
		s, r := ends(t, all[int(kind)%len(all)])
		before := bytes.Clone(packet)
		sent, err := s.Seal(nil, packet)
		require.Equal(t, before, packet)
		if p, _ := parseIP(packet); err == nil {
			got, err := r.Open(sent)
			require.NoError(t, err)
			want := bytes.Clone(packet[:p.total])
			if s.config.Tunnel == nil && !p.v6 {
				sumIPv4(want[:p.end]) // it is made anew
			}
			require.Equal(t, want, got)
		}
		r.Open(packet)
	})
}
