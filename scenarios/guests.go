package scenarios

import (
	"io"
	"time"

	"nicsim.dev/scenarios/lab/kit"
)

// BootOptions say what "nicsim boot" does.
type BootOptions struct {
	On        string // uml or qemu
	NICs      []string
	Seed      uint64
	ShowKeys  bool
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
	ShowKeys  bool
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
	return k.WriteStatus(out, asJSON)
}
