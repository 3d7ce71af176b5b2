# --- what everything else uses

# settle NAME: what each program of ours begins with.
settle() {
	LC_ALL=C
	export LC_ALL
	PATH=$PATH:/usr/sbin:/sbin
	unset CDPATH
	umask 077
	set -f
	blanks=' 	
'
	IFS=$blanks
	verb=$1 verbose='' dry='' undo='' root=/ top='' tmp='' lock='' staging='' made='' nofollow='' area='' first_status=0 leaving='' roles='' listing='' whole_name='' closing='' closed=0
	trap 'cut_short $?' EXIT
	lacking_status=1 keep_releases=5 at_boot='' call=' recover' room_hint='TMPDIR names another folder'
}

# A path from the root, in $whole; its last bytes may be line ends, which a substitution takes away.
whole_path() {
	case $1 in
	/*) whole=$1 ;;
	*)
		whole=$(pwd && echo /)
		whole=${whole%??}/$1
		;;
	esac
}

find_top() {
	find_root
	make_tmp
	find_touch
	find_sync
}

find_root() {
	[ -d "$root" ] || die 1 "$root: is no directory"
	whole_path "$root"
	top=$(cd "$whole" && pwd -P && echo /)
	top=${top%??}
	[ "$top" != / ] || top=
}

say() { talk "bindery: $verb: $*"; }
hint() { talk "bindery: hint: $*"; }
talk() { printf '%s\n' "$1" >&2; }
explain() { [ -z "$verbose" ] || say "$@"; }

# die STATUS TEXT [HINT]: before the journal is written, everything is taken back.
die() {
	say "$2"
	[ $# -lt 3 ] || hint "$3"
	leave "$1"
}

# A shell ends itself where it cannot redirect, and has said why.
cut_short() { [ "$1" = 0 ] || unsaved 'the shell ended' || leave 6; }

leave() {
	trap - EXIT
	trap '' INT TERM HUP
	leaving=1
	[ -z "$staging" ] || { staging='' && sweep; }
	[ -z "$lock" ] || rm -f "$lock"
	[ -z "$made" ] || unmake_state
	[ -z "$tmp" ] || rm -rf "$tmp"
	[ -z "$closing" ] || $closing
	exit $(($1 > closed ? $1 : closed))
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }

# A word of the list or the journal as the bytes that it stands for, in $path.
unword() {
	case $1 in
	*\\*)
		# shellcheck disable=SC2059 # the word is a format by its making: each octal number is a byte, and there is no %
		path=$(printf "x$1/")
		path=${path#x}
		path=${path%/}
		;;
	*) path=$1 ;;
	esac
}

# Bytes as a word, in $word.
word() {
	case $1 in
	*[!A-Za-z0-9._/@^~+-]*) word=$(printf %s "$1" | od -An -v -to1 | awk '
		BEGIN { for (i = 1; i < 127; i++) if ((c = sprintf("%c", i)) ~ /[A-Za-z0-9]/ || index("._/@^~+-", c)) plain[sprintf("%03o", i)] = c }
		{ for (i = 1; i <= NF; i++) printf "%s", ($i in plain) ? plain[$i] : "\\" $i }') ;;
	*) word=$1 ;;
	esac
}

# The fields of a node, in $kind $mode $uid $gid $time $own $sum, and $extras: flags and extended attributes.
fields() {
	extras=${1#"${1%%,[fx]=*}"}
	IFS=,
	# shellcheck disable=SC2086 # taken apart on purpose; nothing in it is a pattern
	set -- ${1%%,[fx]=*}
	IFS=$blanks
	kind=$1 mode=$2 uid=$3 gid=$4 time=$5 own=${6-} sum=${7-}
}

tools='awk cat chmod chown cmp cp cut date dd df find grep gzip ln ls mkdir mktemp mv od paste readlink rm rmdir sed sort stat sync tail tar touch tr uname'

# Which tools there are. Each answers the same questions in another way.
find_tools() {
	for one in $tools; do command -v "$one" >/dev/null || die "$lacking_status" "$one is missing"; done
	if command -v sha256sum; then hasher=sha256sum
	elif command -v sha256; then hasher=sha256
	elif command -v openssl; then hasher=openssl
	elif echo | cksum -a sha256; then hasher="cksum"
	else die "$lacking_status" 'there is no sha256sum, sha256, openssl or cksum that knows sha256'
	fi >/dev/null 2>&1
	if stat -c %Y / >/dev/null 2>&1; then
		statting='-c' details='%a %u %g %s %d %i %t %T %Y %y' hex=1 linked=%h
	elif stat -f %m / >/dev/null 2>&1; then
		statting='-f' details='%Mp%Lp %u %g %z %d %i %Hr %Lr %Fm %Sf' hex='' linked=%l
	else
		die "$lacking_status" 'there is no stat that knows -c or -f'
	fi
	xattrs='' flags=''
	if [ "$(uname -s)" = Linux ] && command -v getfattr && command -v setfattr; then xattrs=1
	elif [ "$statting" = -f ] && command -v chflags; then flags=1
	fi >/dev/null
}

make_tmp() {
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/bindery.XXXXXXXXXX") || die 1 'no temporary folder could be made'
	: >"$tmp/empty"
}

# make_room KILOBYTES STATUS: of a text that is cut off, a part would be done and taken for all. What is written there is a few times
# what is decided upon. Not from /dev/zero, which a chroot may not have.
make_room() {
	awk -v n="$1" 'BEGIN { for (; n > 0; n--) printf "%1024s", "" }' | dd of="$tmp/room" bs=1024 2>/dev/null || die "$2" "$tmp: no space, need $1 kB" "$room_hint"
	rm -f "$tmp/room"
}

make_room_for() { make_room $(($(bytes_in "$1") / 128 + 256)) "$2"; }

bytes_in() { stat "$statting" "$details" "$1" | cut -d ' ' -f 4; }

# Seconds since the epoch.
read_clock() {
	now=$(date +%s)
	case $now in '' | *[!0-9]*) die 1 'date does not tell the time' 'nothing was changed' ;; esac
}

# Of stdin.
digest() {
	case $hasher in
	sha256sum) sha256sum | cut -c 1-64 ;;
	sha256) sha256 -q ;;
	openssl) openssl dgst -sha256 -r | cut -c 1-64 ;;
	cksum) cksum -a sha256 | sed 's/.*= *//' ;;
	esac
}

