package root

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "nicsim.dev"

// source is one Go file of the repository.
type source struct {
	path string // "offloads/rss/rss.go"
	dir  string // "offloads/rss", "." for the root
	test bool
	file *ast.File
	text []byte
}

// sources reads the repository, inside the first test that asks, so that "go
// test" knows which files the result depends on.
var sources = sync.OnceValue(func() []source {
	var all []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		p = filepath.ToSlash(p)
		all = append(all, source{p, path.Dir(p), strings.HasSuffix(p, "_test.go"), f, text})
		return nil
	})
	if err != nil {
		panic(err)
	}
	return all
})

// packages are the folders that hold Go files other than tests.
func packages() []string {
	seen := map[string]bool{}
	for _, s := range sources() {
		if !s.test {
			seen[s.dir] = true
		}
	}
	var dirs []string
	for d := range seen {
		dirs = append(dirs, d)
	}
	slices.Sort(dirs)
	return dirs
}

func (s source) imports() []string {
	var list []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		list = append(list, p)
	}
	return list
}

// layers in the order in which they may import: each those after it.
var layers = []string{"cmd", "scenarios", "tapbridge", "nicsim", "offloads", "descriptors"}

// layerOf returns the place of a folder among the layers.
func layerOf(dir string) int {
	top, _, _ := strings.Cut(dir, "/")
	return slices.Index(layers, top)
}

// ours returns the folder of an import of this module.
func ours(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// below says whether dir is parent or inside it.
func below(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

// testHelpers may be imported by the tests of any package.
var testHelpers = []string{"scenarios/need"}

func TestImportsPointOneWay(t *testing.T) {
	for _, s := range sources() {
		for _, imported := range s.imports() {
			dir, ok := ours(imported)
			if !ok || s.test && slices.Contains(testHelpers, dir) {
				continue
			}
			if dir == "." {
				require.Equal(t, "scenarios", strings.Split(s.dir, "/")[0], "%s imports the root package; only scenarios may", s.path)
				continue
			}
			require.NotEqual(t, ".", s.dir, "%s: the root package imports nothing of ours", s.path)
			require.LessOrEqual(t, layerOf(s.dir), layerOf(dir), "%s imports %s, which is to its left", s.path, imported)
		}
	}
}

// models are the folders of hardware models: those in nicsim that call
// nicsim.Register.
func models() []string {
	var dirs []string
	for _, s := range sources() {
		if layerOf(s.dir) == layerOf("nicsim") && !s.test && bytes.Contains(s.text, []byte("nicsim.Register(")) {
			dirs = append(dirs, s.dir)
		}
	}
	return dirs
}

func TestModelsAreReachedByRegistration(t *testing.T) {
	require.NotEmpty(t, models())
	listed := map[string]string{}
	for _, s := range sources() {
		for _, i := range s.file.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			dir, _ := ours(p)
			for _, m := range models() {
				if !below(dir, m) || below(s.dir, m) {
					continue
				}
				if s.test && layerOf(s.dir) < layerOf("nicsim") {
					continue // a test may choose its model
				}
				require.True(t, i.Name != nil && i.Name.Name == "_", "%s imports model %s by name", s.path, m)
				require.Empty(t, listed[m], "models are listed in one place; %s is in %s too", m, s.path)
				listed[m] = s.path
			}
		}
	}
}

// allowed are the third-party packages that each layer may import, tests apart.
var allowed = map[string][]string{
	"descriptors": nil,
	"offloads": {
		"gvisor.dev/gvisor/pkg/tcpip", "gvisor.dev/gvisor/pkg/tcpip/header", "gvisor.dev/gvisor/pkg/tcpip/checksum",
		"golang.org/x/crypto", "github.com/cilium/ebpf", "github.com/tetratelabs/wazero",
	},
	"nicsim": {"gvisor.dev/gvisor/pkg/tcpip/header", "gvisor.dev/gvisor/pkg/tcpip/checksum"},
	"tapbridge": {
		"gvisor.dev/gvisor", "github.com/songgao/water", "github.com/vishvananda/netlink", "github.com/vishvananda/netns",
		"golang.org/x/sys",
	},
	"scenarios": {
		"gvisor.dev/gvisor", "github.com/rogpeppe/go-internal", "github.com/prometheus/client_golang",
		"golang.zx2c4.com/wireguard", "golang.org/x/sys", "github.com/vishvananda/netlink", "github.com/vishvananda/netns",
		"github.com/cavaliergopher/cpio", "github.com/cilium/ebpf",
	},
	"cmd": {"github.com/alecthomas/kong"},
}

// metrics is the one package that may know Prometheus.
const metrics = "scenarios/metrics"

func TestThirdPartyPackagesStayInTheirLayer(t *testing.T) {
	for _, s := range sources() {
		if s.test || s.dir == "." {
			continue
		}
		layer := layers[layerOf(s.dir)]
		for _, imported := range s.imports() {
			if _, ok := ours(imported); ok || !strings.Contains(strings.Split(imported, "/")[0], ".") {
				continue
			}
			if slices.ContainsFunc(allowed[layer], func(a string) bool { return below(imported, a) }) &&
				(!strings.Contains(imported, "prometheus") || s.dir == metrics) {
				continue
			}
			t.Errorf("%s imports %s, which %s may not", s.path, imported, layer)
		}
	}
}

// What the adapter and everything below it may not ask of the host: it has no
// wall clock and makes no system calls.
var hostPackages = []string{"os", "os/exec", "syscall", "net", "time", "golang.org/x/sys"}

func TestTheAdapterDoesNotTouchTheHost(t *testing.T) {
	for _, s := range sources() {
		if s.test || layerOf(s.dir) < layerOf("nicsim") {
			continue
		}
		for _, imported := range s.imports() {
			require.False(t, slices.ContainsFunc(hostPackages, func(h string) bool { return imported == h || h != "net" && h != "os" && below(imported, h) }),
				"%s imports %s", s.path, imported)
		}
	}
}

var section = regexp.MustCompile(`^\d+(\.\d+)+`)

func TestRegistersCiteTheirSection(t *testing.T) {
	rows := 0
	for _, s := range sources() {
		if s.test || layerOf(s.dir) != layerOf("nicsim") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			fields := map[string]ast.Expr{}
			for _, e := range lit.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if k, ok := kv.Key.(*ast.Ident); ok {
						fields[k.Name] = kv.Value
					}
				}
			}
			if fields["Name"] == nil || fields["Off"] == nil {
				return true
			}
			rows++
			spec, _ := fields["Spec"].(*ast.BasicLit)
			require.NotNil(t, spec, "%s: a register row at %#x cites no section", s.path, fields["Off"])
			text, _ := strconv.Unquote(spec.Value)
			require.Regexp(t, section, text, "%s", s.path)
			return false
		})
	}
	require.Positive(t, rows)
}

