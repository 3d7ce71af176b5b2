# --- what can be asked for

usage() {
	echo "usage: sh ${self##*/} [-nv] [-R root] [install | rollback | list | verify | recover [--undo]]" >&2
	leave 2
}

# What is installed according to the client's state; nothing where it was never enrolled and has seen no bundle.
installed() { [ ! -f "$release_file" ] || sed -n 's/^name //p' "$release_file"; }

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

# run_plan PHASE FILE...
run_plan() {
	phase=$1
	shift
	awk -v phase="$phase" -v hex="$hex" -v way="$way" -v out="$tmp/out" -v members="$members" -v now="$now" -v fractions="$fractions" '
@plan.awk@
' "$@"
}

plan_phase() { run_plan "$1" "$tmp/list" "$tmp/live" "$tmp/more"; }

# $tmp/list has what shall be, $tmp/live comes to hold what is, $tmp/out what is to be done.
look_and_decide() {
	mkdir "$tmp/out"
	for one in areas kept actions stage needs folders; do : >"$tmp/out/$one"; done
	: >"$tmp/more"
	awk '$1 == "path" { print $2; if ($9 != "-") print $9 } $1 == "above" || $1 == "state" { print $2 }
		$1 == "state" { sub(/\/[^\/]*$/, "", $2); print $2 } END { print "."; print "var"; print "var/db"; print "var/db/bindery" }' "$tmp/list" | sort -u >"$tmp/wanted"
	look <"$tmp/wanted" >"$tmp/live" || leave 1
	plan_phase digest | sort -u >"$tmp/wanted"
	read_digests <"$tmp/wanted" >>"$tmp/more"
	[ "$way" != install ] || check_match
	plan_phase holds >"$tmp/wanted"
	if [ -s "$tmp/out/blocked" ]; then
		read -r one <"$tmp/out/blocked"
		die 1 "/$one: is no directory here, as it is in the release" 'put the directory back; nothing was changed'
	fi
	list_folders <"$tmp/wanted" >>"$tmp/more"
	plan_phase beside >"$tmp/wanted"
	find_besides <"$tmp/wanted" >"$tmp/besides"
	cat "$tmp/besides" >>"$tmp/more"
	plan_phase plan
	sort -k 3,3 "$tmp/out/kept" >"$tmp/kept"
	mv "$tmp/kept" "$tmp/out/kept"
}

