# --- carrying out a journal (doc/spec/journal.md), forward or backward
#
# Each action looks at the disk to see whether it has been done: a run that was killed anywhere is continued by doing the same
# again. Nothing is remembered but the journal.

# Checks the journal's digest, and reads its head: $tx, $purpose, $direction, the areas.
read_journal() {
	read -r first <"$1"
	[ "$first" = 'bindery-journal 1' ] || die 1 "$1: is no journal that this program knows"
	[ "$(sed '$d' "$1" | digest)" = "$(sed -n '$s/^end //p' "$1")" ] || die 3 "$1: is torn or changed"
	tx=$(sed -n 's/^transaction //p;/^time/q' "$1")
	purpose=$(sed -n 's/^purpose //p;/^time/q' "$1")
	direction=$(sed -n 's/^direction //p;/^time/q' "$1")
	read_areas "$1"
	# shellcheck disable=SC2016
	awk '$1 ~ /^(mkdir|rmdir|put|drop|swap|attr)$/' "$1" >"$tmp/actions"
	can_set x "$xattrs" 'extended attributes' 'getfattr and setfattr' && can_set f "$flags" 'file flags' 'chflags' ||
		die "$lacking_status" "$1: has $cannot, which cannot be set here: there is no $tool" 'it was made where they could be'
}

can_set() {
	cannot=$3 tool=$4
	[ -n "$2" ] || ! grep -q ",$1=" "$tmp/actions"
}

# Which times a content may have before or after its attributes are set, what brings a file to a path, where a path is used twice.
prepare_commit() {
	awk '
		function key(node, f) { sub(/,[fx]=.*/, "", node); split(node, f, ","); return f[1] "," f[6] "," f[7] }
		function time(node, f) { split(node, f, ","); return f[5] }
		$1 == "attr" { print key($4), time($3); print key($4), time($4) }' "$tmp/actions" >"$tmp/times"
	awk '$1 == "put" || $1 == "swap" { came[$2] = $1 " " $3 } $1 == "attr" && $2 in came { print $2, came[$2] }' "$tmp/actions" >"$tmp/came"
	awk '$1 == "mkdir" { folder[$2] = 1 } $1 == "drop" { dropped[$2] = 1 } END { for (path in dropped) if (path in folder) print path }' "$tmp/actions" >"$tmp/several"
	: >"$tmp/late"
	: >"$tmp/leaf-times"
	# What is read line by line is read byte by byte; so those that get a time alone, thousands in a system, are left out.
	forward=$([ "$direction" != forward ] || echo 1) came=$tmp/came only=$tmp/only-times awk '
		BEGIN { printf "" > ENVIRON["only"]; while ((getline line < ENVIRON["came"]) > 0) { split(line, f, " "); came[f[1]] = 1 } }
		$1 == "attr" && split($3, old, ",") && split($4, new, ",") && old[1] == "file" && new[1] == "file" && !($2 in came) &&
			old[2] "," old[3] "," old[4] == new[2] "," new[3] "," new[4] && $3 $4 !~ /,x=/ {
				if (ENVIRON["forward"]) print $2, new[5], $4, $3 > ENVIRON["only"]
				else print $2, old[5], $3, $4 > ENVIRON["only"]
				next
			}
		{ print }' "$tmp/actions" >"$tmp/doing"
}

carry_out() {
	number=0
	while [ "$number" -lt "$areas" ]; do
		eval "area=\$top/\$area_$number"
		[ -d "$area/stage/$tx" ] || die 4 "$area/stage/$tx: is not there; is its file system mounted?"
		number=$((number + 1))
	done
	prepare_commit
	[ -z "$flags" ] || clear_flags
	if [ "$direction" = forward ]; then
		do_all
	else
		awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }' "$tmp/doing" >"$tmp/backward"
		while read -r action one a b c d; do undo_"$action" "$one" "$a" "$b" "$c" "$d"; done <"$tmp/backward"
	fi
	set_leaf_times
	close_folders
	sync_touched
}

# In their order; what follows on each other and is of one kind is done by one program.
do_all() {
	batch=''
	set --
	while read -r action one a b c d; do
		if [ $# -gt 0 ] && { [ "$action" != "$batch" ] || [ $# = 64 ]; }; then do_batch "$@" && set --; fi
		batch=$action
		case $action in
		mkdir) ! is_folder_due "$one" || set -- "$@" "$file" ;;
		drop) ! is_drop_due "$one" "$a" "$b" || set -- "$@" "$file" ;;
		*) do_"$action" "$one" "$a" "$b" "$c" "$d" ;;
		esac
	done <"$tmp/doing"
	[ $# = 0 ] || do_batch "$@"
}