# Of files, a line each. A name that sha256sum takes for a strange one has a backslash before its digest.
digests() {
	case $hasher in
	sha256sum) sha256sum "$@" | sed -n 's/^\\\{0,1\}\([0-9a-f]\{64\}\) .*/\1/p' ;;
	*) for one do digest <"$one"; done ;;
	esac
}

# Whether touch can set a time to the nanosecond, else to the second, and that of a link. Asked twice, since a disk may fail once.
find_touch() {
	fractions='' link_times=''
	ln -s empty "$tmp/link"
	if of_link 2>/dev/null || of_link 2>/dev/null; then link_times=1; fi
	rm -f "$tmp/link"
	if finely 2>/dev/null || finely 2>/dev/null; then
		case $(stat "$statting" "$details" "$tmp/empty") in *.123456789*) fractions=1 ;; esac
	fi
}

of_link() { touch -h -t 197001020304.05 "$tmp/link"; }
finely() { touch -d '1970-01-02T03:04:05.123456789Z' "$tmp/empty"; }

# set_time SEC.NSEC FILE...
set_time() {
	stamp=$(echo "$1" | stamped 1)
	shift
	set_stamp "$stamp" "$@"
}

# stamped COLUMN: lines with the time in that column as touch takes it.
stamped() {
	awk -v column="$1" -v fine="$fractions" '
		function stamp(time, part, days, rest, z, era, doe, yoe, doy, mp, d, m, y) {
			split(time, part, ".")
			days = int(part[1] / 86400); rest = part[1] % 86400
			if (rest < 0) { rest += 86400; days-- }
			# The calendar from days since the epoch; years begin in March.
			z = days + 719468; era = int((z >= 0 ? z : z - 146096) / 146097); doe = z - era * 146097
			yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
			doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100)); mp = int((5 * doy + 2) / 153)
			d = doy - int((153 * mp + 2) / 5) + 1; m = mp < 10 ? mp + 3 : mp - 9; y = yoe + era * 400 + (m <= 2)
			if (fine) return sprintf("%04d-%02d-%02dT%02d:%02d:%02d.%sZ", y, m, d, int(rest / 3600), int(rest % 3600 / 60), rest % 60, part[2])
			return sprintf("%04d%02d%02d%02d%02d.%02d", y, m, d, int(rest / 3600), int(rest % 3600 / 60), rest % 60)
		}
		$column ~ /^-?[0-9]+[.][0-9]+$/ { $column = stamp($column) }
		{ print }'
}

# set_stamp STAMP FILE...
set_stamp() {
	stamp=$1
	shift
	if [ -n "$fractions" ]; then touch ${nofollow:+-h} -d "$stamp" "$@"
	else TZ=UTC0 touch ${nofollow:+-h} -t "$stamp" "$@"
	fi
}

# Whether sync takes names: what does not cannot tell what the disk has failed.
find_sync() {
	by_name=
	! sync "$tmp/empty" 2>/dev/null || by_name=1
}

# Durable before anything builds upon it: by name where sync takes names, else all there is. What the disk has failed is not tried again: the
# system may have forgotten what it could not write.
sync_files() {
	[ -n "$by_name" ] || { sync; return; }
	why=$(sync "$@" 2>&1) || unsaved "$1 could not be synced: $why"
}

# What the disk does not take: before the commit everything is taken back, in the middle of it this stops, and behind it that is told.
unsaved() {
	if [ -n "$leaving" ]; then say "$1"
	elif [ -f "$top/var/db/bindery/journal" ]; then stopped "$1"
	elif [ -n "$staging" ]; then die 1 "$1" 'nothing was changed'
	else say "$1" && closed=6
	fi
	return 1
}

# Makes a folder without a trace in the time of the folder that it is in.
make_inside() {
	touch -r "${1%/*}/." "$tmp/time"
	[ -d "$1" ] || mkdir -m "$2" "$1" || [ -d "$1" ] || die 1 "$1 could not be made"
	touch -r "$tmp/time" "${1%/*}/."
}
