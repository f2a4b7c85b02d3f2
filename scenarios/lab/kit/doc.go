// Package kit keeps the parts of the kernel lab: kernels, QEMU, and what runs in
// guests. They are fetched from Debian's archive and built as an ordinary user,
// nothing is installed, and each lies in a folder of its own in a cache:
//
//	source/     the kernel source that uml is built from, with its selftests
//	buildtools/ what a kernel build needs and the host lacks
//	uml/        User Mode Linux with the configuration in uml.fragment
//	uml-smp/    the same with more than one processor and without time travel
//	qemu/       a QEMU that has vfio-user-pci, with its libraries
//	stock/      Debian's own kernel with its modules
//	stock-6.12/ the one of the release before, when asked for
//	busybox/    a static busybox, for an initramfs
//	ipsec-secgw/ DPDK's IPsec gateway, when asked for
//	tools/      ethtool, ip, tc and others with their libraries
//
// A part is built in work/ and renamed into its place when it is whole, so that
// what is in its place is whole however a setup ended. Setup makes what is
// missing; Open says what is there, without a network.
package kit
