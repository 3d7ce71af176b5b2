# --- what can be asked for

# What is installed according to the client's state; nothing where it was never enrolled and has seen no bundle.
installed() { [ ! -f "$release_file" ] || sed -n 's/^name //p' "$release_file"; }

# run_plan PHASE FILE...
run_plan() {
	phase=$1
	shift
	# As -v, a backslash in a name would be taken for more than it is.
	out=$tmp/out awk -v phase="$phase" -v hex="$hex" -v way="$way" -v members="$members" -v now="$now" -v fractions="$fractions" -v canxattrs="$xattrs" -v canflags="$flags" \
		-v role="$role" -v roles="$roles" -v old_sequence="$old_sequence" -v listing="$listing" -v obsolete_through="$obsolete_through" '
@plan.awk@
' "$@" || : >"$tmp/unplanned"
}

plan_phase() { run_plan "$1" "$tmp/list" "$tmp/live" "$tmp/more"; }

# $tmp/list has what shall be, $tmp/live comes to hold what is, $tmp/out what is to be done.
look_and_decide() {
	mkdir -p "$tmp/out" || die 1 "$tmp/out could not be made"
	for one in areas kept actions stage needs folders lost; do : >"$tmp/out/$one"; done
	: >"$tmp/more"
	awk -v own="var/db/bindery/channel/$role/obsolete" '$1 == "path" { print $2; if ($9 != "-") print $9 } $1 == "above" || $1 == "state" { print $2 }
		$1 == "former" || $1 == "pending" { print $NF }
		$1 == "state" { sub(/\/[^\/]*$/, "", $2); print $2 } END { print "."; print "var"; print "var/db"; print "var/db/bindery"; print "var/db/bindery/old-names"; print own }' "$tmp/list" | sort -u >"$tmp/wanted"
	look <"$tmp/wanted" >"$tmp/live" || leave 1
	plan_phase digest | sort -u >"$tmp/wanted"
	read_digests <"$tmp/wanted" >>"$tmp/more"
	if [ "$way" = install ]; then
		check_match
		! grep -q -e '^former ' -e '^pending ' "$tmp/list" || add_former
		plan_phase merges >"$tmp/wanted"
		[ ! -s "$tmp/wanted" ] || find_merges <"$tmp/wanted" >>"$tmp/more"
		plan_phase libraries >"$tmp/wanted"
		[ ! -s "$tmp/wanted" ] || find_users <"$tmp/wanted" >>"$tmp/more"
	fi
	find_held
	! grep -q '^keep-old ' "$tmp/list" || add_old_names
	plan_phase beside >"$tmp/wanted"
	find_besides <"$tmp/wanted" >"$tmp/besides"
	cat "$tmp/besides" >>"$tmp/more"
	plan_phase plan >"$tmp/counted"
	check_whole
	sort -k 3,3 "$tmp/out/kept" >"$tmp/kept"
	mv "$tmp/kept" "$tmp/out/kept"
}

# What releases that are installed say of paths which the system makes anew (doc/spec/client-state.md, terms).
add_generated() {
	set +f
	for one in "$top"/var/db/bindery/channel/*/terms; do
		[ -f "$one" ] && [ "$(sed -n 's/^release //p' "$one")" = "$(sed -n 's/^name //p' "${one%terms}release" 2>/dev/null)" ] || continue
		sed -n '/^generated /p' "$one"
	done >>"$tmp/list"
	set -f
}

# What is in the folders that go.
find_held() {
	plan_phase holds >"$tmp/wanted"
	if [ -s "$tmp/out/blocked" ]; then
		read -r one <"$tmp/out/blocked"
		die 1 "/$one: is no directory here, as it is in the release" 'put the directory back; nothing was changed'
	fi
	list_folders <"$tmp/wanted" >>"$tmp/more"
}

# A plan of which a part is missing would be carried out as if it were all.
check_whole() {
	read -r counted <"$tmp/counted"
	[ ! -e "$tmp/unplanned" ] && [ "$counted" = "$(awk 'END { print NR }' "$tmp/out/actions") $(awk 'END { print NR }' "$tmp/out/stage")" ] ||
		die 1 'the plan could not be made' 'nothing was changed'
}

show_plan() {
	awk '$1 == "kept" { if ($2 == "merged") merged[$3] = 1; next } $1 == "swap" && $2 in merged { $1 = "merge" } { print }' "$tmp/out/kept" "$tmp/out/actions" >"$tmp/shown"
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
	done <"$tmp/shown"
	while read -r _ reason one other; do
		[ "$reason" != merged ] || continue
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
	find_linking
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
	} | sealed >"$top/var/db/bindery/journal.new" || die 1 "$top/var/db/bindery/journal.new could not be written" 'nothing was changed'
	write_state "$top/var/db/bindery/journal"
	staging='' made=''
	read_journal "$top/var/db/bindery/journal"
	finish
}

# What somebody changed since could be lost: the next run decides anew.
check_unchanged() {
	awk '$1 == "live" { print $2 }' "$tmp/live" | sort -u >"$tmp/wanted"
	mv "$tmp/live" "$tmp/before"
	look <"$tmp/wanted" >"$tmp/live"
	mv "$tmp/live" "$tmp/after"
	for one in before after; do awk '$3 == "dir" { $5 = $8 = $13 = $14 = $15 = $16 = "" } { print }' "$tmp/$one" | sort -u >"$tmp/$one.lines"; done
	cmp -s "$tmp/before.lines" "$tmp/after.lines" || die 1 'the tree was changed while the update was being prepared' 'run it again; nothing was changed'
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
	make_room_for "$receipt" 1
	sed -n 's/^release \(.*\)/\1/p' "$receipt" | awk '{ print "release", $1, $3, $2 }' >"$tmp/head"
	read_journal "$receipt"
	receipt_list >"$tmp/list"
	add_generated
	undone=$tx
	read_clock
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

verb_recover() {
	begin
	leave "$first_status"
}

# A power cut may bring back the name of a journal that has become a receipt: all was done then.
is_settled() {
	set +f
	set -- "$state"/receipt/*
	set -f
	for one do ! same_file "$state/journal" "$one" || return 0; done
	return 1
}

# Files of a tree are those of other trees, too, whose owners and modes would change with them (doc/spec/staged.md).
refuse_tree() {
	[ ! -e "$state/tree" ] || die 1 "$top: is in staged mode, which this program does not know" 'use the whole bindery; nothing was changed'
}

# Before any other change: what a killed run left is finished, or taken back.
begin() {
	make_state
	take_lock
	state=$top/var/db/bindery
	first_status=0
	rm -f "$state/journal.new" "$state/recover.new" "$state/reboot.new" "$state/version.new"
	if is_settled; then rm -f "$state/journal" && sync_files "$state"; fi
	if [ -f "$state/journal" ]; then
		make_room_for "$state/journal" 4
		read_journal "$state/journal"
		if [ -n "$undo" ] && [ "$direction" = forward ]; then
			sed '$d; s/^direction forward$/direction backward/' "$state/journal" | sealed >"$state/journal.new" || stopped "$state/journal could not be written"
			write_state "$state/journal"
			direction=backward
		fi
		say "an interrupted $purpose is being $([ "$direction" = forward ] && echo finished || echo undone)"
		resumed=1
		finish
		first_status=$status
	else
		[ -n "$at_boot" ] || refuse_tree
		expire
	fi
	[ -z "$at_boot" ] || return 0
	status=0
	run_all_left
	[ "$status" -le "$first_status" ] || first_status=$status
}
