package pair

import (
	"fmt"

	"nicsim.dev/nicsim/sim"
)

// Impairment is what one direction of the wire does to frames. The zero value
// is a perfect wire. Probabilities are for each frame, from 0 to 1, and are
// drawn in the order of the fields.
type Impairment struct {
	Loss      float64 // the frame vanishes
	Duplicate float64 // it arrives twice
	Corrupt   float64 // one of its bits is flipped
	// Reorder is the probability that a frame is overtaken by the next one to
	// three frames, or, when none follow, held back for a millisecond.
	Reorder float64

	// SilentCorruption leaves the frame check sequence right for the damaged
	// bytes, and the Ethernet header alone, so that only the checksums of higher
	// layers notice.
	SilentCorruption bool

	Delay  sim.Time // from the last bit sent to the last bit received
	Jitter sim.Time // up to this much is added to Delay; it does not reorder

	// RateBits is bits a second, counting preamble, frame check sequence and gap
	// between frames; 0 means no limit.
	RateBits int64
}

// BadImpairment is an impairment that no wire can have.
type BadImpairment struct {
	Field, Want string
	Value       any
}

func (e *BadImpairment) Error() string {
	return fmt.Sprintf("impairment: %s is %v, want %s", e.Field, e.Value, e.Want)
}

// maxDelay bounds what may be on the wire at once.
const maxDelay = 10 * sim.Second

func (i *Impairment) check() error {
	for _, p := range []struct {
		name  string
		value float64
	}{{"Loss", i.Loss}, {"Duplicate", i.Duplicate}, {"Corrupt", i.Corrupt}, {"Reorder", i.Reorder}} {
		if !(p.value >= 0 && p.value <= 1) {
			return &BadImpairment{p.name, "a probability from 0 to 1", p.value}
		}
	}
	if i.Delay < 0 || i.Delay > maxDelay {
		return &BadImpairment{"Delay", "0 to 10 s", i.Delay}
	}
	if i.Jitter < 0 || i.Jitter > maxDelay {
		return &BadImpairment{"Jitter", "0 to 10 s", i.Jitter}
	}
	if i.RateBits != 0 && (i.RateBits < minRateBits || i.RateBits > maxRateBits) {
		return &BadImpairment{"RateBits", "1000 to 1e12, or 0 for no limit", i.RateBits}
	}
	return nil
}

const (
	minRateBits = 1_000
	maxRateBits = 1_000_000_000_000
)

// perfect says that frames pass untouched and at once.
func (i *Impairment) perfect() bool {
	j := *i
	j.SilentCorruption = false
	return j == Impairment{}
}
