// Package lab boots kernels with adapters of ours: real guests, in User Mode Linux
// or QEMU, with unmodified drivers.
package lab

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"nicsim.dev/nicsim"
)

// PeerKind is what the cable of an adapter leads to.
type PeerKind string

const (
	PeerNone    PeerKind = "none"
	PeerPair    PeerKind = "pair"    // another adapter
	PeerTAP     PeerKind = "tap"     // an interface of the host's kernel
	PeerCapture PeerKind = "capture" // a file that has every frame the adapter sends
)

// NIC is what a person asks of an adapter.
type NIC struct {
	Model   string
	ID      string
	MAC     [6]byte
	Queues  int    // pairs that the driver may use; 0 for all
	Variant uint16 // PCI device number; 0 for the model's first
	Peer    PeerKind
	With    string // of the peer: an adapter, an interface, a file
}

// nicUsage is the grammar of a NIC.
const nicUsage = "model=82599,id=,mac=,queues=,vfs=,device=10fb|10f7,peer=pair:N|tap:NAME|capture:FILE|none"

// SpecError says what is wrong with a NIC that a person asked for.
type SpecError struct{ Spec, Problem string }

func (e *SpecError) Error() string {
	return fmt.Sprintf("adapter %q: %s\n  expected: %s", e.Spec, e.Problem, nicUsage)
}

// DefaultNICs are two adapters with a cable between them.
var DefaultNICs = []string{"peer=pair:1", "peer=pair:0"}

// maxNICs is what a guest of either kind has places for on its bus.
const maxNICs = 8

// ParseNICs reads the adapters of a guest; none means DefaultNICs. They are named
// nic0, nic1 and so on unless they have an id.
func ParseNICs(specs []string) ([]NIC, error) {
	if len(specs) == 0 {
		specs = DefaultNICs
	}
	if len(specs) > maxNICs {
		return nil, fmt.Errorf("%d adapters; a guest has room for %d", len(specs), maxNICs)
	}
	nics := make([]NIC, len(specs))
	for i, spec := range specs {
		n, err := parseNIC(i, spec)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(nics[:i], func(o NIC) bool { return o.ID == n.ID || o.MAC == n.MAC }) {
			return nil, &SpecError{spec, "another adapter has this id or this MAC address"}
		}
		nics[i] = n
	}
	return nics, joinPairs(nics, specs)
}

// localMAC is the address of adapter i without one: locally administered (IEEE
// 802-2014 8.2).
func localMAC(i int) [6]byte { return [6]byte{0x02, 'n', 'i', 'c', 0, byte(i + 1)} }

func parseNIC(i int, spec string) (NIC, error) {
	n := NIC{Model: "82599", ID: fmt.Sprintf("nic%d", i), MAC: localMAC(i), Peer: PeerNone}
	for field := range strings.SplitSeq(spec, ",") {
		if field == "" {
			continue
		}
		name, v, ok := strings.Cut(field, "=")
		if !ok {
			return n, &SpecError{spec, fmt.Sprintf("%q has no value", field)}
		}
		if err := n.set(name, v); err != nil {
			return n, &SpecError{spec, fmt.Sprintf("%s: %v", field, err)}
		}
	}
	m, err := nicsim.Find(n.Model)
	if err != nil {
		return n, &SpecError{spec, err.Error()}
	}
	if n.Variant != 0 && !slices.Contains(m.Variants, n.Variant) {
		return n, &SpecError{spec, fmt.Sprintf("device %04x: the model has %04x", n.Variant, m.Variants)}
	}
	return n, nil
}

func (n *NIC) set(name, v string) error {
	switch name {
	case "model":
		n.Model = v
	case "id":
		if v == "" || strings.ContainsAny(v, "/ \t") {
			return fmt.Errorf("a name without blanks and slashes was expected")
		}
		n.ID = v
	case "mac":
		m, err := net.ParseMAC(v)
		if err != nil || len(m) != 6 || m[0]&1 != 0 {
			return fmt.Errorf("a unicast MAC address was expected")
		}
		n.MAC = [6]byte(m)
	case "queues":
		q, err := strconv.ParseUint(v, 10, 8)
		if err != nil || q < 1 || q > 63 {
			return fmt.Errorf("a number from 1 to 63 was expected")
		}
		n.Queues = int(q)
	case "vfs":
		if v != "0" {
			return fmt.Errorf("no model has virtual functions")
		}
	case "device":
		d, err := strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 16)
		if err != nil {
			return fmt.Errorf("a PCI device number in hexadecimal was expected")
		}
		n.Variant = uint16(d)
	case "peer":
		kind, with, _ := strings.Cut(v, ":")
		n.Peer, n.With = PeerKind(kind), with
		switch n.Peer {
		case PeerNone:
		case PeerPair, PeerTAP, PeerCapture:
			if with == "" {
				return fmt.Errorf("the name of the peer is missing")
			}
		default:
			return fmt.Errorf("pair:N, tap:NAME, capture:FILE or none was expected")
		}
	default:
		return fmt.Errorf("there is no such property")
	}
	return nil
}

// joinPairs makes With of each adapter on a cable the identity of the other one,
// which needs not say so itself.
func joinPairs(nics []NIC, specs []string) error {
	for i := range nics {
		n := &nics[i]
		if n.Peer != PeerPair {
			continue
		}
		j := slices.IndexFunc(nics, func(o NIC) bool { return o.ID == n.With })
		if k, err := strconv.Atoi(n.With); j < 0 && err == nil && k >= 0 && k < len(nics) {
			j = k
		}
		if j < 0 || j == i {
			return &SpecError{specs[i], fmt.Sprintf("peer=pair:%s: the number, from 0, or the id of another adapter was expected", n.With)}
		}
		o := &nics[j]
		if o.Peer == PeerNone && !strings.Contains(specs[j], "peer=") {
			o.Peer, o.With = PeerPair, n.ID
		}
		if o.Peer != PeerPair || o.With != n.ID && o.With != strconv.Itoa(i) {
			return &SpecError{specs[i], fmt.Sprintf("peer=pair:%s: that adapter has another peer", n.With)}
		}
		n.With = o.ID
	}
	return nil
}
