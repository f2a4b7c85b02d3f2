//go:build !unix

package control

import (
	"io/fs"
)

// ours says whether a file is the user's own: here the folder above is.
func ours(fs.FileInfo) bool { return true }

// refused says whether an error means that nobody listens. Here that cannot be
// told from other errors, so that dead sockets are passed over, not removed.
func refused(error) bool { return false }
