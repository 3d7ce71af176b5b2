# --- what must lie ready before anything live changes

# The folders of the client's state (doc/spec/client-state.md).
make_state() {
	made=
	make_state_folder var 755
	make_state_folder var/db 755
	make_state_folder var/db/bindery 711
	make_state_folder var/db/bindery/channel 755
	for one in lock stage store receipt steps log; do make_state_folder "var/db/bindery/$one" 700; done
}

make_state_folder() {
	[ ! -L "$top/$1" ] || die 1 "$top/$1 is a link, and its folder is needed"
	[ ! -d "$top/$1" ] || return 0
	make_inside "$top/$1" "$2"
	made="$1 $made"
}

# What was made for nothing goes again, as far as it is empty.
unmake_state() {
	for one in $made; do
		touch -r "$top/$one/.." "$tmp/time"
		rmdir "$top/$one" 2>/dev/null || continue
		touch -r "$tmp/time" "$(dirname "$top/$one")/."
	done
}

# One at a time: a file for each process that wants it, as the client's own.
take_lock() {
	locks=$top/var/db/bindery/lock
	host=$(uname -n)
	mine=$locks/$$.sh
	started=$(started_at $$)
	printf 'bindery-lock 1\npid %s\nhost %s\nstarted %s\nverb %s\n' $$ "$host" "$started" "$verb" >"$mine.new" && mv -f "$mine.new" "$mine" ||
		die 1 "$mine cannot be written"
	lock=$mine
	set +f
	for other in "$locks"/*; do
		case $other in "$mine" | *.new) continue ;; esac
		[ -f "$other" ] || continue
		look_at_lock "$other"
	done
	set -f
}

look_at_lock() {
	their_pid="" their_host="" their_start="" their_verb=""
	while read -r key value; do
		case $key in pid) their_pid=$value ;; host) their_host=$value ;; started) their_start=$value ;; verb) their_verb=$value ;; esac
	done <"$1"
	if [ "$their_host" = "$host" ] || [ -z "$their_verb" ]; then
		now=$(started_at "${their_pid:-0}")
		[ -n "$now" ] && [ -n "$their_verb" ] && { [ "$their_start" = - ] || [ "$their_start" = "$now" ]; } || { rm -f "$1"; return; }
	fi
	die 5 "$locks: '$their_verb' is running as process $their_pid on $their_host"
}

# A text that another process of the same number would not have; nothing where there is no such process.
started_at() {
	if [ -r "/proc/$1/stat" ] && [ -r /proc/sys/kernel/random/boot_id ]; then
		line=$(cat "/proc/$1/stat") || return 0
		# shellcheck disable=SC2086
		set -- ${line##*\) }
		shift 19
		echo "$1@$(cat /proc/sys/kernel/random/boot_id)"
	else
		# shellcheck disable=SC2009
		ps -o lstart= -p "$1" 2>/dev/null | sed 's/^ *//; s/ *$//; s/  */_/g'
	fi
}

next_transaction() {
	tx=0
	set +f
	for one in "$top"/var/db/bindery/receipt/*; do
		one=${one##*/}
		case $one in *[!0-9]* | '') continue ;; esac
		[ "$one" -le "$tx" ] || tx=$one
	done
	set -f
	tx=$((tx + 1))
}

# Reads `area` lines into $area_0, $area_1...; $areas is how many.
read_areas() {
	areas=0
	while read -r key one; do
		[ "$key" = area ] || continue
		unword "$one"
		eval "area_$areas=\$path"
		areas=$((areas + 1))
	done <"$1"
}

