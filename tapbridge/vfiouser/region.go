//go:build linux

package vfiouser

import (
	"slices"

	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/pci"
)

// Regions of a PCI device, as in <linux/vfio.h>. Up to numBARs they are the base
// address registers; the expansion ROM and VGA are not there.
const (
	numBARs      = 6
	regionConfig = 7
	numRegions   = 9
)

func (s *session) regionBytes(region uint32) uint64 {
	switch {
	case region < numBARs:
		return uint64(s.fn.BARBytes(int(region)))
	case region == regionConfig:
		return pci.ConfigBytes
	}
	return 0
}

func (s *session) regionInfo(p []byte) ([]byte, error) {
	var m regionInfo
	m.parse(p)
	switch {
	case m.argsz < regionInfoBytes:
		return nil, tooSmall(m.argsz, regionInfoBytes)
	case m.index >= numRegions:
		return nil, refused(unix.EINVAL, "there is no region %d", m.index)
	}
	m = regionInfo{argsz: regionInfoBytes, index: m.index, bytes: s.regionBytes(m.index)}
	if m.bytes > 0 {
		m.flags = regionReadable | regionWriteable
	}
	out := s.scratch(regionInfoBytes)
	m.put(out)
	return out, nil
}

// regionIOFDs tells that no part of a region can be written by a file descriptor.
func (s *session) regionIOFDs(p []byte) ([]byte, error) {
	var m indexInfo
	m.parse(p)
	switch {
	case m.argsz < indexInfoBytes:
		return nil, tooSmall(m.argsz, indexInfoBytes)
	case m.index >= numRegions:
		return nil, refused(unix.EINVAL, "there is no region %d", m.index)
	case m.flags != 0 || m.count != 0:
		return nil, refused(unix.EINVAL, "flags and count must be zero, not %#x and %d", m.flags, m.count)
	}
	m = indexInfo{argsz: indexInfoBytes, index: m.index}
	out := s.scratch(indexInfoBytes)
	m.put(out)
	return out, nil
}

func (s *session) check(m *regionAccess) error {
	if size := s.regionBytes(m.region); m.offset > size || uint64(m.count) > size-m.offset || size == 0 {
		return refused(unix.EINVAL, "%d bytes at %#x of region %d, which has %d", m.count, m.offset, m.region, size)
	}
	if m.count > maxDataBytes {
		return refused(unix.EINVAL, "%d bytes, more than %d (max_data_xfer_size)", m.count, maxDataBytes)
	}
	return nil
}

func (s *session) regionRead(p []byte) ([]byte, error) {
	var m regionAccess
	m.parse(p)
	if err := s.check(&m); err != nil {
		return nil, err
	}
	out := s.scratch(regionAccessBytes + int(m.count))
	m.put(out)
	data := out[regionAccessBytes:]
	switch {
	case m.region == regionConfig:
		s.fn.ConfigRead(data, int(m.offset))
	case len(data) == 4 && m.offset%4 == 0:
		le.PutUint32(data, s.fn.Read32(int(m.region), uint32(m.offset)))
	default:
		s.fn.Read(int(m.region), data, m.offset)
	}
	s.conn.Answered()
	return out, nil
}

func (s *session) regionWrite(p []byte) ([]byte, error) {
	var m regionAccess
	m.parse(p)
	if err := s.check(&m); err != nil {
		return nil, err
	}
	switch data := p[regionAccessBytes:]; {
	case len(data) < int(m.count):
		return nil, violated(unix.EINVAL, "truncated: %d bytes of data, not %d", len(data), m.count)
	case len(data) > int(m.count):
		return nil, refused(unix.EINVAL, "%d bytes of data, not %d", len(data), m.count)
	}
	s.write(&m, p[regionAccessBytes:])
	out := s.scratch(regionAccessBytes)
	m.put(out)
	return out, nil
}

// write does a checked write. Driving a device is also how a driver tells it of what
// it has put into memory.
func (s *session) write(m *regionAccess, data []byte) {
	switch {
	case m.region == regionConfig:
		s.fn.ConfigWrite(data, int(m.offset))
		if s.mayHaveReset(data, int(m.offset)) {
			s.irqs.remask()
		}
	case len(data) == 4 && m.offset%4 == 0:
		s.fn.Write32(int(m.region), uint32(m.offset), le.Uint32(data))
	default:
		s.fn.Write(int(m.region), append(s.scratch(0), data...), m.offset)
	}
	s.fresh = true
}

// regionWriteMulti does the writes in order up to the first that cannot be done, and
// tells how many were. When it is the first one, that is an error.
func (s *session) regionWriteMulti(p []byte) ([]byte, error) {
	count := le.Uint64(p)
	p = slices.Clone(p[multiCountBytes:]) // writes may make the adapter wait for other messages
	if count > uint64(len(p))/multiEntryBytes {
		return nil, violated(unix.EINVAL, "truncated: %d bytes are not %d writes", len(p), count)
	}
	done := uint64(0)
	for ; done < count; done++ {
		var m regionAccess
		m.parse(p)
		err := s.check(&m)
		if err == nil && m.count > multiDataBytes {
			err = refused(unix.EINVAL, "a write of %d bytes among others, where %d fit", m.count, multiDataBytes)
		}
		if err != nil {
			if done == 0 {
				return nil, err
			}
			s.logRefusal(err)
			break
		}
		s.write(&m, p[regionAccessBytes:][:m.count])
		p = p[multiEntryBytes:]
	}
	out := s.scratch(multiCountBytes)
	le.PutUint64(out, done)
	return out, nil
}
