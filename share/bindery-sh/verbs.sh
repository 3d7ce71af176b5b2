# --- the verbs of bindery-sh; rollback and recover are those of every bundle

client_usage() {
	echo 'usage: bindery-sh [-nqv] [-R root] [-f file] check [-e] | fetch | install | rollback | recover [--undo] | list' >&2
	leave 2
}

# What begins whatever asks the repository. Who is not root keeps nothing of what is learned.
client_begin() {
	read_config
	choose_channels
	keeping=''
	if [ "$(id -u)" = 0 ]; then
		keeping=1
		make_state
		make_state_folder var/db/bindery/bundles 755
		make_state_folder var/db/bindery/cache 700
		take_lock
		# What follows leaves something in them.
		made=''
		ready_cache
	elif [ "$verb" != check ]; then
		die 1 'cannot write the state' 'this verb needs root'
	fi
}

choose_channels() {
	[ -n "$wanted_channels" ] || return 0
	for one in $wanted_channels; do
		name=$one awk '$1 == ENVIRON["name"] { print; found = 1 } END { exit !found }' "$tmp/channels" || die 1 "$one: is no channel of $conf"
	done >"$tmp/chosen"
	mv -f "$tmp/chosen" "$tmp/channels"
}

# Nobody else may put anything there, between its verification and its use.
ready_cache() {
	[ -d "$cache" ] || mkdir -p "$cache" || die 1 "$cache: could not be made"
	[ ! -L "$cache" ] && [ "$(stat "$statting" "$([ "$statting" = -c ] && echo '%u %a' || echo '%u %Lp')" "$cache")" = '0 700' ] ||
		die 1 "$cache: is not a folder of root alone" 'it must be a folder, belong to root, and have mode 700'
}

# Sets $from, the installed release or `-`, and $from_sequence.
client_installed() {
	release_file=$top/var/db/bindery/channel/${1%/*}-${1#*/}/release
	from=$(installed) from_sequence=0
	if [ -n "$from" ]; then
		from_sequence=$(sed -n 's/^sequence //p' "$release_file")
	elif [ "$2" = none ]; then
		from=-
	elif [ "$2" = - ]; then
		die 1 "$1: which release is installed is not known here" "write 'channel $1 RELEASE' into $conf, or none in its place for an empty root"
	else
		from=$2
	fi
}

client_check() {
	client_begin
	get_list
	waiting=''
	while read -r channel given; do
		client_installed "$channel" "$given"
		route "$channel" "$from" "$from_sequence"
		case $way in
		current) explain "$channel: $from is the newest" && continue ;;
		none) cost='no way to it' ;;
		esac
		if is_held "$channel"; then cost="$cost, held"; else waiting=1; fi
		[ "$from" != - ] || from=nothing
		echo "$channel: $from -> $newest, $cost"
	done <"$tmp/channels"
	[ -z "$exit_code" ] || [ -z "$waiting" ] || leave 10
	leave 0
}

client_fetch() {
	client_begin
	get_list
	fetch_all
	leave 0
}

# Leaves $tmp/work: `SUM NAME` for each bundle, in the order in which they are to be installed.
fetch_all() {
	: >"$tmp/work"
	while read -r channel given; do
		if is_held "$channel" && [ -z "$wanted_channels" ]; then explain "$channel: is held" && continue; fi
		client_installed "$channel" "$given"
		route "$channel" "$from" "$from_sequence"
		case $way in
		current) explain "$channel: $from is the newest" ;;
		none) die 1 "$channel: no bundle leads from $from to $newest" 'ask whoever publishes them for one' ;;
		bundles) fetch_route ;;
		esac
	done <"$tmp/channels"
}

fetch_route() {
	while read -r step_size step_sum step_name; do
		fetch_bundle "$step_name" "$step_size" "$step_sum"
		echo "$step_sum $step_name" >>"$tmp/work"
	done <"$tmp/route"
}

client_install() {
	client_begin
	if [ -n "$dry" ]; then
		[ ! -f "$top/var/db/bindery/journal" ] || die 4 'an interrupted run is waiting' "'bindery-sh recover' goes on with it"
	else
		let_go
		begin
	fi
	get_list
	fetch_all
	worst_status=$first_status
	while read -r step_sum step_name; do
		[ -z "$dry" ] || { show_bundle && continue; }
		run_bundle
	done <"$tmp/work"
	leave "$worst_status"
}

let_go() {
	[ -z "$lock" ] || rm -f "$lock"
	lock=''
}

