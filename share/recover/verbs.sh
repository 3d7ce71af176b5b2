# --- what the program beside the journal does

recovery_usage() {
	echo "usage: sh $self [-nv] [-R root] [--undo] [--boot]" >&2
	leave "$1"
}

# Early in the boot nobody may be there to read it.
talk() {
	printf '%s\n' "$1" >&2
	[ -n "$at_boot" ] && [ -n "$state" ] || return 0
	{ printf '%s\n' "$1" >>"$state/log/boot"; } 2>/dev/null
	# A service of systemd talks to the journal already.
	[ -n "${JOURNAL_STREAM-}" ] || logger -t bindery -- "$1" >/dev/null 2>&1
}

read_options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--undo) undo=1 ;;
		--boot) at_boot=1 ;;
		-h | --help) recovery_usage 0 ;;
		-R) [ $# -gt 1 ] || recovery_usage 2; root=$2; shift ;;
		-R?*) root=${1#-R} ;;
		-n) dry=1 ;;
		-v) verbose=1 ;;
		-nv | -vn) dry=1 verbose=1 ;;
		*) recovery_usage 2 ;;
		esac
		shift
	done
}

# A machine that starts calls this each time: where nothing is left, no other program is.
is_anything_left() {
	[ ! -f "$state/journal" ] && [ ! -f "$state/commit-hooks" ] || return 0
	set +f
	set -- "$state"/recovering.* "$state"/stage/* "$state"/journal.new
	for one in "$state"/store/*; do [ -f "$state/receipt/${one##*/}" ] || set -- "$@" "$one"; done
	[ -n "$at_boot" ] || set -- "$@" "$state"/steps/*
	set -f
	for one do ! exists "$one" || return 0; done
	return 1
}

# Of a form that is not known here, nothing is touched.
check_form() {
	[ -f "$state/journal" ] || return 0
	first=
	IFS= read -r first <"$state/journal"
	case $first in
	'bindery-journal 1') ;;
	'bindery-journal '*) die 1 "$state/journal: is of a newer bindery than this program" 'the bindery that wrote it finishes it; nothing was changed' ;;
	*) die 3 "$state/journal: is torn or changed" 'put it back from a backup; nothing was changed' ;;
	esac
}

# A root that is mounted read-only but for a commit is so again when the machine starts. What makes it writable, and puts it back, was
# written down by the run that was killed (doc/spec/client-state.md).
open_root() {
	[ -f "$state/commit-hooks" ] || return 0
	first=
	IFS= read -r first <"$state/commit-hooks"
	[ "$first" = 'bindery-commit-hooks 1' ] || { say "$state/commit-hooks: is of another bindery than this program, and is left alone"; return; }
	hook_of before
	before_commit=$path
	hook_of after
	after_commit=$path closing=close_root
	run_hook "$before_commit" || say "before-commit of bindery.conf failed with status $ended"
}

hook_of() { unword "$(sed -n "s/%/\\\\045/g; s/^$1 //p" "$state/commit-hooks")"; }

# In the root, as a step is run, and with what it prints.
run_hook() {
	ended=0 hook=$1
	[ -n "$hook" ] || return 0
	set -- env -i HOME=/root LC_ALL=C PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
	! timeout -k 1 5 true 2>/dev/null || set -- "$@" timeout -k 5 300
	[ -z "$top" ] || set -- "$@" chroot "$top"
	(begin_step "$@" /bin/sh -c "$hook") </dev/null >&2 || ended=$?
	return "$ended"
}

# Whatever came of the rest. The file goes while it can, and comes back where it is still to be done.
close_root() {
	closing=''
	# Programs of our own have gone with the temporary folder.
	hash -r
	due=$(cat "$state/commit-hooks" && echo /)
	rm -f "$state/commit-hooks" && sync_files "$state"
	run_hook "$after_commit" && return
	say "after-commit of bindery.conf failed with status $ended; the next run tries it again"
	printf '%s' "${due%/}" >"$state/commit-hooks.new" && write_state "$state/commit-hooks"
	closed=6
}

# Where the library of all programs is what was being replaced, one that needs none takes their place. $busybox is empty else.
find_programs() {
	busybox=
	for one in $tools; do starts "$one" || { find_busybox "$one" && return; }; done
}

starts() {
	"$1" --help </dev/null >/dev/null 2>&1
	[ $? -lt 126 ]
}

find_busybox() {
	# Not by command -v: a shell of busybox says no path.
	IFS=:
	for folder in $PATH "$top/bin" "$top/usr/bin"; do
		busybox=$folder/busybox
		[ ! -x "$busybox" ] || ! "$busybox" true 2>/dev/null || break
		busybox=
	done
	IFS=$blanks
	[ -z "$busybox" ] || return 0
	if command -v "$1" >/dev/null; then die 4 "$1 does not start, and there is no busybox that takes its place"; fi
	die 4 "$1 is missing; is its file system mounted?" 'nothing was changed'
}

# Not in /tmp, which may not be there yet, or be another's.
make_own_tmp() {
	tmp=$state/recovering.$$
	# shellcheck disable=SC2086 # no word where there is none
	{ ${busybox:+"$busybox"} rm -rf "$tmp" && ${busybox:+"$busybox"} mkdir "$tmp"; } 2>/dev/null || {
		tmp=
		die 4 "$state: cannot be written" 'this is for root, on a file system that is not mounted read-only; nothing was changed'
	}
	: >"$tmp/empty"
}

use_busybox() {
	"$busybox" mkdir "$tmp/bin"
	for one in $tools chroot mkfifo mknod ps sh sha256sum sleep timeout; do "$busybox" ln -s "$busybox" "$tmp/bin/$one"; done
	PATH=$tmp/bin:$PATH
	hash -r
	explain "$busybox takes the place of programs that do not start"
}

# What killed runs of this program had for themselves.
sweep_own() {
	set +f
	for one in "$state"/recovering.*; do [ "$one" = "$tmp" ] || rm -rf "$one"; done
	set -f
}

tell_left() {
	[ ! -f "$state/journal" ] || is_settled || tell_one "$state/journal"
	[ -z "$at_boot" ] || return 0
	[ ! -f "$state/commit-hooks" ] || echo 'after-commit of bindery.conf is due'
	set +f
	for left in "$state"/steps/*; do
		case ${left##*/} in *[!0-9]*) ;; *) tell_one "$left" ;; esac
	done
	set -f
}

