package bench

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// bulkBytes is the payload of a full segment at an MTU of 1500.
const bulkBytes = 1500 - (headerBytes - l3)

// splitter receives full TCP segments with their headers split off into buffers
// of their own: the frame comes off the wire, is filtered, verified, split,
// written to two buffers and described.
//
// The reference copies the same frames off the wire and then into the same
// buffers, whole, and does nothing else.
type splitter struct {
	*receiver
	frames [][]byte
	wire   [burst][]byte // the reference's
	memory []byte
}

const (
	splitTCP        = 1 << 4 // PSRTYPE (82599 datasheet 8.2.3.7.4)
	headerBufferFor = headerBufferBytes / 64 << 8
)

func newHeaderSplit() (*contest, error) {
	r, err := newReceiver(headerSplit|headerBufferFor, func(a *adapter) { a.write("PSRTYPE", 0, splitTCP) })
	if err != nil {
		return nil, err
	}
	s := &splitter{receiver: r, memory: make([]byte, ringArena)}
	for i := range burst {
		s.frames = append(s.frames, tcpFrame(bulkBytes, 1000, uint32(i*bulkBytes), header.TCPFlagAck))
		s.wire[i] = make([]byte, headerBytes+bulkBytes)
	}
	return &contest{
		ours: load{run: s.ours, check: s.check}, reference: load{run: s.reference, check: s.checkReference},
		unit: "GB/s", scale: 1e-9,
	}, nil
}

func (s *splitter) ours(n int) (done int, _ time.Duration, err error) {
	for ; done < n; done += burst * (headerBytes + bulkBytes) {
		s.deliver(s.frames)
		if err := s.harvest(); err != nil {
			return done, 0, err
		}
	}
	return done, 0, nil
}

func (s *splitter) check() error {
	if len(s.last) != burst {
		return fmt.Errorf("%d packets arrived of %d", len(s.last), burst)
	}
	for i, p := range s.last {
		b, h := int(bufferAt(p.buffer)), headersAt+p.buffer*headerBufferBytes
		if p.header != headerBytes || !bytes.Equal(s.mem[h:h+headerBytes], s.frames[i][:headerBytes]) ||
			p.bytes != bulkBytes || !bytes.Equal(s.mem[b:b+bulkBytes], s.frames[i][headerBytes:]) {
			return fmt.Errorf("packet %d was not split after its TCP header: %+v", i, p)
		}
	}
	return s.drops()
}

func (s *splitter) reference(n int) (done int, _ time.Duration, err error) {
	for at := 0; done < n; done += burst * (headerBytes + bulkBytes) {
		for i, f := range s.frames {
			copy(s.wire[i], f)
		}
		for _, f := range s.wire {
			copy(s.memory[bufferAt(at):], f)
			at = (at + 1) % ringDescriptors
		}
	}
	return done, 0, nil
}

func (s *splitter) checkReference() error {
	if !bytes.Equal(s.memory[bufferAt(burst-1):][:headerBytes+bulkBytes], s.frames[burst-1]) {
		return errors.New("the reference copied something else")
	}
	return nil
}