show_plan() {
	while read -r action one old_node new_node; do
		case $one in var/db/bindery/*) continue ;; esac
		case $action in
		mkdir | rmdir) ;;
		put) action=add ;;
		drop) action=remove ;;
		swap) action=replace ;;
		attr) [ "$old_node" != "$new_node" ] || continue; action=attributes ;;
		esac
		[ "$one" != . ] || one=
		printf '%s\n' "$action /$one"
	done <"$tmp/out/actions"
	while read -r _ reason one other; do
		kept_text "$reason" "$one" "$other"
		printf '%s\n' "keep $kept"
	done <"$tmp/out/kept"
	while read -r key what name _ _ _ text; do
		case $key:$what in
		post:run) unword "$text" && printf '%s\n' "run $name: $path" ;;
		post:script) unword "$text" && printf '%s\n' "run $name:" && printf '%s\n' "$path" | sed 's/^/    /' ;;
		reboot:*) printf '%s\n' "needs $name" ;;
		esac
	done <"$tmp/notes"
}

# From a decision to a journal. Until that is written nothing live changes, and any failure takes everything back.
execute() {
	read_areas "$tmp/out/areas"
	check_space
	check_writable
	trap 'die 1 "stopped; nothing was changed"' INT TERM HUP
	staging=1
	make_areas
	fill_stage
	save_old
	sync_areas
	check_unchanged
	{
		cat <<-END
		bindery-journal 1
		transaction $tx
		purpose $way
		direction forward
		time $now
		END
		cat "$tmp/head" "$tmp/out/areas" "$tmp/undoes" "$tmp/notes" "$tmp/out/kept" "$tmp/out/actions"
	} | sealed >"$top/var/db/bindery/journal.new"
	write_state "$top/var/db/bindery/journal"
	staging='' made=''
	read_journal "$top/var/db/bindery/journal"
	finish
}

# What somebody changed since could be lost: the next run decides anew.
check_unchanged() {
	awk '{ print $2 }' "$tmp/live" >"$tmp/wanted"
	mv "$tmp/live" "$tmp/before"
	look <"$tmp/wanted" >"$tmp/live"
	mv "$tmp/live" "$tmp/after"
	for one in before after; do awk '$3 == "dir" { $5 = $8 = $13 = $14 = $15 = $16 = "" } { print }' "$tmp/$one" >"$tmp/$one.lines"; done
	cmp -s "$tmp/before.lines" "$tmp/after.lines" || die 1 'the tree was changed while the update was being prepared' 'run it again; nothing was changed'
}

verb_install() {
	way=install suffix=.new
	[ -n "$dry" ] || begin
	check_base
	list >"$tmp/list"
	add_state_lines
	explain "from ${old_release:-nothing} to $new_release"
	now=$(date +%s)
	if [ -n "$dry" ]; then tx=0; else next_transaction; fi
	look_and_decide
	sed -n "s/^note /post /p; s/^reboot /reboot $role /p" "$tmp/list" >"$tmp/notes"
	[ -z "$dry" ] || { show_plan; leave 0; }
	[ -n "$old_release" ] && was=$old_release || was=-
	echo "release $role $was $new_release" >"$tmp/head"
	: >"$tmp/undoes"
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

verb_rollback() {
	way=rollback suffix=.old
	[ -n "$dry" ] || begin
	newest_install
	roll_back
	leave $((status > first_status ? status : first_status))
}

# To what $receipt says was there.
roll_back() {
	sed -n 's/^release \(.*\)/\1/p' "$receipt" | awk '{ print "release", $1, $3, $2 }' >"$tmp/head"
	read_journal "$receipt"
	receipt_list >"$tmp/list"
	undone=$tx
	now=$(date +%s)
	if [ -n "$dry" ]; then tx=0; else next_transaction; fi
	members=0
	look_and_decide
	awk '($1 == "post" && $2 != "notice" && $6 == "yes") || $1 == "reboot" { print } $1 ~ /^(kept|mkdir|rmdir|put|drop|swap|attr)$/ { exit }' "$receipt" >"$tmp/notes"
	[ -z "$dry" ] || { show_plan; leave 0; }
	echo "undoes $undone" >"$tmp/undoes"
	check_kept
	execute
}

# The newest install that is not undone; what a repair changed since is bindery's to know.
newest_install() {
	set +f
	for one in "$top"/var/db/bindery/receipt/*; do
		[ ! -f "$one" ] || awk -v n="${one##*/}" '$1 == "purpose" { print n, $2 } $1 == "undoes" { print n, "undoes", $2 } $1 ~ /^(mkdir|rmdir|put|drop|swap|attr|end)$/ { exit }' "$one"
	done | sort -rn >"$tmp/receipts"
	set -f
	found=$(awk '$2 == "undoes" { gone[$3] = 1; next } { n[++count] = $1; what[count] = $2 }
		END { for (i = 1; i <= count; i++) if (what[i] != "rollback" && !(n[i] in gone)) { print n[i], what[i]; exit } }' "$tmp/receipts")
	case $found in
	*install) receipt=$top/var/db/bindery/receipt/${found% *} ;;
	*repair) die 1 'a repair came after the newest install' "'bindery rollback' takes both back" ;;
	*) die 1 'there is nothing to roll back' ;;
	esac
}

# What the way back is about: for each path what the install left there, and what it found there, with the kept file. The order is
# that of the install, reversed where it removed.
receipt_list() {
	awk -v tx="$tx" '
		$1 == "area" { area[areas++] = $2 }
		$1 !~ /^(mkdir|rmdir|put|drop|swap|attr)$/ { next }
		{ path = $2; old = new = "-"; slot = ""
		  if ($1 == "mkdir") new = $3
		  else if ($1 == "rmdir") old = $3
		  else if ($1 == "put") new = $4
		  else if ($1 == "attr") { old = $3; new = $4 }
		  else { slot = $3; old = $4; if ($1 == "swap") new = $5; twin = $1 == "swap" ? $6 : $5 }
		  if (!(path in before)) { order[++count] = path; before[path] = old; rank[path] = $1 == "drop" ? -count : count }
		  after[path] = new
		  if (slot != "" && !(path in from)) { split(slot, s, ":"); from[path] = area[s[1]] "/store/" tx "/" s[2]; twins[path] = twin } }
		END { for (i = 1; i <= count; i++) {
			path = order[i]
			if (path ~ /^var\/db\/bindery\//) {
				if (before[path] ~ /^dir/ || after[path] ~ /^dir/) continue
				if (before[path] == "-") { print "state", path, "gone", "-", "-"; continue }
				split(before[path], f, ","); print "state", path, f[2], f[6], "=" from[path]
				continue
			}
			print "path", path, (rank[path] < 0 ? count + rank[path] : rank[path]), after[path], before[path], "-", "-", (path in from ? "=" from[path] : "-"), (path in from && twins[path] != "" ? twins[path] : "-")
			at = path
			while (sub(/\/[^\/]*$/, "", at)) above[at] = 1
		  }
		  for (at in above) if (!(at in before)) print "above", at, "-"
		}' "$receipt" | LC_ALL=C sort -k 2,2
}

