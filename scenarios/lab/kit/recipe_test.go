package kit

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecipesComeAfterWhatTheyNeed(t *testing.T) {
	var before []string
	for _, r := range recipes() {
		for _, n := range slices.Concat(r.inputs, r.tools) {
			require.Contains(t, before, n, r.name)
		}
		require.NotContains(t, before, r.name)
		before = append(before, r.name)
	}
}

func TestSelection(t *testing.T) {
	names := func(parts ...string) (names []string) {
		list, err := selected(parts)
		require.NoError(t, err)
		for _, r := range list {
			names = append(names, r.name)
		}
		return names
	}
	for _, r := range recipes() {
		require.Equal(t, !r.onRequest, slices.Contains(names(), r.name), r.name)
	}
	require.NotContains(t, names(), Stock612)
	require.Equal(t, []string{QEMU, Stock612}, names(Stock612, QEMU))
	_, err := selected([]string{"bios"})
	var unknown *UnknownPartError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, "uml-smp")
}

func TestKeyIsOfAllThatCounts(t *testing.T) {
	r := recipe{name: UML, revision: 1, extra: "A", inputs: []string{Source}, tools: []string{BuildTools}}
	inputs := map[string]string{Source: "1", BuildTools: "1"}
	key := r.key([]string{"a=1"}, inputs)
	require.Equal(t, key, r.key([]string{"a=1"}, map[string]string{Source: "1", BuildTools: "2"}), "a tool does not count")
	for name, other := range map[string]string{
		"packages": r.key([]string{"a=2"}, inputs),
		"input":    r.key([]string{"a=1"}, map[string]string{Source: "2"}),
		"fragment": recipe{name: UML, revision: 1, extra: "B", inputs: r.inputs}.key([]string{"a=1"}, inputs),
		"revision": recipe{name: UML, revision: 2, extra: "A", inputs: r.inputs}.key([]string{"a=1"}, inputs),
	} {
		require.NotEqual(t, key, other, name)
	}
	require.NotEqual(t, digest("ab", "c"), digest("a", "bc"))
}

func TestPlan(t *testing.T) {
	planned := func(dir string, update bool, parts ...string) (names []string) {
		s := &setup{kit: open(t, dir), o: Options{Update: update}}
		wanted, err := selected(parts)
		require.NoError(t, err)
		for _, r := range s.plan(wanted) {
			names = append(names, r.name)
		}
		return names
	}
	dir := t.TempDir()
	require.Equal(t, []string{BuildTools, Source, UML}, planned(dir, false, UML))
	put(t, dir, UML, nil)
	require.Empty(t, planned(dir, false, UML), "source and tools are needed for making it only")
	require.Equal(t, []string{BuildTools, Source, UML}, planned(dir, false, UML, Source), "the source may be a newer one")
	put(t, dir, Source, nil)
	require.Empty(t, planned(dir, false, UML, Source))
	require.Equal(t, []string{BuildTools, UMLSMP}, planned(dir, false, UML, UMLSMP))
	require.Equal(t, []string{BuildTools, Source, UML}, planned(dir, true, UML))
	put(t, dir, Source, func(r *record) { r.Recipe = "older" })
	require.Equal(t, []string{BuildTools, Source, UML}, planned(dir, false, UML, Source))
}

func TestPackagesKept(t *testing.T) {
	kernel := []string{"linux-image-amd64", "linux-image-7.2.12+deb14-amd64", "linux-binary-7.2.12+deb14-amd64", "linux-modules-7.2.12+deb14-amd64",
		"linux-base-7.2.12+deb14-amd64", "kmod", "libkmod2"}
	for _, name := range kernel {
		require.True(t, kernelPackage(name), name)
	}
	for _, name := range []string{"initramfs-tools", "linux-base", "systemd", "debconf"} {
		require.False(t, kernelPackage(name), name)
		require.False(t, orLibrary(toolPackages...)(name), name)
	}
}
