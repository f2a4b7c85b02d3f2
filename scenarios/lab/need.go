package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"nicsim.dev/scenarios/lab/kit"
	"nicsim.dev/scenarios/need"
)

// The guests that a script can need.
var (
	_ = need.Add("uml", has(func(k *kit.Kit) error {
		if own := os.Getenv(umlEnv); own != "" {
			_, err := os.Stat(own)
			return err
		}
		return second(k.UML())
	}))
	_ = need.Add("uml-smp", has(func(k *kit.Kit) error { return second(k.UMLSMP()) }))
	_ = need.Add("qemu", has(func(k *kit.Kit) error {
		_, err := k.Stock()
		return errors.Join(err, second(k.QEMU()), second(k.Busybox()))
	}))
	_ = need.Add("stock-6.12", has(func(k *kit.Kit) error {
		_, err := k.Stock612()
		return err
	}))
	_ = need.Add("ipsec-secgw", has(func(k *kit.Kit) error { return second(k.IPsecGateway()) }))
	_ = need.Add("selftests", has(func(k *kit.Kit) error { return errors.Join(second(k.Selftests()), second(k.ToolsBin())) }))
)

// umlEnv names a kernel of one's own, which scripts then boot instead of the lab's.
const umlEnv = "NICSIM_UML"

func second(_ string, err error) error { return err }

// has looks into the default lab.
func has(usable func(*kit.Kit) error) func() error {
	return func() error {
		if runtime.GOOS != "linux" {
			return fmt.Errorf("this is %s", runtime.GOOS)
		}
		k, err := kit.Open("")
		if err != nil {
			return err
		}
		return usable(k)
	}
}
