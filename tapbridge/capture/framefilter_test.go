package capture

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"nicsim.dev/nicsim"
)

// sample returns frames of many kinds, made by gopacket.
func sample(t testing.TB) map[string][]byte {
	mac := func(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }
	eth := func(next layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: mac(1), DstMAC: mac(2), EthernetType: next}
	}
	ip4 := func(proto layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 9, Protocol: proto, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{198, 51, 100, 2}}
	}
	ip6 := func(next layers.IPProtocol) *layers.IPv6 {
		return &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: next, SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
	}
	tcp := &layers.TCP{SrcPort: 40000, DstPort: 443}
	udp := &layers.UDP{SrcPort: 53, DstPort: 40001}
	later := ip4(layers.IPProtocolTCP)
	later.FragOffset = 185
	broadcast := eth(layers.EthernetTypeARP)
	broadcast.DstMAC = layers.EthernetBroadcast
	make := func(l ...gopacket.SerializableLayer) []byte {
		buf := gopacket.NewSerializeBuffer()
		require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true},
			append(l, gopacket.Payload(strings.Repeat("x", 26)))...))
		return buf.Bytes()
	}
	return map[string][]byte{
		"tcp4": make(eth(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), tcp),
		"tcp6": make(eth(layers.EthernetTypeIPv6), ip6(layers.IPProtocolTCP), tcp),
		"udp4": make(eth(layers.EthernetTypeIPv4), ip4(layers.IPProtocolUDP), udp),
		"vlan": make(eth(layers.EthernetTypeDot1Q),
			&layers.Dot1Q{VLANIdentifier: 7, Priority: 3, Type: layers.EthernetTypeIPv4}, ip4(layers.IPProtocolUDP), udp),
		"qinq": make(eth(layers.EthernetTypeQinQ),
			&layers.Dot1Q{VLANIdentifier: 100, Type: layers.EthernetTypeDot1Q},
			&layers.Dot1Q{VLANIdentifier: 8, Type: layers.EthernetTypeIPv4}, ip4(layers.IPProtocolTCP), tcp),
		"frag": make(eth(layers.EthernetTypeIPv4), later),
		"ping": make(eth(layers.EthernetTypeIPv4), ip4(layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}),
		"arp": make(broadcast, &layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: 1, SourceHwAddress: mac(1), SourceProtAddress: []byte{192, 0, 2, 1},
			DstHwAddress: mac(0), DstProtAddress: []byte{192, 0, 2, 9},
		}),
		"runt": {1, 0, 0},
	}
}

