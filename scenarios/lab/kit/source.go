package kit

import (
	"context"
	"os"
	"path/filepath"
)

// buildSource unpacks the kernel source, whose package has it in an archive, and
// mends the bus of User Mode Linux.
func buildSource(ctx context.Context, j *job) error {
	if err := j.unpack(ctx); err != nil {
		return err
	}
	packed, err := one(j.root, "usr/src/linux-source-*.tar.xz")
	if err != nil {
		return err
	}
	j.doing(func() string { return "unpacking the source" })
	if err := j.run.run(ctx, command{args: []string{"tar", "-xf", packed, "-C", j.root, "--strip-components=1", "--no-same-owner"}}); err != nil {
		return err
	}
	if err := fixBus(j.root); err != nil {
		return err
	}
	// 160 MB that nobody needs again; usr is a folder of the source as well.
	return os.RemoveAll(filepath.Join(j.root, "usr/src"))
}
