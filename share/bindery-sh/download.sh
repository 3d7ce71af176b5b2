# --- files from elsewhere, of which nothing is believed

find_loader() {
	loader=''
	for one in curl wget fetch ftp; do
		! command -v "$one" >/dev/null || { loader=$one && break; }
	done
	[ -n "$loader" ] || loader=none
	# shellcheck disable=SC2209 # names, not what they print
	case $loader in
	wget) case $(wget --help 2>&1) in *BusyBox*) loader=busybox ;; esac ;;
	ftp) [ "$(uname -s)" != OpenBSD ] || loader=openbsd ;;
	esac
	case $statting in -c) size_format=%s ;; *) size_format=%z ;; esac
}

size_of() { stat "$statting" "$size_format" "$1" 2>/dev/null || echo 0; }

# Numbers may be larger than those of a shell.
less() { awk 'BEGIN { exit !(ARGV[1] + 0 < ARGV[2] + 0) }' "$1" "$2"; }

# Goes on where the file ends, where there is one.
load() {
	case $loader in
	curl) exec curl -q -g -fsS -L --max-redirs 5 --proto '=http,https' --proto-redir '=http,https' --connect-timeout "$idle_limit" -C - -o "$2" "$1" ;;
	wget) exec wget -nv --tries=1 --max-redirect=5 -T "$idle_limit" -c -O "$2" "$1" ;;
	busybox) exec wget -c -O "$2" "$1" ;;
	fetch) exec fetch -q -r -T "$idle_limit" -o "$2" "$1" ;;
	openbsd) exec ftp -MV -C -w "$idle_limit" -o "$2" "$1" ;;
	ftp) exec ftp -V -R -q "$idle_limit" -o "$2" "$1" ;;
	esac
}

# download URL FILE LIMIT LABEL: whether all of it came, and no more than LIMIT bytes. On the way two things hold it back: the
# system's limit on a file's size, and a watcher that ends what has fallen silent.
download() {
	case $1 in
	file://*) copy_local "${1#file://}" "$2" "$3" && return || return 1 ;;
	esac
	[ "$loader" != none ] || die 1 'there is no curl, wget, fetch or ftp'
	blocks=$(awk 'BEGIN { printf "%.0f\n", int(ARGV[1] / 512) + 2 }' "$3")
	(
		ulimit -f "$blocks"
		load "$1" "$2"
	) </dev/null >"$tmp/said" 2>&1 &
	loading=$!
	watch_loading "$2" "$3" "$4" &
	watching=$!
	trap 'kill "$loading" "$watching" 2>/dev/null; die 1 "stopped; nothing was changed"' INT TERM HUP
	{ wait "$loading"; } 2>/dev/null
	load_status=$?
	kill "$watching" 2>/dev/null
	{ wait "$watching"; } 2>/dev/null
	trap - INT TERM HUP
	if less "$3" "$(size_of "$2")"; then
		rm -f "$2"
		trouble 3 "$1: is longer than the $3 bytes that it may have"
	elif [ -f "$tmp/silent" ]; then
		rm -f "$tmp/silent"
		trouble 1 "$1: nothing came for $idle_limit seconds"
	elif [ "$load_status" != 0 ] || [ ! -f "$2" ]; then
		trouble 1 "$1: $(sed -n '$s/[^ -~]/?/g;$p' "$tmp/said")"
	fi
}

# What went wrong is told when nothing else is left to try; what was refused counts for more than what did not come.
trouble() {
	if [ "$1" -ge "$worst" ]; then worst=$1 why=$2; fi
	return 1
}

copy_local() {
	if [ ! -f "$1" ]; then trouble 1 "$1: is not there"
	elif less "$3" "$(size_of "$1")"; then trouble 3 "$1: is longer than the $3 bytes that it may have"
	else cat "$1" >"$2" || trouble 1 "$1: cannot be read"
	fi
}

watch_loading() {
	nap='' silence=0 size_before=''
	trap '[ -z "$nap" ] || kill "$nap"; exit 0' TERM
	trap '' INT HUP
	while :; do
		sleep 1 &
		nap=$!
		wait "$nap"
		size_now=$(size_of "$1")
		[ -z "$meter" ] || printf '\r%s: %s of %s bytes ' "$3" "$size_now" "$2" >&2
		if [ "$size_now" = "$size_before" ]; then silence=$((silence + 1)); else silence=0; fi
		size_before=$size_now
		if [ "$silence" -ge "$idle_limit" ]; then
			: >"$tmp/silent"
			kill "$loading"
			exit 0
		elif less "$2" "$size_now"; then
			kill "$loading"
			exit 0
		fi
	done 2>/dev/null
}

# fetch_small PATH FILE CHECK...: at most 1 MiB, from the first address whose file CHECK takes.
fetch_small() {
	small=$1 small_file=$2 worst=0 why=''
	shift 2
	while read -r address; do
		rm -f "$small_file"
		if download "$address$small" "$small_file" 1048576 "${small##*/}" && source_url=$address$small && "$@"; then return; fi
	done <"$tmp/urls"
	die "$worst" "$why" 'nothing was changed'
}

# fetch_bundle NAME SIZE SUM: into the cache, under its digest, verified.
fetch_bundle() {
	name=$1 wanted_size=$2 wanted_sum=$3 worst=0 why=''
	part=$cache/$3.part
	if [ -f "$cache/$3" ] && [ ! -L "$cache/$3" ] && [ "$(digest <"$cache/$3")" = "$3" ]; then return; fi
	rm -f "$cache/$3"
	[ ! -L "$part" ] || rm -f "$part"
	check_cache_space
	explain "fetching $name"
	while read -r address; do
		if bring_part "${address}bundles/$name"; then
			mv -f "$part" "$cache/$wanted_sum" || die 1 "$cache/$wanted_sum: could not be made"
			return
		fi
	done <"$tmp/urls"
	die "$worst" "$why" 'nothing was changed'
}

check_cache_space() {
	free=$(df -Pk "$cache" | awk 'NR > 1 { free = $(NF - 2) } END { print free }')
	wanted_kb=$(awk 'BEGIN { printf "%.0f\n", int(ARGV[1] / 1024) + 1 }' "$wanted_size")
	less "$free" "$wanted_kb" && die 1 "$cache: no space, need $wanted_kb kB, $free kB is free" 'nothing was changed'
	return 0
}

# Whether the part has become the whole. A beginning that leads to other bytes, or that a server cannot go on with, is tried once
# without; it is kept where the network alone was at fault.
bring_part() {
	rm -f "$part.before"
	start_size=0
	[ ! -s "$part" ] || start_size=$(size_of "$part")
	try_part "$1" && return
	[ "$start_size" != 0 ] || return 1
	if [ -f "$part" ] && [ "$(size_of "$part")" = "$start_size" ]; then mv -f "$part" "$part.before"
	elif [ -f "$part" ]; then return 1
	fi
	explain "$1: from its beginning"
	try_part "$1" && rm -f "$part.before" && return
	if [ -f "$part.before" ] && less "$(size_of "$part")" "$start_size"; then mv -f "$part.before" "$part"; fi
	rm -f "$part.before"
	return 1
}

try_part() {
	if [ "$(size_of "$part")" != "$wanted_size" ]; then
		download "$1" "$part" "$wanted_size" "$name" || return 1
	fi
	if less "$(size_of "$part")" "$wanted_size"; then
		trouble 1 "$1: ended early"
	elif [ "$(digest <"$part")" != "$wanted_sum" ]; then
		rm -f "$part"
		trouble 3 "$1: is not what the signed list says"
	fi
}
