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
		case $one in */*) touch -r "$tmp/time" "$top/${one%/*}/." ;; *) touch -r "$tmp/time" "$top/." ;; esac
	done
}

# One at a time: a file for each process that wants it, as the client's own.
take_lock() {
	locks=$top/var/db/bindery/lock
	host=$(uname -n)
	mine=$locks/$$.sh
	started=$(started_at $$)
	space=$(readlink "/proc/$$/ns/pid" 2>/dev/null) || space=''
	{
		printf 'bindery-lock 1\npid %s\nhost %s\nstarted %s\nverb %s\n' $$ "$host" "$started" "$verb"
		[ -z "$space" ] || printf 'space %s\n' "$space"
	} >"$mine.new" && mv -f "$mine.new" "$mine" ||
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
	their_pid="" their_host="" their_start="" their_verb="" their_space=""
	while read -r key value; do
		case $key in pid) their_pid=$value ;; host) their_host=$value ;; started) their_start=$value ;; verb) their_verb=$value ;; space) their_space=$value ;; esac
	done <"$1"
	# A machine that has just been started may not know its name yet; its state is never on another's file system.
	case $host in '' | '(none)') their_host=$host ;; esac
	if [ "$their_host" = "$host" ] || [ -z "$their_verb" ]; then
		now=$(started_at "${their_pid:-0}")
		# In a container a number is another process' than here. Only with the start of the system it is gone for sure.
		if [ -n "$their_space" ] && [ -n "$space" ] && [ "$their_space" != "$space" ] && [ "${their_start#*@}" = "${started#*@}" ]; then now=$their_start their_host="$host, in another container"; fi
		[ -n "$now" ] && [ -n "$their_verb" ] && { [ "$their_start" = - ] || [ "$their_start" = "$now" ]; } || { rm -f "$1"; return; }
	fi
	# The folders are theirs, too, and so is what is still to be done.
	made='' closing=''
	die 5 "$locks: '$their_verb' is running as process $their_pid on $their_host"
}

# A text that another process of the same number would not have; nothing where there is no such process.
started_at() {
	if [ -r "/proc/$1/stat" ] && [ -r /proc/sys/kernel/random/boot_id ]; then
		line=$(cat "/proc/$1/stat") || return 0
		# shellcheck disable=SC2086
		set -- ${line##*\) }
		# It has ended, and nobody has taken note of that yet.
		case $1 in Z | X) return 0 ;; esac
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
	{ if [ -f "$list" ]; then cat "$list"; else echo 'bindery-areas 1'; fi && printf 'area %s\n' "$word"; } >"$list.new" || unsaved "$list could not be written"
	write_state "$list"
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
		printf '%s\n' "$top/$path"
	done <"$tmp/folders" >"$tmp/writable"
	list_mounts >"$tmp/mounts"
	remote=$(remote_folder)
	[ -z "$remote" ] || die 1 "$remote: its file system is another machine's" 'it is updated by the machine that has the disk; nothing was changed'
}

# Lines `POINT TYPE`, oldest first; mount(8) has two ways to tell them.
list_mounts() {
	if [ -r /proc/self/mounts ]; then awk '{ print $2, $3 }' /proc/self/mounts
	else
		mount 2>/dev/null | sed -n 's/^.* on \(\/[^ ]*\) type \([^ ]*\) .*/\1 \2/p; t
			s/^.* on \(\/[^ ]*\) (\([^,)]*\).*/\1 \2/p'
	fi
}

# The first folder on a file system that src/host/remote-mounts.ts does not take: of all points above it the longest counts, and the last.
remote_folder() {
	awk '
		FILENAME ~ /mounts$/ { point[++points] = $1 == "/" ? "" : $1; type[points] = $2; next }
		{
			longest = -1
			for (i = 1; i <= points; i++) if (length(point[i]) >= longest && index($0 "/", point[i] "/") == 1) { longest = length(point[i]); on = type[i] }
			if (longest >= 0 && on ~ /^(nfs[234]?|cifs|smb3|smbfs|afs|coda|ceph|glusterfs|lustre|fuse\.(sshfs|glusterfs|s3fs|rclone|davfs2?))$/) { print; exit }
		}' "$tmp/mounts" "$tmp/writable"
}

# payload FILE AT: what lies behind the list.
payload() { tail -c "+$2" "$1" | gzip -dc; }

