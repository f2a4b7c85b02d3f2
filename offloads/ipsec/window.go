// Package ipsec protects packets with ESP and AH, and opens those that are protected.
package ipsec

import "fmt"

// Sizes of a Window. Less is not allowed (RFC 4303 3.4.3), more is not what Linux
// takes (XFRMA_REPLAY_ESN_MAX).
const (
	MinWindow = 32
	MaxWindow = 4096
)

// Window is a receiver's memory of the sequence numbers that it has accepted: of the highest,
// and of those that are less than a window's size below it (RFC 4303 3.4.3). The ones
// below that are taken for replayed.
//
// Its bits lie in a ring of words, one more than the window needs: to advance is to
// clear words, never to shift (RFC 6479).
type Window struct {
	top   uint64 // the highest accepted number; 0 before the first
	size  uint64
	words []uint64 // a power of two of them
	esn   bool
}

// NewWindow returns an empty window of so many numbers, for sequence numbers of 64 bits
// if esn is set and of 32 if not.
func NewWindow(size int, esn bool) (*Window, error) {
	if size < MinWindow || size > MaxWindow {
		return nil, fmt.Errorf("ipsec: a window of %d: %d to %d were expected", size, MinWindow, MaxWindow)
	}
	words := 2
	for words*64 < size+64 {
		words *= 2
	}
	return &Window{size: uint64(size), words: make([]uint64, words), esn: esn}, nil
}

// Top is the highest number that was accepted, 0 before the first.
func (w *Window) Top() uint64 { return w.top }

// Whole returns the sequence number of which a packet carries the low 32 bits: the one that
// is in the window or ahead of it by less than 2^32 (RFC 4303 A2.1). It is not ok when that
// would be below the first.
func (w *Window) Whole(low uint32) (seq uint64, ok bool) {
	if !w.esn {
		return uint64(low), true
	}
	// The window's lowest number; it may be below 0, and counts modulo 2^64 then.
	bottom := w.top - w.size + 1
	seq = bottom + uint64(low-uint32(bottom))
	return seq, seq < 1<<63
}

// Fresh says whether a number may be that of a packet that was not accepted before.
func (w *Window) Fresh(seq uint64) bool {
	switch {
	case seq == 0: // never sent (RFC 4303 3.3.3)
		return false
	case seq > w.top:
		return true
	case w.top-seq >= w.size:
		return false
	}
	return *w.word(seq)&bit(seq) == 0
}

// Accept remembers a number that is Fresh, of a packet that is known to be genuine.
func (w *Window) Accept(seq uint64) {
	if seq > w.top {
		for i := range min(seq/64-w.top/64, uint64(len(w.words))) {
			*w.word(seq - 64*i) = 0
		}
		w.top = seq
	}
	*w.word(seq) |= bit(seq)
}

func (w *Window) word(seq uint64) *uint64 { return &w.words[seq/64%uint64(len(w.words))] }

func bit(seq uint64) uint64 { return 1 << (seq % 64) }
