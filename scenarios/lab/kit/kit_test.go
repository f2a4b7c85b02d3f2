package kit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// put makes a part that is ready in dir.
func put(t *testing.T, dir, part string, change func(*record)) {
	t.Helper()
	for _, r := range recipes() {
		if r.name != part {
			continue
		}
		rec := &record{Part: part, Key: "key of " + part, Recipe: r.fingerprint(), Version: "1", Release: "7.2.12", Bytes: 5, Inputs: map[string]string{}}
		for _, in := range r.inputs {
			rec.Inputs[in] = "key of " + in
		}
		if change != nil {
			change(rec)
		}
		require.NoError(t, os.MkdirAll(filepath.Join(dir, part), 0o755))
		require.NoError(t, rec.write(filepath.Join(dir, part)))
		return
	}
	t.Fatalf("no part %s", part)
}

func open(t *testing.T, dir string) *Kit {
	t.Helper()
	k, err := Open(dir)
	require.NoError(t, err)
	return k
}

func stateOf(t *testing.T, dir, part string) State {
	for _, s := range open(t, dir).Status() {
		if s.Name == part {
			return s.State
		}
	}
	t.Fatalf("no part %s", part)
	return ""
}

func TestStates(t *testing.T) {
	dir := t.TempDir()
	require.Equal(t, Missing, stateOf(t, dir, UML))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, UML), 0o755))
	require.Equal(t, Missing, stateOf(t, dir, UML), "a folder without a record is no part")
	put(t, dir, UML, nil)
	require.Equal(t, Ready, stateOf(t, dir, UML), "the source may be thrown away")
	put(t, dir, Source, nil)
	require.Equal(t, Ready, stateOf(t, dir, UML))
	put(t, dir, Source, func(r *record) { r.Key = "newer" })
	require.Equal(t, Stale, stateOf(t, dir, UML))
	put(t, dir, Source, nil)
	put(t, dir, UML, func(r *record) { r.Recipe = "older" })
	require.Equal(t, Stale, stateOf(t, dir, UML))
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	_, err := open(t, dir).QEMU()
	var missing *MissingError
	require.ErrorAs(t, err, &missing)
	require.EqualError(t, err, `the lab has no qemu yet: run "nicsim lab setup"`)
	for _, p := range []string{QEMU, Stock, UML, UMLSMP, Busybox, Tools, Source} {
		put(t, dir, p, nil)
	}
	k := open(t, dir)
	for _, c := range []struct {
		want string
		path func() (string, error)
	}{
		{"qemu/bin/qemu-system-x86_64", k.QEMU}, {"uml/linux", k.UML}, {"uml-smp/linux", k.UMLSMP},
		{"busybox/busybox", k.Busybox}, {"tools/bin", k.ToolsBin}, {"source", k.Source},
	} {
		path, err := c.path()
		require.NoError(t, err)
		require.Equal(t, filepath.Join(dir, c.want), path)
	}
	kernel, err := k.Stock()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "stock/lib/modules/7.2.12"), kernel.Modules)
	_, err = k.Stock612()
	require.ErrorAs(t, err, &missing)
}

func TestStatusIsReadByPrograms(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, QEMU, func(r *record) { r.Version, r.Seconds = "1:11.1.2", 4.2 })
	b, err := json.Marshal(open(t, dir).Status())
	require.NoError(t, err)
	require.Contains(t, string(b), `{"part":"qemu","what":"QEMU with vfio-user-pci","state":"ready","version":"1:11.1.2","release":"7.2.12","bytes":5,`)
	require.Contains(t, string(b), `{"part":"stock-6.12","what":"Debian's kernel 6.12, which has aer_inject","state":"missing","optional":true}`)
}

func TestStatusIsReadByPeople(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, QEMU, func(r *record) { r.Version, r.Seconds, r.Bytes = "1:11.1.2", 4.2, 177_300_000 })
	put(t, dir, UML, func(r *record) { r.Recipe, r.Warnings = "older", []string{"something is not in effect"} })
	var out bytes.Buffer
	require.NoError(t, open(t, dir).WriteStatus(&out, false))
	require.Regexp(t, `(?m)^qemu +ready +1:11.1.2 +177.3 MB +4.2 s +.*qemu$`, out.String())
	require.Regexp(t, `(?m)^uml +stale `, out.String())
	require.Regexp(t, `(?m)^stock-6.12 +missing +\(Debian's kernel 6.12, which has aer_inject, made when asked for by name\)$`, out.String())
	require.Regexp(t, `\numl: something is not in effect\n$`, out.String())

	out.Reset()
	require.NoError(t, open(t, dir).WriteStatus(&out, true))
	var list []PartStatus
	require.NoError(t, json.Unmarshal(out.Bytes(), &list))
	require.Equal(t, open(t, dir).Status(), list)
}

func TestFolderIsOfTheCache(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	t.Setenv("HOME", "/home/somebody")
	dir, err := DefaultDir()
	require.NoError(t, err)
	require.Equal(t, "nicsim", filepath.Base(dir))
}

func TestBrokenRecordIsNamed(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, QEMU, nil)
	require.NoError(t, os.WriteFile(filepath.Join(dir, QEMU, recordFile), []byte("{"), 0o644))
	_, err := Open(dir)
	require.ErrorContains(t, err, filepath.Join(QEMU, recordFile))
}
