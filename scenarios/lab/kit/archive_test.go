package kit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPackagesThatAptWouldFetch(t *testing.T) {
	debs, err := parseURIs(`W: something
'http://mirror.test/a.deb' zlib1g_1%3a1.3.dfsg+really1.3.2-3_amd64.deb 90912 SHA256:0a
'http://mirror.test/b.deb' linux-image-7.2.12+deb14-amd64_7.2.12-1_amd64.deb 1892 SHA256:0a
`)
	require.NoError(t, err)
	require.Equal(t, []deb{
		{"zlib1g", "1:1.3.dfsg+really1.3.2-3", "zlib1g_1%3a1.3.dfsg+really1.3.2-3_amd64.deb", 90912, "0a"},
		{"linux-image-7.2.12+deb14-amd64", "7.2.12-1", "linux-image-7.2.12+deb14-amd64_7.2.12-1_amd64.deb", 1892, "0a"},
	}, debs)
	for _, bad := range []string{"'x'", "'x' name.deb 1 SHA256:0", "'x' a_1_amd64.deb many SHA256:0", "'x' a_%zz_amd64.deb 1 SHA256:0", "'x' a_1_amd64.deb 1 MD5Sum:0"} {
		_, err := parseURIs(bad)
		require.ErrorContains(t, err, "apt-get says", bad)
	}
}

func TestReleases(t *testing.T) {
	for version, want := range map[string]release{"1:11.1.2+ds-3": {11, 1}, "7.2.12-1~bpo13+1": {7, 2}, "6.12.117-1": {6, 12}, "odd": {}} {
		require.Equal(t, want, parseRelease(version), version)
	}
	require.True(t, release{6, 12}.less(release{7, 2}))
	require.True(t, release{7, 2}.less(release{7, 10}))
	require.False(t, release{11, 1}.less(release{10, 1}))
}

func TestNewestSource(t *testing.T) {
	name, err := newest([]string{"linux-source-7.2", "linux-source-6.12", "linux-source-7.10", "linux-source-7.3", "linux-source"})
	require.NoError(t, err)
	require.Equal(t, "linux-source-7.10", name)
	_, err = newest([]string{"linux-source-6.12"})
	require.EqualError(t, err, "the newest kernel source is 6.12, want 7.2 or newer")
}

func TestBackportsAreSeenWithTheirBase(t *testing.T) {
	require.Regexp(t, `^deb \[.*arch=amd64 target=Packages\] M trixie-backports main\ndeb \[.*\] M trixie main\n$`, sourceList(backports, "M"))
	require.Regexp(t, `^deb \[.*\] M forky main\n$`, sourceList(forky, "M"))
}
