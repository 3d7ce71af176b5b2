# --- what a bundle alone does

usage() {
	echo "usage: sh ${self##*/} [-nv] [-R root] [install | rollback | list | verify | recover [--undo]]" >&2
	leave 2
}

check_base() {
	is=$(installed)
	if [ "$is" = "$new_release" ] && [ "$(sed -n 's/^tar //p' "$release_file")" = "$new_tar" ]; then
		explain "$new_release is installed"
		leave 0
	fi
	if [ -n "$is" ]; then
		[ "$is" = "$old_release" ] && [ "$(sed -n 's/^tar //p' "$release_file")" = "$old_tar" ] && return
		die 3 "this bundle is for ${old_release:-a root without a release}, and $is is installed"
	fi
}

# Without any state the files have to tell: where more of them differ from the old release than not, it is another one.
check_match() {
	[ -n "$old_release" ] && [ -z "$(installed)" ] || return 0
	matching=$(plan_phase match)
	[ "${matching#* }" -le "${matching% *}" ] || die 3 "this is not $old_release: of the files that change, ${matching#* } are not those of it, ${matching% *} are" 'nothing was changed'
}

verb_install() {
	way=install suffix=.new
	[ -n "$dry" ] || begin
	check_base
	make_room $((list_blocks * 4 + 256)) 1
	list >"$tmp/list"
	add_state_lines
	add_pending
	add_generated
	explain "from ${old_release:-nothing} to $new_release"
	read_clock
	if [ -n "$dry" ]; then tx=0; else next_transaction; fi
	look_and_decide
	sed -n "s/^note /post /p; s/^reboot /reboot $role /p" "$tmp/list" >"$tmp/notes"
	[ -z "$dry" ] || { show_plan; leave 0; }
	[ -n "$old_release" ] && was=$old_release || was=-
	echo "release $role $was $new_release" >"$tmp/head"
	: >"$tmp/undoes"
	while read -r one; do say "$one"; done <"$tmp/out/lost"
	say_conflicts
	execute
	leave $((status > first_status ? status : first_status))
}

# Files of the release that are there already and are not those of the release before: told before anything is touched.
say_conflicts() {
	while read -r _ reason one other; do
		case $reason:$other in
		modified:?* | in-the-way:?*)
			kept_text "$reason" "$one" ''
			say "conflict: $kept"
			;;
		esac
	done <"$tmp/out/kept"
}

# How the channel's own files change. Without an enrollment there is nothing but the name of what is installed.
add_state_lines() {
	folder=var/db/bindery/channel/$role
	echo "state $folder/release 0644 $release_size $release_member" >>"$tmp/list"
	if [ -n "$terms_member" ]; then echo "state $folder/terms 0644 $terms_size $terms_member" >>"$tmp/list"
	elif [ -f "$top/$folder/terms" ]; then echo "state $folder/terms gone - -" >>"$tmp/list"
	fi
	grep -qxF "channel $channel" "$top/var/db/bindery/enrolled" 2>/dev/null || return 0
	[ -n "$manifest_member" ] || die 1 "$channel is enrolled here, and this bundle is without a manifest" "use 'bindery install', or a bundle with its manifest"
	echo "state $folder/manifest.mtree.zst 0644 $manifest_size $manifest_member" >>"$tmp/list"
	# The base makes the old release; the next update comes whole and brings a new one.
	[ ! -f "$top/$folder/base.tar.zst" ] || echo "state $folder/base.tar.zst gone - -" >>"$tmp/list"
	number=1
	while [ -f "$top/$folder/$number.delta" ]; do
		echo "state $folder/$number.delta gone - -" >>"$tmp/list"
		number=$((number + 1))
	done
}

# What is still to be removed of former releases, and whether their list was worked through before.
add_pending() {
	listing=1
	pending=$top/var/db/bindery/channel/$role/obsolete
	[ -f "$pending" ] || return 0
	[ "$(sed q "$pending")" = 'bindery-obsolete 1' ] || die 1 "$pending: is no list that this program knows"
	awk 'NR == 2 { print } NR > 2 { print "pending", $0 }' "$pending" >>"$tmp/list"
	case $(sed -n 2p "$pending") in
	'through 0') ;;
	*)
		listing=
		grep -v '^former ' "$tmp/list" >"$tmp/paths"
		mv -f "$tmp/paths" "$tmp/list"
		;;
	esac
}

# What former releases left here is to go as if the installed one had it.
add_former() {
	plan_phase folders >"$tmp/wanted"
	list_folders <"$tmp/wanted" >>"$tmp/more"
	plan_phase former >"$tmp/left"
	[ -s "$tmp/left" ] || return 0
	grep -v '^path ' "$tmp/list" >"$tmp/others"
	awk 'FNR == NR { left[$2] = 1; print; next } $1 == "path" && !($2 in left)' "$tmp/left" "$tmp/list" | sort -k 2,2 >"$tmp/paths"
	cat "$tmp/others" "$tmp/paths" >"$tmp/list"
}

# Whether program and contents have the digests that the call gives, and the call is the one that it should be: with a damaged one,
# what was asked for would be lost. That catches accidents; it proves nothing against somebody who can write a program of their own.
check_self() {
	[ "$(dd if="$self" bs=512 count="$program_blocks" 2>/dev/null | digest)" = "$1" ] &&
		[ "$(dd if="$self" bs=512 skip="$program_blocks" count=1 2>/dev/null)" = "$(printf '%-511s' "{ bindery_bundle $1 $2 \"\$@\"; exit; }")" ] &&
		[ "$(tail -c "+$list_at" "$self" | digest)" = "$2" ]
}

list() { dd if="$self" bs=512 skip="$((program_blocks + 1))" count="$list_blocks" 2>/dev/null | sed '/^$/d'; }

bindery_bundle() {
	settle bundle
	whole_path "$0"
	self=$whole
	about_bundle
	program_digest=$1 rest_digest=$2
	shift 2
	while getopts nvR: option; do
		case $option in
		n) dry=1 ;;
		v) verbose=1 ;;
		R) root=$OPTARG ;;
		*) usage ;;
		esac
	done
	shift $((OPTIND - 1))
	verb=${1:-install}
	case $verb in
	install | rollback | list | verify) [ $# -le 1 ] || usage ;;
	recover)
		case $#:${2-} in 1:) ;; 2:--undo) undo=1 ;; *) usage ;; esac
		;;
	*) verb=bundle && usage ;;
	esac
	find_tools
	[ -r "$self" ] || die 1 "cannot read itself: run it as 'sh FILE'"
	# Only what is whole goes on, whatever else does not work.
	if check_self "$program_digest" "$rest_digest"; then run_verb; else die 3 "$self: is damaged" 'fetch it again; nothing was changed'; fi
}

# Other channels that are followed here.
find_roles() {
	roles=' '
	set +f
	for one in "$top"/var/db/bindery/channel/*/release; do
		one=${one%/release} one=${one##*/}
		[ "$one" = "$role" ] || roles="$roles$one "
	done
	set -f
}

run_verb() {
	find_top
	release_file=$top/var/db/bindery/channel/$role/release
	find_roles
	"verb_$verb"
}

verb_verify() { leave 0; }
