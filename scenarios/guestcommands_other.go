//go:build !linux

package scenarios

type guests struct{}

func runBoot(*call) error    { return errGuests }
func runGuest(*call) error   { return errGuests }
func runTravel(*call) error  { return errGuests }
func runHalt(*call) error    { return errGuests }
func runReboot(*call) error  { return errGuests }
func runConsole(*call) error { return errGuests }
