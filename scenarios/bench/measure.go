package bench

import (
	"fmt"
	"slices"
	"time"
)

// contest is ours and its reference, made ready.
type contest struct {
	ours, reference load
	unit            string
	scale           float64 // of units of work a second, to unit
	note            func(value float64) string
	close           func()
}

// load is work to be timed.
type load struct {
	// run does at least n units of work and says how many. It may measure the
	// time itself, to leave out what does not belong to the work; else took is 0.
	run func(n int) (done int, took time.Duration, err error)
	// check says whether what was done last is right.
	check func() error
	least int // units in the first, untimed run; 0 means 1
}

// compare makes a benchmark of a contest.
func compare(prepare func() (*contest, error)) func(*Options) (Result, error) {
	return func(o *Options) (Result, error) {
		c, err := prepare()
		if err != nil {
			return Result{}, err
		}
		if c.close != nil {
			defer c.close()
		}
		return c.measure(o)
	}
}

// measure runs both sides in turn.
func (c *contest) measure(o *Options) (Result, error) {
	sides := [2]*load{&c.ours, &c.reference}
	var sizes [2]int
	for i, l := range sides {
		var err error
		if sizes[i], err = l.calibrate(o.Round); err != nil {
			return Result{}, err
		}
	}
	var rates [2][]float64
	ratios := make([]float64, o.Rounds)
	for round := range o.Rounds {
		for i, l := range sides {
			done, took, err := l.time(sizes[i])
			if err != nil {
				return Result{}, err
			}
			rates[i] = append(rates[i], float64(done)/took.Seconds()*c.scale)
		}
		ratios[round] = rates[0][round] / rates[1][round]
		fmt.Fprint(o.Progress, ".")
	}
	for _, l := range sides {
		if err := l.check(); err != nil {
			return Result{}, err
		}
	}
	r := Result{Value: median(rates[0]), Reference: median(rates[1]), Unit: c.unit, Ratio: median(ratios)}
	if c.note != nil {
		r.Note = c.note(r.Value)
	}
	return r, nil
}

// time runs n units and returns how long that took.
func (l *load) time(n int) (done int, took time.Duration, err error) {
	start := time.Now()
	done, took, err = l.run(n)
	if took == 0 {
		took = time.Since(start)
	}
	return done, max(took, 1), err
}

// calibrate warms up, checks what was done, and finds how many units take about
// as long as a round.
func (l *load) calibrate(round time.Duration) (int, error) {
	n := max(l.least, 1)
	if _, _, err := l.run(n); err != nil {
		return 0, err
	}
	if err := l.check(); err != nil {
		return 0, err
	}
	for {
		done, took, err := l.time(n)
		if err != nil || took >= round {
			return max(n, 1), err
		}
		if took >= round/8 {
			return max(1, int(float64(done)*float64(round)/float64(took))), nil
		}
		n = 2 * max(n, done)
	}
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
