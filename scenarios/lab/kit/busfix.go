package kit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// busFile is User Mode Linux's PCI bus.
const busFile = "arch/um/drivers/virtio_pcidev.c"

// wrapper is a function of the kernel that gets another one of its name around it.
type wrapper struct {
	begin string // how the definition begins
	next  string // and the one behind it
	name  string
	outer string // of that name, which calls inner
}

// busWrappers let nobody into the bus while somebody is in it. As it is, an interrupt
// that arrives while a read waits for its answer and reads a register itself takes
// that answer away, one that writes puts two entries into one place of the ring, and
// two processors do the same to each other (virtio_pcidev_send_cmd has no lock, as of
// Linux 7.2). Drivers, ixgbe among them, meet this every few seconds under load.
var busWrappers = []wrapper{
	{
		begin: "static int virtio_pcidev_send_cmd(", next: "static unsigned long virtio_pcidev_cfgspace_read(",
		name: "virtio_pcidev_send_cmd",
		outer: `
static DEFINE_RAW_SPINLOCK(bus_lock);

static int virtio_pcidev_send_cmd(struct virtio_pcidev_device *dev,
				  struct virtio_pcidev_msg *cmd, unsigned int cmd_size,
				  const void *extra, unsigned int extra_size,
				  void *out, unsigned int out_size)
{
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&bus_lock, flags);
	ret = inner(dev, cmd, cmd_size, extra, extra_size, out, out_size);
	raw_spin_unlock_irqrestore(&bus_lock, flags);
	return ret;
}
`,
	},
	{
		begin: "static void virtio_pcidev_cmd_vq_cb(", next: "static void virtio_pcidev_irq_vq_cb(",
		name: "virtio_pcidev_cmd_vq_cb",
		outer: `
static void virtio_pcidev_cmd_vq_cb(struct virtqueue *vq)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&bus_lock, flags);
	inner(vq);
	raw_spin_unlock_irqrestore(&bus_lock, flags);
}
`,
	},
}

// fixBus changes the bus in a kernel source. It says so if the source is not what it
// was made for: then it is to be looked at again.
func fixBus(source string) error {
	path := filepath.Join(source, filepath.FromSlash(busFile))
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, w := range busWrappers {
		if text, err = w.apply(text); err != nil {
			return fmt.Errorf("%s: %w", busFile, err)
		}
	}
	return os.WriteFile(path, text, 0o644)
}

// apply gives the kernel's function another name for its definition, and puts the
// outer one behind it.
func (w *wrapper) apply(text []byte) ([]byte, error) {
	inner := "unlocked_" + w.name
	head, rest, ok := bytes.Cut(text, []byte(w.begin))
	body, tail, found := bytes.Cut(rest, []byte(w.next))
	if !ok || !found {
		return nil, fmt.Errorf("%s is not where it was expected", w.name)
	}
	var out bytes.Buffer
	out.Write(head)
	out.WriteString(strings.Replace(w.begin, w.name, inner, 1))
	out.Write(body)
	out.WriteString(strings.Replace(w.outer[1:], "inner(", inner+"(", 1) + "\n" + w.next)
	out.Write(tail)
	return out.Bytes(), nil
}