tell_one() {
	purpose='' direction='' changes='' names=''
	while read -r key one old new; do
		case $key in
		purpose) purpose=$one ;;
		direction) direction=$one ;;
		release) changes="$changes${changes:+, }$old -> $new" ;;
		post | failed) [ "$one" = notice ] || names="$names${names:+, }$old" ;;
		kept | mkdir | rmdir | put | drop | swap | attr | end) break ;;
		esac
	done <"$1"
	case $1:$direction in
	*/journal:backward) echo "$purpose $changes was interrupted, and was being taken back" ;;
	*/journal:*) echo "$purpose $changes was interrupted" ;;
	*) if [ -n "$names" ]; then echo "$purpose $changes has steps left to run: $names"; else echo "$purpose $changes has notices left to show"; fi ;;
	esac
}

tell_waiting() {
	set +f
	for one in "$state"/steps/*; do
		[ ! -f "$one" ] || { say "steps of the update are left: 'bindery recover' runs them"; break; }
	done
	set -f
}

recover_all() {
	find_programs
	open_root
	make_own_tmp
	[ -z "$busybox" ] || use_busybox
	find_tools
	# What busybox lacks may be there and not start.
	[ -z "$xattrs" ] || { starts getfattr && starts setfattr; } || xattrs=
	find_touch
	find_sync
	[ -z "$at_boot" ] || { date >>"$state/log/boot"; } 2>/dev/null
	if [ -n "$undo" ] && { [ ! -f "$state/journal" ] || is_settled; }; then say "the install is done; 'bindery rollback' takes it back"; fi
	begin
	sweep_own
	[ -z "$at_boot" ] || tell_waiting
	leave "$first_status"
}

bindery_recover() {
	PATH=${PATH:-/sbin:/bin:/usr/sbin:/usr/bin}
	settle recover
	PATH=$PATH:/bin:/usr/bin:/rescue
	# How many installs are kept is for the client to say.
	state='' lacking_status=4 keep_releases=1000000 call='' room_hint='make some, and run this again'
	tools='awk cat chmod chown cmp cp cut date dd df env find grep ln ls mkdir mv od paste readlink rm rmdir sed sort stat sync tail tar touch tr uname'
	whole_path "$0"
	self=$whole
	read_options "$@"
	find_root
	state=$top/var/db/bindery
	is_anything_left || leave 0
	check_form
	[ -z "$dry" ] || { tell_left && leave 0; }
	recover_all
}
