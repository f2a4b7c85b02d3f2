package kit

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// lockInterval is how often a setup looks whether another has ended.
const lockInterval = 200 * time.Millisecond

// lock waits until no other setup works in dir. The file is held open by the
// programs that setup starts, so that those of one that was killed are waited
// for as well; they end soon, for nobody reads what they print.
func lock(ctx context.Context, dir string, p *progress) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	ok, err := tryLock(f)
	if err == nil && !ok {
		p.say("setup", "waiting for another setup in %s%s", dir, holder(f))
		err = p.during("setup", func() string { return "waiting for another setup" }, func() error { return wait(ctx, f) })
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if err := f.Truncate(0); err == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return f, nil
}

func wait(ctx context.Context, f *os.File) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockInterval):
		}
		if ok, err := tryLock(f); ok || err != nil {
			return err
		}
	}
}

// holder names the process that has the lock.
func holder(f *os.File) string {
	var b [20]byte
	n, _ := f.ReadAt(b[:], 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return " (process " + pid + ")"
	}
	return ""
}
