package ixgbe

import (
	"fmt"
	"strconv"
	"strings"
)

// flags spells the set bits of v by name, joined by "|"; bits without a name
// are given together as a number, and no bits at all as "0".
func flags(v uint64, names ...string) string {
	var words []string
	for i, name := range names {
		if name != "" && v&(1<<i) != 0 {
			words = append(words, name)
			v &^= 1 << i
		}
	}
	if v != 0 || len(words) == 0 {
		words = append(words, number(v))
	}
	return strings.Join(words, "|")
}

func number(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(v, 16)
}

func (d LegacyRx) String() string { return fmt.Sprintf("legacy rx Addr=0x%x", d.Addr) }

func (d LegacyRxWB) String() string {
	return fmt.Sprintf("legacy rx write-back Length=%d Checksum=0x%04x Status=%v VLAN=0x%04x",
		d.Length, d.Checksum, d.Status, d.VLAN)
}

func (d AdvRx) String() string {
	dd := 0
	if d.DD {
		dd = 1
	}
	return fmt.Sprintf("advanced rx Addr=0x%x Header=0x%x DD=%d", d.Addr, d.Header, dd)
}

func (d AdvRxWB) String() string {
	return fmt.Sprintf("advanced rx write-back %v Param=0x%08x Status=%v PKT_LEN=%d VLAN=0x%04x",
		d.Info, d.Param, d.Status, d.PKTLEN, d.VLAN)
}

func (d LegacyTx) String() string {
	return fmt.Sprintf("legacy tx Addr=0x%x Length=%d Flags=%v CSO=%d CSS=%d VLAN=0x%04x",
		d.Addr, d.Length, d.Flags, d.CSO, d.CSS, d.VLAN)
}

func (d AdvData) String() string {
	return fmt.Sprintf("advanced tx data Addr=0x%x DTALEN=%d PAYLEN=%d Flags=%v",
		d.Addr, d.DTALEN, d.PAYLEN, d.Flags)
}

func (d AdvContext) String() string {
	return fmt.Sprintf("advanced tx context MACLEN=%d IPLEN=%d L4LEN=%d MSS=%d VLAN=0x%04x Flags=%v "+
		"SAIndex=%d IPS_ESP_LEN=%d FCoEF=%v",
		d.MACLEN, d.IPLEN, d.L4LEN, d.MSS, d.VLAN, d.Flags, d.SAIndex, d.ESPLEN, d.FCoEF)
}

func (s LegacyStatus) String() string {
	return flags(uint64(s), "DD", "EOP", "", "VP", "UDPCS", "L4CS", "IPCS", "PIF",
		"RXE", "", "", "", "", "", "TCPE", "IPE")
}

func (i RxInfo) String() string {
	var packet string
	if n, ok := i.ETQF(); ok {
		packet = fmt.Sprintf("ETQF[%d]", n)
		if rest := i.PacketType() &^ PacketETQF(7); rest != 0 {
			packet += "|" + packetFlags(rest)
		}
	} else {
		packet = packetFlags(i.PacketType())
	}
	sph := 0
	if i&RxSPH != 0 {
		sph = 1
	}
	return fmt.Sprintf("RSSType=%s PacketType=%s RSCCNT=%d HDR_LEN=%d SPH=%d",
		rssName(i.RSSType()), packet, i.RSCCNT(), i.HDRLEN(), sph)
}

func packetFlags(t RxInfo) string {
	return flags(uint64(t>>4), "IPV4", "IPV4E", "IPV6", "IPV6E", "TCP", "UDP", "SCTP", "NFS", "ESP", "AH", "LinkSec")
}

func rssName(t RxInfo) string {
	switch t {
	case RSSNone:
		return "none"
	case RSSTCPIPv4:
		return "HASH_TCP_IPV4"
	case RSSIPv4:
		return "HASH_IPV4"
	case RSSTCPIPv6:
		return "HASH_TCP_IPV6"
	case RSSIPv6:
		return "HASH_IPV6"
	case RSSUDPIPv4:
		return "HASH_UDP_IPV4"
	case RSSUDPIPv6:
		return "HASH_UDP_IPV6"
	case RSSFlowDirector:
		return "FlowDirector"
	}
	return number(uint64(t))
}

func (s RxStatus) String() string {
	var parts []string
	rest := s &^ RxSECERR
	if s&RxEOP == 0 && s&RxDD != 0 {
		parts = append(parts, fmt.Sprintf("NEXTP=%d", s.NEXTP()))
		rest &^= 0xFFFF << 4
	}
	if code := s & RxSECERR >> 27; code != 0 {
		parts = append(parts, fmt.Sprintf("SECERR=%d", code))
	}
	if rest != 0 || len(parts) == 0 {
		parts = append([]string{flags(uint64(rest), "DD", "EOP", "FLM", "VP", "UDPCS", "L4I", "IPCS", "PIF",
			"CRCV", "VEXT", "UDPV", "DYNINT", "", "", "", "", "TS", "SECP", "LB", "",
			"FDIRLength", "FDIRDrop", "FDIRColl", "HBO", "", "", "", "", "", "RXE", "L4E", "IPE")}, parts...)
	}
	return strings.Join(parts, "|")
}

// txFlagNames name the bits of TxFlags from txFlagShift on.
var txFlagNames = []string{"ILinkSec", "1588", "", "", "", "",
	"EOP", "IFCS", "IC", "RS", "", "DEXT", "VLE", "TSE", "DD", "", "", "", "", "", "",
	"CC", "IXSM", "TXSM", "IPSEC"}

const txFlagShift = 18

func (f TxFlags) String() string {
	text := flags(uint64(f&^TxIDX(7))>>txFlagShift, txFlagNames...)
	if i := f.IDX(); i != 0 {
		text += fmt.Sprintf("|IDX=%d", i)
	}
	return text
}

func (f ContextFlags) String() string {
	text := [4]string{"UDP", "TCP", "SCTP", "L4T=3"}[f&ContextL4T>>11]
	if rest := f &^ (ContextL4T | ContextIDX(1) | ContextBCNTLEN); rest != 0 {
		text = flags(uint64(rest)>>9, "SNAP", "IPV4", "", "", "ESP", "Encryption", "FCoE") + "|" + text
	}
	if n := f.BCNTLEN(); n != 0 {
		text += fmt.Sprintf("|BCNTLEN=0x%x", n)
	}
	if i := f.IDX(); i != 0 {
		text += fmt.Sprintf("|IDX=%d", i)
	}
	return text
}

func (f FCoEF) String() string {
	eof := [4]string{"EOFn", "EOFt", "EOFni", "EOFa"}[f&FCoEEOF]
	if rest := f &^ FCoEEOF; rest != 0 {
		return eof + "|" + flags(uint64(rest), "", "", "SOF", "PARINC", "ORIE", "ORIS")
	}
	return eof
}
