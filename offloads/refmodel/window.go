package refmodel

// Window remembers every sequence number that was accepted (RFC 4303 3.4.3).
type Window struct {
	Size     uint64
	ESN      bool
	Top      uint64
	Accepted map[uint64]bool
}

// Whole tries the three numbers with these low bits that are near the highest accepted one:
// the right one is at most 2^32-1 above the window's lowest (RFC 4303 A2.1).
func (w *Window) Whole(low uint32) (seq uint64, ok bool) {
	if !w.ESN {
		return uint64(low), true
	}
	lowest := int64(w.Top) - int64(w.Size) + 1
	high := int64(w.Top >> 32)
	for _, h := range []int64{high - 1, high, high + 1} {
		s := h<<32 + int64(low)
		if s >= lowest && s < lowest+1<<32 {
			return uint64(s), s >= 0
		}
	}
	panic("refmodel: 2^32 numbers in a row have all low bits")
}

// Fresh says whether a number may be accepted.
func (w *Window) Fresh(seq uint64) bool {
	return seq > 0 && !w.Accepted[seq] && seq+w.Size > w.Top
}

// Accept remembers a number.
func (w *Window) Accept(seq uint64) {
	w.Accepted[seq] = true
	w.Top = max(w.Top, seq)
}
