package lab

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"

	"nicsim.dev/scenarios/lab/agent"
)

// bootModules are what a kernel needs to reach the host's files and the agent's
// channel, with what they depend on.
var bootModules = []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio-rng"}

// writeInitramfs writes the file system from which a kernel in QEMU starts: a script
// that mounts the host's files and goes on with init from there.
func writeInitramfs(at string, p Programs, init string) error {
	var modules []string
	if p.Modules != "" {
		var err error
		if modules, err = withDependencies(p.Modules, bootModules); err != nil {
			return err
		}
	}
	var buf bytes.Buffer
	a := archive{w: cpio.NewWriter(&buf)}
	for _, d := range []string{"dev", "proc", "host", "modules"} {
		a.dir(d)
	}
	a.file("busybox", p.Busybox)
	var script strings.Builder
	fmt.Fprintf(&script, "#!/busybox sh\nset -e\nbb=/busybox\n$bb mount -t proc proc /proc\n")
	for _, m := range modules {
		a.file("modules/"+path.Base(m), filepath.Join(p.Modules, m))
		fmt.Fprintf(&script, "$bb insmod /modules/%s\n", path.Base(m))
	}
	fmt.Fprintf(&script, "$bb mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose %s /host\n", rootShare)
	fmt.Fprintf(&script, "$bb mount -t devtmpfs dev /host/dev\n$bb umount /proc\nexec $bb switch_root /host %q %s virtio:%s\n", init, agent.InitWord, agentPort)
	a.bytes("init", 0o755, []byte(script.String()))
	if err := a.w.Close(); a.err == nil {
		a.err = err
	}
	if a.err != nil {
		return fmt.Errorf("initramfs: %w", a.err)
	}
	return os.WriteFile(at, buf.Bytes(), 0o600)
}

// archive writes a cpio archive and remembers the first error.
type archive struct {
	w   *cpio.Writer
	err error
}

func (a *archive) dir(name string) {
	if a.err == nil {
		a.err = a.w.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeDir | 0o755})
	}
}

func (a *archive) file(name, from string) {
	b, err := os.ReadFile(from)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.bytes(name, 0o755, b)
}

func (a *archive) bytes(name string, mode cpio.FileMode, b []byte) {
	if a.err == nil {
		a.err = a.w.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeReg | mode, Size: int64(len(b))})
	}
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
}

// withDependencies returns the files, below dir, of the modules that names mean, each
// behind those it depends on. What is built into the kernel has none.
func withDependencies(dir string, names []string) ([]string, error) {
	table, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("the kernel's modules: %w", err)
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("the kernel's modules: %w", err)
	}
	byName := map[string][]string{}
	for line := range strings.Lines(string(table)) {
		file, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		byName[moduleName(file)] = append(reversed(strings.Fields(needs)), file)
	}
	inside := map[string]bool{}
	for file := range strings.FieldsSeq(string(builtin)) {
		inside[moduleName(file)] = true
	}
	var files []string
	for _, name := range names {
		needed, ok := byName[moduleName(name)]
		if !ok && !inside[moduleName(name)] {
			return nil, fmt.Errorf("the kernel in %s has no module %s", dir, name)
		}
		for _, f := range needed {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// moduleName is how the kernel calls the module in a file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}

// reversed turns the order of depmod(8), which names a module ahead of what it needs.
func reversed(list []string) []string {
	slices.Reverse(list)
	return list
}
