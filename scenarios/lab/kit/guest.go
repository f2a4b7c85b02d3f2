package kit

import (
	"context"
	"os"
	"path/filepath"
)

// toolPackages have toolPrograms, which guests use when the host, whose root they
// see, lacks them or has older ones.
var (
	toolPackages = []string{"iproute2", "ethtool", "iputils-ping", "iperf3", "tcpdump", "socat"}
	toolPrograms = []string{"ip", "tc", "bridge", "ss", "nstat", "devlink", "dcb", "ethtool", "ping", "iperf3", "tcpdump", "socat"}
)

func buildBusybox(ctx context.Context, j *job) error {
	if err := j.unpack(ctx); err != nil {
		return err
	}
	t := &tree{root: j.root}
	path, err := t.find("busybox")
	if err != nil {
		return err
	}
	place := filepath.Join(j.root, "busybox")
	if err := os.Rename(filepath.Join(j.root, path), place); err != nil {
		return err
	}
	_, err = j.run.output(ctx, place, "true")
	return err
}

func buildTools(ctx context.Context, j *job) error {
	if err := j.unpack(ctx); err != nil {
		return err
	}
	t, err := openTree(j.root)
	if err != nil {
		return err
	}
	for _, name := range toolPrograms {
		p := program{name: name}
		if name == "tc" {
			p.env = []string{"TC_LIB_DIR=$root/usr/lib/tc"} // the delays of netem
		}
		if err := t.wrap(p); err != nil {
			return err
		}
	}
	for _, check := range [][]string{{"ip", "-V"}, {"tc", "-V"}, {"ethtool", "--version"}, {"ping", "-V"}, {"iperf3", "--version"},
		{"tcpdump", "--version"}, {"socat", "-V"}} {
		if _, err := j.run.output(ctx, filepath.Join(j.root, "bin", check[0]), check[1]); err != nil {
			return err
		}
	}
	return nil
}
