package kit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Gateway is the name of the part with DPDK's IPsec gateway, which Debian has as source
// only.
const Gateway = "ipsec-secgw"

// gatewayNeeds are what the host has to have so that it is built, and so that it runs in
// guests, which see the host's libraries.
var gatewayNeeds = []struct{ what, pkg string }{
	{"gcc", "gcc"},
	{cHeader, "libc6-dev"},
	{"make", "make"},
	{"pkg-config", "pkg-config"},
	{"/usr/include/dpdk/rte_ethdev.h", "libdpdk-dev"},
}

func gatewayRecipe() recipe {
	return recipe{name: Gateway, what: "DPDK's example of an IPsec gateway", revision: 1, onRequest: true, build: buildGateway}
}

// IPsecGateway is DPDK's ipsec-secgw.
func (k *Kit) IPsecGateway() (string, error) { return k.file(Gateway, "bin/ipsec-secgw") }

// buildGateway fetches DPDK's source from the archive of the host's own release, whose
// libraries it is linked with, and builds the one example.
func buildGateway(ctx context.Context, j *job) error {
	e := &HostPackagesError{For: "DPDK's example is built with"}
	e.lacking(gatewayNeeds, j.run.env())
	if err := e.orNil(); err != nil {
		return err
	}
	if err := j.findMirror(ctx); err != nil {
		return err
	}
	src := filepath.Join(j.root, "src")
	if err := os.Mkdir(src, 0o755); err != nil {
		return err
	}
	a, err := openArchive(src, j.mirror.release, j.mirror.url, j.run)
	if err != nil {
		return err
	}
	list := filepath.Join(a.dir, "sources.list")
	text := strings.ReplaceAll(sourceList(a.suite, j.mirror.url), "arch=amd64 target=Packages", "target=Sources")
	if err := os.WriteFile(list, []byte(strings.Replace(text, "deb ", "deb-src ", 1)), 0o644); err != nil {
		return err
	}
	j.doing(func() string { return "fetching the source of DPDK" })
	if err := a.update(ctx); err != nil {
		return err
	}
	if err := j.run.run(ctx, command{args: a.command("apt-get", "source", "--download-only", "dpdk"), dir: src}); err != nil {
		return err
	}
	packed, err := one(src, "dpdk_*.orig.tar.*")
	if err != nil {
		return err
	}
	tar := []string{"tar", "-xf", packed, "-C", src, "--strip-components=1", "--no-same-owner", "--wildcards", "*/examples/common", "*/examples/ipsec-secgw"}
	if err := j.run.run(ctx, command{args: tar}); err != nil {
		return err
	}
	j.doing(func() string { return "building it" })
	example := filepath.Join(src, "examples", "ipsec-secgw")
	if err := j.run.run(ctx, command{args: []string{"nice", "make", "-C", example, "shared"}}); err != nil {
		return err
	}
	bin := filepath.Join(j.root, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(example, "build", "ipsec-secgw-shared"), filepath.Join(bin, "ipsec-secgw")); err != nil {
		return fmt.Errorf("the example was not built: %w", err)
	}
	name := filepath.Base(packed)
	j.rec.Version, _, _ = strings.Cut(strings.TrimPrefix(name, "dpdk_"), ".orig")
	return os.RemoveAll(src)
}
