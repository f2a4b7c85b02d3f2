package dma

import "bytes"

// Remote is memory elsewhere, of which a space can only have copies.
type Remote interface {
	// Read fills p with what is at addr.
	Read(p []byte, addr Addr) error
	// Write puts p at addr, after everything that was written before. It keeps no
	// hold of p and may return before it is done.
	Write(p []byte, addr Addr) error
	// Sync waits until everything is where it was written.
	Sync() error
}

// Bounds of the copies of remote memory: of one, which is the longest ring of a
// device, and of those of a turn.
const (
	maxCopyBytes   = 1 << 20
	maxCopiesBytes = 64 << 20
)

// distant is what a space has of remote memory.
//
// A device works on slices and does not know that they are copies. They are fetched
// when it asks for them, and what it changed of them goes back at Flush: first what
// it holds for the turn, payload, then what it keeps from turn to turn because it
// both reads and writes there, which is where it tells its driver of the payload.
type distant struct {
	memory Remote
	copies []copied
	bytes  int
}

// copied is a part of remote memory.
type copied struct {
	addr     Addr
	now, was []byte // was is nil for memory that may not be read
	access   Access
	lasts    bool // kept over Settle
}

// unitBytes is what a device and a driver hand over as a whole, at multiples of itself:
// what is changed in a unit is written at once, and never a unit that is unchanged,
// for that may be the driver's.
const unitBytes = 16

// SetRemote says how regions of MapRemote are reached.
func (s *Space) SetRemote(r Remote) { s.distant.memory = r }

// MapRemote makes n bytes of remote memory answer at addr.
func (s *Space) MapRemote(addr Addr, n uint64, access Access) error {
	return s.insert(region{start: addr, end: addr + Addr(n), access: access, remote: true})
}

// copyOf is Bytes for remote memory.
func (s *Space) copyOf(addr Addr, n int, access Access) []byte {
	i := s.after(addr) - 1
	if i < 0 || n < 0 || n > maxCopyBytes {
		return nil
	}
	r := s.regions[i]
	if !r.remote || addr >= r.end || Addr(n) > r.end-addr || r.access&access != access {
		return nil
	}
	lasts := access == Read|Write
	c := s.distant.covering(addr, n, lasts)
	if s.distant.otherThan(c, addr, n) { // then all are to be alike
		s.Flush()
	}
	if c == nil {
		if c = s.distant.fetch(addr, n, r.access, lasts); c == nil {
			return nil
		}
	}
	s.hot = region{start: c.addr, end: c.addr + Addr(len(c.now)), mem: c.now, access: r.access, remote: true}
	off := int(addr - c.addr)
	return c.now[off : off+n : off+n]
}

// covering returns a copy that has all of n bytes at addr.
func (d *distant) covering(addr Addr, n int, lasts bool) *copied {
	for i := range d.copies {
		c := &d.copies[i]
		if addr >= c.addr && addr+Addr(n) <= c.addr+Addr(len(c.now)) && (c.lasts || !lasts) {
			return c
		}
	}
	return nil
}

// otherThan says whether another copy has some of n bytes at addr.
func (d *distant) otherThan(c *copied, addr Addr, n int) bool {
	for i := range d.copies {
		o := &d.copies[i]
		if o != c && addr < o.addr+Addr(len(o.now)) && o.addr < addr+Addr(n) {
			return true
		}
	}
	return false
}

// agree gives the other copies what changed in c.
func (d *distant) agree(c *copied) {
	for i := range d.copies {
		o := &d.copies[i]
		if o == c || o.was == nil || c.was == nil {
			continue
		}
		from, to := max(c.addr, o.addr), min(c.addr+Addr(len(c.now)), o.addr+Addr(len(o.now)))
		for at := from; at < to; at++ {
			if v := c.now[at-c.addr]; v != c.was[at-c.addr] {
				o.now[at-o.addr], o.was[at-o.addr] = v, v
			}
		}
	}
}

func (d *distant) fetch(addr Addr, n int, access Access, lasts bool) *copied {
	if d.memory == nil || n > maxCopiesBytes-d.bytes {
		return nil
	}
	c := copied{addr: addr, now: make([]byte, n), access: access, lasts: lasts}
	if access&Read != 0 {
		if d.memory.Read(c.now, addr) != nil {
			return nil
		}
		c.was = bytes.Clone(c.now)
	}
	d.copies = append(d.copies, c)
	d.bytes += n
	return &d.copies[len(d.copies)-1]
}

// Flush makes remote memory what its copies are. Slices of them stay good. It costs
// nothing where there is none. What cannot be written is lost; the error is the first.
func (s *Space) Flush() (err error) {
	d := &s.distant
	wrote := false
	for _, lasts := range [...]bool{false, true} {
		for i := range d.copies {
			c := &d.copies[i]
			if c.lasts != lasts || bytes.Equal(c.now, c.was) {
				continue
			}
			wrote = true
			if e := c.writeBack(d.memory); err == nil {
				err = e
			}
			d.agree(c)
			c.was = append(c.was[:0], c.now...)
		}
	}
	if wrote && err == nil {
		err = d.memory.Sync()
	}
	return err
}

// writeBack writes the units that changed, those beside each other at once.
func (c *copied) writeBack(to Remote) error {
	if c.was == nil {
		return to.Write(c.now, c.addr)
	}
	dirty := -1 // where a stretch of changed units began
	for at := 0; at < len(c.now); {
		end := min(len(c.now), at+unitBytes-int((c.addr+Addr(at))%unitBytes))
		switch same := bytes.Equal(c.now[at:end], c.was[at:end]); {
		case same && dirty >= 0:
			if err := to.Write(c.now[dirty:at], c.addr+Addr(dirty)); err != nil {
				return err
			}
			dirty = -1
		case !same && dirty < 0:
			dirty = at
		}
		at = end
	}
	if dirty < 0 {
		return nil
	}
	return to.Write(c.now[dirty:], c.addr+Addr(dirty))
}

// Settle ends a turn of the device: it flushes, and drops copies that were for the
// turn only. Slices of them are the device's now, and lead nowhere.
func (s *Space) Settle() error {
	d := &s.distant
	if len(d.copies) == 0 {
		return nil
	}
	err := s.Flush()
	kept := d.copies[:0]
	d.bytes = 0
	for _, c := range d.copies {
		if c.lasts {
			kept = append(kept, c)
			d.bytes += len(c.now)
		}
	}
	clear(d.copies[len(kept):])
	d.copies = kept
	if s.hot.remote {
		s.hot = region{}
	}
	if d.bytes > maxCopiesBytes/2 { // of rings that are no longer used, most likely
		s.forget()
	}
	return err
}

// Refresh fetches the copies that last again, for a driver may have written to the
// memory. It follows Settle.
func (s *Space) Refresh() error {
	d := &s.distant
	for i := range d.copies {
		c := &d.copies[i]
		if err := d.memory.Read(c.now, c.addr); err != nil {
			return err
		}
		copy(c.was, c.now)
	}
	return nil
}
