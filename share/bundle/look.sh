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
	: >"$tmp/attributes"
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
	[ -z "$xattrs" ] || xattr_lines "$(word "$top" && printf %s "$word")" <"$tmp/attributes"
}

look_batch() {
	printf '%s\n' "${seen%?}" >>"$tmp/seen"
	seen=
	stat "$statting" "$details" "$@" >>"$tmp/stats" || die 1 'the tree changes while it is looked at' 'run it again; nothing was changed'
	[ -z "$xattrs" ] || get_xattrs "$@" >>"$tmp/attributes" || die 1 'extended attributes cannot be read here'
}

# Where a file system knows none, there are none.
get_xattrs() {
	getfattr -h -d -m - -e hex --absolute-names -- "$@" 2>"$tmp/error" && return
	! grep -v -e ': Operation not supported$' "$tmp/error" >&2
}

# xattr_lines TOP: of getfattr's dump, a line `xattr PATH ,x=NAME=VALUE...` for each path below TOP that has some. What says something
# of the machine and not of the tree is left out, as src/engine/tree/attributes.ts has it.
xattr_lines() {
	top_word=$1/ awk '
		BEGIN {
			top = ENVIRON["top_word"]
			for (i = 1; i < 256; i++) {
				c = sprintf("%c", i)
				coded[c] = byhex[sprintf("%02x", i)] = c ~ /[A-Za-z0-9]/ || index("._/@^~+-", c) ? c : sprintf("\\%03o", i)
			}
			byhex["00"] = "\\000"
		}
		function word(text, n, out) {
			while (text != "") {
				n = text ~ /^\\[0-7][0-7][0-7]/ ? 4 : 1
				c = substr(text, 1, n)
				out = out (n == 4 ? byoctal(substr(c, 2)) : coded[c])
				text = substr(text, n + 1)
			}
			return out
		}
		function byoctal(o) { return byhex[sprintf("%02x", substr(o, 1, 1) * 64 + substr(o, 2, 1) * 8 + substr(o, 3, 1))] }
		function value(hex, i, out) {
			for (i = 3; i < length(hex); i += 2) out = out byhex[substr(hex, i, 2)]
			return out
		}
		function flush(i, j, one, out) {
			for (i = 2; i <= count; i++) {
				one = name[i]
				for (j = i; j > 1 && name[j - 1] > one; j--) name[j] = name[j - 1]
				name[j] = one
			}
			for (i = 1; i <= count; i++) out = out ",x=" name[i] "=" held[name[i]]
			if (count) print "xattr", path, out
			count = 0
		}
		/^# file: / { path = substr(word(substr($0, 9)), length(top) + 1); next }
		$0 == "" { flush(); next }
		{
			at = index($0, "=")
			raw = at ? substr($0, 1, at - 1) : $0
			if (raw ~ /^security\.(selinux|SMACK64[A-Za-z0-9_]*|ima|evm)$/ || raw ~ /^(trusted|user)\.overlay\./ || raw ~ /^btrfs\./ || raw == "system.nfs4_acl") next
			name[++count] = word(raw)
			held[name[count]] = at ? value(substr($0, at + 1)) : ""
		}
		END { flush() }'
}