do_batch() {
	case $batch in
	mkdir) mkdir "$@" || stopped "folders could not be made" ;;
	drop) rm -f "$@" || stopped "files could not be removed" ;;
	esac
}

stopped() {
	say "stopped in the middle: $1"
	hint "'sh $self$call' goes on when the cause is gone, 'sh $self$call --undo' goes back"
	staging=
	leave 4
}

do_rmdir() { remove_folder "$1" "$2"; }
undo_mkdir() { remove_folder "$1" "$2"; }
undo_rmdir() { make_folder "$1"; }

do_put() {
	slot "$2"
	exists "$from" || return 0
	see "$1"
	if [ -n "$kind" ]; then
		if same_file "$file" "$from" || is_copy "$3"; then rm -f "$from" && return; fi
		set_aside "$1"
	fi
	move "$from" "$1"
}

do_swap() {
	slot "$2"
	exists "$from" || return 0
	see "$1"
	if [ -n "$kind" ]; then
		if same_file "$file" "$from" || is_copied "$3" "$4"; then rm -f "$from" && return; fi
		is_saved "$3" || if is_stored; then give_second_name "$1"; else set_aside "$1"; fi
	fi
	move "$from" "$1"
}

is_drop_due() {
	slot "$2"
	see "$1"
	[ -n "$kind" ] || return 1
	[ "$kind" != dir ] || ! grep -qxF -e "$1" "$tmp/several" || return 1
	is_saved "$3" && return
	printf '%s\n' "modified $1" >>"$tmp/late"
	return 1
}

do_attr() { set_leaf "$1" "$3" "$2"; }

undo_put() {
	slot "$2"
	see "$1"
	half_moved
	if ! has_come; then
		rm -f "$half"
		if [ -n "$kind" ] && [ "$kind" != dir ] && is_copy "$3"; then rm -f "$file"; fi
	elif [ -n "$kind" ] && [ "$kind" != dir ]; then
		if looks_like "$3"; then rm -f "$file" || stopped "$file: could not be removed"
		else printf '%s\n' "modified $1" >>"$tmp/late"
		fi
	fi
}

undo_swap() {
	slot "$2"
	see "$1"
	half_moved
	if ! has_come && ! is_copied "$3" "$4"; then rm -f "$half" && return; fi
	exists "$out" || return 0
	if is_stored || is_copied "$4" "$3"; then rm -f "$out" && return; fi
	[ -z "$kind" ] || looks_like "$4" || set_aside "$1"
	move "$out" "$1"
}

# What was not taken from its slot never came. A power cut may give a name back that a rename took: some file systems make the new name
# durable, and not yet that the old one is gone.
has_come() { ! exists "$from" || { [ -n "$kind" ] && same_file "$file" "$from"; }; }

undo_drop() {
	slot "$2"
	exists "$out" || return 0
	see "$1"
	if [ -n "$kind" ]; then
		if same_file "$file" "$out" || looks_like "$3"; then return; fi
		set_aside "$1"
	fi
	move "$out" "$1"
}

# Of a file that came by this journal only while it is there: it may be another name of one in the store of an earlier install.
undo_attr() {
	came=$(word=$1 awk '$1 == ENVIRON["word"] { print $2, $3 }' "$tmp/came")
	if [ -n "$came" ]; then
		slot "${came#* }"
		see "$1"
		has_come || return 0
		if [ "${came% *}" = swap ] && ! exists "$out"; then return; fi
		live_kind=$kind
		fields "$2"
		[ "$kind" = "$live_kind" ] || return 0
		if ! is_meant "$2" "$3"; then printf '%s\n' "modified $1" >>"$tmp/late" && return; fi
		set_attributes "$file" "$2" "$3" || stopped "$file: its attributes could not be set"
		return
	fi
	set_leaf "$1" "$2" "$3"
}

# Open to us until all is in it; close_folders gives it its mode.
make_folder() { ! is_folder_due "$1" || mkdir "$file" || stopped "$file: could not be made"; }

is_folder_due() {
	see "$1"
	[ "$kind" != dir ] || return 1
	[ -z "$kind" ] || set_aside "$1"
}

