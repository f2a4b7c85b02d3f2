//go:build unix

package control

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func mode(t *testing.T, path string) os.FileMode {
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestPermissions(t *testing.T) {
	dir := runtimeDir(t)
	old := syscall.Umask(0) // which must not matter
	defer syscall.Umask(old)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nicsim"), 0o777))
	s, err := Listen(Config{Topology: "pair"})
	require.NoError(t, err)
	defer s.Close()
	require.EqualValues(t, 0o600, mode(t, s.Path()))
	require.EqualValues(t, 0o700, mode(t, filepath.Dir(s.Path())))
}

func TestAFolderThatIsNotOurs(t *testing.T) {
	dir := runtimeDir(t)
	nicsim := filepath.Join(dir, "nicsim")
	require.NoError(t, os.Symlink(t.TempDir(), nicsim))
	_, err := Listen(Config{Topology: "pair"})
	require.ErrorContains(t, err, "expected "+nicsim+" to be a folder of user")

	if os.Getuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	require.NoError(t, os.Remove(nicsim))
	require.NoError(t, os.Mkdir(nicsim, 0o777))
	require.NoError(t, os.Chown(nicsim, 65534, 65534))
	_, err = Listen(Config{Topology: "pair"})
	require.ErrorContains(t, err, "to be a folder of user 0")
}

func TestDirWithoutRuntimeDir(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for _, unusable := range []string{"", "relative"} {
		t.Setenv("XDG_RUNTIME_DIR", unusable)
		require.Equal(t, filepath.Join(tmp, "nicsim-"+strconv.Itoa(os.Getuid())), Dir())
	}
}
