//go:build unix

package control

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ours says whether a file is the user's own.
func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}

// refused says whether an error means that nobody listens.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
