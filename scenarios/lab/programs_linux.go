package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"nicsim.dev/scenarios/lab/kit"
)

// Choice is what a person wants a guest to be made of.
type Choice struct {
	On      On
	Kernel  string // a program for User Mode Linux, an image for QEMU; none for the lab's
	Modules string // of Kernel
	QEMU    string // none for the lab's
	CPUs    int
	// Older asks for the lab's older kernel for QEMU.
	Older bool
}

// Find returns the programs for a choice: those that are given, and the lab's for
// the rest.
func Find(c Choice) (Programs, error) {
	k, err := kit.Open("")
	if err != nil {
		return Programs{}, err
	}
	if own := os.Getenv(umlEnv); own != "" && c.On == UML && c.Kernel == "" && c.CPUs <= 1 {
		c.Kernel = own
	}
	p := Programs{Modules: c.Modules}
	for _, path := range []string{c.Kernel, c.Modules, c.QEMU} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return p, err
		}
	}
	// Programs for guests are a convenience: a lab without them is one.
	if p.Path, err = k.ToolsBin(); err != nil {
		p.Path = ""
	}
	switch c.On {
	case UML:
		err = findUML(&p, k, c)
	case QEMU:
		err = findQEMU(&p, k, c)
	default:
		err = fmt.Errorf("on %q: uml or qemu was expected", c.On)
	}
	return p, err
}

func findUML(p *Programs, k *kit.Kit, c Choice) (err error) {
	switch {
	case c.Kernel != "":
		p.UML, err = filepath.Abs(c.Kernel)
	case c.CPUs > 1:
		p.UML, err = k.UMLSMP()
	default:
		p.UML, err = k.UML()
	}
	return err
}

func findQEMU(p *Programs, k *kit.Kit, c Choice) error {
	var errs []error
	set := func(to *string, v string, err error) {
		*to = v
		errs = append(errs, err)
	}
	if c.QEMU != "" {
		v, err := filepath.Abs(c.QEMU)
		set(&p.QEMU, v, err)
	} else {
		v, err := k.QEMU()
		set(&p.QEMU, v, err)
	}
	if c.Kernel != "" {
		v, err := filepath.Abs(c.Kernel)
		set(&p.Image, v, err)
	} else {
		stock, err := k.Stock()
		if c.Older {
			stock, err = k.Stock612()
		}
		set(&p.Image, stock.Image, err)
		p.Modules = stock.Modules
	}
	v, err := k.Busybox()
	set(&p.Busybox, v, err)
	return errors.Join(errs...)
}
