# --- what an update runs and says when its files are in place (doc/spec/journal.md)

# All that transactions have left to do, oldest first. What is left of one that was taken back is for nobody.
run_all_left() {
	set +f
	for one in "$state"/receipt/*; do
		[ ! -f "$one" ] || awk '$1 == "undoes" { print $2 } $1 ~ /^(post|reboot|kept|mkdir|rmdir|put|drop|swap|attr|end)$/ { exit }' "$one"
	done >"$tmp/undone"
	for one in "$state"/steps/*; do
		case ${one##*/} in *[!0-9]*) ;; *) echo "${one##*/}" ;; esac
	done | sort -n >"$tmp/waiting"
	set -f
	while read -r waiting; do
		grep -qx "$waiting" "$tmp/undone" && continue
		sed -n 's/^kept //p' "$state/steps/$waiting" >"$tmp/kept"
		say_kept
		run_left "$waiting"
	done <"$tmp/waiting"
}

# Runs the steps that transaction $1 has left, those that failed before first, and then says its notices. After each step the file
# says what is left: whoever is killed goes on there.
run_left() {
	left=$state/steps/$1
	[ -f "$left" ] || return 0
	read_journal "$left"
	awk '$1 == "reboot"' "$left" >"$tmp/classes"
	sed -n 's/^release //p' "$left" >"$tmp/changes"
	left_role=$(sed -n '1s/ .*//p' "$tmp/changes")
	record_reboot
	{ awk '$1 == "failed"' "$left"; awk '$1 == "post"' "$left"; } >"$tmp/steps"
	awk '$2 == "notice"' "$tmp/steps" >"$tmp/post"
	cp "$tmp/steps" "$tmp/running"
	: >"$tmp/again"
	: >"$tmp/failed"
	at=0
	while read -r was what name seconds failure _ text <&4; do
		at=$((at + 1))
		case $what in run | script) ;; *) continue ;; esac
		unword "$text"
		explain "running $name"
		run_step "$tx"
		[ "$ended" = 0 ] || step_failed "$tx"
		# Not by the line itself: a script is more than an environment takes.
		[ "$ended" = 0 ] || awk -v at="$at" 'NR == at { sub(/^post/, "failed"); print }' "$tmp/steps" >>"$tmp/again"
		awk -v at="$at" '$1 == "post" && (NR > at || $2 == "notice")' "$tmp/steps" >"$tmp/post"
		awk -v at="$at" '$1 == "failed" && NR > at' "$tmp/steps" | cat - "$tmp/again" >"$tmp/failed"
		write_left
	done 4<"$tmp/running"
	say_notices
	: >"$tmp/post"
	: >"$tmp/classes"
	write_left
}

# The file with the lines of $tmp/post, $tmp/failed and $tmp/classes, or none where there are none.
write_left() {
	if [ ! -s "$tmp/post" ] && [ ! -s "$tmp/failed" ] && [ ! -s "$tmp/classes" ]; then
		rm -f "$left"
		return
	fi
	{
		awk '$1 ~ /^(post|failed|reboot|kept|end)$/ { exit } { print }' "$left"
		cat "$tmp/post" "$tmp/failed" "$tmp/classes"
	} | sealed >"$left.new" || { unsaved "$left could not be written" || return; }
	write_state "$left"
}

# Runs $path with the clean environment that the client gives, in the root, for at most $seconds; its status comes in $ended.
run_step() {
	log=$state/log/$1
	read -r _ old new <"$tmp/changes"
	set -- env -i HOME=/root LC_ALL=C PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin
	[ "$(awk 'END { print NR }' "$tmp/changes")" != 1 ] || set -- "$@" "BINDERY_OLD=$old" "BINDERY_NEW=$new"
	[ -z "$top" ] || set -- "$@" chroot "$top"
	set -- "$@" /bin/sh -c "$path"
	echo "== $name" >>"$log"
	ended=0
	# Some shells tell what ended a step; that is ours to do.
	if timeout -k 1 5 true 2>/dev/null; then
		{ (begin_step timeout -k 5 "$seconds" "$@") </dev/null >>"$log" 2>&1 4<&- || ended=$?; } 2>/dev/null
		return
	fi
	: >"$tmp/stepping"
	(begin_step "$@") </dev/null >>"$log" 2>&1 4<&- &
	pid=$!
	(watch_step) </dev/null >/dev/null 2>&1 4<&- &
	{ wait "$pid" || ended=$?; } 2>/dev/null
	rm -f "$tmp/stepping"
}