remove_folder() {
	see "$1"
	[ "$kind" = dir ] || return 0
	! rmdir "$file" 2>"$tmp/error" && [ -d "$file" ] || return 0
	[ -n "$(ls -A "$file")" ] || stopped "$(cat "$tmp/error")"
	printf '%s\n' "not-empty $1" >>"$tmp/late"
}

set_leaf() {
	see "$1"
	live_kind=$kind
	fields "$2"
	[ "$kind" != dir ] && [ "$kind" = "$live_kind" ] || return 0
	if ! is_meant "$2" "$3"; then printf '%s\n' "modified $1" >>"$tmp/late" && return; fi
	set_owner "$file" "$2" "$3" && set_xattrs "$file" "$2" "$3" || stopped "$file: its attributes could not be set"
	fields "$2"
	printf '%s\n' "$1 $time" >>"$tmp/leaf-times"
}

# is_meant WANTED BEFORE: whether the file is still the one that gets these attributes, and no name of a file of others, nor a program of
# theirs, that whoever may change the folder has put there. What is written to by its owner meanwhile still is.
is_meant() {
	[ "$kind" != symlink ] || return 0
	# shellcheck disable=SC2046 # numbers
	set -- "$1" "$2" $(stat "$statting" "$details" "$file")
	owned='' moded=''
	fields "$2"
	before=$((0$mode)) uid_before=$uid
	[ "$uid:$gid" != "$4:$5" ] || owned=1
	[ $((before)) != $((0$3)) ] && [ $((before & 01777)) != $((0$3)) ] || moded=1
	fields "$1"
	[ "$uid:$gid" != "$4:$5" ] || owned=1
	[ $((0$mode)) != $((0$3)) ] && [ $((0$mode & 01777)) != $((0$3)) ] || moded=1
	[ -n "$owned" ] && [ -n "$moded" ] || return 1
	[ "$kind" = file ] || return 0
	# Size and time can be forged by whoever owns the file.
	if [ $((0$mode & 06000 & ~before)) != 0 ] || { [ $((0$mode & 06000)) != 0 ] && [ "$uid" != "$uid_before" ]; } || [ "${1#*,x=}" != "$1" ]; then
		looks_like "$1" && [ "$(digest <"$file")" = "$sum" ]
	else
		[ "$(stat "$statting" "$linked" "$file")" = 1 ] || looks_like "$1"
	fi
}

# By rename(2): at any moment the path is its old or its new version. mv would go into the folder that a link points to.
move() {
	if [ -L "$file" ] && [ -d "$file" ]; then
		{ mv -T -f "$1" "$file" || mv -h -f "$1" "$file" || { rm -f "$file" && mv -f "$1" "$file"; }; } 2>/dev/null && return
	elif mv -f "$1" "$file" 2>"$tmp/error"; then
		return
	elif [ ! -d "${file%/*}" ]; then
		# The folder was taken away after the plan was made.
		printf '%s\n' "removed $2" >>"$tmp/late"
		return
	fi
	stopped "$file: $(cat "$tmp/error")"
}

# Somebody put something here after the plan was made: it gets a name beside, so that it is not lost.
set_aside() {
	aside=$1.local number=0
	unword "$aside"
	while exists "$top/$path"; do
		number=$((number + 1))
		aside=$1.local.$number
		unword "$aside"
	done
	mv -f "$file" "$top/$path" || stopped "$file: could not be moved out of the way"
	printf '%s\n' "late $1 $aside" >>"$tmp/late"
}

# The store would forget it with its receipt. Whoever goes on once more finds the name that it has already.
give_second_name() {
	aside=$1.local number=0
	unword "$aside"
	while exists "$top/$path" && ! same_file "$file" "$top/$path"; do
		number=$((number + 1))
		aside=$1.local.$number
		unword "$aside"
	done
	exists "$top/$path" || ln "$file" "$top/$path" || stopped "$file: could not be given a name beside"
	printf '%s\n' "late $1 $aside" >>"$tmp/late"
}

same_file() {
	if [ -L "$1" ] && [ -L "$2" ]; then
		inode_of "$1"
		first=$inode
		inode_of "$2"
		[ "$first" = "$inode" ]
	else
		[ ! -L "$1" ] && [ ! -L "$2" ] && [ "$1" -ef "$2" ]
	fi
}

