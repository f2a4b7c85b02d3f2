package lab

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/ipsec"
	"nicsim.dev/scenarios/need"
)

// kernelPeer is a pair of associations between the engine and the kernel.
type kernelPeer struct {
	cipher         string // as ip xfrm calls it
	key            ipsec.Key
	tunnel, encap  bool
	outer6, inner6 bool

	n      int
	send   *ipsec.Sender
	open   *ipsec.Receiver
	echoes map[string]bool // payloads that are to come back
}

// kernelPeers are all that the engine and the kernel have in common.
func kernelPeers() (all []*kernelPeer) {
	ciphers := []kernelPeer{
		{cipher: "rfc7539esp(chacha20,poly1305)", key: ipsec.Key{Algorithm: ipsec.ChaCha20Poly1305, Secret: secret(32), TagBytes: 16}},
	}
	for _, n := range []int{16, 24, 32} {
		for _, tag := range []int{8, 12, 16} {
			ciphers = append(ciphers, kernelPeer{cipher: "rfc4106(gcm(aes))", key: ipsec.Key{Algorithm: ipsec.AESGCM, Secret: secret(n), TagBytes: tag}})
		}
		ciphers = append(ciphers, kernelPeer{cipher: "rfc4543(gcm(aes))", key: ipsec.Key{Algorithm: ipsec.AESGMAC, Secret: secret(n), TagBytes: 16}})
	}
	for _, c := range ciphers {
		c.key.Salt = [4]byte{1, 2, 3, 4}
		for kind := range 16 {
			c.key.ESN, c.encap, c.outer6, c.inner6 = kind&1 != 0, kind&2 != 0, kind&4 != 0, kind&4 != 0
			c.tunnel = kind&8 != 0
			all = append(all, new(c))
			if c.tunnel {
				other := c
				other.inner6 = !c.inner6
				all = append(all, &other)
			}
		}
	}
	for i, p := range all {
		p.n, p.echoes = i+1, map[string]bool{}
	}
	return all
}

func secret(n int) []byte {
	sum := sha256.Sum256([]byte{byte(n)})
	return sum[:n]
}

// address is one of a peer's four, each with a network of its own: the kernel's and the
// engine's, of the outer packets and of the inner.
func (p *kernelPeer) address(network byte, v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0xFD, network, 14: byte(p.n >> 8), 15: byte(p.n)})
	}
	return netip.AddrFrom4([4]byte{10, network, byte(p.n >> 8), byte(p.n)})
}

func (p *kernelPeer) outer() (kernel, engine netip.Addr) {
	return p.address(1, p.outer6), p.address(2, p.outer6)
}

func (p *kernelPeer) inner() (kernel, engine netip.Addr) {
	if !p.tunnel {
		return p.outer()
	}
	return p.address(3, p.inner6), p.address(4, p.inner6)
}

// Sequence numbers with which associations begin: an extended one soon needs its high half.
const beforeHalf = math.MaxUint32 - 5

// begin makes the engine's ends and returns what ip has to do for the kernel's.
func (p *kernelPeer) begin(t *testing.T) (commands []string) {
	kernel, engine := p.outer()
	kernelIn, engineIn := p.inner()
	spi := uint32(0x1000 + 2*p.n)
	c := ipsec.Config{SPI: spi, Protocol: ipsec.ESP, Key: p.key, Window: 64}
	if p.key.ESN {
		c.Sequence = beforeHalf
	}
	back := c
	back.SPI = spi + 1
	if p.tunnel {
		c.Tunnel = &ipsec.Tunnel{Source: engine, Destination: kernel}
		back.Tunnel = &ipsec.Tunnel{Source: kernel, Destination: engine}
	}
	if p.encap {
		c.Encap = &ipsec.Encap{Source: 4500, Destination: 4500}
		back.Encap = c.Encap
	}
	var err error
	p.send, err = ipsec.NewSender(c)
	require.NoError(t, err)
	p.open, err = ipsec.NewReceiver(back)
	require.NoError(t, err)

	mode := "transport"
	if p.tunnel {
		mode = "tunnel"
	}
	common := fmt.Sprintf("reqid %d mode %s aead %s 0x%x%x %d", p.n, mode, p.cipher, p.key.Secret, p.key.Salt, 8*p.key.TagBytes)
	if p.encap {
		common += " encap espinudp 4500 4500 0.0.0.0"
	}
	flags := ""
	if p.tunnel && p.outer6 != p.inner6 {
		flags = " af-unspec"
	}
	replayIn, replayOut := "replay-window 64", ""
	if p.key.ESN {
		flags += " esn"
		replayIn = fmt.Sprintf("replay-window 64 replay-seq %#x", uint32(beforeHalf))
		replayOut = fmt.Sprintf("replay-window 64 replay-oseq %#x", uint32(beforeHalf))
	}
	if flags != "" {
		flags = " flag" + flags
	}
	commands = append(commands, fmt.Sprintf("addr add %s dev link0", alone(kernel)))
	if p.tunnel {
		commands = append(commands, fmt.Sprintf("addr add %s dev link0", alone(kernelIn)))
	}
	// Not all that the addresses exchange: in transport mode that would be the packets of
	// the encapsulation too.
	template := fmt.Sprintf("proto esp reqid %d mode %s", p.n, mode)
	return append(commands,
		fmt.Sprintf("xfrm state add src %v dst %v proto esp spi %#x %s %s%s", engine, kernel, spi, common, replayIn, flags),
		fmt.Sprintf("xfrm state add src %v dst %v proto esp spi %#x %s %s%s", kernel, engine, spi+1, common, replayOut, flags),
		fmt.Sprintf("xfrm policy add src %v dst %v proto udp dport 7777 dir in tmpl src %v dst %v %s", engineIn, kernelIn, engine, kernel, template),
		fmt.Sprintf("xfrm policy add src %v dst %v proto udp sport 7777 dir out tmpl src %v dst %v %s", kernelIn, engineIn, kernel, engine, template),
	)
}

