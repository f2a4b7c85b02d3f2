package ixgbe

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// SpellError says which word of a descriptor's text is wrong.
type SpellError struct{ Word, Want string }

func (e *SpellError) Error() string {
	return fmt.Sprintf("descriptor: %q: expected %s", e.Word, e.Want)
}

// Spell writes the descriptor that words describe: its kind, then fields as its
// String method prints them, such as "data Addr=0x1000 DTALEN=60 PAYLEN=60
// Flags=EOP|RS". Kinds are those that a driver posts: legacy-tx, context, data,
// legacy-rx and rx; "raw" takes 16 bytes in hexadecimal.
func Spell(b *[16]byte, words []string) error {
	if len(words) == 0 {
		return &SpellError{"", spellKinds}
	}
	switch kind, rest := words[0], words[1:]; kind {
	case "raw":
		if len(rest) == 1 {
			if v, err := hex.DecodeString(rest[0]); err == nil && len(v) == Size {
				copy(b[:], v)
				return nil
			}
		}
		return &SpellError{strings.Join(rest, " "), "16 bytes in hexadecimal"}
	case "legacy-tx":
		var d LegacyTx
		err := spell(rest, fields{
			"Addr": into(&d.Addr), "Length": into(&d.Length), "Flags": txFlagsAt(&d.Flags),
			"CSO": into(&d.CSO), "CSS": into(&d.CSS), "VLAN": into(&d.VLAN),
		})
		d.Put(b)
		return err
	case "data":
		var d AdvData
		err := spell(rest, fields{
			"Addr": into(&d.Addr), "DTALEN": into(&d.DTALEN), "PAYLEN": into(&d.PAYLEN), "Flags": txFlagsAt(&d.Flags),
		})
		d.Put(b)
		return err
	case "context":
		var d AdvContext
		err := spell(rest, fields{
			"MACLEN": into(&d.MACLEN), "IPLEN": into(&d.IPLEN), "L4LEN": into(&d.L4LEN), "MSS": into(&d.MSS),
			"VLAN": into(&d.VLAN), "Flags": contextFlagsAt(&d.Flags),
			"SAIndex": into(&d.SAIndex), "IPS_ESP_LEN": into(&d.ESPLEN), "FCoEF": into(&d.FCoEF),
		})
		d.Put(b)
		return err
	case "rx":
		var d AdvRx
		var dd uint8
		err := spell(rest, fields{"Addr": into(&d.Addr), "Header": into(&d.Header), "DD": into(&dd)})
		d.DD = dd != 0
		d.Put(b)
		return err
	case "legacy-rx":
		var d LegacyRx
		err := spell(rest, fields{"Addr": into(&d.Addr)})
		d.Put(b)
		return err
	}
	return &SpellError{words[0], spellKinds}
}

const spellKinds = "legacy-tx, context, data, legacy-rx, rx or raw"

// fields set the parts of a descriptor from text.
type fields map[string]func(string) bool

func spell(words []string, f fields) error {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		set, ok := f[name]
		if !ok {
			var known []string
			for n := range f {
				known = append(known, n)
			}
			slices.Sort(known)
			return &SpellError{w, "a field: " + strings.Join(known, ", ")}
		}
		if !set(value) {
			return &SpellError{w, "a value that fits " + name}
		}
	}
	return nil
}

// into sets an unsigned number of any width.
func into[T ~uint8 | ~uint16 | ~uint32 | ~uint64](p *T) func(string) bool {
	return func(s string) bool {
		v, err := strconv.ParseUint(s, 0, 64)
		*p = T(v)
		return err == nil && uint64(*p) == v
	}
}

func txFlagsAt(p *TxFlags) func(string) bool {
	return bits(func(word string) bool {
		if i, ok := strings.CutPrefix(word, "IDX="); ok {
			v, err := strconv.Atoi(i)
			*p |= TxIDX(v)
			return err == nil
		}
		i := slices.Index(txFlagNames, word)
		if i >= 0 {
			*p |= 1 << (i + txFlagShift)
		}
		return i >= 0
	})
}

func contextFlagsAt(p *ContextFlags) func(string) bool {
	return bits(func(word string) bool {
		if i, ok := strings.CutPrefix(word, "IDX="); ok {
			v, err := strconv.Atoi(i)
			*p |= ContextIDX(v)
			return err == nil
		}
		f, ok := contextFlagNames[word]
		*p |= f
		return ok
	})
}

var contextFlagNames = map[string]ContextFlags{
	"SNAP": ContextSNAP, "IPV4": ContextIPv4, "IPV6": 0, "UDP": ContextUDP, "TCP": ContextTCP, "SCTP": ContextSCTP,
	"ESP": ContextESP, "Encryption": ContextEncryption, "FCoE": ContextFCoE, "BCNTLEN": ContextBCNTLEN,
	"L4T=3": ContextL4T,
}

// bits splits words that are joined by "|"; "0" stands for none.
func bits(set func(word string) bool) func(string) bool {
	return func(s string) bool {
		if s == "0" {
			return true
		}
		for word := range strings.SplitSeq(s, "|") {
			if !set(word) {
				return false
			}
		}
		return true
	}
}

// Describe prints what b holds. Kind is tx, or rx or legacy-rx, for what a driver
// posted, with "-done" for what was written back to it. What a Kind prints as
// stands for tx.
func Describe(kind string, b *[16]byte) (string, error) {
	switch kind {
	case "tx", "tx-done", KindLegacy.String(), KindContext.String(), KindData.String(), KindUnknown.String():
		switch TxKind(b) {
		case KindLegacy:
			d, err := ParseLegacyTx(b)
			return d.String(), err
		case KindContext:
			d, err := ParseAdvContext(b)
			return d.String(), err
		case KindData:
			d, err := ParseAdvData(b)
			return d.String(), err
		}
		return fmt.Sprintf("unknown tx Bytes=%x", b[:]), nil
	case "rx":
		return ParseAdvRx(b).String(), nil
	case "rx-done":
		return ParseAdvRxWB(b).String(), nil
	case "legacy-rx":
		return ParseLegacyRx(b).String(), nil
	case "legacy-rx-done":
		return ParseLegacyRxWB(b).String(), nil
	}
	return "", &SpellError{kind, "tx, rx or legacy-rx, or one of them with -done"}
}