# The number before the name.
inode_of() {
	# shellcheck disable=SC2012,SC2046 # nothing but that number is used
	set -- $(ls -di "$1")
	inode=$1
}

# Whether what is at the path lies in the store too; where it could not be put there before, it is now.
is_saved() {
	if is_stored; then
		is_unedited "$1"
		return
	fi
	looks_like "$1" || return 1
	if exists "$out"; then return 0; fi
	keep_aside "$file" "$out" "$1" && sync_files "${out%/*}"
}

is_stored() { [ -n "$kind" ] && exists "$out" && same_file "$file" "$out"; }

# What is in the store may have been written to through its path, in the time since a run was stopped. A new time alone is no edit.
is_unedited() {
	[ -n "${resumed-}" ] || return 0
	looks_like "$1" && return
	[ "$kind" = file ] && [ "$(digest <"$file")" = "$sum" ]
}

# Whether a move by copy was stopped before its last step: what comes is in its place already, and in its slot still.
is_copied() {
	[ -n "$kind" ] && exists "$out" && ! same_file "$file" "$out" && is_copy "$2" && ! looks_like "$1"
}

# Our own files are never copied.
is_copy() {
	case $1 in file,*,0000000000000000000000000000000000000000000000000000000000000000) return 1 ;; esac
	looks_like "$1"
}

# As good as it can be told without reading: kind, and of files size and time. Where touch knows no fractions, none are compared.
looks_like() {
	live_kind=$kind
	fields "$1"
	wanted_kind=$kind kind=$live_kind
	[ "$wanted_kind" = "$live_kind" ] || return 1
	[ "$sum" != 0000000000000000000000000000000000000000000000000000000000000000 ] || return 0
	[ "$kind" = file ] || [ "$kind" = symlink ] || return 0
	# shellcheck disable=SC2046,SC2086
	set -- "$1" $(stat "$statting" "$details" "$file")
	[ "$kind" = symlink ] || [ "$own" = "$5" ] || return 1
	shift 9
	seconds=${1%%.*} fraction=
	case ${1-}:${3-} in *.*:*) fraction=${1#*.} ;; *:*.*) fraction=${3#*.} ;; esac
	[ "$seconds.${fraction:-000000000}" = "$time" ] && return
	key="$wanted_kind,$own,$sum" now="$seconds.${fraction:-000000000}" awk '$1 == ENVIRON["key"] && $2 == ENVIRON["now"] { found = 1 } END { exit !found }' "$tmp/times" && return
	[ -z "$fractions" ] && [ "$seconds" = "${time%.*}" ]
}

# Where bindery renames a copy that lies beside the path, since the slot's rename was refused.
half_moved() {
	half=$top/.bindery-$tx-${from##*/}
	case $path in */*) half=$top/${path%/*}/.bindery-$tx-${from##*/} ;; esac
}

# Owner, mode and time of folders are set when nothing is put into them any more: times first, then the deepest mode.
close_folders() {
	awk -v forward="$([ "$direction" = forward ] && echo 1)" '
		{ old = $1 == "mkdir" || $1 == "put" ? "" : $1 == "swap" || $1 == "drop" ? $4 : $3
		  new = $1 == "rmdir" || $1 == "drop" ? "" : $NF
		  if ($1 == "mkdir") new = $3
		  if ($1 == "attr") { old = $3; new = $4 }
		  wanted = forward ? new : old
		  before = forward ? old : new
		  if (wanted ~ /^dir,/) print $2, wanted, before }' "$tmp/actions" | LC_ALL=C sort >"$tmp/closing"
	awk '{ split($2, f, ","); print $1, f[5] }' "$tmp/closing" | stamped 2 | LC_ALL=C sort -k 2 >"$tmp/stamps"
	set_stamps dir <"$tmp/stamps"
	awk '
		{
			split($2, wanted, ","); split($3, before, ",")
			owner = wanted[3] ":" wanted[4]
			changes = owner != before[3] ":" before[4]
			line[NR] = $1 " " (changes ? owner : "-") " " (changes || wanted[2] != before[2] ? wanted[2] : "-") " " $2 " " $3
		}
		END { for (i = NR; i > 0; i--) print line[i] }' "$tmp/closing" >"$tmp/modes"
	awk '$2 != "-" { print $1, $2 }' "$tmp/modes" >"$tmp/owners"
	set_folders chown <"$tmp/owners"
	grep ',x=' "$tmp/modes" >"$tmp/named" || :
	while read -r one _ _ node before; do
		see "$one"
		[ "$kind" != dir ] || set_xattrs "$file" "$node" "$before" || stopped "$file: its attributes could not be set"
	done <"$tmp/named"
	awk '$3 != "-" { print $1, $3 }' "$tmp/modes" >"$tmp/owners"
	set_folders chmod <"$tmp/owners"
	[ -z "$flags" ] || set_flags
}