// alone is an address as ip takes it, without a network and at once.
func alone(a netip.Addr) string {
	if a.Is6() {
		return a.String() + "/128 nodad"
	}
	return a.String() + "/32"
}

// datagram is a UDP packet from the engine's side to the kernel's.
func (p *kernelPeer) datagram(t *testing.T, payload []byte) []byte {
	kernel, engine := p.inner()
	udp := &layers.UDP{SrcPort: layers.UDPPort(p.n), DstPort: 7777}
	var ip interface {
		gopacket.SerializableLayer
		gopacket.NetworkLayer
	}
	if p.inner6 {
		ip = &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, HopLimit: 9, SrcIP: net.IP(engine.AsSlice()), DstIP: net.IP(kernel.AsSlice())}
	} else {
		ip = &layers.IPv4{Version: 4, Protocol: layers.IPProtocolUDP, TTL: 9, SrcIP: net.IP(engine.AsSlice()), DstIP: net.IP(kernel.AsSlice())}
	}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(payload)))
	packet := b.Bytes()
	if sum := packet[len(packet)-len(payload)-2:][:2]; sum[0]|sum[1] == 0 {
		sum[0], sum[1] = 0xFF, 0xFF // gopacket leaves out RFC 768's last step
	}
	return packet
}

// What the engine protects the kernel's own IPsec opens, and the reverse: each cipher and
// size of ICV, both modes and families, extended sequence numbers, encapsulation in UDP.
func TestGuestKernelOpensWhatTheEngineSeals(t *testing.T) {
	need.Test(t, string(UML), "python3", "ip")
	rng := rand.New(rand.NewPCG(4, 303))
	var in pipe
	peers := kernelPeers()
	byAddress := map[netip.Addr]*kernelPeer{}
	for _, c := range []string{"route add 10.0.0.0/8 dev link0", "route add fd00::/8 dev link0"} {
		in.put([]byte(c))
	}
	for _, p := range peers {
		_, engine := p.outer()
		byAddress[engine] = p
		for _, c := range p.begin(t) {
			in.put([]byte(c))
		}
	}
	in.put(nil)
	for range 12 {
		for _, p := range peers {
			payload := make([]byte, 8+rng.IntN(1400))
			for i := range payload {
				payload[i] = byte(rng.Uint32())
			}
			sent, err := p.send.Seal(nil, p.datagram(t, payload))
			require.NoError(t, err)
			p.echoes[string(payload)] = true
			in.put(sent)
		}
	}

	out, log := in.run(t, "tun", `grep -v '\s0$' /proc/net/xfrm_stat`)
	require.Empty(t, log, "the kernel's counters of errors")
	for _, packet := range out {
		to := netip.AddrFrom4([4]byte(packet[16:]))
		if packet[0]>>4 == 6 {
			to = netip.AddrFrom16([16]byte(packet[24:]))
		}
		p := byAddress[to]
		if p == nil {
			continue // neighbour discovery and the like
		}
		inner, err := p.open.Open(packet)
		require.NoError(t, err, "%+v", *p)
		payload := gopacket.NewPacket(inner, layers.LayerTypeIPv4, gopacket.Default)
		if p.inner6 {
			payload = gopacket.NewPacket(inner, layers.LayerTypeIPv6, gopacket.Default)
		}
		udp := payload.Layer(layers.LayerTypeUDP).(*layers.UDP)
		require.EqualValues(t, p.n, udp.DstPort)
		require.True(t, p.echoes[string(udp.Payload)], "it comes back once, as it was")
		delete(p.echoes, string(udp.Payload))
	}
	for _, p := range peers {
		require.Empty(t, p.echoes, "%s, ESN %v, tunnel %v, encapsulation %v, outer IPv6 %v, inner IPv6 %v",
			p.cipher, p.key.ESN, p.tunnel, p.encap, p.outer6, p.inner6)
	}
}
