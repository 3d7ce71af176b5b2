# --- the signed list of bundles (doc/spec/bindery-sh.md)

find_verifier() {
	if command -v signify-openbsd >/dev/null; then verifier=signify-openbsd
	elif command -v signify >/dev/null; then verifier=signify
	elif openssl pkeyutl -help 2>&1 | grep -q -e -rawin; then verifier=openssl
	else die 1 'there is no signify, and no openssl that verifies Ed25519' 'nothing can be verified here, and so nothing is installed'
	fi
}

# Leaves $tmp/index: a line `SIZE SEQUENCE CHANNEL OLD NEW SUM NAME` for each bundle, of the newest list, which is verified and not
# older than any that was seen before.
get_list() {
	find_verifier
	find_loader
	read_seen
	fetch_small SHA256.sig "$tmp/list.sig" accept_list
	known_index=$top/var/db/bindery/bundles/index
	if [ -f "$known_index" ] && [ "$(digest <"$known_index")" = "$index_sum" ]; then cat "$known_index" >"$tmp/index.got"
	else fetch_small "bundles/index.$serial" "$tmp/index.got" accept_index
	fi
	parse_index
	check_age
	[ -z "$keeping" ] || keep_seen
}

# What is remembered: the number of the newest list, and the digest of its index.
read_seen() {
	seen_serial=0 seen_index=''
	seen_file=$top/var/db/bindery/bundles/seen
	[ -f "$seen_file" ] || return 0
	seen_serial=$(sed -n '2s/^serial \([1-9][0-9]*\)$/\1/p' "$seen_file")
	seen_index=$(sed -n '3s/^index \([0-9a-f]*\)$/\1/p' "$seen_file")
	[ "$(sed -n 1p "$seen_file")" = 'bindery-bundles-seen 1' ] && [ -n "$seen_serial" ] && [ ${#seen_index} = 64 ] ||
		die 3 "$seen_file: is damaged" 'it tells old lists from new ones; remove it if you trust the repository of today'
}

keep_seen() {
	[ "$seen_serial $seen_index" != "$serial $index_sum" ] || return 0
	folder=$top/var/db/bindery/bundles
	cat "$tmp/index.got" >"$folder/index.new" && chmod 644 "$folder/index.new" && write_state "$folder/index"
	printf 'bindery-bundles-seen 1\nserial %s\nindex %s\n' "$serial" "$index_sum" >"$folder/seen.new" &&
		chmod 644 "$folder/seen.new" && write_state "$folder/seen"
}

accept_list() {
	two_lines "$tmp/list.sig"
	[ ${#second_line} = 100 ] || { trouble 3 "$source_url: is no list with a signature" || return; }
	signed_by "$(printf '%.13s' "$second_line")" || { trouble 3 "$source_url: is signed with a key that is not trusted here" || return; }
	rm -f "$tmp/message"
	verify_message || { trouble 3 "$source_url: its signature is wrong" || return; }
	read_message || { trouble 3 "$source_url: names no index, as 'bindery bundle -s' writes one" || return; }
	if less "$serial" "$seen_serial"; then
		trouble 3 "$source_url: is older than a list that was seen here before" || return
	elif [ "$serial" = "$seen_serial" ] && [ "$index_sum" != "$seen_index" ]; then
		trouble 3 "$source_url: is another list with the number of one that was seen here before" || return
	fi
}

# The signature names its key by eight random bytes; thirteen letters hold all of them but two bits.
signed_by() {
	signing_key=''
	while read -r one file; do
		[ "$one" != "$1" ] || signing_key=$file
	done <"$tmp/keys"
	[ -n "$signing_key" ]
}

# The message of $tmp/list.sig as $tmp/message, if $signing_key has signed it.
verify_message() {
	case $verifier in
	openssl) verify_openssl ;;
	*) "$verifier" -V -q -e -p "$signing_key" -x "$tmp/list.sig" -m "$tmp/message" ;;
	esac </dev/null >/dev/null 2>&1 && [ -f "$tmp/message" ]
}

verify_openssl() {
	sed 1,2d "$tmp/list.sig" >"$tmp/unverified"
	base64_of "$second_line" | tail -c 64 >"$tmp/signature"
	two_lines "$signing_key"
	{
		echo '-----BEGIN PUBLIC KEY-----'
		# What says that 32 bytes of Ed25519 follow.
		{ printf '\060\052\060\005\006\003\053\145\160\003\041\000' && base64_of "$second_line" | tail -c 32; } | openssl base64
		echo '-----END PUBLIC KEY-----'
	} >"$tmp/key.pem"
	openssl pkeyutl -verify -pubin -inkey "$tmp/key.pem" -rawin -in "$tmp/unverified" -sigfile "$tmp/signature" || return 1
	mv -f "$tmp/unverified" "$tmp/message"
}

base64_of() { echo "$1" | openssl base64 -d -A; }

# $serial and $index_sum, and $tmp/sums: `SUM NAME` for each bundle. Lines of another kind are somebody else's.
read_message() {
	awk '$1 == "SHA256" && $3 == "=" && NF == 4 && length($4) == 64 && $4 !~ /[^0-9a-f]/ && $2 ~ /^\([A-Za-z0-9][A-Za-z0-9._+-]*\)$/ {
		print $4, substr($2, 2, length($2) - 2) }' "$tmp/message" >"$tmp/sums"
	serial=$(sed -n 's/^.* index\.\([1-9][0-9]*\)$/\1/p' "$tmp/sums")
	index_sum=$(sed -n 's/ index\.[1-9][0-9]*$//p' "$tmp/sums")
	case $serial in '' | *[!0-9]* | ????????????????*) return 1 ;; esac
}