# in_batches LIST PROGRAM: words on stdin; those that are files, in LIST, and the program gets 64 of these files at a time.
in_batches() {
	list=$1 per_batch=$2
	: >"$list"
	set --
	while read -r one; do
		see "$one"
		[ "$kind" = file ] || continue
		printf '%s\n' "$one" >>"$list"
		set -- "$@" "$file"
		[ $# = 64 ] || continue
		"$per_batch" "$@" || return
		set --
	done
	[ $# = 0 ] || "$per_batch" "$@"
}

# Words on stdin, `digest` lines on stdout.
read_digests() {
	in_batches "$tmp/words" digests >"$tmp/sums"
	if [ -s "$tmp/words" ]; then sed 's/^/digest /' "$tmp/words" | paste -d ' ' - "$tmp/sums"; fi
	rm -f "$tmp/sums"
}

# Names of libraries on stdin; `uses FILE NAME` lines on stdout, for the programs and libraries here that hold such a name. Whether
# they link to it cannot be told without tools for such files, but every name of a library that they do link to ends with a zero byte.
find_users() {
	while read -r one; do
		unword "$one"
		printf '%s\n' "$path"
	done >"$tmp/names"
	# grep of busybox ends a line at a zero byte.
	if [ "$(printf 'a\000b\n' | grep -cF b)" = 1 ]; then
		search="exec grep -lF -f \"\$names\" /dev/null \"\$@\""
	else
		search="for one do ! tr '\\000' '\\n' <\"\$one\" | grep -qF -f \"\$names\" || printf '%s\\n' \"\$one\"; done"
	fi
	(
		cd "$top/" || exit
		set --
		for one in bin sbin lib lib32 lib64 libx32 libexec usr opt; do
			[ -L "$one" ] || [ ! -d "$one" ] || set -- "$@" "$one"
		done
		[ $# = 0 ] || names=$tmp/names find "$@" \( -path usr/include -o -path usr/share -o -path usr/src -o -path usr/obj -o -path usr/ports -o -path usr/xenocara \
			-o -path usr/xobj -o -path usr/pkgsrc -o -path lib/modules -o -path lib/firmware -o -path usr/lib/modules -o -path usr/lib/firmware \) -prune \
			-o -type f -size +0 \( -perm -100 -o -perm -010 -o -perm -001 -o -name '*.so' -o -name '*.so.*' \) -exec sh -c "$search" sh {} +
	) 2>/dev/null | sort >"$tmp/candidates"
	while IFS= read -r one; do
		if [ ! -f "$top/$one" ]; then
			# A name of several lines: somebody needs something.
			names_in - <"$tmp/names"
		elif [ "$(dd if="$top/$one" bs=4 count=1 2>/dev/null | od -An -c | tr -d ' ')" = 177ELF ]; then
			word "$one"
			tr '\000' '\n' <"$top/$one" | names_in "$word"
		fi
	done <"$tmp/candidates"
}

names_in() {
	names=$tmp/names awk 'BEGIN { while ((getline name <ENVIRON["names"]) > 0) wanted[name] = 1 }
		{ for (name in wanted) if (length($0) >= length(name) && substr($0, length($0) - length(name) + 1) == name) found[name] = 1 }
		END { for (name in found) print name }' | sort | while read -r name; do
		word "$name"
		printf '%s\n' "uses $1 $word"
	done
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

# Lines `PATH STEM STEM STEM NODE OLD` on stdin; `beside` lines on stdout: under which name the version that may not replace what is
# there comes to lie, and what it replaces there.
find_besides() {
	placed=' '
	while read -r of stem_0 stem_1 stem_2 node old; do
		number=0 how=none
		while [ "$number" -lt 100 ] && [ "$how" = none ]; do
			name_beside "$number"
			number=$((number + 1))
			try_beside "$candidate" "$node" "$old"
		done
		[ "$how" = none ] || placed="$placed$candidate "
		printf '%s\n' "beside $of $how $candidate $leaving"
	done
}

# In $candidate; the longer the suffix, the shorter the stem.
name_beside() {
	case $1 in
	0) candidate=$stem_0$suffix ;;
	?) candidate=$stem_1$suffix.$1 ;;
	*) candidate=$stem_2$suffix.$1 ;;
	esac
}

try_beside() {
	leaving=-
	# By another name with the same beginning.
	case $placed in *" $1 "*) return ;; esac
	if candidate=$1 awk '($1 == "path" || $1 == "second") && $2 == ENVIRON["candidate"] { found = 1 } END { exit !found }' "$tmp/list" "$tmp/more"; then return; fi
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