# What a later bundle would do depends on what an earlier one has done.
show_bundle() {
	case $step_name in
	"${shown_to-}"_to_*) echo "then $step_name" ;;
	*) sh "$cache/$step_sum" -n ${verbose:+-v} -R "${top:-/}" install </dev/null || leave $? ;;
	esac
	shown_to=${step_name%.sh} shown_to=${shown_to%.bsdiff} shown_to=${shown_to##*_to_}
}

# What ends with 1 has changed nothing; the files that patches could not make are whole in another bundle.
run_bundle() {
	run_one
	case $bundle_status:$step_name in
	1:*.bsdiff.sh)
		rm -f "$cache/$step_sum"
		whole_of_step || leave 1
		say "trying $step_name"
		take_lock
		fetch_bundle "$step_name" "$step_size" "$step_sum"
		run_one
		;;
	esac
	case $bundle_status in
	0) ;;
	6) worst_status=6 ;;
	*) leave "$bundle_status" ;;
	esac
	rm -f "$cache/$step_sum"
}

# A bundle takes the lock for itself, and ends itself in its own way when both are stopped.
run_one() {
	let_go
	explain "installing $step_name"
	trap : INT TERM HUP
	sh "$cache/$step_sum" ${verbose:+-v} -R "${top:-/}" install </dev/null
	bundle_status=$?
	trap - INT TERM HUP
}

whole_of_step() {
	step_name=${step_name%.bsdiff.sh}.sh
	name=$step_name awk '$7 == ENVIRON["name"] { print $1, $6; exit }' "$tmp/index" >"$tmp/whole"
	read -r step_size step_sum <"$tmp/whole"
}

client_rollback() {
	[ -d "$top/var/db/bindery" ] || die 1 'there is nothing to roll back'
	verb_rollback
}

client_recover() {
	[ -d "$top/var/db/bindery" ] || leave 0
	verb_recover
}

client_list() {
	set +f
	for one in "$top"/var/db/bindery/channel/*/release; do
		[ -f "$one" ] || continue
		role=${one%/release} role=${role##*/}
		echo "${role%-*}/${role##*-}: $(sed -n 's/^name //p' "$one")"
	done
	set -f
	release_file=/dev/null/none
	verb_list
}

# read_options WORD...: flags may stand on either side of the verb.
read_options() {
	verb='' wanted_channels=''
	while [ $# -gt 0 ]; do
		case $1 in
		--undo) undo=1 ;;
		--help) client_help && leave 0 ;;
		-[RCf]) [ $# -gt 1 ] || client_usage; read_value "$1" "$2"; shift ;;
		-[RCf]*) read_value "$(printf '%.2s' "$1")" "${1#-?}" ;;
		-?*) read_letters "${1#-}" ;;
		*) if [ -z "$verb" ]; then verb=$1; else wanted_channels="$wanted_channels $1"; fi ;;
		esac
		shift
	done
	case $verb in
	check | fetch | install) ;;
	*) [ -z "$wanted_channels" ] || client_usage ;;
	esac
	case $verb:$exit_code:$dry:$undo in
	check:*:: | fetch::: | install::*: | rollback::*: | recover:::* | list:::) ;;
	*) client_usage ;;
	esac
}

read_value() {
	case $1 in -f) conf=$2 ;; *) root=$2 ;; esac
}

read_letters() {
	letters=$1
	while [ -n "$letters" ]; do
		case $letters in
		n*) dry=1 ;;
		q*) quiet=1 ;;
		v*) verbose=1 ;;
		e*) exit_code=1 ;;
		h*) client_help && leave 0 ;;
		*) client_usage ;;
		esac
		letters=${letters#?}
	done
}

client_help() {
	cat <<-'END'
	usage: bindery-sh [-nqv] [-R root] [-f file] verb

	check [-e] [channel ...]   ask whether there are updates; with -e status 10 says that there are
	fetch [channel ...]        download them, to be installed later
	install [channel ...]      download and install them
	rollback                   take back the newest install
	recover [--undo]           finish what an interrupted run has left, or take it back
	list                       show what is installed, and what can be taken back
	END
}

bindery_sh() {
	settle bindery-sh
	quiet='' exit_code='' conf=''
	case $0 in
	*/*) self=$0 ;;
	*) self=$(command -v -- "$0") ;;
	esac
	whole_path "$self"
	self=$whole
	read_options "$@"
	meter=''
	if [ -t 2 ] && [ -z "$quiet" ]; then meter=1; fi
	find_tools
	find_top
	"client_$verb"
}