# Lines `PATH WORD` on stdin: what follows on each other and gets the same owner or mode gets it at once.
set_folders() {
	program=$1 value=''
	set --
	while read -r one word; do
		see "$one"
		[ "$kind" = dir ] || continue
		if [ $# -gt 0 ] && { [ "$word" != "$value" ] || [ $# = 64 ]; }; then
			"$program" "$value" "$@" || stopped "$1: its attributes could not be set"
			set --
		fi
		value=$word
		set -- "$@" "$file"
	done
	[ $# = 0 ] || "$program" "$value" "$@" || stopped "$1: its attributes could not be set"
}

# Flags that forbid changes go before the first action, and come after the last: of several at one path, that one says which.
clear_flags() {
	awk '/,f=/ { print $2 }' "$tmp/actions" | sort -u >"$tmp/flagged"
	while read -r one; do
		see "$one"
		[ -z "$kind" ] || chflags -h 0 "$file" || stopped "$file: its flags could not be taken"
	done <"$tmp/flagged"
}

set_flags() {
	awk -v forward="$([ "$direction" = forward ] && echo 1)" '
		function flags(node) { return match(node, /,f=[^,]*/) ? substr(node, RSTART + 3, RLENGTH - 3) : "" }
		{ old = $1 == "mkdir" || $1 == "put" ? "" : $1 == "swap" || $1 == "drop" ? $4 : $3
		  new = $1 == "rmdir" || $1 == "drop" ? "" : $1 == "mkdir" ? $3 : $1 == "swap" ? $5 : $4
		  wanted = flags(forward ? new : old)
		  if (forward || !($2 in of)) of[$2] = wanted }
		END { for (path in of) if (of[path] != "") { gsub(/[+]/, ",", of[path]); print path, of[path] } }' "$tmp/actions" >"$tmp/flagged"
	while read -r one words; do
		see "$one"
		[ -z "$kind" ] || chflags -h "$words" "$file" || stopped "$file: its flags could not be set"
	done <"$tmp/flagged"
}

# Nothing is durable before its folder is; a file whose attributes changed, be it the time alone, is one of its own.
sync_touched() {
	awk '
		$1 == "attr" && $3 ~ /^(dir|file),/ { print $2 }
		$1 == "attr" && $3 ~ /^dir,/ { next }
		{ if (!sub(/\/[^\/]*$/, "", $2)) $2 = "."; print $2 }' "$tmp/actions" | sort -u >"$tmp/touched"
	set --
	while read -r one; do
		see "$one"
		[ "$kind" = dir ] || [ "$kind" = file ] || continue
		set -- "$@" "$file"
		[ $# -lt 200 ] || { sync_files "$@" && set --; }
	done <"$tmp/touched"
	[ $# = 0 ] || sync_files "$@"
}

# What a name that stays shares with the store becomes a file of the store's own when going forward; before going back, the store
# holds that very file again, so that the path becomes another name of it.
twins() {
	awk '$1 == "drop" && NF == 5 { print $3, $4, $5 } $1 == "swap" && NF == 6 { print $3, $4, $6 }' "$tmp/actions" >"$tmp/twins"
	while read -r a old other; do
		slot "$a"
		see "$other"
		[ -n "$kind" ] && exists "$out" || continue
		rm -f "$out.half"
		if [ "$1" = separate ]; then
			! same_file "$file" "$out" || { copy_node "$out" "$out.half" "$old" && mv -f "$out.half" "$out"; } || stopped "$out: could not be copied"
		elif ! same_file "$file" "$out" && [ "$(digest <"$file")" = "$(fields "$old" && echo "$sum")" ]; then
			ln "$file" "$out.half" && mv -f "$out.half" "$out"
		fi
	done <"$tmp/twins"
}

# From a journal on the disk to a receipt, or to nothing when it goes backward.
finish() {
	state=$top/var/db/bindery
	staging=
	trap '' INT TERM HUP
	[ "$direction" = forward ] || twins join
	carry_out
	[ "$direction" = backward ] || twins separate
	awk '$1 == "kept"' "$state/journal" | sed 's/^kept //' >"$tmp/kept"
	cat "$tmp/late" >>"$tmp/kept"
	if [ "$direction" = forward ]; then
		if awk '$1 == "post" || $1 == "reboot" { found = 1; exit } $1 == "kept" { exit } END { exit !found }' "$state/journal"; then
			{ awk '$1 ~ /^(kept|mkdir|rmdir|put|drop|swap|attr|end)$/ { exit } { print }' "$state/journal"; sed 's/^/kept /' "$tmp/kept"; } | sealed >"$state/steps/$tx.new" ||
				stopped "$state/steps/$tx could not be written"
			write_state "$state/steps/$tx"
		fi
		mv -f "$state/journal" "$state/receipt/$tx" || stopped "$state/journal: could not become a receipt"
		sync_files "$state/receipt"
	else
		rm -f "$state/steps/$tx" "$state/journal"
	fi
	sync_files "$state"
	expire
	conclude
}

# Receipts that are undone or too old go, and what nothing refers to any more.
expire() {
	set +f
	for one in "$state"/receipt/*; do
		case ${one##*/} in *[!0-9]*) continue ;; esac
		[ ! -f "$one" ] || awk -v n="${one##*/}" '
			$1 == "purpose" { print n, $2 } $1 == "undoes" { print n, "undoes", $2 } $1 ~ /^(post|reboot|kept|mkdir|rmdir|put|drop|swap|attr|end)$/ { exit }' "$one"
	done | sort -n >"$tmp/receipts"
	set -f
	awk -v keep="$keep_releases" '
		$2 == "undoes" { gone[$3] = 1; next } { n[++count] = $1; what[$1] = $2 }
		END { for (i = count; i > 0; i--) if (what[n[i]] == "install" && !(n[i] in gone)) { oldest = n[i]; if (++installs == keep) break }
		      for (i = 1; i <= count; i++) if ((n[i] in gone) || (installs > 0 && n[i] < oldest + 0) || (installs == 0 && i <= count - keep)) print n[i] }' "$tmp/receipts" >"$tmp/expired"
	while read -r one; do rm -f "$state/steps/$one" "$state/receipt/$one"; done <"$tmp/expired"
	[ ! -s "$tmp/expired" ] || sync_files "$state/receipt"
	sweep
}

# Says what was kept, runs the steps of what is now installed, and answers with the status.
conclude() {
	status=0
	say_kept
	[ "$direction" = backward ] || [ -n "$at_boot" ] || run_left "$tx"
	explain "$purpose done"
}

say_kept() {
	while read -r reason one other; do
		case $reason in merged | needed) ;; *) status=6 ;; esac
		kept_text "$reason" "$one" "$other"
		say "$kept"
	done <"$tmp/kept"
}

