# --- kernels that stay under a second name when they are replaced (old-names.ts)

# What is to stay under a second name, and what lies there, as $tmp/more takes it.
add_old_names() {
	plan_phase second >"$tmp/rules"
	[ -s "$tmp/rules" ] || return 0
	read_old_names "$top/var/db/bindery/old-names" >"$tmp/earlier"
	cut -d ' ' -f 1 "$tmp/rules" >"$tmp/level"
	walk
	pair_old_names >"$tmp/seconds"
	[ -s "$tmp/seconds" ] || return 0
	make_room_for "$tmp/seconds" 1
	cut -d ' ' -f 2 "$tmp/seconds" >"$tmp/wanted"
	look <"$tmp/wanted" >>"$tmp/live" || leave 1
	leave_foreign >>"$tmp/more"
	plan_phase digest | sort -u >"$tmp/wanted"
	read_digests <"$tmp/wanted" >>"$tmp/more"
	find_held
}

# The client's own list (doc/spec/client-state.md) as lines `earlier PATH NODE`.
read_old_names() {
	[ -f "$1" ] || return 0
	awk '
		BEGIN {
			for (i = 1; i < 256; i++) {
				c = sprintf("%c", i)
				coded[c] = c ~ /[A-Za-z0-9]/ || index("._/@^~+-", c) ? c : sprintf("\\%03o", i)
			}
		}
		function word(text, out) {
			while (text != "") {
				c = substr(text, 1, 1)
				if (c != "\\") { out = out coded[c]; text = substr(text, 2) }
				else {
					# Nothing else is escaped; it could lead elsewhere.
					if (text !~ /^\\(0[0-3][0-7]|040|134|177|[23][0-7][0-7])/ || text ~ /^\\000/) bad = 1
					out = out substr(text, 1, 4)
					text = substr(text, 5)
				}
			}
			return out
		}
		function node(text, at, out) {
			while ((at = index(text, "\\")) > 0) { out = out substr(text, 1, at); text = substr(text, at + 4) }
			return out text
		}
		NR == 1 { if ($0 != "bindery-old-names 1") { bad = 1; exit } next }
		{ rest = substr($0, 6) }
		NR % 2 == 0 {
			if ($1 != "path" || rest == "" || ("/" rest "/") ~ /\/[.]?[.]?\//) bad = 1
			path = word(rest)
			if (bad) exit
			next
		}
		$1 != "node" || NF != 2 || $2 !~ /^[a-z]+,[0-7]+,[0-9]+,[0-9]+,-?[0-9]+[.][0-9]+/ { bad = 1; exit }
		{ print "earlier", path, node(rest) }
		END { exit (bad || NR % 2 == 0) }' "$1" || die 1 "$1: is no list that this program knows" 'remove it: what it names is then kept as if it were yours'
}

# The files and folders of $tmp/level, and all that is below them on the same file system, come into $tmp/walked, and what is known of
# them to the end of $tmp/live.
walk() {
	: >"$tmp/walked"
	only='file dir'
	while [ -s "$tmp/level" ]; do
		look <"$tmp/level" >"$tmp/looked" || leave 1
		cat "$tmp/looked" >>"$tmp/live"
		only=$only awk '
			FILENAME ~ /live$/ { if ($1 == "live" && $3 == "dir") device[$2] = $9 ""; next }
			$1 != "live" || $3 == "socket" || (ENVIRON["only"] != "" && $3 != "dir" && $3 != "file") { next }
			{ above = $2; if (!sub(/\/[^\/]*$/, "", above)) above = "." }
			$3 != "dir" || ($9 "") == device[above] { print $2, $3 }' "$tmp/live" "$tmp/looked" >"$tmp/stayed"
		cut -d ' ' -f 1 "$tmp/stayed" >>"$tmp/walked"
		sed -n 's/ dir$//p' "$tmp/stayed" | list_folders | awk '{ print $2 "/" $3 }' >"$tmp/level"
		only=
	done
}

# Lines `second NAME PATH RANK`: of each path that stays under a second name, and, with `-`, of what was put there earlier.
pair_old_names() {
	awk '
		function within(path, folder) { return path == folder || index(path, folder "/") == 1 }
		FILENAME ~ /rules$/ { path[++rules] = $1; old[rules] = $2; rank[rules] = $3; next }
		FILENAME ~ /walked$/ {
			for (i = 1; i <= rules; i++) if (within($1, path[i])) {
				name = old[i] substr($1, length(path[i]) + 1)
				from[name] = $1
				at[name] = rank[i]
				found[i] = 1
			}
			next
		}
		{ for (i = 1; i <= rules; i++) if (found[i] && within($2, old[i]) && !($2 in from)) { from[$2] = "-"; at[$2] = rank[i] } }
		END { for (name in from) print "second", name, from[name], at[name] }' "$tmp/rules" "$tmp/walked" "$tmp/earlier" | sort -k 2,2
}

# Where something is that was not put there by us, or another file system is, it stays.
leave_foreign() {
	awk '
		FILENAME ~ /rules$/ { second[$2] = 1; next }
		FILENAME ~ /live$/ { if ($1 == "live") { kind[$2] = $3; device[$2] = $9 "" } next }
		FILENAME ~ /earlier$/ { ours[$2] = 1; print; next }
		{ for (old in second) if ($2 == old || index($2, old "/") == 1) break }
		$2 == old {
			above = old
			if (!sub(/\/[^\/]*$/, "", above)) above = "."
			foreign[old] = (old in kind) && (!(old in ours) || (kind[old] == "dir" && device[old] != device[above]))
			if (foreign[old]) print "stays", old
		}
		!foreign[old]' "$tmp/rules" "$tmp/live" "$tmp/earlier" "$tmp/seconds"
}
