#!/usr/bin/env bash
# trees.sh OLD NEW: two states of a small system with everything that a tree can hold and every way that a path can
# change. Owners, devices and attributes need root.
set -euo pipefail
old=$1 new=$2

# Programs of this system stand for those of a release: real code, a few MB of it.
program=$(readlink -f /bin/bash)
library=$(ldd "$program" | sed -n 's/.*=> \(.*libc\.so[^ ]*\) .*/\1/p')
linker=$(readlink -f /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 2>/dev/null | head -1)

make_old() {
	mkdir -p bin etc usr/{bin,lib,libexec,share/doc,share/empty} var/{log,run} dev tmp odd gone/below/deep
	printf 'root:*:0:0::/root:/bin/sh\nwww:*:67:67::/:/bin/false\n' >etc/passwd
	printf 'wheel:*:0:\nwww:*:67:\n' >etc/group
	cp "$program" bin/sh
	cp "$program" usr/bin/ex
	cp "$library" usr/lib/libc.so.99.0
	cp "$linker" usr/libexec/ld.so
	head -c 200000 "$program" >bsd
	chmod 555 bin/sh usr/bin/ex
	chmod 444 usr/lib/libc.so.99.0
	chmod 700 bsd
	seq 20000 >usr/share/doc/numbers
	seq 30000 60000 >usr/share/doc/other
	: >var/log/empty
	hard_links
	symbolic_links
	odd_names
	special_files
	for i in $(seq 60); do echo "page $i" >"usr/share/doc/page$i"; done
	echo below >gone/below/deep/file
	echo 'becomes a directory' >usr/share/file-to-dir
	mkdir usr/share/dir-to-link && echo x >usr/share/dir-to-link/x
	ln -s page1 usr/share/link-to-file
	echo 'becomes a fifo' >usr/share/file-to-fifo
	chown -h 67:67 var/run/pipe usr/share/doc/page9
	chown 4242:4343 usr/share/doc/page10
	find . -exec touch -h -d '2026-01-01 00:00:00.123456789 UTC' {} +
}

hard_links() {
	ln usr/bin/ex usr/bin/vi
	ln usr/bin/ex usr/bin/view
	echo joined >usr/share/group1 && ln usr/share/group1 usr/share/group2
	echo apart1 >usr/share/single1 && echo apart2 >usr/share/single2
}

symbolic_links() {
	ln -s libc.so.99.0 usr/lib/libc.so
	ln -s /nonexistent/absolute usr/lib/dangling
	ln -s ../../etc usr/lib/to-etc
	ln -s 'target with  spaces' usr/lib/odd-target
	ln -s "$(printf 'x%.0s' $(seq 200))" usr/lib/long-target
}

odd_names() {
	local name deep
	for name in 'with space' $'new\nline' $'tab\there' 'back\slash' '-dash' '*star?' '#hash' 'a=b' $'latin1-\xe9' $'bytes-\xff\xfe\x01' 'ünïcode' \
		'...' '~' "quote'\"" '[glob]' "$(printf 'n%.0s' $(seq 255))"; do
		printf 'named %s' "$name" >"odd/$name"
	done
	deep=odd/$(printf 'directory-%02d/' $(seq 24))
	mkdir -p "$deep"
	echo deep >"$deep/file"
}

special_files() {
	cp bin/sh usr/bin/su && chmod 4755 usr/bin/su
	cp "$program" usr/bin/wall && chmod 2755 usr/bin/wall
	chmod 1777 tmp
	echo secret >etc/master && chmod 000 etc/master
	mkdir var/private && chmod 700 var/private
	mkfifo -m 640 var/run/pipe
	mknod -m 666 dev/null c 1 3
	mknod -m 640 dev/disk b 8 0
	truncate -s 9M var/sparse && printf data | dd of=var/sparse bs=1M seek=5 conv=notrunc status=none
	attribute build
}

# Not every file system has attributes for users (tmpfs of an older Linux has none).
attribute() {
	setfattr -n user.origin -v "$1" usr/share/doc/numbers 2>/dev/null || echo "trees.sh: no extended attributes here" >&2
}

change_to_new() {
	patch_program bin/sh
	patch_program usr/bin/ex
	patch_program usr/bin/su
	patch_program usr/lib/libc.so.99.0
	patch_program usr/libexec/ld.so
	patch_program bsd
	cp usr/lib/libc.so.99.0 usr/lib/libc.so.99.1
	ln -sf libc.so.99.1 usr/lib/libc.so
	rm usr/lib/libc.so.99.0
	{ seq 5000; echo inserted; seq 5001 20000; } >usr/share/doc/numbers
	attribute rebuild
	mv usr/share/doc/other usr/share/doc/moved
	chmod 755 usr/bin/wall
	chmod 4555 usr/bin/su
	chown 67:0 usr/share/doc/page10
	touch -d '2026-01-15 12:00:00.5 UTC' usr/share/doc/page11
	rm -r gone usr/share/doc/page2{0,1,2}
	rm usr/share/group2 && echo alone >usr/share/group2
	rm usr/share/single2 && ln usr/share/single1 usr/share/single2
	rm usr/bin/view && ln -s vi usr/bin/view
	rm usr/share/file-to-dir && mkdir usr/share/file-to-dir && echo inside >usr/share/file-to-dir/inside
	rm -r usr/share/dir-to-link && ln -s doc usr/share/dir-to-link
	rm usr/share/link-to-file && echo 'now a file' >usr/share/link-to-file
	rm usr/share/file-to-fifo && mkfifo usr/share/file-to-fifo
	printf 'changed' >$'odd/new\nline'
	printf 'changed' >$'odd/bytes-\xff\xfe\x01'
	rm 'odd/*star?' && echo added >'odd/?star*'
	rm dev/disk && mknod -m 640 dev/disk b 8 16
	printf more | dd of=var/sparse bs=1M seek=7 conv=notrunc status=none
	ln -sfn /elsewhere usr/lib/dangling
	mkdir -p added/below && echo new >added/below/file && chmod 750 added
	touch -d '2026-02-01 00:00:00.987654321 UTC' added/below/file added/below added
}

# What a rebuild does to a program: a stamp, and addresses that moved, all over it.
patch_program() {
	local size at
	size=$(stat -c %s "$1")
	chmod u+w "$1"
	for at in $(seq 1000 40000 "$size"); do printf '\x11\x22' | dd of="$1" bs=1 seek="$at" conv=notrunc status=none; done
	chmod --reference="$old/$1" "$1"
}

old=$(realpath -m "$old") new=$(realpath -m "$new")
umask 022
mkdir -p "$old"
(cd "$old" && make_old)
cp -a "$old" "$new"
(cd "$new" && change_to_new)
