# What bsd.port.subdir.mk does with SUBDIRLIST: the target in each port of the list, under a heading; a port that fails is reported
# in REPORT_PROBLEM_LOGFILE, or ends it all where there is none.
target=$1
export PORTSDIR
# GNU make would tell which folders it enters.
unset MAKEFLAGS MAKELEVEL
while read -r subdir; do
	case $subdir in ''|'#'*) continue ;; esac
	echo "===> $subdir"
	(cd "$PORTSDIR/${subdir%%,*}" && FULLPKGPATH=$subdir "${MAKE:-make}" "$target" </dev/null) || {
		echo "===> Exiting $subdir with an error"
		[ -n "${REPORT_PROBLEM_LOGFILE:-}" ] || exit 1
		echo "$subdir ($target)" >>"$REPORT_PROBLEM_LOGFILE"
	}
done <"$SUBDIRLIST"
