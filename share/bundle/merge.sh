# --- configuration that was changed both here and in the release (src/engine/client/apply/merges.ts)

# Lines `PATH FORMER COMING SIZE DIGEST SIZE SIZE DIGEST STEM STEM STEM WAY` on stdin: the members that hold both versions of the release, what is
# here, the size of the new one, the old one, where that would lie beside, and `entries` for accounts. `merged PATH SIZE DIGEST NUMBER` lines on stdout.
find_merges() {
	cat >"$tmp/merging"
	mkdir -p "$tmp/former" "$tmp/coming" "$tmp/merged" || die 1 "$tmp: no folder could be made there"
	make_room "$(awk '{ sum += 2 * $4 + 2 * $6 + $7 + 16384 } END { print int(sum / 1024) }' "$tmp/merging")" 1
	awk '{ print $2 }' "$tmp/merging" | sort -u | (cd "$tmp/former" && extract "$self" "$former_at") || no_contents
	awk '{ print $3 }' "$tmp/merging" | sort -u | (cd "$tmp/coming" && extract "$self" "$payload_at") || no_contents
	merges=0
	while read -r merging former coming _ seen_sum _ former_size former_sum stem_0 stem_1 stem_2 merge_way; do
		merges=$((merges + 1))
		! is_open_conflict || continue
		merge_one "$tmp/former/$former" "$tmp/coming/$coming" "$tmp/merged/$merges" || continue
		printf '%s\n' "merged $merging $(bytes_in "$tmp/merged/$merges") $(digest <"$tmp/merged/$merges") $merges"
	done <"$tmp/merging"
	rm -rf "$tmp/former" "$tmp/coming"
}

# The version of the installed release still lies beside: the file here never took it up, and a comparison with it would take that for
# a wish to undo its changes.
is_open_conflict() {
	number=0
	while [ "$number" -lt 100 ]; do
		name_beside "$number"
		number=$((number + 1))
		see "$candidate"
		[ "$kind" = file ] && [ "$(bytes_in "$file")" = "$former_size" ] && [ "$(digest <"$file")" = "$former_sum" ] && return
	done
	return 1
}

# merge_one BASE THEIRS MERGED: a text has no zero byte, and what is here must still be what was seen.
merge_one() {
	see "$merging"
	[ "$kind" = file ] && cp "$file" "$tmp/ours" && [ "$(digest <"$tmp/ours")" = "$seen_sum" ] || return 1
	unended=''
	for one in "base $1" "ours $tmp/ours" "theirs $2"; do
		[ -z "$(tr -cd '\000' <"${one#* }" | tr '\000' 0)" ] || return 1
		[ -z "$(tail -c 1 "${one#* }")" ] || unended="$unended ${one%% *}"
	done
	rm -f "$tmp/whole"
	# Not every awk tells that a disk is full.
	{ "merge_${merge_way:-texts}" "$1" "$tmp/ours" "$2" "$unended" && : >"$tmp/whole"; } 2>/dev/null | cat >"$3" && [ -e "$tmp/whole" ]
}

merge_texts() {
	base=$1 ours=$2 theirs=$3 unended=$4 awk '
@merge.awk@
'
}

merge_entries() {
	base=$1 ours=$2 theirs=$3 of=$merging awk '
@accounts.awk@
'
}

fill_merged() { cat "$tmp/merged/$2" >"$1"; }
