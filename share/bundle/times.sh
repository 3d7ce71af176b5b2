# Times: of leaves when all is in its place, of folders when nothing is put into them any more.

set_leaf_times() {
	keep_meant
	stamped 2 <"$tmp/leaf-times" | LC_ALL=C sort -k 2 >"$tmp/stamps"
	set_stamps <"$tmp/stamps"
}

# Of the files that get a time alone: each that is meant is to get it. Most are told by one look at 64 of them: what has one name, and
# owner and mode as they were and will be. Any other is looked at by itself.
keep_meant() {
	awk '{ print $1 }' "$tmp/only-times" >"$tmp/words"
	in_batches "$tmp/seen" look_at <"$tmp/words" >"$tmp/looks"
	looks=$tmp/looks plain=$tmp/leaf-times only=$tmp/only-times awk '
		BEGIN { while ((getline line < ENVIRON["only"]) > 0) { split(line, f, " "); of[f[1]] = line } }
		{
			split(of[$1], due, " "); split(due[3], wanted, ",")
			known = (getline line < ENVIRON["looks"]) > 0 && split(line, is, " ") > 3
			if (known && is[1] == 1 && is[2] + 0 == wanted[2] + 0 && is[3] == wanted[3] && is[4] == wanted[4])
				print $1, due[2] >> ENVIRON["plain"]
			else print of[$1]
		}' "$tmp/seen" >"$tmp/odd"
	while read -r one t wanted before; do
		see "$one"
		[ "$kind" = file ] || continue
		if is_meant "$wanted" "$before"; then printf '%s\n' "$one $t" >>"$tmp/leaf-times"
		else printf '%s\n' "modified $one" >>"$tmp/late"; fi
	done <"$tmp/odd"
}

# A line of each. Of files of which one is gone meanwhile it is not told whose line is whose.
look_at() {
	if stat "$statting" "$linked $details" "$@" >"$tmp/look" 2>/dev/null; then cat "$tmp/look"
	else for _ in "$@"; do echo; done; fi
}

# set_stamps [KIND]: lines `PATH STAMP` on stdin: what follows on each other and gets the same time gets it at once.
set_stamps() {
	only=${1-} value='' are_links=''
	set --
	while read -r one t; do
		see "$one"
		[ -n "$kind" ] && { [ -z "$only" ] || [ "$kind" = "$only" ]; } || continue
		[ "$kind" = symlink ] && is_link=1 || is_link=''
		if [ $# -gt 0 ] && { [ "$t$is_link" != "$value$are_links" ] || [ $# = 64 ]; }; then stamp_all "$@" && set --; fi
		value=$t are_links=$is_link
		set -- "$@" "$file"
	done
	[ $# = 0 ] || stamp_all "$@"
}

# Where touch cannot do it, the time of a link stays what it is.
stamp_all() {
	[ -z "$are_links" ] || [ -n "$link_times" ] || return 0
	nofollow=$are_links
	set_stamp "$value" "$@" || stopped "$1: its time could not be set"
	nofollow=''
}
