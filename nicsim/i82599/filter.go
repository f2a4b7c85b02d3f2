package i82599

import (
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim/eswitch"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/rss"
)

// filters is what the receive filter registers say, made ready for looking at
// frames: registers are read when they are written, never frame by frame.
type filters struct {
	l2Filters

	// Queue selection for frames that no filter is for (7.1.2.1).
	mode        queueMode
	types       rss.Types
	key         *rss.Key // nil until the first frame after rawKey changed
	redirection [128]uint8
	tcOf        [8]uint8 // traffic class of each user priority, RTRUP2TC
	width       [8]uint8 // mask of RSS indices in each traffic class, RQTC

	rawKey   [40]byte
	noHash   bool // RXCSUM.PCSD is clear: report the fragment checksum
	filtered bool // one of the filters below is in use

	ethers etherTypes
	tuples tuples
	flows  *flowDirector // nil while disabled
	flowRegisters

	urgentPriority uint8 // frames of at least this user priority are urgent; noPriority for none
}

// rxClass is what classification says of a frame: where it goes, and what the
// descriptor tells about that.
type rxClass struct {
	queue  uint16
	info   ixgbe.RxInfo
	param  uint32
	status ixgbe.RxStatus
	ptp    bool // an EtherType filter marks it as IEEE 1588
	// toDropQueue is set when a Flow Director filter sent the frame to the drop
	// queue; it is dropped because software leaves that queue disabled.
	toDropQueue bool
}

// queueMode is how MRQC.MRQE makes a queue index out of a traffic class and an
// RSS index (7.1.2.1, table 7-2).
type queueMode struct {
	rss, dcb bool
	shift    uint8 // of the traffic class
	classes  uint8 // mask of traffic classes
}

// queueModes are those without virtualization. Differs: with the others, which
// come with pools, everything goes to queue 0.
var queueModes = [16]queueMode{
	0b0001: {rss: true},
	0b0010: {dcb: true, shift: 4, classes: 7},
	0b0011: {dcb: true, shift: 5, classes: 3},
	0b0100: {dcb: true, shift: 4, classes: 7, rss: true},
	0b0101: {dcb: true, shift: 5, classes: 3, rss: true},
}

// hashTypes are the hash functions that MRQC has bits for (8.2.3.7.12).
const hashTypes = rss.TCPv4 | rss.IPv4 | rss.IPv6 | rss.TCPv6 | rss.UDPv4 | rss.UDPv6

// reset is the state in which no register was written, all of them being zero.
func (f *filters) reset() {
	*f = filters{noHash: true, urgentPriority: noPriority}
	f.setMCSTCTRL(0)
	f.compileAddresses()
	f.compileKeep()
}

// noPriority is above every user priority.
const noPriority = 8

// Bits of RXCSUM (8.2.3.7.5) and IMIRVP (8.2.3.5.15).
const (
	rxcsumPCSD = 1 << 13
	imirvpEN   = 1 << 3
)

// classify chooses the queue in the order of 7.1.2: EtherType, SYN and 5-tuple
// filters, Flow Director, then RSS and traffic class.
func (f *filters) classify(c *rxClass, b []byte, h *parse.Headers) {
	*c = rxClass{info: packetType(h.Kind)}
	index := uint16(0)
	if f.types != 0 {
		index = f.spread(c, b, h)
	}
	if f.mode.dcb {
		tc := f.trafficClass(h) & f.mode.classes
		index = uint16(tc)<<f.mode.shift | index&uint16(f.width[tc])
	}
	c.queue = index
	if f.noHash {
		reportSum(c, b, h)
	}
	if f.filtered {
		f.steer(c, b, h)
	}
}

// packetType is the packet type of a descriptor (7.1.6.2).
func packetType(k parse.Kind) ixgbe.RxInfo {
	info := ixgbe.RxInfo(k&0xFF) << 4
	if k&(parse.ESP|parse.AH) != 0 {
		if k&parse.ESP != 0 {
			info |= ixgbe.PacketESP
		}
		if k&parse.AH != 0 {
			info |= ixgbe.PacketAH
		}
	}
	return info
}

