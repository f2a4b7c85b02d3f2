package kit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMirrorIsFound(t *testing.T) {
	const (
		main     = "http://mirror.test/debian/\tbookworm\tbookworm\tDebian\tDebian\n"
		security = "http://mirror.test/debian-security/\tbookworm-security\tbookworm-security\tDebian\tDebian-Security\n"
		other    = "http://other.test/apt/\tnodistro\t\tNode Source\tNode Source\n"
		never    = "http://mirror.test/debian/\tbookworm\t$(CODENAME)\t$(ORIGIN)\t$(LABEL)\n"
		list     = "mirror+file:/etc/apt/mirrors/debian.list/\tbookworm\tbookworm\tDebian\tDebian\n"
	)
	for name, c := range map[string]struct{ text, host, want string }{
		"known":                    {other + security + main, "bookworm", "http://mirror.test/debian/"},
		"never updated":            {other + never, "bookworm", "http://mirror.test/debian/"},
		"list of mirrors":          {list, "bookworm", "mirror+file:/etc/apt/mirrors/debian.list/"},
		"Debian known to another":  {other + main, "", "http://mirror.test/debian/"},
		"another, never updated":   {other + never, "", ""},
		"security only":            {security, "bookworm", ""},
		"no sources":               {"", "bookworm", ""},
		"a line that is something": {"E: what\n", "bookworm", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parseTargets(c.text, c.host)
			require.Equal(t, c.want, m.url)
			require.Equal(t, c.host, m.release)
			if c.want == "" {
				var missing *MirrorError
				require.ErrorAs(t, err, &missing)
				require.ErrorContains(t, err, "--mirror")
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestReleaseOfTheHost(t *testing.T) {
	require.Equal(t, "bookworm", hostRelease("PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=bookworm\n"))
	require.Empty(t, hostRelease("ID=ubuntu\nVERSION_CODENAME=noble\n"), "not of Debian's archive")
	require.Empty(t, hostRelease(""))
}
