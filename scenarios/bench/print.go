package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// printer writes results as they come.
type printer struct {
	w     io.Writer
	json  bool
	begun bool
}

func (p *printer) print(r Result) error {
	if p.json {
		r.Value, r.Reference, r.Ratio = round(r.Value), round(r.Reference), round(r.Ratio)
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.w, "%s\n", b)
		return err
	}
	if !p.begun {
		p.begun = true
		if _, err := fmt.Fprintf(p.w, "%-10s %14s %14s %7s\n", "benchmark", "ours", "reference", "ratio"); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%-10s %14s %14s %7.2f  against %s", r.Name, quantity(r.Value, r.Unit), quantity(r.Reference, r.Unit), r.Ratio, r.Against)
	if r.Note != "" {
		line += "; " + r.Note
	}
	_, err := fmt.Fprintln(p.w, line)
	return err
}

func quantity(v float64, unit string) string {
	digits := max(0, 2-int(math.Floor(math.Log10(math.Max(math.Abs(v), 1e-3)))))
	return fmt.Sprintf("%.*f %s", digits, v, unit)
}

// round leaves five digits that count.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*unit) / unit
}
