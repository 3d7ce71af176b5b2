#!/usr/bin/env bash
# Brings this clone to where demo, tests and benchmarks run: Debian packages and npm packages, each only where missing,
# so that a second run is quick and needs no network. Without root, or on another system, it says what is missing and
# goes on: tests that need a missing tool are skipped aloud. With names of Debian packages, it brings of them those alone.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Debian package -> what of it the tests call, or a file that they need.
tools='
	attr:setfattr
	binutils:objdump
	bmake:bmake
	bsdiff:bsdiff
	btrfs-progs:mkfs.btrfs
	busybox-static:busybox
	bzip2:bzip2
	chromium:chromium
	cpio:cpio
	curl:curl
	cvs:cvs
	dash:dash
	gcc:gcc
	libc6-dev:/usr/include/stdio.h
	libfaketime:/usr/lib/*/faketime/libfaketimeMT.so.1
	libarchive-tools:bsdtar
	libnbd-bin:nbdfuse
	e2fsprogs:lsattr
	ksh93u+m:ksh93
	make:make
	mandoc:mandoc
	mksh:mksh
	mtree-netbsd:mtree
	nbdkit:nbdkit
	nbdkit-plugin-python:/usr/lib/*/nbdkit/plugins/nbdkit-python-plugin.so
	nginx-light:nginx
	openssl:openssl
	original-awk:original-awk
	postgresql:/usr/lib/postgresql/*/bin/initdb
	procps:ps
	python3:python3
	rdiff:rdiff
	rsync:rsync
	shellcheck:shellcheck
	signify-openbsd:signify-openbsd
	systemd:systemd-analyze
	strace:strace
	time:/usr/bin/time
	tnftp:tnftp
	unzip:unzip
	wget:wget
	xdelta3:xdelta3
	xfsprogs:mkfs.xfs
	xz-utils:xz
	zip:zip
	zstd:zstd
'

say() { echo "setup: $*" >&2; }

main() {
	install_tools "$@"
	install_modules
}

install_tools() {
	local missing
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if ! command -v apt-get >/dev/null; then
		say "not a Debian system; tests that need these Debian packages will be skipped:$missing"
	elif [ "$(id -u)" != 0 ]; then
		say "tests that need these will be skipped; as root: apt-get install$missing"
	else
		say "installing$missing"
		apt_install $missing
	fi
}

missing_packages() {
	local pair
	for pair in $tools; do
		is_wanted "${pair%%:*}" "$@" || continue
		is_there "${pair#*:}" || printf ' %s' "${pair%%:*}"
	done
}

is_wanted() {
	[ $# -gt 1 ] || return 0
	[[ " ${*:2} " == *" $1 "* ]]
}

is_there() {
	case $1 in
	/*) compgen -G "$1" >/dev/null ;;
	*) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
	esac
}

# nginx must not be started as a service: a policy is laid down for the installation alone, where there is none.
apt_install() {
	local policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		trap "rm -f $policy" EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null
}

# npm's own record of what is installed does not say from which lock, so a digest of the lock is kept beside it.
install_modules() {
	local digest stamp=node_modules/.lock-digest
	digest=$(cksum <package-lock.json)
	if [ ! -d node_modules ] || [ "$(cat $stamp 2>/dev/null)" != "$digest" ]; then
		say "npm ci"
		npm ci --no-audit --no-fund --loglevel=error </dev/null >&2
		echo "$digest" >$stamp
	fi
	PATH=$PWD/node_modules/.bin:$PATH node tools/liblzma.ts
}

main "$@"
