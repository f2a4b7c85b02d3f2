package capture

import "math"

// Classic pcap, draft-ietf-opsawg-pcap: a header of 24 bytes, then records of
// 16 bytes and the packet.
const (
	pcapMicro = 0xA1B2C3D4
	pcapNano  = 0xA1B23C4D
)

// readPcapHeader reads the header from behind its magic on.
func (r *Reader) readPcapHeader() error {
	h, err := r.read(20)
	if err != nil {
		return err
	}
	if major := r.order.Uint16(h); major != 2 {
		return r.malformed("expected pcap version 2, found %d", major)
	}
	// The upper half of the last word tells the length of an FCS.
	r.interfaces = []Interface{{
		SnapBytes: r.order.Uint32(h[12:]),
		LinkType:  uint16(r.order.Uint32(h[16:])),
	}}
	return nil
}

func (r *Reader) nextRecord(p *Packet) error {
	if err := r.atEnd(); err != nil {
		return err
	}
	h, err := r.read(16)
	if err != nil {
		return err
	}
	seconds, units := r.order.Uint32(h), r.order.Uint32(h[4:])
	captured, original := r.order.Uint32(h[8:]), r.order.Uint32(h[12:])
	if captured > maxBlockBytes {
		return r.malformed("expected a packet of at most %d bytes, found %d", maxBlockBytes, captured)
	}
	data, err := r.read(int(captured))
	if err != nil {
		return err
	}
	*p = Packet{
		TimeNS:    int64(seconds)*1e9 + int64(units)*int64(r.pcapUnitNS),
		Data:      data,
		OrigBytes: int(min(max(original, captured), math.MaxInt32)),
	}
	return nil
}
