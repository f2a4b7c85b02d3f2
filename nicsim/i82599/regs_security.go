package i82599

import "nicsim.dev/nicsim/reg"

// securityRegs are what LinkSec and IPsec share (82599 datasheet 8.2.3.12).
//
// Differs: the ready bits are set from the start and stay set, because no frame
// is ever between the security blocks and the rest of the adapter when software
// looks; the datasheet has them set once the path has drained.
var securityRegs = []reg.Row[Device]{
	{Name: "SECTXCTRL", Title: "Security Tx Control", Off: 0x08800, Mask: 0x7, Reset: 0x1, Spec: "8.2.3.12.1", Wrote: (*Device).wroteSECCTRL},
	{Name: "SECTXSTAT", Title: "Security Tx Status", Off: 0x08804, Mode: reg.RO, Reset: 0x1, Spec: "8.2.3.12.2"},
	{Name: "SECTXBUFFAF", Title: "Security Tx Buffer Almost Full", Off: 0x08808, Mask: 0x3FF, Reset: 0x250, Spec: "8.2.3.12.3"},
	{Name: "SECTXMINIFG", Title: "Security Tx Buffer Minimum IFG", Off: 0x08810, Mask: 0x1F0F, Reset: 0x1001, Spec: "8.2.3.12.4"},
	{Name: "SECRXCTRL", Title: "Security Rx Control", Off: 0x08D00, Mask: 0x3, Reset: 0x1, Spec: "8.2.3.12.5", Wrote: (*Device).wroteSECCTRL},
	{Name: "SECRXSTAT", Title: "Security Rx Status", Off: 0x08D04, Mode: reg.RO, Reset: 0x1, Spec: "8.2.3.12.6"},
}

// linkSecRegs are LinkSec (82599 datasheet 8.2.3.13) and its counters for
// transmit, receive, secure channel and association (8.2.3.14 to 8.2.3.17).
var linkSecRegs = []reg.Row[Device]{
	{Name: "LSECTXCAP", Title: "LinkSec Tx Capabilities", Off: 0x08A00, Mode: reg.RO, Reset: 0x9, Spec: "8.2.3.13"},
	{Name: "LSECRXCAP", Title: "LinkSec Rx Capabilities", Off: 0x08F00, Mode: reg.RO, Reset: 0x9, Spec: "8.2.3.13"},
	{Name: "LSECTXCTRL", Title: "LinkSec Tx Control", Off: 0x08A04, Mask: 0xFFFFFF23, Reset: 0xFFFFFF20, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECRXCTRL", Title: "LinkSec Rx Control", Off: 0x08F04, Mask: 0xCC, Reset: 0x80, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECTXSCL", Title: "LinkSec Tx SCI Low", Off: 0x08A08, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECTXSCH", Title: "LinkSec Tx SCI High", Off: 0x08A0C, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECTXSA", Title: "LinkSec Tx SA", Off: 0x08A10, Mask: 0x1F, Spec: "8.2.3.13", Read: (*Device).readLSECTXSA, Wrote: (*Device).wroteLSECTXSA},
	{Name: "LSECTXPN0", Title: "LinkSec Tx SA PN 0", Off: 0x08A14, Spec: "8.2.3.13", Wrote: wroteLSECTXPN(0)},
	{Name: "LSECTXPN1", Title: "LinkSec Tx SA PN 1", Off: 0x08A18, Spec: "8.2.3.13", Wrote: wroteLSECTXPN(1)},
	{Name: "LSECTXKEY0", Title: "LinkSec Tx Key 0", Off: 0x08A1C, N: 4, Mode: reg.WO, Secret: true, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECTXKEY1", Title: "LinkSec Tx Key 1", Off: 0x08A2C, N: 4, Mode: reg.WO, Secret: true, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECRXSCL", Title: "LinkSec Rx SCI Low", Off: 0x08F08, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECRXSCH", Title: "LinkSec Rx SCI High", Off: 0x08F0C, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECRXSA", Title: "LinkSec Rx SA", Off: 0x08F10, N: 2, Mask: 0x7, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECRXSAPN", Title: "LinkSec Rx SA PN", Off: 0x08F18, N: 2, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECRXKEY", Title: "LinkSec Rx Key, four words an association", Off: 0x08F20, N: 8, Mode: reg.WO, Secret: true, Spec: "8.2.3.13", Wrote: (*Device).wroteLinkSec},
	{Name: "LSECTXUT", Title: "Tx Untagged Packet Counter", Off: 0x08A3C, Mode: reg.RC, Spec: "8.2.3.14", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.txUntagged })},
	{Name: "LSECTXPKTE", Title: "Encrypted Tx Packets", Off: 0x08A40, Mode: reg.RC, Spec: "8.2.3.14", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.txEncrypted })},
	{Name: "LSECTXPKTP", Title: "Protected Tx Packets", Off: 0x08A44, Mode: reg.RC, Spec: "8.2.3.14", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.txProtected })},
	{Name: "LSECTXOCTE", Title: "Encrypted Tx Octets", Off: 0x08A48, Mode: reg.RC, Spec: "8.2.3.14", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.txEncryptedOctets })},
	{Name: "LSECTXOCTP", Title: "Protected Tx Octets", Off: 0x08A4C, Mode: reg.RC, Spec: "8.2.3.14", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.txProtectedOctets })},
	{Name: "LSECRXUT", Title: "LinkSec Untagged Rx Packet", Off: 0x08F40, Mode: reg.RC, Spec: "8.2.3.15", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxUntagged })},
	{Name: "LSECRXOCTE", Title: "LinkSec Rx Octets Decrypted", Off: 0x08F44, Mode: reg.RC, Spec: "8.2.3.15", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxDecryptedOctets })},
	{Name: "LSECRXOCTP", Title: "LinkSec Rx Octets Validated", Off: 0x08F48, Mode: reg.RC, Spec: "8.2.3.15", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxValidatedOctets })},
	{Name: "LSECRXBAD", Title: "LinkSec Rx Packet with Bad Tag", Off: 0x08F4C, Mode: reg.RC, Spec: "8.2.3.15", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxBadTag })},
	{Name: "LSECRXNOSCI", Title: "LinkSec Rx Packet No SCI", Off: 0x08F50, Mode: reg.RC, Spec: "8.2.3.15", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxNoSCI })},
	{Name: "LSECRXUNSCI", Title: "LinkSec Rx Packet Unknown SCI", Off: 0x08F54, Mode: reg.RC, Spec: "8.2.3.15", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxUnknownSCI })},
	{Name: "LSECRXUNCH", Title: "LinkSec Rx Unchecked Packets", Off: 0x08F58, Mode: reg.RC, Spec: "8.2.3.16", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxUnchecked })},
	{Name: "LSECRXDELAY", Title: "LinkSec Rx Delayed Packets", Off: 0x08F5C, Mode: reg.RC, Spec: "8.2.3.16", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxDelayed })},
	{Name: "LSECRXLATE", Title: "LinkSec Rx Late Packets", Off: 0x08F60, Mode: reg.RC, Spec: "8.2.3.16", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxLate })},
	{Name: "LSECRXOK", Title: "LinkSec Rx Packet OK", Off: 0x08F64, N: 2, Mode: reg.RC, Spec: "8.2.3.17", Read: linkSecTally(func(c *linkSecCounts, i int) *tally { return &c.rxOK[i] })},
	{Name: "LSECRXINV", Title: "LinkSec Rx Invalid", Off: 0x08F6C, N: 2, Mode: reg.RC, Spec: "8.2.3.17", Read: linkSecTally(func(c *linkSecCounts, i int) *tally { return &c.rxInvalid[i] })},
	{Name: "LSECRXNV", Title: "LinkSec Rx Not Valid", Off: 0x08F74, N: 2, Mode: reg.RC, Spec: "8.2.3.17", Read: linkSecTally(func(c *linkSecCounts, i int) *tally { return &c.rxNotValid[i] })},
	{Name: "LSECRXUNSA", Title: "LinkSec Rx Unused SA", Off: 0x08F7C, Mode: reg.RC, Spec: "8.2.3.17", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxUnusedSA })},
	{Name: "LSECRXNUSA", Title: "LinkSec Rx Not Using SA", Off: 0x08F80, Mode: reg.RC, Spec: "8.2.3.17", Read: linkSecTally(func(c *linkSecCounts, _ int) *tally { return &c.rxNotUsingSA })},
}