# What somebody took out of the store cannot come back, and is missed before anything begins.
check_kept() {
	awk '$1 == "link" { print $4 }' "$tmp/out/stage" >"$tmp/wanted"
	while read -r one; do
		see "$one"
		[ -n "$kind" ] || die 1 "/$one: is not there, and should come back" 'put it back from a backup; nothing was changed'
	done <"$tmp/wanted"
}

verb_list() {
	is=$(installed)
	[ -z "$is" ] || echo "$channel: $is"
	set +f
	for one in "$top"/var/db/bindery/receipt/*; do
		[ ! -f "$one" ] || sed '/^area/q' "$one"
	done >"$tmp/heads"
	set -f
	awk '
		function calendar(time, z, era, doe, yoe, doy, mp, d, m) {
			z = int(time / 86400) + 719468; era = int(z / 146097); doe = z - era * 146097
			yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
			doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100)); mp = int((5 * doy + 2) / 153)
			d = doy - int((153 * mp + 2) / 5) + 1; m = mp < 10 ? mp + 3 : mp - 9
			return sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", yoe + era * 400 + (m <= 2), m, d, int(time % 86400 / 3600), int(time % 3600 / 60), time % 60)
		}
		$1 == "transaction" { tx = $2 } $1 == "purpose" { purpose = $2 } $1 == "time" { when = $2 } $1 == "release" { releases = releases (releases == "" ? "" : ",") " " $3 " -> " $4 }
		$1 == "area" { print tx, purpose, calendar(when) releases; releases = "" }' "$tmp/heads" | sort -n | sed 's/ /: /'
	set +f
	for one in "$top"/var/db/bindery/steps/*; do
		[ ! -f "$one" ] || awk -v tx="${one##*/}" '$1 == "failed" { print tx ": the step " $3 " failed, and is tried again by recover" }' "$one"
	done
	set -f
	leave 0
}

verb_verify() { leave 0; }

verb_recover() {
	begin
	leave "$first_status"
}

# Before any other change: what a killed run left is finished, or taken back.
begin() {
	make_state
	take_lock
	state=$top/var/db/bindery
	first_status=0
	rm -f "$state/journal.new" "$state/reboot.new"
	if [ -f "$state/journal" ]; then
		read_journal "$state/journal"
		if [ -n "$undo" ] && [ "$direction" = forward ]; then
			sed '$d; s/^direction forward$/direction backward/' "$state/journal" | sealed >"$state/journal.new"
			write_state "$state/journal"
			direction=backward
		fi
		say "an interrupted $purpose is being $([ "$direction" = forward ] && echo finished || echo undone)"
		finish
		first_status=$status
	else
		expire
	fi
	status=0
	run_all_left
	[ "$status" -le "$first_status" ] || first_status=$status
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
	self=$0
	case $self in /*) ;; *) self=$(pwd)/$self ;; esac
	LC_ALL=C
	export LC_ALL
	PATH=$PATH:/usr/sbin:/sbin
	umask 077
	set -f
	blanks=' 	
'
	IFS=$blanks
	verb=bundle verbose='' dry='' undo='' top='' tmp='' lock='' staging='' made='' nofollow='' area='' first_status=0
	about_bundle
	program_digest=$1 rest_digest=$2
	shift 2
	root=/
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

run_verb() {
	[ -d "$root" ] || die 1 "$root: is no directory"
	top=$(cd "$root" && pwd -P)
	[ "$top" != / ] || top=
	release_file=$top/var/db/bindery/channel/$role/release
	make_tmp
	find_touch
	"verb_$verb"
}
