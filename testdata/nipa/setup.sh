#!/bin/sh
# For netdev's CI, [vm] setup: sourced in a guest with two adapters of nicsim that a
# cable joins. The first is under test, the second goes into a namespace.

adapters=
for dir in /sys/class/net/*; do
	case $(readlink -f "$dir/device/driver") in
	*/ixgbe) adapters="$adapters ${dir##*/}" ;;
	esac
done
# shellcheck disable=SC2086 # a list of names without blanks
set -- $adapters
if [ $# -ne 2 ]; then
	echo "expected two interfaces of ixgbe, found $#:$adapters" >&2
	return 1 2>/dev/null || exit 1
fi

export NETIF=$1 REMOTE_TYPE=netns REMOTE_ARGS=remote
export LOCAL_V4=192.0.2.1 REMOTE_V4=192.0.2.2
export LOCAL_V6=2001:db8::1 REMOTE_V6=2001:db8::2

ip netns add "$REMOTE_ARGS"
ip link set dev "$2" netns "$REMOTE_ARGS"
ip addr add dev "$1" "$LOCAL_V4/24"
ip addr add dev "$1" "$LOCAL_V6/64" nodad
ip -n "$REMOTE_ARGS" addr add dev "$2" "$REMOTE_V4/24"
ip -n "$REMOTE_ARGS" addr add dev "$2" "$REMOTE_V6/64" nodad
# Tests take the link down, and expect the addresses to be there afterwards.
echo 1 > "/proc/sys/net/ipv6/conf/$1/keep_addr_on_down"
ip link set dev "$1" up
ip -n "$REMOTE_ARGS" link set dev "$2" up
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	[ "$(cat "/sys/class/net/$1/operstate")" = up ] && break
	sleep 0.25
done