// ipsecRegs reach the IPsec tables indirectly (82599 datasheet 8.2.3.18).
var ipsecRegs = []reg.Row[Device]{
	{Name: "IPSTXIDX", Title: "IPsec Tx Index", Off: 0x08900, Mode: reg.SC, Mask: 0xC0001FF9, SelfClear: 0xC0000000, Spec: "8.2.3.18", Wrote: (*Device).wroteIPSTXIDX},
	{Name: "IPSTXKEY", Title: "IPsec Tx Key", Off: 0x08908, N: 4, Secret: true, Spec: "8.2.3.18"},
	{Name: "IPSTXSALT", Title: "IPsec Tx Salt", Off: 0x08904, Secret: true, Spec: "8.2.3.18"},
	{Name: "IPSRXIDX", Title: "IPsec Rx Index", Off: 0x08E00, Mode: reg.SC, Mask: 0xC0001FFF, SelfClear: 0xC0000000, Spec: "8.2.3.18", Wrote: (*Device).wroteIPSRXIDX},
	{Name: "IPSRXIPADDR", Title: "IPsec Rx IP Address", Off: 0x08E04, N: 4, Spec: "8.2.3.18"},
	{Name: "IPSRXSPI", Title: "IPsec Rx SPI", Off: 0x08E14, Spec: "8.2.3.18"},
	{Name: "IPSRXIPIDX", Title: "IPsec Rx IP Index", Off: 0x08E18, Mask: 0x7F, Spec: "8.2.3.18"},
	{Name: "IPSRXKEY", Title: "IPsec Rx Key", Off: 0x08E1C, N: 4, Secret: true, Spec: "8.2.3.18"},
	{Name: "IPSRXSALT", Title: "IPsec Rx Salt", Off: 0x08E2C, Secret: true, Spec: "8.2.3.18"},
	{Name: "IPSRXMOD", Title: "IPsec Rx Mode", Off: 0x08E30, Mask: 0x1F, Spec: "8.2.3.18"},
}
