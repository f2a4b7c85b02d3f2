package kit

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

const qemuProgram = "qemu-system-x86_64"

// qemuPackages are QEMU and the firmware that its machine and its network
// adapters load.
var qemuPackages = []string{"qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios", "ipxe-qemu"}

func buildQEMU(ctx context.Context, j *job) error {
	if err := j.unpack(ctx); err != nil {
		return err
	}
	t, err := openTree(j.root)
	if err != nil {
		return err
	}
	err = t.wrap(program{
		name: qemuProgram,
		env:  []string{"QEMU_MODULE_DIR=$root/usr/lib/x86_64-linux-gnu/qemu"},
		args: []string{"-L", "$root/usr/share/qemu", "-L", "$root/usr/share/seabios", "-L", "$root/usr/lib/ipxe/qemu"},
	})
	if err != nil {
		return err
	}
	devices, err := j.run.output(ctx, filepath.Join(j.root, "bin", qemuProgram), "-device", "help")
	if err != nil {
		return err
	}
	if !strings.Contains(devices, `"vfio-user-pci"`) {
		return fmt.Errorf("QEMU %s has no vfio-user-pci, which adapters are served by", j.rec.Version)
	}
	return nil
}
