package lab

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/offloads/macsec"
	"nicsim.dev/scenarios/need"
)

// macsecPeer is a SecY of the engine's and one of the kernel's, on a port of their own.
type macsecPeer struct {
	suite    macsec.Suite
	cipher   string // as ip macsec calls it
	encrypt  bool
	identity string // how frames say whose they are: the kernel's option

	n       int
	send    *macsec.Sender
	open    *macsec.Receiver
	shadow  *macsec.Receiver // what the kernel's receiver is, of ours
	pending map[string]bool
}

var (
	kernelMAC = [6]byte{2, 0, 0, 0, 0, 1}
	engineMAC = [6]byte{2, 0, 0, 0, 0, 2}
)

func macsecPeers() (all []*macsecPeer) {
	for i, cipher := range []string{"gcm-aes-128", "gcm-aes-256", "gcm-aes-xpn-128", "gcm-aes-xpn-256"} {
		for _, encrypt := range []bool{false, true} {
			all = append(all, &macsecPeer{suite: macsec.Suite(i), cipher: cipher, encrypt: encrypt, identity: "send_sci on"})
		}
	}
	for i, p := range all {
		p.n, p.pending = i+2, map[string]bool{}
	}
	return all
}

func (p *macsecPeer) key(n byte) macsec.Key {
	size := 16
	if p.suite == macsec.GCMAES256 || p.suite == macsec.GCMAESXPN256 {
		size = 32
	}
	return macsec.Key{Suite: p.suite, Secret: bytes.Repeat([]byte{n, byte(p.n)}, size/2), Salt: [12]byte{9, 8, 7}, SSCI: uint32(n)}
}

// Numbers of frames begin so short of 2^32 that extended ones go beyond.
func (p *macsecPeer) first() uint64 {
	if p.suite >= macsec.GCMAESXPN128 {
		return 1<<32 - 20
	}
	return 1000
}

func (p *macsecPeer) begin(t *testing.T) []string {
	toKernel, fromKernel := p.key(1), p.key(2)
	port := uint16(p.n)
	ours, theirs := macsec.NewSCI(engineMAC, port), macsec.NewSCI(kernelMAC, port)
	var err error
	p.send, err = macsec.NewSender(macsec.SenderConfig{SCI: ours, IncludeSCI: true, Encrypt: p.encrypt})
	require.NoError(t, err)
	require.NoError(t, p.send.Install(1, toKernel, p.first()))
	p.send.Use(1)
	config := macsec.ReceiverConfig{ReplayProtect: true, ReplayWindow: 4}
	p.open, err = macsec.NewReceiver(config)
	require.NoError(t, err)
	require.NoError(t, p.open.Install(theirs, 2, fromKernel, p.first()))
	p.shadow, err = macsec.NewReceiver(config)
	require.NoError(t, err)
	require.NoError(t, p.shadow.Install(ours, 1, toKernel, p.first()))

	onOff := map[bool]string{false: "off", true: "on"}
	number := func(k macsec.Key) string {
		if p.suite < macsec.GCMAESXPN128 {
			return fmt.Sprintf("pn %d", p.first())
		}
		return fmt.Sprintf("xpn %d salt %x ssci %d", p.first(), k.Salt, k.SSCI)
	}
	dev := fmt.Sprintf("ms%d", p.n)
	mac := net.HardwareAddr(engineMAC[:])
	return []string{
		fmt.Sprintf("link add link link0 name %s type macsec port %d cipher %s encrypt %s %s replay on window 4 validate strict encodingsa 2",
			dev, port, p.cipher, onOff[p.encrypt], p.identity),
		fmt.Sprintf("macsec add %s tx sa 2 %s on key 02 %x", dev, number(fromKernel), fromKernel.Secret),
		fmt.Sprintf("macsec add %s rx port %d address %v", dev, port, mac),
		fmt.Sprintf("macsec add %s rx port %d address %v sa 1 %s on key 01 %x", dev, port, mac, number(toKernel), toKernel.Secret),
		fmt.Sprintf("link set %s up", dev),
		fmt.Sprintf("addr add 10.9.%d.1/24 dev %s", p.n, dev),
		fmt.Sprintf("neigh add 10.9.%d.2 lladdr %v dev %s", p.n, mac, dev),
	}
}

// frame is a datagram to the kernel, in clear.
func (p *macsecPeer) frame(t *testing.T, payload []byte) []byte {
	ip := &layers.IPv4{Version: 4, Protocol: layers.IPProtocolUDP, TTL: 9, SrcIP: net.IP{10, 9, byte(p.n), 2}, DstIP: net.IP{10, 9, byte(p.n), 1}}
	udp := &layers.UDP{SrcPort: 9, DstPort: 7777}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: engineMAC[:], DstMAC: kernelMAC[:], EthernetType: layers.EthernetTypeIPv4}, ip, udp, gopacket.Payload(payload)))
	return b.Bytes()
}

