package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// controllers are the folders of all Ethernet controllers (class code 0200).
func controllers() (found []string) {
	devices, _ := filepath.Glob("/sys/bus/pci/devices/*")
	for _, d := range devices {
		if class, err := os.ReadFile(filepath.Join(d, "class")); err == nil && strings.HasPrefix(string(class), "0x0200") {
			found = append(found, d)
		}
	}
	return found
}

// loadDrivers loads the modules of all Ethernet controllers. One that has none is
// noticed when its interface does not come.
func loadDrivers() {
	for _, d := range controllers() {
		if alias, err := os.ReadFile(filepath.Join(d, "modalias")); err == nil {
			exec.Command(modprobe, "-q", strings.TrimSpace(string(alias))).Run()
		}
	}
}

// bind gives all Ethernet controllers to a driver that is not theirs.
func bind(driver string) (problems []string) {
	if out, err := exec.Command(modprobe, driver).CombinedOutput(); err != nil {
		return []string{fmt.Sprintf("modprobe %s: %v: %s", driver, err, out)}
	}
	for _, d := range controllers() {
		if err := bindOne(d, driver); err != nil {
			problems = append(problems, fmt.Sprintf("%s to %s: %v", filepath.Base(d), driver, err))
		}
	}
	return problems
}

func bindOne(device, driver string) error {
	name := filepath.Base(device)
	if err := os.WriteFile(filepath.Join(device, "driver_override"), []byte(driver), 0); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(device, "driver", "unbind"), []byte(name), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.WriteFile("/sys/bus/pci/drivers_probe", []byte(name), 0); err != nil {
		return err
	}
	if at, err := os.Readlink(filepath.Join(device, "driver")); err != nil || filepath.Base(at) != driver {
		return fmt.Errorf("the driver did not take it")
	}
	return nil
}