func TestNothingIsLeftForLater(t *testing.T) {
	later := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, s := range sources() {
		for _, c := range s.file.Comments {
			require.Empty(t, later.FindString(c.Text()), s.path)
		}
	}
}

func TestFilesHoldOneThought(t *testing.T) {
	const lines = 700
	for _, s := range sources() {
		require.LessOrEqual(t, bytes.Count(s.text, []byte("\n")), lines, "%s is longer than %d lines", s.path, lines)
	}
}

func TestArchitectureNamesAnInvariantOfEachPackage(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	require.NoError(t, err)
	// "### `offloads/rss`" up to the next heading
	parts := regexp.MustCompile("(?m)^#+ `([^`]+)`.*$").FindAllSubmatchIndex(text, -1)
	described := map[string]string{}
	for i, p := range parts {
		end := len(text)
		if i+1 < len(parts) {
			end = parts[i+1][0]
		}
		described[string(text[p[2]:p[3]])] = string(text[p[1]:end])
	}
	for _, dir := range packages() {
		require.NotEmpty(t, described[dir], "ARCHITECTURE.md has no heading for package `%s`", dir)
		require.Equal(t, 1, strings.Count(described[dir], "**Invariant:**"), "ARCHITECTURE.md: `%s` has one **Invariant:** line", dir)
	}
	for dir := range described {
		require.DirExists(t, dir, "ARCHITECTURE.md describes a package that is not there")
	}
}

// A row of the feature table says "yes" and names the scenarios that show it.
func TestFeatureTableIsTrue(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(text), "<!-- features -->")
	require.True(t, ok)
	link := regexp.MustCompile(`\((testdata/scripts/[^)]+\.txtar)\)`)
	claims := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if !strings.HasPrefix(line, "|") {
			if claims > 0 {
				break
			}
			continue
		}
		if len(cells) < 4 || !strings.Contains(cells[2], "yes") {
			continue
		}
		claims++
		links := link.FindAllStringSubmatch(line, -1)
		require.NotEmpty(t, links, "README.md claims%sand names no scenario", cells[1])
		for _, l := range links {
			script, err := Testdata.ReadFile(l[1])
			require.NoError(t, err, "README.md names a scenario that is not bundled")
			commands, _, _ := bytes.Cut(script, []byte("\n-- ")) // files follow
			require.NotRegexp(t, `(?m)^(skip|stop)\b`, string(commands), "%s does not run", l[1])
		}
	}
	require.Positive(t, claims)
}