func TestFrameFilter(t *testing.T) {
	frames := sample(t)
	for filter, want := range map[string]string{
		"":                            "arp frag ping qinq runt tcp4 tcp6 udp4 vlan",
		"ip":                          "frag ping qinq tcp4 udp4 vlan",
		"ip6":                         "tcp6",
		"arp":                         "arp",
		"tcp":                         "frag qinq tcp4 tcp6",
		"udp or arp":                  "arp udp4 vlan",
		"icmp":                        "ping",
		"icmp6":                       "",
		"vlan":                        "qinq vlan",
		"vlan 7":                      "vlan",
		"vlan 8 or vlan 100 and tcp":  "qinq",
		"port 443":                    "qinq tcp4 tcp6",
		"src port 443":                "",
		"dst port 443":                "qinq tcp4 tcp6",
		"udp port 53":                 "udp4 vlan",
		"udp src port 53":             "udp4 vlan",
		"udp dst port 53":             "",
		"tcp port 53":                 "",
		"host 192.0.2.1":              "arp frag ping qinq tcp4 udp4 vlan",
		"dst host 192.0.2.9":          "arp",
		"dst 198.51.100.2 and not ip": "",
		"src 2001:db8::1":             "tcp6",
		"src net 192.0.2.0/24":        "arp frag ping qinq tcp4 udp4 vlan",
		"net 2001:db8::/32":           "tcp6",
		"ether src 02:00:00:00:00:01": "arp frag ping qinq tcp4 tcp6 udp4 vlan",
		"ether dst 02:00:00:00:00:01": "",
		"ether host 2:0:0:0:0:1":      "error: a MAC address",
		"broadcast":                   "arp",
		"multicast":                   "arp",
		"greater 81":                  "qinq tcp6",
		"less 3":                      "runt",
		"!ip&&!(arp||ip6)":            "runt",
		"not (tcp or udp) and ip":     "ping",
		"tcp or udp and vlan":         "qinq vlan", // no precedence, as in pcap-filter

		"tcp udp":          `error: "and" or "or", found "udp"`,
		"tcp and":          "error: a protocol, host, net, port, ether, less or greater at the end",
		"(tcp":             `error: ")" at the end`,
		"tcp)":             `error: "and" or "or", found ")"`,
		"port http":        `error: a port, found "http"`,
		"port 65536":       `error: a port, found "65536"`,
		"host":             "error: an IP address at the end",
		"host example.org": `error: an IP address, found "example.org"`,
		"net 10.0.0.0":     `error: a network such as 192.0.2.0/24, found "10.0.0.0"`,
		"vlan 4096":        `error: a VLAN, found "4096"`,
		"ether tcp":        `error: "host", "src" or "dst", found "tcp"`,
		"src":              "error: an IP address at the end",
		"less -1":          `error: a number of bytes, found "-1"`,
		"proto gre":        `error: a protocol, host, net, port, ether, less or greater, found "proto"`,
	} {
		f, err := ParseFrameFilter(filter)
		if reason, isError := strings.CutPrefix(want, "error: "); isError {
			require.ErrorContains(t, err, "filter: expected "+reason, filter)
			continue
		}
		require.NoError(t, err, filter)
		picked := func(pick func(b []byte) bool) string {
			var names []string
			for name := range strings.FieldsSeq("arp frag ping qinq runt tcp4 tcp6 udp4 vlan") {
				if pick(frames[name]) {
					names = append(names, name)
				}
			}
			return strings.Join(names, " ")
		}
		require.Equal(t, want, picked(func(b []byte) bool { return f.Match(b, nil) }), filter)
		require.Equal(t, want, picked(func(b []byte) bool {
			return f.Match(b[:1], [][]byte{b[1:2], {}, b[2:]}) // in pieces
		}), filter)
	}
	_, err := ParseFrameFilter(strings.Repeat("(", 2000))
	require.ErrorContains(t, err, "expected at most 1024 characters")
}

func TestFrameFilterAllocatesNothing(t *testing.T) {
	f, err := ParseFrameFilter("tcp port 443 and host 192.0.2.1")
	require.NoError(t, err)
	b := sample(t)["tcp4"]
	pieces := [][]byte{b[20:]}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if !f.Match(b, nil) || !f.Match(b[:20], pieces) {
			panic("no match")
		}
	}))
}

func TestTapWithAFrameFilter(t *testing.T) {
	f, err := ParseFrameFilter("udp")
	require.NoError(t, err)
	var out bytes.Buffer
	tap := NewTap(NewWriter(&out, "test", Section{}), TapConfig{Filter: Filter{Frames: f}})
	for _, name := range []string{"tcp4", "udp4", "arp", "vlan"} {
		tap.Observe(&nicsim.Event{Kind: nicsim.PacketWire, Device: "A", Data: sample(t)[name]})
	}
	require.NoError(t, tap.Close())
	_, got, _ := readAll(&out)
	require.Len(t, got, 2)
	require.Equal(t, sample(t)["vlan"], got[1].Data)
}

func FuzzFrameFilter(f *testing.F) {
	for _, b := range sample(f) {
		f.Add("tcp and (not port 443 or host 192.0.2.1) and less 100", b)
		f.Add("vlan 7 or ether src 02:00:00:00:00:01 || net 10.0.0.0/8", b)
	}
	f.Fuzz(func(t *testing.T, text string, b []byte) {
		one, err := ParseFrameFilter(text)
		if err != nil {
			return
		}
		not, err := ParseFrameFilter("not (" + text + ")")
		if err != nil {
			return // an empty filter, or one that is too long now
		}
		if one.Match(b, nil) == not.Match(b, nil) {
			t.Fatalf("%q and its opposite agree", text)
		}
	})
}
