package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

const (
	// agentPort is the name of the agent's virtio port.
	agentPort = "nicsim"
	// rootShare is the 9p share of the host's files.
	rootShare = "host"
	// firstPlace is the first device number on QEMU's bus that adapters take. QEMU
	// hands out the lowest to devices without one, of which virtme-ng makes a dozen.
	firstPlace = 16
)

// startQEMU boots the machine. The guest's memory is shared, because adapters reach
// it from another process.
func (m *Machine) startQEMU(ctx context.Context, init string, channel net.Conn, theirs *os.File, log *console) (*Guest, error) {
	for i := range m.Setup.Writable {
		m.Setup.Writable[i].Share = fmt.Sprintf("writable%d", i)
	}
	m.Setup.Modules, m.Setup.Busybox = m.Programs.Modules, m.Programs.Busybox
	initrd := m.path("initramfs")
	if err := writeInitramfs(initrd, m.Programs, init); err != nil {
		return nil, err
	}
	cmd := exec.Command(m.Programs.QEMU, m.qemuArgs(initrd)...)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = m.Dir
	return launch(ctx, cmd, channel, log, m.Setup, nil)
}

// qemuArgs describe the machine. Descriptor 3 is the agent's channel.
func (m *Machine) qemuArgs(initrd string) []string {
	memory := m.memoryMiB()
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", fmt.Sprint(max(m.CPUs, 1)), "-m", fmt.Sprint(memory),
		"-kernel", m.Programs.Image, "-initrd", initrd, "-append", strings.Join(m.qemuAppend(), " "),
		"-device", "virtio-serial-pci,id=ports,addr=2", "-chardev", "socket,id=agent,fd=3",
		"-device", "virtserialport,bus=ports.0,chardev=agent,name=" + agentPort,
		"-virtfs", "local,path=/,mount_tag=" + rootShare + ",security_model=none,readonly=on,multidevs=remap",
		"-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng,addr=3",
	}
	if !m.Reboots {
		args = append(args, "-no-reboot")
	}
	for _, w := range m.Setup.Writable {
		args = append(args, "-virtfs", fmt.Sprintf("local,path=%s,mount_tag=%s,security_model=none,multidevs=remap", w.Path, w.Share))
	}
	args = append(args, QEMUOptions(m.Slots, memory, m.RootPorts)...)
	return append(args, m.Devices...)
}

func (m *Machine) qemuAppend() []string {
	words := []string{
		"console=ttyS0", "panic=-1", "tsc=reliable", "no_timer_check", "mitigations=off", "nokaslr", "random.trust_cpu=on",
	}
	if !m.Verbose {
		words = append(words, "quiet", quietLevel)
	}
	return append(words, m.Append...)
}

// vfioUser is QEMU's device for an adapter in another process.
type vfioUser struct {
	Driver string         `json:"driver"`
	ID     string         `json:"id"`
	Bus    string         `json:"bus"`
	Addr   string         `json:"addr,omitempty"`
	ROM    int            `json:"rombar"`
	Socket vfioUserSocket `json:"socket"`
}

type vfioUserSocket struct {
	Path string `json:"path"`
	Type string `json:"type"`
}

// QEMUOptions is what a person adds to the command line of QEMU 10.1 or newer, whose
// machine is a q35, to have these adapters: shared memory, and a device for each.
func QEMUOptions(slots []Slot, memoryMiB int, rootPorts bool) []string {
	options := []string{
		"-machine", "q35,memory-backend=mem",
		"-object", fmt.Sprintf("memory-backend-memfd,id=mem,size=%dM,share=on", memoryMiB),
	}
	for i, s := range slots {
		d := vfioUser{Driver: "vfio-user-pci", ID: s.ID, Bus: "pcie.0", Addr: fmt.Sprintf("%#x", firstPlace+i)}
		d.Socket = vfioUserSocket{s.Socket, "unix"}
		if rootPorts {
			port := fmt.Sprintf("port%d", i)
			options = append(options, "-device", fmt.Sprintf("pcie-root-port,id=%s,bus=pcie.0,addr=%s,chassis=%d,slot=%d", port, d.Addr, i+1, i+1))
			d.Bus, d.Addr = port, ""
		}
		text, err := json.Marshal(d)
		if err != nil {
			panic(err) // strings and numbers
		}
		options = append(options, "-device", string(text))
	}
	return options
}
