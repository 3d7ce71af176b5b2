# --- what bindery-sh is told: bindery-sh.conf

read_config() {
	conf=${conf:-$top/etc/bindery-sh.conf}
	: >"$tmp/urls"
	: >"$tmp/keys"
	: >"$tmp/channels"
	held=' ' idle_limit=30 cache='' line_number=0
	[ -f "$conf" ] || die 1 "$conf: is not there" "it says where from: lines 'url URL', 'key NAME.pub' and 'channel CHANNEL RELEASE'; see bindery-sh(1)"
	while read -r key value || [ -n "$key" ]; do
		line_number=$((line_number + 1))
		case $key in
		'' | '#'*) continue ;;
		url | key | channel | hold | cache | idle-timeout) [ -n "$value" ] || wrong_line "'$key' is without a value" ;;
		*) wrong_line "there is no key '$key'" ;;
		esac
		"config_$(echo "$key" | tr - _)" "$value"
	done <"$conf"
	for one in urls keys channels; do
		[ -s "$tmp/$one" ] || die 2 "$conf: there is no line '${one%s}'"
	done
	[ -n "$cache" ] || cache=$top/var/db/bindery/cache
}

wrong_line() { die 2 "$conf: line $line_number: $1"; }

config_url() {
	case $1 in
	*[!A-Za-z0-9._~:/@!\$\&\'\(\)\*+,\;=%-]*) wrong_line "'$1' is no address" ;;
	http://?* | https://?* | file:///*) ;;
	*) wrong_line "'$1' is no address: http, https and file are known" ;;
	esac
	echo "${1%/}/" >>"$tmp/urls"
}

# A name is looked for where keys are kept. Only keys that are named here are trusted, never whatever lies in such a folder.
config_key() {
	case $1 in
	*[!A-Za-z0-9._/+-]* | -*) wrong_line "'$1' is no file of a key" ;;
	/*) key_file=$top$1 ;;
	*/*) wrong_line "'$1' is neither a name nor an absolute path" ;;
	*)
		key_file=$top/etc/signify/$1
		[ -f "$key_file" ] || key_file=$top/etc/bindery/$1
		[ -f "$key_file" ] || wrong_line "$1 is not in $top/etc/signify, and not in $top/etc/bindery"
		;;
	esac
	[ -f "$key_file" ] || wrong_line "$key_file is not there"
	two_lines "$key_file"
	case $second_line in
	RW*) [ ${#second_line} = 56 ] ;;
	*) false ;;
	esac || wrong_line "$key_file is no public key of signify"
	printf '%.13s %s\n' "$second_line" "$key_file" >>"$tmp/keys"
}

# channel CHANNEL [RELEASE]
config_channel() {
	# shellcheck disable=SC2086 # one word or two
	set -- $1
	[ $# -le 2 ] || wrong_line 'a channel has one release'
	channel=$1 given=${2-}
	case $channel in
	[!A-Za-z0-9]* | *[!A-Za-z0-9._+/-]* | */*/* | */*-* | */) wrong_line "'$channel' is no channel" ;;
	*/*) ;;
	*) wrong_line "'$channel' is no channel: it is PRODUCT/ARCH" ;;
	esac
	case $given in
	'' | none) ;;
	*[!A-Za-z0-9._+-]*) wrong_line "'$given' is no release" ;;
	"${channel%/*}"-*-"${channel#*/}") ;;
	*) wrong_line "$given is no release of $channel" ;;
	esac
	! grep -qF "$channel " "$tmp/channels" || wrong_line "$channel is there twice"
	echo "$channel ${given:--}" >>"$tmp/channels"
}

config_hold() { held="$held$1 "; }

config_cache() {
	case $1 in
	/*) cache=$top$1 ;;
	*) wrong_line "'$1' is no absolute path" ;;
	esac
}

config_idle_timeout() {
	case $1 in
	*[!0-9]* | 0* | ??????*) wrong_line "'$1' is no number of seconds" ;;
	esac
	idle_limit=$1
}

is_held() {
	case $held in *" $1 "* | *' all '*) return 0 ;; *) return 1 ;; esac
}

# Of a file that nobody has verified yet, $first_line and $second_line, as far as a signature's may go.
two_lines() {
	first_line='' second_line=''
	dd if="$1" of="$tmp/top" bs=2048 count=1 2>/dev/null
	{ read -r first_line && read -r second_line; } <"$tmp/top"
	case $first_line in 'untrusted comment: '*) ;; *) second_line='' ;; esac
	case $second_line in *[!A-Za-z0-9+/=]*) second_line='' ;; esac
}
