package lab

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a shell makes of virtme-ng's arguments: QEMU's options are one word with the name
// of the option, because virtme-ng takes a word that begins with a dash for another one.
func TestVirtmeOptions(t *testing.T) {
	nics := []NIC{{ID: "nic0"}, {ID: "nic1"}}
	options, err := VirtmeOptions(nics, "/run/a b", "/opt/qemu", 512)
	require.NoError(t, err)
	out, err := exec.Command("sh", "-c", "printf '%s\\n' "+options).Output()
	require.NoError(t, err)
	words := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Equal(t, []string{"--disable-microvm", "--memory", "512M", "--qemu", "/opt/qemu"}, words[:5])
	require.Len(t, words, 6)
	qemu, found := strings.CutPrefix(words[5], "--qemu-opts=")
	require.True(t, found)
	out, err = exec.Command("sh", "-c", "printf '%s\\n' "+qemu).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "\n"+`{"driver":"vfio-user-pci","id":"nic1","bus":"pcie.0","addr":"0x11","rombar":0,"socket":{"path":"/run/a b/nic1.sock","type":"unix"}}`+"\n")
}
