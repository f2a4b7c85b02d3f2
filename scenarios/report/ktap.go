package report

import "strings"

// ktap is the kernel's test protocol (Linux Documentation/dev-tools/ktap.rst),
// with the totals that kselftest adds.
type ktap struct {
	printer
	n int
}

func (k *ktap) Plan(n int) { k.printf("KTAP version 1\n1..%d\n", n) }

func (k *ktap) Result(r Result) {
	k.n++
	switch r.Status {
	case Pass:
		k.printf("%sok %d %s\n", indent("# ", r.Output), k.n, r.Name)
	case Skip:
		k.printf("ok %d %s # SKIP %s\n", k.n, r.Name, r.Reason)
	case Fail:
		k.printf("%snot ok %d %s\n", indent("# ", strings.TrimRight(r.Log, "\n")+"\nreplay: "+r.Replay), k.n, r.Name)
	}
}

func (k *ktap) Close(t Totals) error {
	k.printf("# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:%d error:0\n", t.Pass, t.Fail, t.Skip)
	return k.err
}
