package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	umlProgram = "linux"
	// umlObjects is about how many files a build compiles, to tell how far one is.
	umlObjects = 1430
)

// umlEnv makes the same source the same kernel, whoever builds it and when.
var umlEnv = []string{
	"KBUILD_BUILD_USER=nicsim", "KBUILD_BUILD_HOST=lab", "KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970", "KBUILD_BUILD_VERSION=1",
}

// buildUML builds a User Mode Linux that is configured by the architecture's
// defaults and fragments. An interrupted build is gone on with: make knows what
// is done.
func buildUML(ctx context.Context, j *job, fragments ...string) error {
	f, err := parseFragment(fragments...)
	if err != nil {
		return err
	}
	out := filepath.Join(j.root, "build")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	j.doing(func() string { return "configuring" })
	if err := j.kbuild(ctx, nil, out, "defconfig"); err != nil {
		return err
	}
	config := filepath.Join(out, ".config")
	if err := appendTo(config, f.String()); err != nil {
		return err
	}
	if err := j.kbuild(ctx, nil, out, "olddefconfig"); err != nil {
		return err
	}
	whole, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	unmet, err := f.unmet(string(whole))
	if err != nil {
		return err
	}
	for _, line := range unmet {
		j.rec.Warnings = append(j.rec.Warnings, fmt.Sprintf("%q is not in effect in this kernel", line))
	}
	compiled := &objects{}
	j.doing(func() string { return fmt.Sprintf("compiled %d of about %d files", compiled.n.Load(), umlObjects) })
	if err := j.kbuild(ctx, compiled, out, "-j"+strconv.Itoa(j.o.Jobs), "linux"); err != nil {
		return err
	}
	for from, to := range map[string]string{"linux": umlProgram, ".config": "config", "System.map": "System.map"} {
		if err := os.Rename(filepath.Join(out, from), filepath.Join(j.root, to)); err != nil {
			return err
		}
	}
	release, err := j.run.output(ctx, filepath.Join(j.root, umlProgram), "--version")
	if err != nil {
		return err
	}
	j.rec.Release = strings.TrimSpace(release)
	if src := j.kit.parts[Source]; src != nil {
		j.rec.Version = src.Version
	}
	return errors.Join(os.RemoveAll(out), os.Remove(filepath.Join(j.root, "build.log")))
}

// kbuild runs make on the source and adds what it says to build.log.
func (j *job) kbuild(ctx context.Context, watch *objects, out string, targets ...string) error {
	name := filepath.Join(j.root, "build.log")
	log, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{"nice", "make", "-C", j.kit.path(Source), "ARCH=um", "O=" + out}, targets...)
	return j.run.run(ctx, command{args: args, env: umlEnv, both: &watched{log, watch}, log: name})
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// objects counts what make says it compiles: lines such as "  CC      mm/slub.o".
type objects struct{ n atomic.Int64 }

// watched is a log, of which objects are counted.
type watched struct {
	log *os.File
	o   *objects
}

func (w *watched) Write(p []byte) (int, error) {
	if w.o != nil {
		w.o.n.Add(int64(bytes.Count(p, []byte("  CC "))))
	}
	return w.log.Write(p)
}