accept_index() { [ "$(digest <"$tmp/index.got")" = "$index_sum" ] || trouble 3 "$source_url: is not what the signed list says"; }

parse_index() {
	sort -k 2 "$tmp/sums" >"$tmp/sums.sorted"
	patching=''
	! command -v bspatch >/dev/null || patching=1
	out=$tmp/index awk -v serial="$serial" -v patching="$patching" '
		BEGIN { out = ENVIRON["out"] }
		FNR == NR { sum[$2] = $1; next }
		FNR == 1 { if ($0 != "bindery-bundles 1") bad = "is of a kind that a newer bindery-sh reads"; next }
		$1 == "serial" && NF == 2 && $2 == serial { numbered = 1; next }
		$1 == "expires" && NF == 2 && $2 ~ /^[1-9][0-9]*$/ { print $2; next }
		$1 == "bsdiff" && !patching { next }
		($1 == "bundle" || $1 == "bsdiff") && NF == 6 && $2 $3 ~ /^[1-9][0-9]*$/ && $4 $5 $6 !~ /[^A-Za-z0-9._+\/-]/ && $5 $6 !~ /\// {
			name = ($5 == "-" ? "" : $5 "_to_") $6 ($1 == "bsdiff" ? ".bsdiff" : "") ".sh"
			if (name in sum) print $2, $3, $4, $5, $6, sum[name], name >out
			next }
		{ bad = "has a line that cannot be read" }
		END { if (bad == "" && !numbered) bad = "has another number"
			if (bad != "") { print bad; exit 1 } }' "$tmp/sums.sorted" "$tmp/index.got" >"$tmp/expires" || die 3 "index.$serial: $(tail -n 1 "$tmp/expires")"
	expires=$(cat "$tmp/expires")
	: >>"$tmp/index"
}

# A clock that stands behind the newest list is wrong: that list has been signed.
check_age() {
	today=$(date +%s)
	if less "$today" "$serial"; then
		say "the clock is behind the list of bundles, which was signed later"
		today=$serial
	fi
	[ -n "$expires" ] || return 0
	! less "$expires" "$today" || die 3 'the list of bundles has expired' 'ask whoever publishes it; the system goes on as it is'
	# In its last quarter.
	soon=$(awk 'BEGIN { left = ARGV[1] - ARGV[3]; if (left * 4 < ARGV[1] - ARGV[2]) print int(left / 86400) + 1 }' "$expires" "$serial" "$today")
	[ -z "$soon" ] || say "the list of bundles expires within $soon days"
}

# route CHANNEL FROM SEQUENCE: the bundles with the fewest bytes that lead to the newest release, as `SIZE SUM NAME` in $tmp/route, and
# $newest; $way is current, bundles or none.
route() {
	sort -k 2,2n "$tmp/index" | out=$tmp/route awk -v channel="$1" -v from="$2" -v at="$3" '
		BEGIN { out = ENVIRON["out"]; cost[from] = 0; printf "" >out }
		$3 != channel { next }
		{ newest = $5; sequence = $2 }
		$4 in cost && $5 != from && (!($5 in cost) || cost[$4] + $1 < cost[$5]) { cost[$5] = cost[$4] + $1; before[$5] = $4; step[$5] = $1 " " $6 " " $7 }
		END {
			if (newest == "" || newest == from || at + 0 >= sequence + 0) { print "current", from; exit }
			if (!(newest in cost)) { print "none", newest; exit }
			for (r = newest; r != from; r = before[r]) { text = step[r] "\n" text; count++ }
			printf "%s", text >out
			n = cost[newest]
			printf "bundles %s %s in %s\n", newest, shown(n), count == 1 ? "1 bundle" : count " bundles"
		}
		function shown(bytes, unit, power) {
			if (bytes < 1000) return bytes (bytes == 1 ? " byte" : " bytes")
			split("kB MB GB TB", unit, " ")
			while (bytes >= 999.5 && power < 4) { bytes /= 1000; power++ }
			return sprintf(bytes < 9.95 ? "%.1f %s" : "%.0f %s", bytes, unit[power])
		}' >"$tmp/way"
	read -r way newest cost <"$tmp/way"
}
