# --- what is there

# A path whose parents may be missing, or links that lead elsewhere: then it is not there. Sets $path, $file, and $kind, which is
# empty where there is nothing.
see() {
	unword "$1"
	file=$top/$path kind=
	above=$path
	while :; do
		case $above in */*) above=${above%/*} ;; *) break ;; esac
		[ ! -L "$top/$above" ] || return 0
	done
	if [ -L "$file" ]; then kind=symlink
	elif [ -f "$file" ]; then kind="file"
	elif [ -d "$file" ]; then kind=dir
	elif [ -p "$file" ]; then kind=fifo
	elif [ -c "$file" ]; then kind=char
	elif [ -b "$file" ]; then kind=block
	elif [ -S "$file" ]; then kind=socket
	fi
}

# Words on stdin, `live` lines on stdout.
look() {
	: >"$tmp/seen"
	: >"$tmp/stats"
	set --
	seen=
	while read -r one; do
		see "$one"
		[ -n "$kind" ] || continue
		target=-
		if [ "$kind" = symlink ]; then
			target=$(readlink "$file" && echo /)
			word "${target%??}"
			target=$word
		fi
		seen="${seen}live $one $kind $target
"
		set -- "$@" "$file"
		[ $# -lt 64 ] || { look_batch "$@" && set --; }
	done
	[ $# = 0 ] || look_batch "$@"
	paste -d ' ' "$tmp/seen" "$tmp/stats"
}

look_batch() {
	printf '%s\n' "${seen%?}" >>"$tmp/seen"
	seen=
	stat "$statting" "$details" "$@" >>"$tmp/stats" || die 1 'the tree changes while it is looked at' 'run it again; nothing was changed'
}

# Words on stdin, `digest` lines on stdout.
read_digests() {
	: >"$tmp/words"
	set --
	while read -r one; do
		see "$one"
		[ "$kind" = file ] || continue
		printf '%s\n' "$one" >>"$tmp/words"
		set -- "$@" "$file"
		[ $# -lt 64 ] || { digests "$@" >>"$tmp/sums" && set --; }
	done
	[ $# = 0 ] || digests "$@" >>"$tmp/sums"
	[ -s "$tmp/words" ] || return 0
	sed 's/^/digest /' "$tmp/words" | paste -d ' ' - "$tmp/sums"
	rm -f "$tmp/sums"
}

# Words of folders on stdin; `holds` lines on stdout, one for each name in them.
list_folders() {
	set +f
	while read -r one; do
		see "$one"
		for inside in "$file"/* "$file"/.[!.]* "$file"/..?*; do
			exists "$inside" || continue
			word "${inside##*/}"
			printf '%s\n' "holds $one $word"
		done
	done
	set -f
}

# Lines `PATH STEM NODE OLD` on stdin; `beside` lines on stdout: under which name the version that may not replace what is there
# comes to lie, and what it replaces there.
find_besides() {
	while read -r of stem node old; do
		number=0 how=none
		while [ "$number" -lt 100 ] && [ "$how" = none ]; do
			candidate=$stem$suffix
			[ "$number" = 0 ] || candidate=$candidate.$number
			number=$((number + 1))
			try_beside "$candidate" "$node" "$old"
		done
		printf '%s\n' "beside $of $how $candidate $leaving"
	done
}

try_beside() {
	leaving=-
	if candidate=$1 awk '$1 == "path" && $2 == ENVIRON["candidate"] { found = 1 } END { exit !found }' "$tmp/list"; then return; fi
	see "$1"
	if [ -z "$kind" ]; then how=add; return; fi
	[ "$kind" != dir ] || return 0
	printf '%s\n' "$1" >"$tmp/candidate"
	{ printf '%s\n' "path $1 0 - - - - - -"; look <"$tmp/candidate"; read_digests <"$tmp/candidate"; } >"$tmp/one"
	live=$(run_plan node "$tmp/one")
	if same_content "$live" "$2"; then how=there
	elif [ "$3" != - ] && same_content "$live" "$3"; then how=replace leaving=$live
	fi
}

same_content() {
	fields "$1"
	first="$kind $own $sum"
	fields "$2"
	[ "$first" = "$kind $own $sum" ]
}