fill_stage() {
	number=0
	while [ "$number" -lt "$areas" ]; do
		awk -v a="$number" '$1 == "content" && $2 == a { print $3, $4 }' "$tmp/out/stage" >"$tmp/contents"
		eval "area=\$top/\$area_$number"
		# shellcheck disable=SC2164
		if [ -s "$tmp/contents" ]; then
			(cd "$area/stage/$tx" && extract "$self" "$payload_at" <"$tmp/contents") || no_contents
			[ -z "$whole_name" ] || apply_patches "$area/stage/$tx"
			(cd "$area/stage/$tx" && check_contents) || no_contents
		fi
		number=$((number + 1))
	done
	awk -v tx="$tx" '$1 == "area" { area[areas++] = $2 } $1 == "link" && $5 ~ /^file,/ && !/,f=/ { print area[$2] "/stage/" tx "/" $3, $4 }' "$tmp/out/areas" "$tmp/out/stage" | link_many
	stamped 3 <"$tmp/out/stage" >"$tmp/filling"
	while read -r what a rest; do
		eval "area=\$top/\$area_$a"
		# shellcheck disable=SC2086
		case $what in
		content) continue ;;
		link) set -- $rest && is_linked "$2" "$area/stage/$tx/$1" && continue ;;
		esac
		# shellcheck disable=SC2086
		(cd "$area/stage/$tx" && fill_$what $rest) || die 1 "the stage could not be filled ($what $a $rest)" 'nothing was changed'
	done <"$tmp/filling"
	sync_stage
}

no_contents() { die 1 'the contents could not be unpacked' 'nothing was changed'; }

# extract FILE AT: the members that stdin begins its lines with, each written once. Names are numbers, so thousands of them are a
# short line.
extract() {
	awk -v all="$members" '{ name[NR] = $1 } END {
		if (NR == all) print "all"
		else for (i = 1; i <= NR; i++) printf "%s%s", name[i], (i % 8000 && i < NR ? " " : "\n") }' >"$tmp/names"
	while read -r names; do
		[ "$names" != all ] || names=
		# shellcheck disable=SC2086
		payload "$1" "$2" 2>/dev/null | tar -xf - $names || return 1
	done <"$tmp/names"
}

# apply_patches FOLDER: members that are patches become what they make of the files that are here. What cannot be made so comes out
# of the bundle of whole files, if that lies beside.
apply_patches() {
	awk 'FNR == NR { if ($1 == "patch") patch[$2] = $0; next } $1 in patch { print patch[$1] }' "$tmp/list" "$tmp/contents" >"$tmp/patches"
	: >"$tmp/lacking"
	while read -r _ one new_size new_sum old_sum old_path new_path; do
		apply_patch "$1/$one" || printf '%s\n' "$one $new_path" >>"$tmp/lacking"
		rm -f "$1/$one.patch"
	done <"$tmp/patches"
	[ ! -s "$tmp/lacking" ] || take_whole "$1"
}

# bspatch knows nothing of what it reads and makes: digests before and after tell, and it gets no more room than it needs.
apply_patch() {
	mv -f "$1" "$1.patch"
	see "$old_path"
	[ "$kind" = file ] && [ "$(digest <"$file")" = "$old_sum" ] || return 1
	(ulimit -f $((new_size / 512 + 1)) && bspatch "$file" "$1" "$1.patch") </dev/null >/dev/null 2>&1 &&
		[ -f "$1" ] && [ ! -L "$1" ] && [ "$(digest <"$1")" = "$new_sum" ] && return
	rm -f "$1"
	return 1
}

