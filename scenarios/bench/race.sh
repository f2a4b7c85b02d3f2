# Measures between eth0 and the far end: bits a second, packets a second, microseconds.
# The far end is in namespace remote, or in another guest, which serves iperf3 then.
set -e
far() { ip netns exec remote "$@"; }

for i in $(seq 100); do
	ping -q -c 1 -W 1 "$REMOTE_V4" > /dev/null && break
done

# Each end's interrupts have a processor of their own. Where they would go otherwise is
# chance, boot by boot, and decides more than the adapters do.
pin() {
	for i in $2; do
		echo "$1" > /proc/irq/"$i"/smp_affinity_list
	done
}
if [ "$REMOTE_TYPE" = netns ] && [ "$(nproc)" -gt 1 ]; then
	pin 0 "$(ls /sys/class/net/eth0/device/msi_irqs)"
	pin 1 "$(far ls /sys/class/net/eth1/device/msi_irqs)"
fi

tcp() {
	if [ "$REMOTE_TYPE" = netns ]; then
		far iperf3 -s -1 -D
		sleep 0.5
	fi
	iperf3 -c "$REMOTE_V4" -t 5 -O 1 -P "$2" -J > /dev/shm/tcp.json
	awk -v name="$1" '/"sum_received"/ { in_sum = 1 }
		in_sum && /"bits_per_second"/ { sub(/,/, "", $2); print name, $2; exit }' FS=':[ \t]*' /dev/shm/tcp.json
	sleep 0.5
}
tcp tcp1 1
tcp tcp4 4

# Packets of 60 bytes from one CPU, counted where they arrive; the first ones are for
# QEMU, which has to translate this part of the kernel.
modprobe pktgen 2> /dev/null || true
if [ "$REMOTE_TYPE" = netns ] && [ -d /proc/net/pktgen ]; then
	mac=$(far cat /sys/class/net/eth1/address)
	echo rem_device_all > /proc/net/pktgen/kpktgend_0
	echo add_device eth0 > /proc/net/pktgen/kpktgend_0
	arrived() { far cat /sys/class/net/eth1/statistics/rx_packets; }
	for count in 100000 600000; do
		for o in "count $count" "pkt_size 60" "delay 0" "clone_skb 0" "dst_mac $mac" "dst $REMOTE_V4" "src_min $LOCAL_V4" "src_max $LOCAL_V4"; do
			echo "$o" > /proc/net/pktgen/eth0
		done
		before=$(arrived)
		start=$(date +%s%N)
		echo start > /proc/net/pktgen/pgctrl
		end=$(date +%s%N)
		after=$(arrived)
	done
	echo "pktgen $(((after - before) * 1000000000 / (end - start)))"
fi

ping -q -c 1000 -i 0.002 "$REMOTE_V4" | awk -F / '/^rtt/ { print "rtt", $5 * 1000 }'
