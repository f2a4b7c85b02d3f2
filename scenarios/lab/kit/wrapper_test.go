//go:build linux

package kit

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// write puts a file into a folder that may not be there yet.
func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
}

// unpacked is a tree whose loader says what it was called with.
func unpacked(t *testing.T) string {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/lib/x86_64-linux-gnu", loader), "#!/bin/sh\necho \"$DATA\" \"$@\"\n", 0o755)
	write(t, filepath.Join(root, "usr/lib/x86_64-linux-gnu/sasl2/libx.so.2"), "", 0o644)
	write(t, filepath.Join(root, "usr/sbin/ip"), "", 0o755)
	return root
}

func TestWrappedProgramRunsInItsTree(t *testing.T) {
	root := unpacked(t)
	tree, err := openTree(root)
	require.NoError(t, err)
	require.NoError(t, tree.wrap(program{name: "ip", env: []string{"DATA=$root/share"}, args: []string{"-L", "$root/x"}}))
	moved := filepath.Join(t.TempDir(), "moved here")
	require.NoError(t, os.Rename(root, moved))
	out, err := exec.Command(filepath.Join(moved, "bin/ip"), "-br", "a b").CombinedOutput()
	require.NoError(t, err, "%s", out)
	in := moved + "/bin/.."
	require.Equal(t, in+"/share --argv0 "+moved+"/bin/ip --library-path "+in+"/usr/lib/x86_64-linux-gnu/sasl2 "+
		in+"/usr/sbin/ip -L "+in+"/x -br a b\n", string(out))
}

func TestProgramIsReplacedInItsPlace(t *testing.T) {
	root := unpacked(t)
	cc1 := filepath.Join(root, "usr/lib/gcc/x86_64-linux-gnu/12/cc1")
	write(t, cc1, "", 0o755)
	tree, err := openTree(root)
	require.NoError(t, err)
	require.NoError(t, tree.replace(cc1))
	out, err := exec.Command(cc1, "x.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "/../../../../../usr/lib/gcc/x86_64-linux-gnu/12/cc1.elf x.c\n")
}

func TestTreeWithoutItsLoaderOrProgram(t *testing.T) {
	_, err := openTree(t.TempDir())
	require.ErrorContains(t, err, loader)
	tree, err := openTree(unpacked(t))
	require.NoError(t, err)
	require.ErrorContains(t, tree.wrap(program{name: "tc"}), "no program tc")
}

func TestProgramsWantALoader(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	text := filepath.Join(t.TempDir(), "text")
	write(t, text, "#!/bin/sh\n", 0o755)
	require.False(t, isProgram(text))
	require.False(t, isProgram(self+".none"))
}
