package scenarios

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"nicsim.dev/scenarios/lab"
	"nicsim.dev/scenarios/lab/agent"
	"nicsim.dev/scenarios/lab/kit"
)

// selftestPatience bounds a test of the kernel's.
const selftestPatience = 4 * time.Minute

// keepAddresses has an interface keep its IPv6 addresses when it goes down, as those
// of a machine that is managed do: tests take it down, and the next one needs them.
const keepAddresses = `echo 1 >/proc/sys/net/ipv6/conf/all/keep_addr_on_down || exit
exec "$0" "$@"`

func runSelftest(c *call) error {
	g, err := c.findGuest()
	if err != nil {
		return err
	}
	test := c.args[1]
	table, err := parseExpectations(c.ts.ReadFile(c.args[2]))
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[2], err)
	}
	patience := selftestPatience
	if text, ok := c.opts["timeout"]; ok {
		if patience, err = time.ParseDuration(text); err != nil {
			return c.wrong("timeout=%s: a time such as 10m was expected", text)
		}
	}
	var only []string
	if cases := c.opts["only"]; cases != "" {
		for pattern := range strings.SplitSeq(cases, ",") {
			only = append(only, "-t", pattern)
		}
	}
	what, err := selftestCommand(test, only)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out bytes.Buffer
	code, err := g.Run(ctx, what, lab.IO{Stdout: io.MultiWriter(&out, c.ts.Stdout()), Stderr: c.ts.Stderr()})
	ending := ""
	switch {
	case ctx.Err() != nil && err != nil:
		ending = fmt.Sprintf("it took longer than %v", patience)
	case err != nil:
		return err
	case code != 0:
		ending = fmt.Sprintf("exit code %d", code)
	}
	diff := deviations(table, outcomes(parseKTAP(programOf(test), out.String()), ending))
	if diff == "" {
		return nil
	}
	return errors.Join(fmt.Errorf("%s did not do as %s says:\n%s", test, c.args[2], diff), err)
}

// selftestCommand runs a test with the lab's programs ahead of the host's, which
// may be older than the tests expect.
func selftestCommand(test string, args []string) (agent.Command, error) {
	k, err := kit.Open("")
	if err != nil {
		return agent.Command{}, err
	}
	dir, err := k.Selftests()
	if err != nil {
		return agent.Command{}, err
	}
	tools, err := k.ToolsBin()
	if err != nil {
		return agent.Command{}, err
	}
	program := filepath.Join(dir, test)
	return agent.Command{
		Args: append([]string{"sh", "-c", keepAddresses, program}, args...),
		Dir:  filepath.Dir(program), Env: []string{"PATH=" + tools + ":" + kit.GuestPath},
	}, nil
}
