package kit

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLaterFragmentsOverride(t *testing.T) {
	f, err := parseFragment("# why\nCONFIG_A=y\nCONFIG_B=\"x=y\"\n", "\n# CONFIG_A is not set\nCONFIG_C=8\n")
	require.NoError(t, err)
	require.Equal(t, "CONFIG_B=\"x=y\"\n# CONFIG_A is not set\nCONFIG_C=8\n", f.String())
}

func TestFragmentLinesThatMeanNothing(t *testing.T) {
	for _, line := range []string{"CONFIG_A", "CONFIG_A=", "A=y"} {
		_, err := parseFragment(line)
		require.ErrorContains(t, err, line)
	}
}

func TestUnmetOptions(t *testing.T) {
	f, err := parseFragment("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=8\nCONFIG_D=y\n# CONFIG_E is not set\n")
	require.NoError(t, err)
	unmet, err := f.unmet("# Automatically generated\nCONFIG_A=y\nCONFIG_C=4\n# CONFIG_D is not set\nCONFIG_E=m\n")
	require.NoError(t, err)
	require.Equal(t, []string{"CONFIG_C=8", "CONFIG_D=y", "# CONFIG_E is not set"}, unmet)
}

func TestOurFragments(t *testing.T) {
	uml, err := parseFragment(umlFragment)
	require.NoError(t, err)
	lines := 0
	for line := range strings.Lines(umlFragment + smpFragment) {
		if _, ok, _ := parseOption(strings.TrimSpace(line)); ok {
			lines++
		}
	}
	smp, err := parseFragment(umlFragment, smpFragment)
	require.NoError(t, err)
	require.Equal(t, lines, len(uml)+3, "an option is there twice")
	require.Contains(t, uml, option{"CONFIG_UML_TIME_TRAVEL_SUPPORT", "y"})
	require.Contains(t, smp, option{"CONFIG_UML_TIME_TRAVEL_SUPPORT", ""})
	require.Contains(t, smp, option{"CONFIG_SMP", "y"})
}
