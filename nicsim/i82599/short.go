package i82599

import (
	"encoding/binary"

	"nicsim.dev/descriptors/ixgbe"
	"nicsim.dev/nicsim"
	"nicsim.dev/offloads/checksum"
	"nicsim.dev/offloads/parse"
	"nicsim.dev/offloads/rss"
)

// The short way of received frames that are of the plainest kind: what the
// stages of receiveBatch do to them, in one pass. FuzzShortWay holds the two equal.

// shortWay says whether the registers ask for nothing but what receiveShort
// does, and nobody watches.
func (d *Device) shortWay() bool {
	f := &d.rx.filters
	return d.probe == nil && !d.mac.keepFCS && !d.time.rx.on && d.linkSec.receiver == nil && !d.linkSec.stale && d.mac.parseTPID != etherIPv4 &&
		!f.filtered && !f.noHash && !f.mode.dcb
}

const etherIPv4 = 0x0800

// shortBatch is what receiveShort finds out about frames: what descriptors say
// of them, and their queues.
type shortBatch struct {
	words  [rxBatchFrames]rxWords
	queues [rxBatchFrames]uint8
}

// receiveShort moves frames from the packet buffer of the first class to their
// rings as long as they are plain, at most a batch of them. It returns how many,
// and their bytes on the wire.
func (d *Device) receiveShort() (done, wire int) {
	if !d.shortWay() {
		return 0, 0
	}
	b := &d.rx.short
	frames := d.mac.buffers[0].front(rxBatchFrames)
	frames = frames[:d.plain(b, frames)]
	for done < len(frames) {
		queue, end := b.queues[done], done+1
		for end < len(frames) && b.queues[end] == queue {
			end++
		}
		q := &d.rx.queues[queue&(numQueues-1)]
		n := q.place(frames[done:end], b.words[done:end])
		q.checksums[sumGood] += uint64(n)
		if done += n; done < end {
			break
		}
	}
	wire = d.stats.countPlain(frames[:done])
	d.pool.PutAll(frames[:done])
	d.mac.remove(0, done, wire-fcsBytes*done)
	return done, wire
}

// plain finds out what the descriptors are to say of frames, and how many of
// them are plain: good, for the station's own address, with right checksums, for
// queues that do nothing special with them.
func (d *Device) plain(s *shortBatch, frames []*nicsim.Frame) int {
	f := &d.rx.filters
	if f.key == nil {
		f.key = rss.NewKey(f.rawKey)
	}
	key, types, own, limit := f.key, f.types, f.first, d.mac.maxBytes-fcsBytes
	for i, frame := range frames {
		b := frame.Data
		if frame.Flags != 0 || len(b) < minFrameBytes || len(b) > limit || binary.LittleEndian.Uint64(b)&broadcast != own {
			return i
		}
		kind := checksum.Plain(b)
		status, ports, info := ixgbe.RxIPCS|ixgbe.RxL4I, rss.TCPv4, ixgbe.RSSTCPIPv4
		switch kind {
		case 0:
			return i
		case parse.IPv4 | parse.UDP:
			status, ports, info = status|ixgbe.RxUDPCS, rss.UDPv4, ixgbe.RSSUDPIPv4
		}
		var hash uint32
		switch {
		case types&ports != 0:
			hash = key.Flow((*[12]byte)(b[26:]))
		case types&rss.IPv4 != 0:
			hash, info = key.Addresses((*[8]byte)(b[26:])), ixgbe.RSSIPv4
		default:
			info = ixgbe.RSSNone
		}
		queue := uint8(0)
		if info != ixgbe.RSSNone {
			queue = f.redirection[hash&127]
		}
		if !d.rx.queues[queue&(numQueues-1)].simple {
			return i
		}
		s.queues[i] = queue
		s.words[i] = rxWords{uint64(ixgbe.RxInfo(kind)<<4|info) | uint64(hash)<<32, uint64(status)}
	}
	return len(frames)
}