kept_text() {
	case $1 in
	modified) kept='was modified here' ;;
	removed) kept='was removed here' ;;
	in-the-way) kept='is not of a release' ;;
	not-empty) kept='holds other files' ;;
	attributes) kept='has mode, owner or attributes that were changed here and in the release' ;;
	protected) kept='is protected' ;;
	merged) kept='was merged: it holds what was changed here and what the release changes' ;;
	needed) kept='is a library that may still be needed' ;;
	late) kept='was changed in the meantime' ;;
	esac
	shown "$2"
	name=$shown
	shown "$3"
	case $1:$3 in
	*:) kept="/$name $kept" ;;
	needed:*) kept="/$name is still needed by /$shown" ;;
	late:*) kept="/$name $kept; it is kept as /$shown" ;;
	*) kept="/$name $kept; the other version is /$shown" ;;
	esac
}

# A word for people, in $shown: what a terminal should not see stays an octal number.
shown() {
	shown=$1
	case $1 in
	*\\*) shown=$(text=$1 awk 'BEGIN {
		text = ENVIRON["text"]
		while (match(text, /\\[0-7][0-7][0-7]/)) {
			code = substr(text, RSTART + 1, 1) * 64 + substr(text, RSTART + 2, 1) * 8 + substr(text, RSTART + 3, 1)
			out = out substr(text, 1, RSTART - 1) (code > 31 && code < 127 ? sprintf("%c", code) : substr(text, RSTART, 4))
			text = substr(text, RSTART + 4)
		}
		print out text }') ;;
	esac
}
