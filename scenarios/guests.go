package scenarios

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"nicsim.dev/scenarios/lab/kit"
)

// BootOptions say what "nicsim boot" does.
type BootOptions struct {
	On        string // uml or qemu
	NICs      []string
	Seed      uint64
	Kernel    string
	Modules   string
	QEMU      string
	CPUs      int
	MemoryMiB int
	Writable  []string
	Append    string
	RootPorts bool
	Console   bool
	Timeout   time.Duration
	Capture   string
	Command   []string
}

// ServeOptions say what "nicsim serve" offers.
type ServeOptions struct {
	On        string
	NICs      []string
	Seed      uint64
	Dir       string
	MemoryMiB int
}

// VirtmeOptions say for which adapters "nicsim vng-args" prints options.
type VirtmeOptions struct {
	NICs      []string
	Dir       string
	MemoryMiB int
}

// LabSetupOptions say what "nicsim lab setup" makes.
type LabSetupOptions struct {
	Dir    string
	Mirror string
	Jobs   int
	Parts  []string
}

// LabStatus prints what parts of the lab there are in dir, the default one if it is
// empty.
func LabStatus(out io.Writer, dir string, asJSON bool) error {
	k, err := kit.Open(dir)
	if err != nil {
		return err
	}
	list := k.Status()
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(list)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "part\tstate\tversion\tMiB\twhat\n")
	for _, p := range list {
		state := string(p.State)
		if p.Optional && p.State == kit.Missing {
			state = "optional"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", p.Name, state, p.Version, p.Bytes>>20, p.What)
	}
	fmt.Fprintf(w, "\nin %s\n", k.Dir())
	return w.Flush()
}
