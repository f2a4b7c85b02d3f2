package kit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheBusGetsItsLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, filepath.FromSlash(busFile))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	text := "// head\nstatic int virtio_pcidev_send_cmd(int a)\n{ one }\n\n" +
		"static unsigned long virtio_pcidev_cfgspace_read(int b)\n{ virtio_pcidev_send_cmd }\n\n" +
		"static void virtio_pcidev_cmd_vq_cb(int c)\n{ two }\n\nstatic void virtio_pcidev_irq_vq_cb(int d)\n{ three }\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	require.NoError(t, fixBus(dir))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, want := range []string{
		"static int unlocked_virtio_pcidev_send_cmd(int a)\n{ one }\n",
		"ret = unlocked_virtio_pcidev_send_cmd(dev,",
		"static unsigned long virtio_pcidev_cfgspace_read(int b)\n{ virtio_pcidev_send_cmd }\n",
		"static void unlocked_virtio_pcidev_cmd_vq_cb(int c)\n{ two }\n",
		"unlocked_virtio_pcidev_cmd_vq_cb(vq);",
		"static void virtio_pcidev_irq_vq_cb(int d)\n{ three }\n",
	} {
		require.Equal(t, 1, strings.Count(string(got), want), "%s in\n%s", want, got)
	}
	require.ErrorContains(t, fixBus(t.TempDir()), "no such file")

	require.NoError(t, os.WriteFile(path, []byte("another kernel"), 0o644))
	require.ErrorContains(t, fixBus(dir), "virtio_pcidev_send_cmd is not where it was expected")
}