slot() {
	eval "area=\$top/\$area_${1%:*}"
	from=$area/stage/$tx/${1#*:} out=$area/store/$tx/${1#*:}
}

# Each area but the state folder is written down before it is made, and the folder above it keeps its time.
make_areas() {
	number=0
	while [ "$number" -lt "$areas" ]; do
		eval "area=\$area_$number"
		if [ ! -d "$top/$area" ]; then
			remember_area "$area"
			make_inside "$top/$area" 700
		fi
		for one in stage store; do
			[ -d "$top/$area/$one" ] || mkdir "$top/$area/$one" || die 1 "$top/$area/$one could not be made"
			rm -rf "$top/$area/$one/${tx:?}"
			mkdir "$top/$area/$one/$tx" || die 1 "$top/$area/$one/$tx could not be made"
		done
		number=$((number + 1))
	done
}

remember_area() {
	word "$1"
	list=$top/var/db/bindery/areas
	! grep -qxF "area $word" "$list" 2>/dev/null || return 0
	{ [ -f "$list" ] && cat "$list" || echo 'bindery-areas 1'; printf 'area %s\n' "$word"; } >"$list.new"
	sync_files "$list.new"
	mv -f "$list.new" "$list"
}

check_space() {
	while read -r _ number kilobytes first; do
		eval "area=\$area_$number"
		free=$(df -Pk "$top/${area%.bindery}" | awk 'NR > 1 { free = $(NF - 2) } END { print free }')
		[ "$kilobytes" -le "$free" ] || die 1 "/$first: no space on $(df -Pk "$top/${area%.bindery}" | awk 'END { print $NF }'), need $kilobytes kB, $free kB is free" 'nothing was changed'
	done <"$tmp/out/needs"
}

check_writable() {
	sort -u "$tmp/out/folders" >"$tmp/folders"
	while read -r one; do
		unword "$one"
		[ -w "$top/$path" ] || die 1 "/$one: cannot be written; is it mounted read-only?" 'nothing was changed'
	done <"$tmp/folders"
}

payload() { tail -c "+$payload_at" "$self" | gzip -dc; }

fill_stage() {
	number=0
	while [ "$number" -lt "$areas" ]; do
		awk -v a="$number" '$1 == "content" && $2 == a { print $3, $4 }' "$tmp/out/stage" >"$tmp/contents"
		eval "area=\$top/\$area_$number"
		# shellcheck disable=SC2164
		[ ! -s "$tmp/contents" ] || (cd "$area/stage/$tx" && extract && check_contents) || die 1 'the contents could not be unpacked' 'nothing was changed'
		number=$((number + 1))
	done
	while read -r what a rest; do
		eval "area=\$top/\$area_$a"
		# shellcheck disable=SC2086
		[ "$what" = content ] || (cd "$area/stage/$tx" && fill_$what $rest) || die 1 "the stage could not be filled ($what $a $rest)" 'nothing was changed'
	done <"$tmp/out/stage"
	sync_stage
}

# The members that are wanted, each written once; names are numbers, so thousands of them are a short line.
extract() {
	if [ "$(wc -l <"$tmp/contents")" -eq "$members" ]; then payload | tar -xf -; return; fi
	cut -d ' ' -f 1 "$tmp/contents" | awk '{ printf "%s%s", (NR % 8000 == 1 ? (NR > 1 ? "\n" : "") : " "), $0 } END { print "" }' >"$tmp/names"
	while read -r names; do
		# shellcheck disable=SC2086
		payload 2>/dev/null | tar -xf - $names || return 1
	done <"$tmp/names"
}

check_contents() {
	set --
	while read -r one wanted; do
		[ "$wanted" != - ] || continue
		set -- "$@" "$one"
		[ $# -lt 64 ] || { digests "$@" >>"$tmp/sums" && set --; }
	done <"$tmp/contents"
	[ $# = 0 ] || digests "$@" >>"$tmp/sums"
	[ -f "$tmp/sums" ] || return 0
	awk '$2 != "-" { print $2 }' "$tmp/contents" | cmp -s - "$tmp/sums"
	wanted=$?
	rm -f "$tmp/sums"
	return "$wanted"
}

fill_share() { ln "$1" "$2" 2>/dev/null || { cp "$1" "$2" && set_attributes "$2" "$3"; }; }
fill_copy() { cp "$1" "$2"; }
fill_make() { make_node "$1" "$2" && set_attributes "$1" "$2"; }
fill_link() {
	unword "$2"
	keep_aside "$top/$path" "$1" "$3"
}
fill_chown() {
	chown "$@"
}
fill_chmod() { chmod "$@"; }
fill_touch() { set_time "$@"; }

make_node() {
	fields "$2"
	case $kind in
	symlink)
		unword "$own"
		# A target may look like an option.
		ln -s -- "$path" "$1"
		;;
	fifo | socket) mkfifo "$1" ;;
	char) mknod "$1" c "$own" "$sum" ;;
	block) mknod "$1" b "$own" "$sum" ;;
	esac
}

# Owner before mode, since chown(2) takes setuid away.
set_attributes() {
	fields "$2"
	if [ "$kind" = symlink ]; then
		chown -h "$uid:$gid" "$1" || return 1
		# Where touch cannot do it, the time of a link stays what it is.
		nofollow=1
		set_time "$time" "$1" 2>/dev/null
		nofollow=
		return 0
	fi
	chown "$uid:$gid" "$1" && chmod "$mode" "$1" && set_time "$time" "$1"
}

