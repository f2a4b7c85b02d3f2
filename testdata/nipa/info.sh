#!/bin/sh
# For netdev's CI, [device] info_script: says in JSON what is under test.
ethtool -i "${NETIF:-eth0}" | awk -F ': ' '
	{ v[$1] = $2 }
	END {
		printf "{\"driver\":\"%s\",\"versions\":{\"fixed\":{\"board\":\"nicsim 82599\"},", v["driver"]
		printf "\"stored\":{\"fw\":\"%s\"},\"running\":{\"fw\":\"%s\"}}}\n", v["firmware-version"], v["firmware-version"]
	}'
