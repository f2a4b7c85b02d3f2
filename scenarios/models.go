package scenarios

// The hardware models that there are. Everything else reaches them by their
// registration.
import (
	_ "nicsim.dev/nicsim/i82599"
)
