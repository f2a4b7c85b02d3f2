# Measures between eth0 and the far end: bits a second, packets a second, microseconds.
# The far end is in namespace remote, or in another guest, which serves iperf3 then.
set -e
far() { ip netns exec remote "$@"; }

for i in $(seq 100); do
	ping -q -c 1 -W 1 "$REMOTE_V4" > /dev/null && break
done

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

# Packets of 60 bytes from one CPU, counted where they arrive.
modprobe pktgen 2> /dev/null || true
if [ "$REMOTE_TYPE" = netns ] && [ -d /proc/net/pktgen ]; then
	mac=$(far cat /sys/class/net/eth1/address)
	echo rem_device_all > /proc/net/pktgen/kpktgend_0
	echo add_device eth0 > /proc/net/pktgen/kpktgend_0
	for o in "count 300000" "pkt_size 60" "delay 0" "clone_skb 0" "dst_mac $mac" "dst $REMOTE_V4" "src_min $LOCAL_V4" "src_max $LOCAL_V4"; do
		echo "$o" > /proc/net/pktgen/eth0
	done
	arrived() { far cat /sys/class/net/eth1/statistics/rx_packets; }
	before=$(arrived)
	start=$(date +%s%N)
	echo start > /proc/net/pktgen/pgctrl
	end=$(date +%s%N)
	after=$(arrived)
	echo "pktgen $(((after - before) * 1000000000 / (end - start)))"
fi

ping -q -c 1000 -i 0.002 "$REMOTE_V4" | awk -F / '/^rtt/ { print "rtt", $5 * 1000 }'
