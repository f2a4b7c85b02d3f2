package scenarios

import (
	"os"
	"path"

	root "nicsim.dev"
)

var _ = vocabulary(&command{
	usage: "provide FILE ...",
	what:  "Puts files of the bundled test data, such as nipa/setup.sh, into the script's folder.",
	run:   runProvide,
})

func runProvide(c *call) error {
	for _, name := range c.args {
		data, err := root.Testdata.ReadFile(path.Join("testdata", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.ts.MkAbs(path.Base(name)), data, 0o755); err != nil {
			return err
		}
	}
	return nil
}
