package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"nicsim.dev/scenarios/lab/agent"
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
	args := []string{
		fmt.Sprintf("mem=%dM", m.memoryMiB()),
		"rootfstype=hostfs", "ro", "init=" + init,
		"con=null", "con0=null,fd:4", "ssl0=fd:3",
		"uml_dir=" + m.Dir, "umid=guest",
		"panic=-1",
		fmt.Sprintf("virtio_pcidev.max_delay_us=%d", umlReadPatience.Microseconds()),
	}
	if !m.Verbose {
		args = append(args, quietLevel)
	}
	if m.CPUs > 1 {
		// The bus has no lock: whatever touches an adapter's registers stays on
		// one processor.
		args = append(args, "seccomp=on", fmt.Sprintf("ncpus=%d", m.CPUs),
			fmt.Sprintf("isolcpus=domain,managed_irq,1-%d", m.CPUs-1), "workqueue.unbound_cpus=0")
	}
	for _, s := range m.Slots {
		args = append(args, fmt.Sprintf("virtio_uml.device=%s:%d", s.Socket, umlPCI))
	}
	args = append(args, m.Append...)
	return append(args, "--", agent.InitWord, "ttyS0")
}

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
	cmd.ExtraFiles = []*os.File{theirs, in}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = m.Dir
	cmd.Env = environment("TMPDIR=" + sharedMemory)
	return launch(ctx, cmd, channel, log, m.Setup)
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
