package kit

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// WriteStatus prints the status of all parts, for a person or as JSON.
func (k *Kit) WriteStatus(out io.Writer, asJSON bool) error {
	list := k.Status()
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PART\tSTATE\tVERSION\tSIZE\tMADE IN\tPATH")
	for _, s := range list {
		if s.State == Missing {
			what := s.What
			if s.Optional {
				what += ", made when asked for by name"
			}
			fmt.Fprintf(w, "%s\t%s\t\t\t\t(%s)\n", s.Name, s.State, what)
			continue
		}
		took := seconds(time.Duration(s.Seconds * float64(time.Second)))
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.State, s.Version, size(s.Bytes), took, s.Path)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range list {
		for _, warning := range s.Warnings {
			fmt.Fprintf(out, "%s: %s\n", s.Name, warning)
		}
	}
	return nil
}
