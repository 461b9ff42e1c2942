#!/bin/sh
# The inside of TestPowerCut: checks what the last power cut has left on the
# disk, then works on until the next one. The argument is the number of the
# boot; with "last" behind it, it ends after the check.
set -eu
boot=$1
export SILO_HOST=unix:///run/silo.sock PATH="/silo:$PATH"
data=/disk/data

fail() {
	echo "cut.sh: boot $boot: $*" >&2
	tail -n 30 /tmp/silod.log >&2
	exit 1
}

# loop_of CONTAINER: where its disk lies in its file, while it is attached.
offset_of() {
	for dev in /sys/block/loop*/loop; do
		if grep -qs "containers/$1/sandbox.vhdx" "$dev/backing_file"; then
			cat "$dev/offset"
			return
		fi
	done
}

silod --data-root $data --exec-root /run/silo -H $SILO_HOST --standby 1 --log-level debug >/tmp/silod.log 2>&1 &
silod=$!
n=0
until grep -q 'silod is ready' /tmp/silod.log; do
	kill -0 $silod 2>/dev/null || fail "silod ended"
	n=$((n + 1))
	[ $n -lt 600 ] || fail "silod is not ready"
	usleep 100000
done

# The images are whole.
silo run --rm core cat /etc/os-release | grep -q Silo || fail "image core"
silo run --rm nano true || fail "image nano"

if [ "$boot" -gt 1 ]; then
	# Records are whole, or their containers gone.
	silo ps -a --format '{{.Names}} {{.State}}' >/tmp/ps
	if grep -q -e broken -e dead /tmp/ps; then fail "broken containers: $(cat /tmp/ps)"; fi
	grep -q '^kept ' /tmp/ps || fail "no container kept: $(cat /tmp/ps)"
	while read -r name _; do
		silo start "$name" >/dev/null || fail "start $name"
		id=$(silo inspect -f '{{.ID}}' "$name")
		case $name in
		kept) [ "$(silo exec kept cat /one)" = one ] || fail "what kept had synced is lost" ;;
		*-synced) [ "$(silo exec "$name" cat /done)" = yes ] || fail "what $name had synced is lost" ;;
		esac
		silo exec "$name" sh -c 'echo again >/again && sync' || fail "write in $name"
		at=$(offset_of "$id")
		[ -n "$at" ] || fail "the disk of $name is not attached"
		silo stop -t 0 "$name" >/dev/null || fail "stop $name"
		while [ -n "$(offset_of "$id")" ]; do usleep 20000; done
		dev=$(losetup -f)
		losetup -o "$at" "$dev" "$data/containers/$id/sandbox.vhdx"
		e2fsck -fn "$dev" >/tmp/fsck 2>&1 || fail "e2fsck of $name: $(cat /tmp/fsck)"
		losetup -d "$dev"
		echo "checked $name"
	done </tmp/ps
fi
if [ "${2:-}" = last ]; then
	silo ps -aq | xargs silo rm -f >/dev/null
	kill -TERM $silod
	wait $silod || fail "silod ended with $?"
	[ -z "$(ls $data/containers)" ] || fail "folders are left: $(ls $data/containers)"
	exit 0
fi

if [ "$boot" = 1 ]; then
	silo run -d --name kept core sh -c 'echo one >/one; sync; echo two >/two; sleep 1000' >/dev/null
	until silo exec kept test -e /two; do usleep 20000; done
	sync
fi
name=b$boot
silo run -d --name "$name" core sh -c 'while :; do echo data >>/data; done' >/dev/null
echo "cut: started"
silo exec "$name" sh -c 'echo yes >/done; sync'
silo rename "$name" "$name-synced"
sync
silo create --name "$name-made" core sleep 1000 >/dev/null &
usleep 30000
echo "cut: creating"
wait $!
silo rm -f "$name-synced" >/dev/null &
usleep 10000
echo "cut: removing"
wait $!
