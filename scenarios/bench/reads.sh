# Prints how many microseconds the driver takes for a register read: ethtool reads all
# registers that the driver shows, many times over. What ethtool itself takes is taken
# off, and so are the words that are no registers of an 82599 (ixgbe_get_regs, 7.2).
set -e
registers=$(($(ethtool -d eth0 raw on | wc -c) / 4 - 157))
elapsed() {
	begin=$(date +%s%N)
	for i in $(seq 20); do
		"$@" > /dev/null
	done
	echo $((($(date +%s%N) - begin) / 20))
}
idle=$(elapsed ethtool -i eth0)
busy=$(elapsed ethtool -d eth0 raw on)
echo $idle $busy $registers | awk '{ printf "read %.3f\n", ($2 - $1) / $3 / 1000 }'