// spread applies RSS (7.1.2.8) and returns the RSS index.
func (f *filters) spread(c *rxClass, b []byte, h *parse.Headers) uint16 {
	if f.key == nil {
		f.key = rss.NewKey(f.rawKey)
	}
	hash, t := f.key.Hash(b, h, f.types)
	if t == rss.TypeNone {
		return 0
	}
	c.info |= ixgbe.RxInfo(t)
	c.param = hash
	return uint16(f.redirection[hash&127])
}

// trafficClass maps the user priority (8.2.3.10.4); an untagged frame has 0.
func (f *filters) trafficClass(h *parse.Headers) uint8 {
	if !tagged(h) {
		return f.tcOf[0]
	}
	return f.tcOf[h.InnerTCI>>13]
}

// reportSum puts the IP identification and, for a UDP fragment, the fragment
// checksum where the hash would be (7.1.6.2, 7.1.13): the sum of everything
// after the IP header, not inverted.
func reportSum(c *rxClass, b []byte, h *parse.Headers) {
	c.info &^= ixgbe.RSSMask
	c.param = 0
	if h.Kind&parse.IPv4 == 0 {
		return
	}
	c.param = uint32(binary.BigEndian.Uint16(b[h.L3+4:]))
	if h.Kind&parse.Fragment == 0 || h.Proto != protoUDP || h.Kind&parse.Truncated != 0 {
		return
	}
	c.param |= uint32(checksum.Sum(b[h.L3End:h.End], 0)) << 16
	if h.Kind&parse.FirstFragment != 0 && h.L4 != 0 && binary.BigEndian.Uint16(b[h.L4+6:]) != 0 {
		c.status |= ixgbe.RxUDPV
	}
}

const (
	protoIPIP = 4
	protoUDP  = 17
	protoIPv6 = 41
)

// steer applies the filters that come ahead of RSS.
func (f *filters) steer(c *rxClass, b []byte, h *parse.Headers) {
	decided := f.ethers.apply(c, h)
	if f.tuples.Len() > 0 && !decided && f.tuples.candidate(h) {
		var k eswitch.Key
		k.Frame(b, h)
		if r := f.tuples.Lookup(&k); r != nil {
			f.tuples.act(c, r, len(b))
			decided = true
		}
	}
	if f.flows != nil {
		f.direct(c, b, h, decided)
	}
	if tagged(h) && uint8(h.InnerTCI>>13) >= f.urgentPriority {
		c.status |= ixgbe.RxDYNINT
	}
}

// refilter notes whether any filter of steer is in use.
func (f *filters) refilter() {
	f.filtered = f.ethers.n > 0 || f.tuples.Len() > 0 || f.flows != nil || f.urgentPriority < noPriority
}

func (f *filters) setMRQC(v uint32) {
	f.mode = queueModes[v&15]
	f.types = 0
	if f.mode.rss {
		f.types = rss.Types(v>>16) & hashTypes
	}
}

func (f *filters) setRETA(i int, v uint32) {
	for k := range 4 {
		f.redirection[4*i+k] = uint8(v>>(8*k)) & 15
	}
}

func (f *filters) setRSSRK(i int, v uint32) {
	binary.LittleEndian.PutUint32(f.rawKey[4*i:], v)
	f.key = nil
}

// setRTRUP2TC takes three bits of traffic class for each user priority
// (8.2.3.10.4).
func (f *filters) setRTRUP2TC(v uint32) {
	for i := range f.tcOf {
		f.tcOf[i] = uint8(v>>(3*i)) & 7
	}
}

// setRQTC takes how many bits of RSS index each traffic class uses
// (8.2.3.7.13); there are no more than 4.
func (f *filters) setRQTC(v uint32) {
	for i := range f.width {
		f.width[i] = 1<<min(v>>(4*i)&7, 4) - 1
	}
}

func (f *filters) setRXCSUM(v uint32) { f.noHash = v&rxcsumPCSD == 0 }

func (f *filters) setIMIRVP(v uint32) {
	f.urgentPriority = noPriority
	if v&imirvpEN != 0 {
		f.urgentPriority = uint8(v & 7)
	}
	f.refilter()
}
