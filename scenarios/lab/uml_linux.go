package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/scenarios/lab/seal"
)

// umlPCI is the virtio device number by which our kernels know a PCI bridge
// (CONFIG_UML_PCI_OVER_VIRTIO_DEVICE_ID).
const umlPCI = 1234

// sharedMemory is a file system in memory that allows mappings with code in them:
// where User Mode Linux keeps its guest's memory.
const sharedMemory = "/dev/shm"

// umlReadPatience is for how long a guest waits for the answer to a read. After the
// kernel's own 40 ms, which a busy host exceeds, it would give up on the adapter and
// use the message's memory for another while we read it.
const umlReadPatience = 20 * time.Second

// quietLevel has a kernel print warnings and worse.
const quietLevel = "loglevel=5"

// umlArgs are the arguments of a User Mode Linux kernel. Descriptors 3 and 4 are
// the agent's channel and the console.
func (m *Machine) umlArgs(init string) []string {
	dir := m.Dir
	if m.Travel != "" {
		// The kernel makes random numbers of its command line, among other things:
		// names that differ from run to run stay out of it.
		dir, init = folderFile, programFile
	}
	args := []string{
		fmt.Sprintf("mem=%dM", m.memoryMiB()),
		"rootfstype=hostfs", "ro", "init=" + init,
		"con=null", "con0=null,fd:4", "ssl0=fd:3",
		"uml_dir=" + dir, "umid=guest",
		"panic=-1",
		fmt.Sprintf("virtio_pcidev.max_delay_us=%d", umlReadPatience.Microseconds()),
	}
	if !m.Verbose {
		args = append(args, quietLevel)
	}
	if m.CPUs > 1 {
		// In a kernel that the lab did not build the bus has no lock: whatever
		// touches an adapter's registers stays on one processor.
		args = append(args, "seccomp=on", fmt.Sprintf("ncpus=%d", m.CPUs),
			fmt.Sprintf("isolcpus=domain,managed_irq,1-%d", m.CPUs-1), "workqueue.unbound_cpus=0")
	}
	for _, s := range m.Slots {
		args = append(args, fmt.Sprintf("virtio_uml.device=%s:%d", strings.Replace(s.Socket, m.Dir, dir, 1), umlPCI))
	}
	if m.Travel != "" {
		args = append(args, "time-travel=ext:1:"+strings.Replace(m.Travel, m.Dir, dir, 1))
	}
	args = append(args, m.Append...)
	args = append(args, "--", agent.InitWord, "ttyS0")
	if m.Setup.Command != nil {
		args = append(args, filepath.Join(dir, setupFile))
	}
	return args
}

// FirstFile is the descriptor of the first of a machine's Files.
const FirstFile = 5

// Descriptors 5 and 6 of a guest that travels in time are the machine's folder and
// the guest's init.
const (
	folderFile  = "/proc/self/fd/5"
	programFile = "/proc/self/fd/6"
)

// setupFile is where a guest that is told everything at once finds its setup.
const setupFile = "setup.json"

func (m *Machine) startUML(ctx context.Context, init string, channel net.Conn, theirs *os.File, log *console) (*Guest, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	go func() {
		defer out.Close()
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			log.Write(buf[:n])
		}
	}()
	cmd := exec.Command(m.Programs.UML, m.umlArgs(init)...)
	if m.Setup.Command != nil {
		text, err := json.Marshal(m.Setup)
		if err == nil {
			err = os.WriteFile(m.path(setupFile), text, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	cmd.ExtraFiles = append([]*os.File{theirs, in}, m.Files...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = m.Dir
	cmd.Env = environment("TMPDIR=" + sharedMemory)
	if m.Travel != "" {
		for _, path := range []string{m.Dir, init} {
			f, err := os.Open(path)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
		started, err := seal.Command(cmd, init, m.Seed)
		if err != nil {
			return nil, err
		}
		defer started()
	}
	return launch(ctx, cmd, channel, log, m.Setup, m.first)
}

// UMLOptions is what a person adds to the command line of User Mode Linux to have
// these adapters.
func UMLOptions(slots []Slot) string {
	var options []string
	for _, s := range slots {
		options = append(options, fmt.Sprintf("virtio_uml.device=%s:%d", s.Socket, umlPCI))
	}
	return strings.Join(options, " ")
}