# A second name, so that replacing the first cannot lose it; a copy where there are no hard links.
keep_aside() {
	if [ -L "$1" ]; then
		{ ln -P "$1" "$2" || ln "$1" "$2"; } 2>/dev/null && [ -L "$2" ] && return
		rm -f "$2"
	elif ln "$1" "$2" 2>/dev/null; then
		return
	fi
	copy_node "$1" "$2" "$3"
}

copy_node() {
	fields "$3"
	if [ "$kind" = file ]; then cp "$1" "$2"; else make_node "$2" "$3"; fi && set_attributes "$2" "$3"
}

# What will be replaced or removed gets its name in the store. A file that cannot be linked although its copy can is one that must
# not be changed: replacing it would fail in the middle.
save_old() {
	while read -r action one a b _; do
		case $action in swap | drop) ;; *) continue ;; esac
		unword "$one"
		slot "$a"
		keep_aside "$top/$path" "$out" "$b" || die 1 "/$one: could not be saved" 'nothing was changed'
		if [ ! -L "$out" ] && [ -f "$out" ] && ! [ "$top/$path" -ef "$out" ] && ln "$out" "$out.link" 2>/dev/null; then
			rm -f "$out.link"
			! same_file_system "$top/$path" "$out" || die 1 "/$one: may not be linked, so it may not be replaced either: is it immutable or append-only?" 'nothing was changed'
		fi
	done <"$tmp/out/actions"
}

same_file_system() {
	[ "$(stat "$statting" "$details" "$1" | cut -d ' ' -f 5)" = "$(stat "$statting" "$details" "$2" | cut -d ' ' -f 5)" ]
}

sync_stage() {
	number=0
	while [ "$number" -lt "$areas" ]; do
		eval "area=\$top/\$area_$number"
		set +f
		set --
		for one in "$area/stage/$tx"/*; do
			[ ! -L "$one" ] && [ -f "$one" ] || continue
			set -- "$@" "$one"
			[ $# -lt 200 ] || { sync_files "$@" && set --; }
		done
		[ $# = 0 ] || sync_files "$@"
		set -f
		number=$((number + 1))
	done
}

sync_areas() {
	number=0
	while [ "$number" -lt "$areas" ]; do
		eval "area=\$top/\$area_$number"
		sync_files "$area/stage/$tx" "$area/store/$tx" "$area/stage" "$area/store" "$area" "${area%/*}"
		number=$((number + 1))
	done
}

# A whole small file of the state: aside, synced, renamed, its folder synced.
write_state() {
	sync_files "$1.new"
	mv -f "$1.new" "$1" || die 4 "$1 could not be written"
	sync_files "${1%/*}"
}

# The text of stdin with its last line.
sealed() {
	cat >"$tmp/text"
	cat "$tmp/text"
	printf 'end %s\n' "$(digest <"$tmp/text")"
}

# Removes every stage, each store that no receipt needs, and areas that have become empty.
sweep() {
	state=$top/var/db/bindery
	rm -f "$state/journal.new" "$state/steps.new"
	set +f
	needed=$(for one in "$state"/receipt/*; do
		[ ! -f "$one" ] || awk 'NR == 3 { exit $2 == "rollback" }' "$one" && echo "${one##*/}"
	done)
	sweep_area "$state"
	[ ! -f "$state/areas" ] || while read -r key one; do
		[ "$key" = area ] || continue
		unword "$one"
		sweep_area "$top/$path"
		rmdir_area "$top/$path" "$one"
	done <"$state/areas"
	set -f
	staging=
}

sweep_area() {
	[ -d "$1" ] && [ ! -L "$1" ] || return 0
	rm -rf "$1"/stage/*
	for one_store in "$1"/store/*; do
		case "
$needed
" in *"
${one_store##*/}
"*) ;; *) rm -rf "$one_store" ;; esac
	done
}

rmdir_area() {
	[ -d "$1" ] || return 0
	touch -r "${1%/*}/." "$tmp/time"
	rmdir "$1/stage" "$1/store" 2>/dev/null
	if rmdir "$1" 2>/dev/null; then
		touch -r "$tmp/time" "${1%/*}/."
		grep -vxF "area $2" "$state/areas" >"$state/areas.new"
		write_state "$state/areas"
	else
		mkdir -p "$1/stage" "$1/store"
	fi
}