take_whole() {
	whole=${self%/*}/$whole_name
	if [ ! -f "$whole" ] || [ "$(digest <"$whole")" != "$whole_sum" ]; then
		read -r _ one <"$tmp/lacking"
		command -v bspatch >/dev/null || die 1 'there is no bspatch here' "$whole_name needs none; nothing was changed"
		unword "$one"
		die 1 "/$path: cannot be made of what is here" "$whole_name holds the whole files: put it beside this one, or take it instead; nothing was changed"
	fi
	explain "what patches do not make comes from $whole"
	# shellcheck disable=SC2164
	(cd "$1" && extract "$whole" "$whole_at" <"$tmp/lacking") || no_contents
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

# A copy where there are no hard links, and for no other reason: two names of one file would become two files.
fill_share() {
	why=$(ln "$1" "$2" 2>&1) && return
	case $why in
	*'not permitted'* | *'not supported'* | *'not implemented'* | *'oo many links'* | *'ross-device'*) cp "$1" "$2" && set_attributes "$2" "$3" ;;
	*) talk "$why" && return 1 ;;
	esac
}
fill_text() { cat "$tmp/out/$2" >"$1"; }
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
fill_xattr() { set_xattrs "$1" "$2"; }
fill_touch() { set_stamp "$@"; }

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

# set_attributes FILE NODE [BEFORE]: owner before mode, since chown(2) takes setuid away, and before attributes, since it takes
# capabilities.
set_attributes() {
	set_owner "$1" "$2" "${3-}" && set_xattrs "$1" "$2" "${3-}" || return 1
	fields "$2"
	if [ "$kind" = symlink ]; then
		# Where touch cannot do it, the time of a link stays what it is.
		[ -n "$link_times" ] || return 0
		nofollow=1
		set_time "$time" "$1"
		set_link_time=$? nofollow=
		return "$set_link_time"
	fi
	set_time "$time" "$1"
}

# set_owner FILE NODE [BEFORE]: and mode. What does not change is left alone.
set_owner() {
	fields "${3-}"
	mode_before=$mode owner_before=$uid:$gid
	fields "$2"
	if [ "$owner_before" != "$uid:$gid" ]; then
		if [ "$kind" = symlink ]; then chown -h "$uid:$gid" "$1"; else chown "$uid:$gid" "$1"; fi || return 1
		mode_before=
	fi
	[ "$kind" = symlink ] || [ "$mode_before" = "$mode" ] || chmod "$mode" "$1"
}

# set_xattrs FILE NODE [BEFORE]: makes them exactly those of the node, if it has any or had some before.
set_xattrs() {
	case $2${3-} in *,x=*) ;; *) return 0 ;; esac
	[ -n "$xattrs" ] || return 0
	get_xattrs "$1" >"$tmp/attributes" || return 1
	word "${1%/*}"
	xattr_lines "$word" <"$tmp/attributes" >"$tmp/present"
	is=$(cut -d ' ' -f 3- "$tmp/present")
	fields "$2"
	want=${extras#"${extras%%,x=*}"}
	[ "$is" != "$want" ] || return 0
	printf %s "$is" | other=$want awk 'BEGIN { RS = "," } /^x=/ { split($0, f, "="); if (!index(ENVIRON["other"], ",x=" f[2] "=")) print f[2] }' >"$tmp/going"
	printf %s "$want" | other=$is, awk 'BEGIN { RS = "," } /^x=/ { split($0, f, "="); if (!index(ENVIRON["other"], "," $0 ",")) print f[2], f[3] }' >"$tmp/coming"
	while read -r one; do
		unword "$one"
		setfattr -h -x "$path" -- "$1" || return 1
	done <"$tmp/going"
	while read -r one value; do
		unword "$one"
		# shellcheck disable=SC2059 # the word is a format by its making
		value=$(printf "$value" | od -An -v -tx1 | awk '{ gsub(/ /, ""); printf "%s", $0 }')
		setfattr -h -n "$path" ${value:+-v "0x$value"} -- "$1" || return 1
	done <"$tmp/coming"
}

# A second name, so that replacing the first cannot lose it; a copy where there are no hard links.
keep_aside() {
	# Flags that forbid changes forbid another name, too.
	case $3 in *,f=*) copy_node "$1" "$2" "$3" && return || return 1 ;; esac
	if [ -L "$1" ]; then
		{ ln -P "$1" "$2" || ln "$1" "$2"; } 2>/dev/null && [ -L "$2" ] && return
		rm -f "$2"
	elif ln "$1" "$2" 2>"$tmp/unlinked"; then
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
	awk -v tx="$tx" '
		$1 == "area" { area[areas++] = $2 }
		($1 == "swap" || $1 == "drop") && $4 ~ /^file,/ && !/,f=/ { split($3, slot, ":"); print area[slot[1]] "/store/" tx "/" slot[2], $2 }' "$tmp/out/areas" "$tmp/out/actions" | link_many
	while read -r action one a b _; do
		case $action in swap | drop) ;; *) continue ;; esac
		# link(2) refuses these; they are saved when the commit has taken their flags.
		case $b in *,f=*) continue ;; esac
		slot "$a"
		! is_linked "$one" "$out" || continue
		keep_aside "$top/$path" "$out" "$b" || die 1 "/$one: could not be saved" 'nothing was changed'
		if [ ! -L "$out" ] && [ -f "$out" ] && ! [ "$top/$path" -ef "$out" ] && ln "$out" "$out.link" 2>/dev/null; then
			rm -f "$out.link"
			! same_file_system "$top/$path" "$out" || die 1 "/$one: may not be linked, so it may not be replaced either: is it immutable or append-only? $(tail -n 1 "$tmp/unlinked")" 'nothing was changed'
		fi
	done <"$tmp/out/actions"
}

# Lines `NAME TARGET` on stdin, words: second names by one program, where ln(1) would be one for each. What it has not made is made one
# by one, and so are names that do not fit or are not plain.
link_many() { [ -z "$linking" ] || link_in "$top/" >/dev/null 2>&1; }

# Whether tar(1) makes a link of a header that says so, and leaves the file that has two names then as it is: tried once.
find_linking() {
	linking=
	: >"$tmp/first"
	chown 1:1 "$tmp/first" 2>/dev/null
	chmod 4751 "$tmp/first"
	set_time 1000000000.000000000 "$tmp/first"
	untouched=$(stat "$statting" "$details" "$tmp/first")
	echo 'second first' | link_in "$tmp" >/dev/null 2>&1
	[ "$tmp/first" -ef "$tmp/second" ] && [ "$(stat "$statting" "$details" "$tmp/first")" = "$untouched" ] && linking=1
	rm -f "$tmp/first" "$tmp/second"
}

link_in() {
	awk '
		BEGIN {
			for (i = 33; i < 127; i++) code[sprintf("%c", i)] = i
			for (zeros = "\001"; length(zeros) < 1024;) zeros = zeros zeros
			head = field("0000600", 8) field("0000000", 8) field("0000000", 8) field("00000000000", 12) field("00000000000", 12)
			tail = field("ustar", 6) "00" field("", 247)
			same = sum(head) + sum("1" tail) + 8 * 32
		}
		function field(text, width) { return text substr(zeros, 1, width - length(text)) }
		function sum(text, i, n) {
			for (i = 1; i <= length(text); i++) n += code[substr(text, i, 1)]
			return n
		}
		/\\/ || length($1) > 99 || length($2) > 99 { next }
		{ printf "%s%06o\001 1%s%s", field($1, 100) head, same + sum($1) + sum($2), field($2, 100), tail }
		END { printf "%s", zeros }' | tr '\001' '\000' | (cd "$1" && tar -xf -)
}

# is_linked WORD FILE
is_linked() {
	unword "$1"
	[ -f "$top/$path" ] && [ ! -L "$top/$path" ] && [ "$top/$path" -ef "$2" ]
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
	sync_files "$1.new" || return
	mv -f "$1.new" "$1" || { unsaved "$1 could not be written" || return; }
	sync_files "${1%/*}"
}

# The text of stdin with its last line.
sealed() {
	cat >"$tmp/text" && cat "$tmp/text" && printf 'end %s\n' "$(digest <"$tmp/text")"
}

# Removes each store that no receipt needs, every stage, and areas that have become empty. The stage tells that there is something to
# sweep: it goes when the rest has gone for good.
sweep() {
	state=$top/var/db/bindery
	set +f
	rm -f "$state"/*.new "$state"/steps/*.new
	needed=$(for one in "$state"/receipt/*; do
		[ ! -f "$one" ] || awk 'NR == 3 { exit $2 == "rollback" }' "$one" && echo "${one##*/}"
	done)
	each_area sweep_stores
	each_area sweep_stages
	each_area rmdir_area
	set -f
	staging=
}

# Calls $1 with each area and its word, that of the state folder without any.
each_area() {
	[ ! -f "$state/areas" ] || while read -r key one; do
		[ "$key" = area ] || continue
		unword "$one"
		[ ! -d "$top/$path" ] || [ -L "$top/$path" ] || "$1" "$top/$path" "$one"
	done <"$state/areas"
	"$1" "$state" ''
}

sweep_stores() {
	swept=
	for one_store in "$1"/store/*; do
		case "
$needed
" in *"
${one_store##*/}
"*) ;; *) ! exists "$one_store" || { rm -rf "$one_store" && swept=1; } ;; esac
	done
	[ -z "$swept" ] || sync_files "$1/store"
}

sweep_stages() { rm -rf "$1"/stage/*; }

rmdir_area() {
	[ -n "$2" ] || return 0
	touch -r "${1%/*}/." "$tmp/time"
	rmdir "$1/stage" "$1/store" 2>/dev/null
	if rmdir "$1" 2>/dev/null; then
		touch -r "$tmp/time" "${1%/*}/."
		grep -vxF "area $2" "$state/areas" >"$state/areas.new" && write_state "$state/areas"
	else
		mkdir -p "$1/stage" "$1/store"
	fi
}