# Signals, which this program does not hear any more, are for the step.
begin_step() {
	cd "${top:-/}" || exit 1
	umask 022
	trap - INT TERM HUP
	exec "$@"
}

# Ends soon after the step has, and knows that by a file, since the number may be another process's by then.
watch_step() {
	while [ -e "$tmp/stepping" ] && [ "$seconds" -gt 0 ]; do
		sleep 1
		seconds=$((seconds - 1))
	done
	[ -e "$tmp/stepping" ] || exit
	kill "$pid"
	sleep 5
	[ ! -e "$tmp/stepping" ] || kill -9 "$pid"
}

# What others have written has no business with the terminal's control codes.
plain() { LC_ALL=C tr '\000-\010\013-\037\177' '?'; }

step_failed() {
	last=$(tail -n 1 "$log" | plain | cut -c 1-200)
	case $last in "== $name") last='' ;; *) last=": $last" ;; esac
	failed="the step $name failed with status $ended$last (its output is in /var/db/bindery/log/$1)"
	if [ "$failure" = roll-back ] && [ "$was" = post ]; then take_back "$1"; fi
	say "$failed; 'recover' tries it again"
	status=6
}

# A step that says so takes the install back, when nothing newer was installed.
take_back() {
	newest_install
	[ "${receipt##*/}" = "$1" ] || return 0
	way=rollback suffix=.old dry='' taken=$new
	exec 4<&-
	rm -rf "$tmp/out"
	roll_back
	die 1 "$failed; $taken was taken back"
}

# Of the machine, not of a root; the same word that the client takes.
boot_id() {
	if [ -r /proc/sys/kernel/random/boot_id ]; then cat /proc/sys/kernel/random/boot_id
	elif [ "$(uname)" = FreeBSD ] && sysctl -n kern.boot_id 2>/dev/null; then :
	else sysctl -n kern.boottime 2>/dev/null | sed 's/.*sec = \([0-9]*\).*/\1/; s/[[:blank:]][[:blank:]]*/_/g'
	fi
}

# Which channels wait for a reboot since this start of the machine (doc/spec/client-state.md).
record_reboot() {
	boot=$(boot_id)
	[ -n "$boot" ] && [ -s "$tmp/classes" ] || return 0
	while read -r changed old new; do
		class=$(awk -v role="$changed" '$2 == role { print $3 }' "$tmp/classes")
		{ cat "$state/reboot" 2>/dev/null || echo 'bindery-reboot 1'; } | awk -v role="$changed" -v old="$old" -v new="$new" -v class="$class" -v boot="$boot" '
			function need() { if (class == "reboot" || class == "careful") print "need", role, old, new, class, boot }
			$1 == "need" && $2 == role {
				found = 1
				if ($6 != boot) { if (class == "reboot" || class == "careful") need(); else print; next }
				$4 = new
				if (class == "careful") $5 = class
			}
			{ print }
			END { if (!found) need() }' >"$state/reboot.new" || { unsaved "$state/reboot could not be written" || return; }
		chmod 644 "$state/reboot.new"
		if [ -s "$state/reboot.new" ] && { [ -f "$state/reboot" ] || grep -q '^need' "$state/reboot.new"; }; then write_state "$state/reboot"
		else rm -f "$state/reboot.new"
		fi
	done <"$tmp/changes"
}

# Whether the role $1 waits for a reboot; going back to what the machine has been running all the time needs none.
is_waiting() {
	[ -z "$boot" ] || awk -v role="$1" -v boot="$boot" '$1 == "need" && $2 == role && $6 == boot && $3 != $4 { found = 1 } END { exit !found }' "$state/reboot" 2>/dev/null
}

say_notices() {
	of=${left_role%-*}/${left_role##*-}
	while read -r _ what text; do
		[ "$what" = notice ] || continue
		unword "$text"
		say "$of: $(printf '%s\n' "$path" | plain)"
	done <"$tmp/post"
	while read -r _ owner class; do
		of=${owner%-*}/${owner##*-}
		case $class in
		restart) say "restart services that use what was updated of $of" ;;
		reboot) ! is_waiting "$owner" || say "reboot to finish the update of $of" ;;
		careful) ! is_waiting "$owner" || say "reboot to finish the update of $of; somebody should be near the machine" ;;
		esac
	done <"$tmp/classes"
}
