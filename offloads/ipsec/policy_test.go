package ipsec

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/refmodel/craft"
)

func TestPolicies(t *testing.T) {
	c := Config{SPI: 300, Protocol: ESP, Key: keys()[0], Tunnel: tunnel4, Window: 32}
	s, r := ends(t, c)
	var near, far Offload
	near.Out = []Policy{
		{Selector: Selector{DestinationPort: 53}, Action: Discard},
		{Selector: Selector{DestinationPort: 500}, Action: Bypass},
		{Selector: Selector{Destination: netip.MustParsePrefix("198.51.100.0/24")}, Action: Protect, Sender: s},
	}
	far.In = []Policy{
		{Selector: Selector{DestinationPort: 500}, Action: Bypass},
		{Selector: Selector{Destination: netip.MustParsePrefix("198.51.100.0/24")}, Action: Protect, Receiver: r},
		{Selector: Selector{Proto: craft.TCP}, Action: Discard},
	}
	far.Add(tunnel4.Destination, r)

	packet := craft.Packet{DstPort: 80, Payload: craft.Payload(99)}.Frame()[14:]
	sent, err := near.Send(nil, packet)
	require.NoError(t, err)
	require.EqualValues(t, ESP, sent[9])
	again := bytes.Clone(sent)
	got, err := far.Receive(sent)
	require.NoError(t, err)
	require.Equal(t, packet, got)
	_, err = far.Receive(again)
	require.ErrorIs(t, err, ErrReplay)

	_, err = far.Receive(bytes.Clone(packet))
	require.ErrorIs(t, err, ErrUnprotected)
	_, err = near.Send(nil, craft.Packet{DstPort: 53}.Frame()[14:])
	require.ErrorIs(t, err, ErrDiscard)
	ike := craft.Packet{DstPort: 500}.Frame()[14:]
	sent, err = near.Send(nil, ike)
	require.NoError(t, err)
	require.Equal(t, ike, sent)
	got, err = far.Receive(sent)
	require.NoError(t, err)
	require.Equal(t, ike, got)
	six := craft.Packet{IPv6: true, Proto: craft.TCP}.Frame()[14:]
	sent, err = near.Send(nil, six)
	require.NoError(t, err)
	require.Equal(t, six, sent, "no policy is for it")
	_, err = far.Receive(six)
	require.ErrorIs(t, err, ErrDiscard)

	sent, err = near.Send(nil, packet)
	require.NoError(t, err)
	far.Remove(tunnel4.Destination, ESP, 300)
	_, err = far.Receive(sent)
	require.ErrorIs(t, err, ErrNoAssociation)
	_, err = far.Receive(nil)
	require.ErrorIs(t, err, ErrHeader)
	_, err = near.Send(nil, nil)
	require.ErrorIs(t, err, ErrHeader)
}

// Neither options for the destination nor fragments get around a policy for ports.
func TestWhatWouldEvadePolicies(t *testing.T) {
	s, _ := ends(t, Config{SPI: 300, Protocol: ESP, Key: keys()[0], Tunnel: tunnel6})
	o := Offload{Out: []Policy{{Selector: Selector{Proto: craft.TCP, DestinationPort: 80}, Action: Protect, Sender: s}}}
	for _, p := range []craft.Packet{
		{IPv6: true, Proto: craft.TCP, DstPort: 80, Extensions: []craft.Extension{craft.Destination}},
		{Proto: craft.TCP, DstPort: 80, Fragment: 0x2000},
		{Proto: craft.TCP, DstPort: 99, Fragment: 7},
	} {
		packet := p.Frame()[14:]
		sent, err := o.Send(nil, packet)
		require.NoError(t, err)
		require.EqualValues(t, ESP, sent[6])
	}
	o.Out[0].Action = Bypass
	o.Out = append(o.Out, Policy{Action: Discard})
	_, err := o.Send(nil, craft.Packet{Proto: craft.TCP, DstPort: 80, Fragment: 7}.Frame()[14:])
	require.ErrorIs(t, err, ErrDiscard)
	_, err = (&Offload{Out: []Policy{{Action: Protect}}}).Send(nil, craft.Packet{}.Frame()[14:])
	require.ErrorIs(t, err, ErrNoAssociation)
	_, err = o.Receive(craft.Packet{DstPort: 4500, Payload: []byte{0xFF}}.Frame()[14:])
	require.ErrorIs(t, err, ErrKeepalive)
}

// An association is found by all three of SPI, protocol and address, also in UDP.
func TestWhoOpensAPacket(t *testing.T) {
	key := Key{AESGMAC, make([]byte, 16), [4]byte{}, 16, false}
	for _, c := range []Config{
		{SPI: 300, Protocol: ESP, Key: key},
		{SPI: 300, Protocol: AH, Key: key},
		{SPI: 300, Protocol: ESP, Key: key, Encap: &Encap{4500, 4500}},
	} {
		s, r := ends(t, c)
		packet := inside()[0]
		to := netip.AddrFrom4([4]byte(packet[16:]))
		sent, err := s.Seal(nil, packet)
		require.NoError(t, err)
		var o Offload
		wrong := c
		wrong.SPI++
		_, other := ends(t, wrong)
		o.Add(to, other)
		o.Add(netip.MustParseAddr("192.0.2.99"), r)
		_, err = o.Receive(bytes.Clone(sent))
		require.ErrorIs(t, err, ErrNoAssociation)
		o.Add(to, r)
		got, err := o.Receive(sent)
		require.NoError(t, err)
		require.Equal(t, packet, got)
	}
}

// FuzzPolicies holds that no bytes make policies panic.
func FuzzPolicies(f *testing.F) {
	c := Config{SPI: 300, Protocol: ESP, Key: keys()[0], Tunnel: tunnel4}
	for _, packet := range inside() {
		f.Add(packet)
		f.Add(seal(f, c, packet))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		s, r := ends(t, c)
		o := Offload{Out: []Policy{{Selector: Selector{Proto: craft.UDP}, Action: Protect, Sender: s}}, In: []Policy{{Selector: Selector{SourcePort: 7}, Action: Discard}}}
		o.Add(tunnel4.Destination, r)
		o.Send(nil, packet)
		o.Receive(packet)
	})
}
