//go:build linux

package tap

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"nicsim.dev/nicsim/driver"
)

const (
	cloneDevice = "/dev/net/tun"
	// transmitPackets is the length of the kernel's queue to us. A TAP drops what
	// does not fit, and nothing holds TCP back before that: it has to hold a
	// connection's whole window of unsegmented packets, several times over.
	transmitPackets = 16384
	maxQueues       = 256 // MAX_TAP_QUEUES of the kernel
)

// DeviceConfig is what a TAP is to be.
type DeviceConfig struct {
	Name     string
	Queues   int
	MTU      int
	MAC      [6]byte
	Offloads driver.Offloads // that the kernel may leave to us
	// NetNS is the network namespace that the interface is moved to, a name of
	// ip-netns(8) or a path; empty means that of the caller.
	NetNS string
	Addrs []netip.Prefix
}

// Device is a TAP interface of the host's kernel, with virtio-net headers. It
// is gone when it is closed.
type Device struct {
	name    string
	control *os.File
	queues  []*os.File
}

// Open makes a TAP interface, up and with its addresses. The error wraps
// ErrUnavailable when the host has no TUN driver or does not let us use it.
func Open(cfg DeviceConfig) (*Device, error) {
	if cfg.Queues < 1 || cfg.Queues > maxQueues {
		return nil, fmt.Errorf("tap %s: %d queues, want 1 to %d", cfg.Name, cfg.Queues, maxQueues)
	}
	fd, err := unix.Open(cloneDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, unavailable(&os.PathError{Op: "open", Path: cloneDevice, Err: err})
	}
	d := &Device{control: os.NewFile(uintptr(fd), cloneDevice)}
	if err := d.open(fd, cfg); err != nil {
		d.Close()
		return nil, fmt.Errorf("tap %s: %w", cfg.Name, err)
	}
	return d, nil
}

// unavailable tells a host without TAP from other failures.
func unavailable(err error) error {
	for _, e := range []error{unix.ENOENT, unix.ENODEV, unix.EPERM, unix.EACCES} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return err
}

// birthName lets the kernel find a free name for an interface until it has come
// to its namespace: asking for a name that exists would attach to somebody's
// interface and take packets away from it.
const birthName = "nicsimborn%d"

// open follows the one order that keeps virtio-net headers with water, which
// opens queues without asking for them: a control queue of ours asks first and
// is detached, and while it exists the kernel keeps the flags of the device.
func (d *Device) open(fd int, cfg DeviceConfig) error {
	ifr, err := unix.NewIfreq(birthName)
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_MULTI_QUEUE)
	err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	if err != nil {
		return unavailable(os.NewSyscallError("TUNSETIFF", err))
	}
	d.name = ifr.Name()
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetBytes); err != nil {
		return os.NewSyscallError("TUNSETVNETHDRSZ", err)
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloadFlags(cfg.Offloads)); err != nil {
		return os.NewSyscallError("TUNSETOFFLOAD", err)
	}
	ifr.SetUint16(unix.IFF_DETACH_QUEUE)
	if err := unix.IoctlIfreq(fd, unix.TUNSETQUEUE, ifr); err != nil {
		return os.NewSyscallError("TUNSETQUEUE", err)
	}
	for range cfg.Queues {
		if err := d.addQueue(); err != nil {
			return err
		}
	}
	return d.configure(cfg)
}

// offloadFlags is what TUNSETOFFLOAD takes. The kernel segments nothing for us
// whose checksum it has to compute itself.
func offloadFlags(o driver.Offloads) int {
	if o&driver.TxChecksum == 0 {
		return 0
	}
	flags := unix.TUN_F_CSUM
	if o&driver.TSO4 != 0 {
		flags |= unix.TUN_F_TSO4 | unix.TUN_F_TSO_ECN
	}
	if o&driver.TSO6 != 0 {
		flags |= unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	}
	if o&driver.USO != 0 {
		flags |= unix.TUN_F_USO4 | unix.TUN_F_USO6
	}
	return flags
}

func (d *Device) addQueue() error {
	cfg := water.Config{DeviceType: water.TAP}
	cfg.Name, cfg.MultiQueue = d.name, true
	w, err := water.New(cfg)
	if err != nil {
		return err
	}
	f, ok := w.ReadWriteCloser.(*os.File)
	if !ok {
		return errors.Join(fmt.Errorf("queue is a %T, want a file", w.ReadWriteCloser), w.Close())
	}
	d.queues = append(d.queues, f)
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(fd uintptr) { err = d.checkQueue(int(fd)) }), err)
}

func (d *Device) checkQueue(fd int) error {
	ifr, err := unix.NewIfreq(d.name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return os.NewSyscallError("TUNGETIFF", err)
	}
	if ifr.Uint16()&unix.IFF_VNET_HDR == 0 {
		return errors.New("the kernel took the virtio-net headers away")
	}
	return nil
}

// configure gives the interface its address, queue length and place.
func (d *Device) configure(cfg DeviceConfig) error {
	link, err := netlink.LinkByName(d.name)
	if err != nil {
		return err
	}
	if err := errors.Join(
		netlink.LinkSetHardwareAddr(link, cfg.MAC[:]),
		netlink.LinkSetMTU(link, cfg.MTU),
		netlink.LinkSetTxQLen(link, transmitPackets),
	); err != nil {
		return err
	}
	at := netns.None()
	if cfg.NetNS != "" {
		if at, err = namespace(cfg.NetNS); err != nil {
			return fmt.Errorf("network namespace %s: %w", cfg.NetNS, err)
		}
		defer at.Close()
		if err := netlink.LinkSetNsFd(link, int(at)); err != nil {
			return fmt.Errorf("move to network namespace %s: %w", cfg.NetNS, err)
		}
	}
	h, err := netlink.NewHandleAt(at)
	if err != nil {
		return err
	}
	defer h.Close()
	if link, err = h.LinkByName(d.name); err != nil {
		return err
	}
	err = h.LinkSetName(link, cfg.Name)
	if errors.Is(err, unix.EEXIST) {
		return errors.New("an interface of this name exists; choose another")
	}
	if err != nil {
		return err
	}
	d.name = cfg.Name
	for _, a := range cfg.Addrs {
		addr, err := netlink.ParseAddr(a.String())
		if err != nil {
			return err
		}
		if a.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD // usable at once
		}
		if err := h.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	return h.LinkSetUp(link)
}

func namespace(name string) (netns.NsHandle, error) {
	if strings.Contains(name, "/") {
		return netns.GetFromPath(name)
	}
	return netns.GetFromName(name)
}

// Name returns the interface's name.
func (d *Device) Name() string { return d.name }

// Close removes the interface.
func (d *Device) Close() error {
	var err error
	for _, f := range append(d.queues, d.control) {
		err = errors.Join(err, f.Close())
	}
	return err
}