func (p *macsecPeer) protect(t *testing.T, payload []byte) []byte {
	frame := append(make([]byte, p.send.TagBytes()), p.frame(t, payload)...)
	frame = append(frame, make([]byte, macsec.ICVBytes)...)
	require.NoError(t, p.send.Protect(frame))
	return frame
}

// kernelMACsec is what "ip -s -j macsec show" says of a SecY and of the channel that it
// receives by.
type kernelMACsec struct {
	Ifname                             string `json:"ifname"`
	InPktsNoTag, InPktsBadTag          uint64
	OutPktsProtected, OutPktsEncrypted uint64
	RxSC                               []struct {
		InPktsOK, InPktsLate, InPktsNotValid, InPktsNotUsingSA uint64
		InOctetsValidated, InOctetsDecrypted                   uint64
	} `json:"rx_sc"`
}

// Frames that the engine protects the kernel's own MACsec opens, and the reverse, by every
// cipher; and of replayed, forged and broken frames both count the same.
func TestGuestKernelOpensFramesOfTheEngine(t *testing.T) {
	need.Test(t, string(UML), "python3", "ip")
	rng := rand.New(rand.NewPCG(5, 8021))
	var in pipe
	in.put(fmt.Appendf(nil, "link set link0 address %v", net.HardwareAddr(kernelMAC[:])))
	peers := macsecPeers()
	for _, p := range peers {
		for _, c := range p.begin(t) {
			in.put([]byte(c))
		}
	}
	in.put(nil)
	for range 50 {
		for _, p := range peers {
			payload := make([]byte, 8+rng.IntN(1300))
			for i := range payload {
				payload[i] = byte(rng.Uint32())
			}
			frame := p.protect(t, payload)
			p.pending[string(payload)] = true
			for _, b := range mangled(rng, frame) {
				in.put(b)
				p.shadow.Open(bytes.Clone(b))
			}
		}
	}
	out, log := in.run(t, "tap", "ip -s -j macsec show")
	for _, frame := range out {
		if len(frame) < 28 || frame[12] != 0x88 || frame[13] != 0xE5 {
			continue // in clear: nobody's of these
		}
		p := peers[int(frame[27])-2]
		inner, v := p.open.Open(frame)
		require.Equal(t, macsec.OK, v, "%s", p.cipher)
		udp := gopacket.NewPacket(inner, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeUDP)
		if udp == nil {
			continue // the kernel's own
		}
		payload := string(udp.(*layers.UDP).Payload)
		if udp.(*layers.UDP).DstPort == 9 {
			require.True(t, p.pending[payload], "it comes back once, as it was")
			delete(p.pending, payload)
		}
	}
	var kernel []kernelMACsec
	require.NoError(t, json.Unmarshal([]byte(log), &kernel), log)
	require.Len(t, kernel, len(peers))
	for i, p := range peers {
		require.Empty(t, p.pending, "%s, encrypted: %v", p.cipher, p.encrypt)
		k, s := kernel[i], &p.shadow.Stats
		require.Equal(t, fmt.Sprintf("ms%d", p.n), k.Ifname)
		rx := k.RxSC[0]
		ours := []uint64{s.InPktsOK, s.InPktsLate, s.InPktsNotValid, s.InPktsNotUsingSA, s.InOctetsValidated, s.InOctetsDecrypted}
		theirs := []uint64{rx.InPktsOK, rx.InPktsLate, rx.InPktsNotValid, rx.InPktsNotUsingSA, rx.InOctetsValidated, rx.InOctetsDecrypted}
		if p.suite >= macsec.GCMAESXPN128 {
			// The kernel guesses the upper half from the next number, and the standard from the
			// lowest (10.6.2): one may find invalid what to the other is late.
			ours = []uint64{s.InPktsOK, s.InPktsLate + s.InPktsNotValid, s.InPktsNotUsingSA}
			theirs = []uint64{rx.InPktsOK, rx.InPktsLate + rx.InPktsNotValid, rx.InPktsNotUsingSA}
		}
		require.Equal(t, ours, theirs, p.cipher)
		// Of the last that it sent not all were read.
		require.GreaterOrEqual(t, k.OutPktsProtected+k.OutPktsEncrypted, p.open.Stats.InPktsOK, p.cipher)
		require.Equal(t, p.encrypt, k.OutPktsEncrypted > 0)
		require.NotZero(t, s.InPktsLate)
		require.NotZero(t, s.InPktsNotValid)
		require.NotZero(t, s.InPktsNotUsingSA)
	}
}

// mangled is a frame, sometimes with others made of it ahead or behind: forged, of another
// association, and replayed after others.
func mangled(rng *rand.Rand, frame []byte) [][]byte {
	other := bytes.Clone(frame)
	switch rng.IntN(6) {
	case 0:
		other[30+rng.IntN(len(other)-30)] ^= 1
		return [][]byte{other, frame}
	case 1:
		other[14] ^= 3
		return [][]byte{other, frame}
	case 2: // its number is too low, whatever else it is
		binary.BigEndian.PutUint32(other[16:], binary.BigEndian.Uint32(other[16:])-100)
		return [][]byte{frame, other}
	}
	return [][]byte{frame}
}
