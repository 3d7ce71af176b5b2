# Decides what is to be done, as src/engine/client/apply does for install and rollback: three states of each path, hard-link
# groups, folders that stay, versions that come to lie beside, the order, the slots. Reads typed lines (doc/spec/bundle.md);
# `phase` says what is asked for: the paths whose digest is needed (digest), the folders that go (holds), the kernels that stay under
# a second name (second), the versions that come to lie beside (beside), or the plan, which is written into files of the folder `out`.

function kind(node, f) { split(node, f, ","); return f[1] "" }
function mode(node, f) { split(node, f, ","); return f[2] "" }
function owner(node, f) { split(node, f, ","); return f[3] "," f[4] }
function time(node, f) { split(node, f, ","); return f[5] "" }
function size(node, f) { split(node, f, ","); return f[6] "" }
function sha(node, f) { split(node, f, ","); return f[7] "" }
function own(node, f, n) { n = split(bare(node), f, ","); return (n > 5 ? "," f[6] : "") (n > 6 ? "," f[7] : "") }
function bare(node) { sub(/,[fx]=.*/, "", node); return node }
function extras(node) { return match(node, /,[fx]=/) ? substr(node, RSTART) : "" }
function xattrs(node) { return match(node, /,x=/) ? substr(node, RSTART) : "" }
function flags(node) { return match(node, /,f=[^,]*/) ? substr(node, RSTART, RLENGTH) : "" }
function content(node) { return kind(node) own(node) }
function make(node, m, o, t, e) { return kind(node) "," m "," o "," t own(node) e }
function same(a, b) { return a != "" && b != "" && content(a) == content(b) }
function alike(a, b) { return samemode(a, b) && owner(a) == owner(b) && time(a) == time(b) && extras(a) == extras(b) }
function samemode(a, b) { return mode(a) == mode(b) || (kind(a) == "symlink" && kind(b) == "symlink") }
# Asking for an element makes it: whether there is one is asked by its value.
function there(path) { return LK[path] != "" }
function parent(path) { return sub(/\/[^\/]*$/, "", path) ? path : "." }
function within(path, folder) { return path == folder || folder == "." || index(path, folder "/") == 1 }

function hexadecimal(text, i, n) {
	for (i = 1; i <= length(text); i++) n = 16 * n + index("0123456789abcdef", substr(text, i, 1)) - 1
	return n + 0
}

# --- reading

BEGIN {
	out = ENVIRON["out"]
	mergebytes = 1048576
}

# What cannot be set here is left out, so that it can neither differ nor be missed.
function settable(node) { return bare(node) (canflags ? flags(node) : "") (canxattrs ? xattrs(node) : "") }

# Where touch knows no fractions of a second, the plan promises none; a kept file comes back with its own.
function promised(node) {
	node = settable(node)
	if (!fractions && (way == "install" || kind(node) == "dir")) sub(/\.[0-9]*/, ".000000000", node)
	return node
}

$1 == "path" {
	P[++paths] = $2
	RANK[$2] = $3
	if ($3 > last) last = $3
	if ($4 != "-") B[$2] = settable($4)
	if ($5 != "-") N[$2] = promised($5)
	if (xattrs($5) != "" && !canxattrs) LOSTX[$2] = 1
	if (flags($5) != "" && !canflags) LOSTF[$2] = 1
	RAW[$2] = $5
	OG[$2] = $6
	NG[$2] = $7
	SOURCE[$2] = $8
	if ($9 != "-") TWIN[$2] = $9
	if ($6 != "-") OLDNAMES[$6] = OLDNAMES[$6] " " $2
	if ($7 != "-") NEWNAMES[$7] = NEWNAMES[$7] " " $2
	next
}
$1 == "above" { ABOVE[$2] = promised($3); next }
$1 == "digest" { DIGEST[$2] = $3; next }
$1 == "xattr" { XATTRS[$2] = $3; next }
# Of former releases: what a path held, and, of what had to stay here, what is known of it.
$1 == "former" { former($NF, $2, $3, former_content(4)); next }
$1 == "pending" { former($NF, 5, $2, former_content(3)); PENDING = PENDING substr($0, 9) "\n"; next }
$1 == "through" { through = $2; next }
$1 == "library" { library($2, $3); for (i = 4; i <= NF; i++) NAMES[$2] = NAMES[$2] " " $i; next }
$1 == "elsewhere" { if (index(roles, " " $2 " ")) ELSEWHERE[$3] = 1; next }
# Configuration: the member that holds the old version, and what became of it and of what is here.
$1 == "merge" { MERGE[$2] = $3; MERGEBY[$2] = $4; next }
$1 == "merged" { MERGED[$2] = $3 "," $4; MERGEDAS[$2] = $5; next }
$1 == "generated" { expand(bytes_of(substr($0, 11))); next }
# Kernels: where the last version of a path stays, what was put there earlier, and, of each path below a second name, what comes there.
$1 == "keep-old" { KEEPOLD[++keepolds] = $2; KEEPAS[$2] = $3; KEEPRANK[$2] = $4; next }
$1 == "earlier" { EARLIER[++earliers] = $2; EARLIERNODE[$2] = $3; next }
$1 == "second" { SECOND[++seconds] = $2; LINKOF[$2] = $3; SECONDRANK[$2] = $4; if ($3 != "-") LINKED[$3] = 1; next }
$1 == "stays" { KEPT[$2] = "in-the-way"; next }
$1 == "uses" { if (!($2 in USES)) USER[++users] = $2; USES[$2] = USES[$2] " " $3; next }
$1 == "holds" { HOLDS[$2] = HOLDS[$2] " " $3; next }
$1 == "beside" { HOW[$2] = $3; CANDIDATE[$2] = $4; LEAVING[$2] = $5; next }
$1 == "state" { STATE[++states] = $2; STATEMODE[$2] = $3; STATESIZE[$2] = $4; STATESOURCE[$2] = $5; next }
$1 == "live" {
	LK[$2] = $3
	nsec = $15
	if (nsec == "") nsec = $13
	if (!sub(/^[^.]*\./, "", nsec)) nsec = ""
	sub(/\..*/, "", $13)
	nsec = substr(nsec "000000000", 1, 9)
	LA[$2] = ($3 == "symlink" ? "0777" : substr("0000" $5, length($5) + 1)) "," $6 "," $7 "," $13 "." nsec
	LT[$2] = $13 "." nsec
	LS[$2] = $8
	if ($3 == "symlink") LX[$2] = "," $4
	if ($3 == "char" || $3 == "block") LX[$2] = hex ? "," hexadecimal($11) "," hexadecimal($12) : "," $11 "," $12
	DEVICE[$2] = $9 ""
	INODE[$2] = $9 ":" $10
	if (canflags) FLAGS[$2] = flagwords($14)
}

END {
	zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	own_paths = paths
	add_seconds()
	for (i = 1; i <= paths; i++) {
		if (N[P[i]] == "" && (P[i] in ELSEWHERE)) delete B[P[i]]
		if (there(P[i])) L[P[i]] = live(P[i])
	}
	for (path in WAS) if (!(path in RANK) && there(path)) L[path] = live(path)
	if (phase == "node") { print L[P[1]]; exit }
	if (phase == "match") { print_match(); exit }
	if (phase == "digest") { print_twins(); exit }
	if (phase == "merges") { print_merges(); exit }
	if (phase == "folders" || phase == "former") { print_former(); exit }
	for (i = 1; i <= paths; i++) decide(P[i])
	link_groups()
	for (i = 1; i <= paths; i++) take(P[i])
	if (!check_parents()) exit
	find_libraries()
	if (phase == "libraries") { print_libraries(); exit }
	keep_needed()
	if (phase == "holds") { print_holds(); exit }
	keep_full_folders()
	if (phase == "second") { print_kept_old(); exit }
	if (phase == "beside") { print_besides(); exit }
	place_besides()
	plan()
}

# --- what is there

function live(path) {
	if (LK[path] == "file") return "file," LA[path] "," LS[path] "," guess(path) FLAGS[path] XATTRS[path]
	return LK[path] "," LA[path] LX[path] FLAGS[path] XATTRS[path]
}

# As the journal has them: sorted, without those that file systems set by themselves.
function flagwords(text, word, n, i, j, one, out) {
	if (text == "-" || text == "none") return ""
	n = split(text, word, ",")
	for (i = 2; i <= n; i++) {
		one = word[i]
		for (j = i; j > 1 && word[j - 1] > one; j--) word[j] = word[j - 1]
		word[j] = one
	}
	for (i = 1; i <= n; i++) if (word[i] != "" && word[i] != "arch" && word[i] != "uarch") out = out (out == "" ? ",f=" : "+") word[i]
	return out
}

# Only a file whose content decides something is read.
function guess(path, b, n, both) {
	if (path in DIGEST) return DIGEST[path]
	if (is_generated(path)) {
		if (phase == "digest") print path
		return zeros
	}
	if (path in LINKED) {
		if (phase == "digest") print path
		return zeros
	}
	if ((path, LS[path]) in WASSIZE) {
		if (phase == "digest") print path
		return zeros
	}
	b = kind(B[path]) == "file"
	n = kind(N[path]) == "file"
	both = b && n && same(B[path], N[path])
	if (both && !matters(path) && size(B[path]) == LS[path] && time(B[path]) == LT[path]) return sha(B[path])
	if (both || ((path in MERGE) && LS[path] <= mergebytes) || (b && size(B[path]) == LS[path]) || (n && size(N[path]) == LS[path])) {
		if (phase == "digest") print path
		return zeros
	}
	return zeros
}

function print_twins(i) { for (i = 1; i <= paths; i++) if (LK[TWIN[P[i]]] == "file") print TWIN[P[i]] }

function matters(path) { return OG[path] != "-" || NG[path] != "-" || relinked(path) }

# The set of names that share the file is another one; on the way back, a kept file of the same content is another inode.
function relinked(path) {
	if (SOURCE[path] ~ /^=/) return same(B[path], N[path])
	return names(OLDNAMES, OG[path], path) != names(NEWNAMES, NG[path], path)
}
function names(groups, group, path) { return group == "-" ? " " path : groups[group] }

# --- configuration (merges.ts)

function print_merges(i, path) {
	for (i = 1; i <= paths; i++) {
		path = P[i]
		if (!(path in MERGE) || is_generated(path) || kind(L[path]) != "file" || same(L[path], B[path]) || same(L[path], N[path]) || LS[path] > mergebytes) continue
		print path, MERGE[path], SOURCE[path], LS[path], sha(L[path]), size(N[path]), size(B[path]), sha(B[path]), stems(path), MERGEBY[path]
	}
}
function decide_merge(path, b, n, l, wanted, merged) {
	wanted = "file," mode(n) "," owner(n) "," time(n) "," MERGED[path] extras(n)
	if (same(l, wanted)) return with_attributes(path, b, n, l)
	merged = merge(b, wanted, l)
	decided(path, "replace"); OLD[path] = l; TOLD[path] = clash ? "attributes" : ""
	NEW[path] = make(merged, mode(merged), owner(merged), same(wanted, n) ? time(n) : now ".000000000", extras(merged))
}

# --- what the system makes anew (generated.ts), by patterns (src/format/glob.ts)

# The words of braces, each as a pattern of its own.
function expand(text, before, after, word, n, i) {
	if (!match(text, /\{[^{}]*\}/)) { if (text ~ /^\//) { PATTERN[++patterns] = substr(text, 2); HEAD[patterns] = head_of(substr(text, 2)) } return }
	before = substr(text, 1, RSTART - 1)
	after = substr(text, RSTART + RLENGTH)
	n = split(substr(text, RSTART + 1, RLENGTH - 2), word, ",")
	if (n == 0) expand(before after)
	for (i = 1; i <= n; i++) expand(before word[i] after)
}
function head_of(text) { return match(text, /[*?[]/) ? substr(text, 1, RSTART - 1) : text }
function is_generated(path, bytes, i) {
	if (!patterns) return 0
	if (path in ANEW) return ANEW[path]
	bytes = bytes_of(path)
	for (i = 1; i <= patterns; i++) if (substr(bytes, 1, length(HEAD[i])) "" == HEAD[i] "" && names_fit(PATTERN[i], bytes)) return ANEW[path] = 1
	return ANEW[path] = 0
}
function names_fit(pattern, path, at, name, rest, to) {
	at = index(pattern, "/")
	name = at ? substr(pattern, 1, at - 1) : pattern
	rest = substr(pattern, at + 1)
	if (name == "**" && !at) return path != ""
	if (name == "**") {
		while (!names_fit(rest, path)) {
			if (!(to = index(path, "/"))) return 0
			path = substr(path, to + 1)
		}
		return 1
	}
	to = index(path, "/")
	if (!at || !to) return !at && !to && name_fits(name, path)
	return name_fits(name, substr(path, 1, to - 1)) && names_fit(rest, substr(path, to + 1))
}
function name_fits(pattern, name, c, end, not) {
	while (pattern != "") {
		c = substr(pattern, 1, 1)
		if (c == "*") {
			sub(/^\*+/, "", pattern)
			while (!name_fits(pattern, name)) {
				if (name == "") return 0
				name = substr(name, 2)
			}
			return 1
		}
		if (name == "") return 0
		end = 1
		if (c == "[") {
			not = substr(pattern, 2, 1) == "!"
			end = 2 + not + index(substr(pattern, 3 + not), "]")
			if (in_set(substr(pattern, 2 + not, end - 2 - not), substr(name, 1, 1)) == not) return 0
		}
		else if (c != "?" && c != substr(name, 1, 1)) return 0
		pattern = substr(pattern, end + 1)
		name = substr(name, 2)
	}
	return name == ""
}
function in_set(set, c, from, to, range) {
	while (set != "") {
		from = substr(set, 1, 1)
		range = length(set) > 2 && substr(set, 2, 1) == "-"
		to = range ? substr(set, 3, 1) : from
		if (c "" >= from "" && c "" <= to "") return 1
		set = substr(set, range ? 4 : 2)
	}
	return 0
}

# --- former releases (former.ts)

function former_content(at) { return $at == "file" ? "file," $(at + 1) "," $(at + 2) : $at == "symlink" ? "symlink," $(at + 1) : "dir" }
function former(path, rank, last, what) {
	if (!(path in WAS)) { FORMER[++formers] = path; FORMERRANK[path] = rank }
	WAS[path] = WAS[path] " " what
	LAST[path, what] = last
	if (what ~ /^file/) WASSIZE[path, size(substr(what, 1, 5) "0,0,0,0," substr(what, 6))] = 1
}
# Is there exactly what one of them had, and not what the release has?
function is_former(path) {
	return there(path) && !(path in ELSEWHERE) && index(WAS[path] " ", " " content(L[path]) " ") && (N[path] == "" || content(L[path]) != content(N[path]))
}
# To the plan each is a path of the installed release: `path` lines that come instead of those of the list, or in addition.
function print_former(i, j, n, path, held, stays) {
	for (i = 1; i <= formers; i++) if (LK[FORMER[i]] != "dir" && is_former(FORMER[i])) LEFT[FORMER[i]] = 1
	# Parents come before what is in them, in the list as everywhere.
	for (i = formers; i > 0; i--) {
		path = FORMER[i]
		if (LK[path] != "dir" || !is_former(path)) continue
		if (phase == "folders") { print path; continue }
		stays = 0
		n = split(HOLDS[path], held, " ")
		for (j = 1; j <= n; j++) if (!(path "/" held[j] in LEFT) && (B[path "/" held[j]] == "" || N[path "/" held[j]] != "")) stays = 1
		if (!stays) LEFT[path] = 1
	}
	if (phase == "former") for (path in LEFT)
		print "path", path, (path in RANK ? RANK[path] : FORMERRANK[path]), L[path], (path in RAW ? RAW[path] : "-"), (path in OG ? OG[path] : "-"), (path in NG ? NG[path] : "-"), (path in SOURCE ? SOURCE[path] : "-"), "-"
}

# --- libraries that are still needed (needed-libraries.ts)

function library(path, leads) { LIBRARY[path] = 1; if (leads != "-") LEADS[path] = leads }
function find_libraries(i, j, path, n, name) {
	for (i = 1; i <= paths; i++) {
		path = P[i]
		if (C[path] != "remove" || makes_room(path)) continue
		if (!(path in LIBRARY) && (path in WAS) && path ~ /(^|\/)lib[^\/]+\.so(\.[0-9]+)+$/) { library(path, "-"); name[1] = path; sub(/.*\//, "", name[1]); NAMES[path] = " " name[1] }
		if (!(path in LIBRARY) || (LK[path] != "file" && LK[path] != "symlink")) continue
		GOING[path] = 1
		n = split(NAMES[path], name, " ")
		for (j = 1; j <= n; j++) WHO[name[j]] = WHO[name[j]] " " path
	}
}
function makes_room(path) {
	for (path = parent(path); path != "."; path = parent(path)) if (C[path] == "replace") return 1
	return 0
}
function print_libraries(name) { for (name in WHO) print name }
# What the same step removes asks for nothing, and what is of the release fits it.
function is_ours(path) {
	if (C[path] == "remove") return 1
	if (kind(N[path]) != "file" || LK[path] != "file") return 0
	return (size(N[path]) == LS[path] && time(N[path]) == LT[path]) || (kind(B[path]) == "file" && size(B[path]) == LS[path] && time(B[path]) == LT[path])
}
# A library that stays asks for others in its turn; what a link leads to stays with it.
function keep_needed(i, path) {
	for (i = 1; i <= users; i++) if (!is_ours(USER[i])) OPEN[++open] = USER[i]
	for (i = 1; i <= open; i++) ask_for(USES[OPEN[i]], OPEN[i])
	for (path in NEEDEDBY) {
		delete C[path]
		KEPT[path] = "needed"
		if (NEEDEDBY[path] != "-") AT[path] = NEEDEDBY[path]
	}
}
function ask_for(list, by, i, j, n, m, name, path) {
	n = split(list, name, " ")
	for (i = 1; i <= n; i++) {
		m = split(WHO[name[i]], path, " ")
		for (j = 1; j <= m; j++) need(path[j], by)
	}
}
function need(path, by) {
	if (!(path in GOING) || (path in NEEDEDBY)) return
	NEEDEDBY[path] = by
	OPEN[++open] = path
	if (path in LEADS) need(LEADS[path], by)
}
# What has to stay for now is remembered, as it is here.
function obsolete_text(path, what, line, text) {
	texts = 0
	for (path in NEEDEDBY) {
		what = content(L[path])
		line = ((path, what) in LAST ? LAST[path, what] : old_sequence) " " what " " path
		gsub(/,/, " ", line)
		add_text(path, line)
	}
	return sorted_text()
}
# Texts in byte order of their paths.
function add_text(path, text, one, i) {
	one = bytes_of(path) "\001" text
	for (i = ++texts; i > 1 && TEXT[i - 1] > one; i--) TEXT[i] = TEXT[i - 1]
	TEXT[i] = one
}
function sorted_text(i, text) {
	for (i = 1; i <= texts; i++) text = text substr(TEXT[i], index(TEXT[i], "\001") + 1) "\n"
	return text
}
function bytes_of(path, out) {
	while (match(path, /\\[0-7][0-7][0-7]/)) {
		out = out substr(path, 1, RSTART - 1) sprintf("%c", substr(path, RSTART + 1, 1) * 64 + substr(path, RSTART + 2, 1) * 8 + substr(path, RSTART + 3, 1))
		path = substr(path, RSTART + 4)
	}
	return out path
}
function remember_obsolete(listed, text, path) {
	listed = listing && obsolete_through > through ? obsolete_through + 0 : through + 0
	text = obsolete_text()
	if (listed == through + 0 && text == PENDING) return
	write_text("obsolete", "var/db/bindery/channel/" role "/obsolete", "0644", "bindery-obsolete 1\nthrough " listed "\n" text)
}
function write_text(name, path, permissions, text) {
	printf "%s", text > (out "/" name)
	STATE[++states] = path
	STATEMODE[path] = permissions
	STATESIZE[path] = length(text)
	STATESOURCE[path] = "+" name
}

# --- kernels that are replaced (old-names.ts)

function print_kept_old(i, path) {
	for (i = 1; i <= keepolds; i++) {
		path = KEEPOLD[i]
		if (is_replaced(path) && is_free(KEEPAS[path])) print path, KEEPAS[path], KEEPRANK[path]
	}
}
function is_replaced(path, i) {
	for (i = 1; i <= paths; i++) if (C[P[i]] != "" && C[P[i]] != "attr" && within(P[i], path)) return 1
	return 0
}
# The second name is no business of the release, and the folder that it is in stays.
function is_free(path) {
	if (B[path] != "" || N[path] != "") return 0
	for (; path != "."; path = parent(path)) if (C[path] == "remove" || C[path] == "replace") return 0
	return 1
}
# What lies under second names has three states like all else. Who has removed it for its space wants the next one all the same.
function add_seconds(i, path) {
	for (i = 1; i <= seconds; i++) {
		path = SECOND[i]
		if ((path in EARLIERNODE) && there(path)) B[path] = settable(EARLIERNODE[path])
		if (LINKOF[path] != "-") N[path] = LK[LINKOF[path]] == "dir" ? promised(live(LINKOF[path])) : live(LINKOF[path])
		if (B[path] == N[path]) continue
		P[++paths] = path
		OG[path] = NG[path] = "-"
		RANK[path] = SECONDRANK[path]
		if (RANK[path] > last) last = RANK[path]
	}
}
# A link has the attributes of its file, which those under the second name must not change.
function take_link(path) {
	if (kind(N[path]) == "dir" || N[path] == "") return
	DONOR[path] = LINKOF[path]
	if (C[path] == "attr") delete C[path]
	# A copy: gawk 5.2 loses a string that it shares between the two.
	else if (C[path] != "") NEW[path] = N[path] ""
}
function remember_seconds(i, path) {
	if (!seconds) return
	texts = 0
	for (i = 1; i <= earliers; i++) if (!(EARLIER[i] in LINKOF)) add_second(EARLIER[i], EARLIERNODE[EARLIER[i]])
	for (i = 1; i <= seconds; i++) if (N[SECOND[i]] != "") add_second(SECOND[i], N[SECOND[i]])
	write_text("old-names", "var/db/bindery/old-names", "0600", "bindery-old-names 1\n" sorted_text())
}
function add_second(path, node) { add_text(path, "path " plain_text(path) "\nnode " escaped(node)) }
# A word as the files of the state have it: what is plain text is not escaped.
function plain_text(path, code, out) {
	while (match(path, /\\[0-7][0-7][0-7]/)) {
		out = out substr(path, 1, RSTART - 1)
		code = substr(path, RSTART + 1, 1) * 64 + substr(path, RSTART + 2, 1) * 8 + substr(path, RSTART + 3, 1)
		path = substr(path, RSTART + 4)
		out = out (code < 32 || code == 92 || code > 126 || (code == 32 && (out == "" || path == "")) ? sprintf("\\%03o", code) : sprintf("%c", code))
	}
	return out path
}
function escaped(text, at, out) {
	while ((at = index(text, "\\")) > 0) {
		out = out substr(text, 1, at) "134"
		text = substr(text, at + 1)
	}
	return out text
}

# How many of the old versions are here, or the new ones already, and how many are not: is this the base at all?
function print_match(i, path, right, wrong) {
	for (i = 1; i <= paths; i++) {
		path = P[i]
		if (B[path] == "" || kind(B[path]) == "dir") continue
		if (same(L[path], B[path]) || same(L[path], N[path]) || (L[path] != "" && is_generated(path))) right++
		else wrong++
	}
	print right + 0, wrong + 0
}

# --- deciding (decide.ts)

function decide(path) {
	if (kind(L[path]) != "dir" && is_generated(path)) return decide_generated(path, B[path], N[path], L[path])
	return decide_own(path, B[path], N[path], L[path])
}
# What was made here is newer than a content that the release does not change; another one makes it room.
function decide_generated(path, b, n, l) {
	if (b != "" && n != "" && same(b, n) && !(SOURCE[path] ~ /^=/)) return l != "" && kind(l) == kind(n) ? with_attributes(path, b, n, l) : decided(path, "keep")
	if (l == "" && n == "") return decided(path, "keep")
	if (l == "") { decided(path, "add"); NEW[path] = n; return }
	decide_own(path, kind(b) == kind(l) ? make(l, mode(b), owner(b), time(b), extras(b)) : l, n, l)
}
function decide_own(path, b, n, l) {
	if (n == "") return decide_removal(path, b, l)
	if (b == "") return decide_addition(path, n, l)
	if (same(b, n) && !(SOURCE[path] ~ /^=/)) return decide_attributes(path, b, n, l)
	return decide_content(path, b, n, l)
}
function decided(path, what) { D[path] = what }
function kept(path, reason, beside) { D[path] = "kept"; REASON[path] = reason; if (beside != "" && kind(beside) != "dir") BESIDE[path] = beside }
function decide_removal(path, b, l) {
	if (l == "" || b == "") decided(path, "keep")
	else if (!same(b, l)) kept(path, "modified", "")
	else { decided(path, "remove"); OLD[path] = l }
}
function decide_addition(path, n, l) {
	if (l == "") { decided(path, "add"); NEW[path] = n }
	else if (same(l, n)) decided(path, "keep")
	else if (kind(n) == "dir") decided(path, "blocked")
	else kept(path, "in-the-way", n)
}
function decide_attributes(path, b, n, l) {
	if (kind(n) == "dir" && l != "" && kind(l) != "dir") return decided(path, "blocked")
	if (l == "") return kept(path, "removed", "")
	if (kind(l) != kind(n)) return kept(path, "modified", "")
	with_attributes(path, b, n, l)
	if (same(l, n)) return
	if (D[path] == "attr") { if (TOLD[path] == "") TOLD[path] = "modified" }
	else kept(path, "modified", "")
}
function decide_content(path, b, n, l, merged) {
	if (l == "") return kept(path, "removed", "")
	if (same(l, n) && !same(b, n)) return with_attributes(path, b, n, l)
	if (path in MERGED) return decide_merge(path, b, n, l)
	if (!same(l, b)) return kind(n) == "dir" ? decided(path, "blocked") : kept(path, "modified", n)
	merged = merge(b, n, l)
	decided(path, "replace"); OLD[path] = l; NEW[path] = make(merged, mode(merged), owner(merged), time(n), extras(merged))
	TOLD[path] = clash ? "attributes" : ""
}
# Without a new content, the time of what somebody worked on is theirs.
function with_attributes(path, b, n, l, merged, wanted) {
	merged = merge(b, n, l)
	wanted = make(l, mode(merged), owner(merged), time(l) == time(b) && time(b) != time(n) ? time(n) : time(l), extras(merged))
	if (alike(wanted, l) && !clash) return decided(path, "keep")
	decided(path, "attr"); OLD[path] = l; NEW[path] = wanted
	TOLD[path] = clash ? "attributes" : ""
}
function merge(b, n, l, m, o, f, x) {
	clash = 0
	if (kind(b) != kind(n) || kind(l) != kind(n)) return n
	m = samemode(l, b) || samemode(l, n) ? mode(n) : samemode(b, n) ? mode(l) : clashing(mode(l))
	o = owner(l) == owner(b) || owner(l) == owner(n) ? owner(n) : owner(b) == owner(n) ? owner(l) : clashing(owner(l))
	f = flags(l) == flags(b) || flags(l) == flags(n) ? flags(n) : flags(b) == flags(n) ? flags(l) : clashing(flags(l))
	x = xattrs(l) == xattrs(b) || xattrs(l) == xattrs(n) ? xattrs(n) : xattrs(b) == xattrs(n) ? xattrs(l) : clashing(xattrs(l))
	return make(n, m, o, time(n), f x)
}
function clashing(value) { clash = 1; return value }

# --- hard-link groups (links.ts)

function link_groups(i, path) {
	for (i = 1; i <= paths; i++) {
		path = P[i]
		if (N[path] == "") continue
		if (NG[path] == path) link_unit(NEWNAMES[path])
		else if (NG[path] == "-" && OG[path] != "-") link_unit(" " path)
	}
}
function link_unit(members, unit, n, i, donor, model) {
	n = split(members, unit, " ")
	donor = claim_donor(unit, n)
	for (i = 1; i <= n; i++) {
		if (present(unit[i])) relink(unit[i], donor)
		else if (donor != "" && staged(unit[i])) DONOR[unit[i]] = donor
	}
	model = donor == "" ? first_staged(unit, n) : D[donor] == "attr" ? NEW[donor] : L[donor]
	if (model != "") for (i = 1; i <= n; i++) if (staged(unit[i])) NEW[unit[i]] = model
}
function staged(path) { return D[path] == "add" || D[path] == "replace" }
function first_staged(unit, n, i) {
	for (i = 1; i <= n; i++) if (staged(unit[i])) return NEW[unit[i]]
	return ""
}
# The name whose inode the group keeps: one of the inode that most of those with the right content have.
function claim_donor(unit, n, i, j, many, most, best) {
	for (i = 1; i <= n; i++) {
		if (!present(unit[i]) || (INODE[unit[i]] in CLAIMED)) continue
		many = 0
		for (j = i; j <= n; j++) if (present(unit[j]) && INODE[unit[j]] == INODE[unit[i]]) many++
		if (many > most) { most = many; best = unit[i] }
	}
	if (best != "") CLAIMED[INODE[best]] = 1
	return best
}
function present(path) { return (D[path] == "keep" || D[path] == "attr") && same(L[path], N[path]) }
function relink(path, donor) {
	if (donor != "" && INODE[donor] == INODE[path]) return
	if (!relinked(path)) return
	if (D[path] != "attr") { NEW[path] = L[path]; TOLD[path] = "" }
	OLD[path] = L[path]
	D[path] = "replace"
	if (donor != "") DONOR[path] = donor
}

# --- the changes, and what takes some of them back (changes.ts)

function take(path) {
	if (TOLD[path] != "") KEPT[path] = TOLD[path]
	if (D[path] == "add" || D[path] == "replace" || D[path] == "remove") C[path] = D[path]
	else if (D[path] == "attr" && !alike(OLD[path], NEW[path])) C[path] = "attr"
	else if (D[path] == "kept") keep(path, REASON[path], BESIDE[path])
	else if (D[path] == "blocked") BLOCKED[path] = 1
	if (path in LINKOF) take_link(path)
}
function keep(path, reason, beside, at) {
	delete C[path]
	at = path
	if (reason == "removed") while (!there(parent(at))) at = parent(at)
	KEPT[at] = reason
	if (beside != "") WANTED[path] = beside
}
function folder_at(path) {
	if (C[path] == "remove") return "nothing"
	if (C[path] == "add" || C[path] == "replace") return kind(NEW[path]) == "dir" ? "folder" : "other"
	return !there(path) ? "nothing" : LK[path] == "dir" ? "folder" : "other"
}
function check_parents(i, path, at, first) {
	for (i = 1; i <= paths; i++) {
		path = P[i]
		if (C[path] == "add" && folder_at(parent(path)) == "nothing") keep(path, "removed", "")
	}
	for (i = 1; i <= paths; i++) {
		path = P[i]
		if (path in BLOCKED) block(path)
		if (N[path] == "" || there(path) || same(B[path], N[path])) continue
		for (at = parent(path); at != "."; at = parent(at)) if (folder_at(at) == "other") block(at)
	}
	if (blocked == "") return 1
	print blocked > (out "/blocked")
	return 0
}
function block(path) { if (blocked == "" || path < blocked) blocked = path }
function is_folder_going(path) { return (C[path] == "remove" || C[path] == "replace") && kind(OLD[path]) == "dir" }
function print_holds(i) { for (i = 1; i <= paths; i++) if (is_folder_going(P[i]) && HOLDS[P[i]] == "") print P[i] }
# A folder goes only when all that is in it goes; one that another file system is mounted on stays.
function keep_full_folders(i, j, n, path, held, staying, foreign) {
	for (i = paths; i > 0; i--) {
		path = P[i]
		if (!is_folder_going(path)) continue
		foreign = DEVICE[path] != DEVICE[parent(path)]
		staying = foreign
		n = split(HOLDS[path], held, " ")
		for (j = 1; j <= n; j++) {
			if (C[path "/" held[j]] == "remove") continue
			staying = 1
			if (B[path "/" held[j]] == "") foreign = 1
		}
		if (!staying) continue
		if (C[path] == "replace") keep(path, "not-empty", kind(NEW[path]) == "dir" ? "" : NEW[path])
		else if (foreign) keep(path, "not-empty", "")
		else delete C[path]
	}
}
function print_besides(i) { for (i = 1; i <= paths; i++) if (P[i] in WANTED) print P[i], stems(P[i]), WANTED[P[i]], (B[P[i]] == "" ? "-" : B[P[i]]) }
# For suffixes without a number, with one of one digit and of two.
function stems(path) { return stem(path, 251) " " stem(path, 249) " " stem(path, 248) }
# The path without the end of a name that has no room for the suffix, cut between characters of UTF-8.
function stem(path, most, folder, name, token, n, i, cut) {
	folder = path
	if (!sub(/[^\/]*$/, "", folder)) folder = ""
	name = substr(path, length(folder) + 1)
	for (n = 0; name != ""; name = substr(name, length(token[n]) + 1)) token[++n] = substr(name, 1, substr(name, 1, 1) == "\\" ? 4 : 1)
	cut = n > most ? most : n
	if (cut < n) for (i = 0; i < 3 && token[cut + 1] ~ /^\\2/; i++) cut--
	name = ""
	for (i = 1; i <= cut; i++) name = name token[i]
	return folder name
}
function place_besides(i, path) {
	for (i = 1; i <= paths; i++) {
		path = P[i]
		if (!(path in WANTED) || !(path in HOW) || HOW[path] == "none") continue
		AT[path] = CANDIDATE[path]
		if (HOW[path] == "there") continue
		Q[++besides] = CANDIDATE[path]
		OF[CANDIDATE[path]] = path
		C[CANDIDATE[path]] = HOW[path]
		NEW[CANDIDATE[path]] = WANTED[path]
		if (path in LINKOF) DONOR[CANDIDATE[path]] = LINKOF[path]
		if (HOW[path] == "replace") OLD[CANDIDATE[path]] = LEAVING[path]
	}
}

# --- order (order.ts) and slots (plan.ts)

function plan(i, path) {
	AREA[0] = "var/db/bindery"
	AREAOF[DEVICE[AREA[0]]] = 0
	areas = 1
	slot = members
	# At no moment is a version without a name.
	order(own_paths + 1, paths)
	order(1, own_paths)
	for (i = 1; i <= laters; i++) action(LATER[i])
	folder_attributes()
	if (way == "install") remember_obsolete()
	remember_seconds()
	state_files()
	for (i = 0; i < areas; i++) print "area", AREA[i] > (out "/areas")
	for (path in MERGED) print "kept merged", path > (out "/kept")
	for (path in KEPT) print "kept", KEPT[path], path (path in AT ? " " AT[path] : "") > (out "/kept")
	batches()
	print actions + 0, stages + 0
	if (lostx) print lostx " paths have extended attributes, which cannot be set here" > (out "/lost")
	if (lostf) print lostf " paths have file flags, which cannot be set here" > (out "/lost")
	for (i = 0; i < areas; i++) print "need", i, int(NEED[i] / 1024) + 16, (i in FIRST ? FIRST[i] : "-") > (out "/needs")
}
function action(line) { print line > (out "/actions"); actions++ }
function coming(path) { return (C[path] == "add" || C[path] == "replace") && kind(NEW[path]) != "dir" && !(C[path] == "replace" && kind(OLD[path]) == "dir") }
function order(from, to, i, path) {
	sort_by_rank(from, to)
	for (i = from; i <= to; i++) if (staged_folder(P[i])) turn(P[i])
	leaves()
	for (i = from; i <= to; i++) {
		path = P[i]
		if (C[path] != "replace" || kind(OLD[path]) != "dir") continue
		leaving(path, from, to)
		turn(path)
	}
	for (i = from; i <= to; i++) if (C[P[i]] == "attr" && kind(NEW[P[i]]) != "dir") action("attr " P[i] " " OLD[P[i]] " " NEW[P[i]])
	leaving(".", from, to)
}
function staged_folder(path) { return (C[path] == "add" || C[path] == "replace") && kind(NEW[path]) == "dir" }
# Something goes and something comes.
function turn(path) {
	if (C[path] == "replace") go(path)
	come(path)
}
# What comes or is exchanged, by rank. On the way back what comes again is first, and what is exchanged in opposite order: a
# program never meets a library older than itself.
function leaves(r) {
	if (way == "install") { for (r = 1; r <= sorted; r++) if (coming(SORTED[r])) exchange(SORTED[r]); return }
	for (r = 1; r <= sorted; r++) if (coming(SORTED[r]) && C[SORTED[r]] == "add") exchange(SORTED[r])
	for (r = sorted; r > 0; r--) if (coming(SORTED[r]) && C[SORTED[r]] == "replace") exchange(SORTED[r])
}
function sort_by_rank(from, to, byrank, i, r) {
	sorted = 0
	for (i = from; i <= to; i++) {
		MEMBER[P[i]] = from
		if (C[P[i]] != "") byrank[RANK[P[i]]] = byrank[RANK[P[i]]] " " P[i]
	}
	for (i = 1; i <= besides; i++) if (MEMBER[OF[Q[i]]] == from) byrank[RANK[OF[Q[i]]]] = byrank[RANK[OF[Q[i]]]] " " Q[i]
	for (r = 0; r <= last; r++) if (r in byrank) spread(byrank[r])
}
function spread(list, item, n, i) {
	n = split(list, item, " ")
	for (i = 1; i <= n; i++) SORTED[++sorted] = item[i]
}
function exchange(path, s) {
	if (C[path] == "add") return come(path)
	s = new_slot(path)
	s = fill(path, s)
	action("swap " path " " s " " OLD[path] " " NEW[path] twin(path))
}
function come(path, s) {
	if (kind(NEW[path]) == "dir") { action("mkdir " path " " NEW[path]); folders++; return }
	s = new_slot(path)
	s = fill(path, s)
	action("put " path " " s " " NEW[path])
}
function go(path) {
	if (kind(OLD[path]) == "dir") action("rmdir " path " " OLD[path])
	else action("drop " path " " new_slot(path) " " OLD[path] twin(path))
}
# What goes below a folder: files of high rank before libraries, folders last, children before their parents.
function leaving(top, from, to, i) {
	for (i = sorted; i > 0; i--) if (C[SORTED[i]] == "remove" && within(SORTED[i], top) && kind(OLD[SORTED[i]]) != "dir" && !(SORTED[i] in GONE)) { go(SORTED[i]); GONE[SORTED[i]] = 1 }
	for (i = to; i >= from; i--) if (C[P[i]] == "remove" && within(P[i], top) && kind(OLD[P[i]]) == "dir" && !(P[i] in GONE)) { go(P[i]); GONE[P[i]] = 1 }
}
# Another name of the file that goes, which stays.
function twin(path, n, i, name) {
	if (OG[path] == "-") return ""
	n = split(OLDNAMES[OG[path]], name, " ")
	for (i = 1; i <= n; i++) if (C[name[i]] != "replace" && C[name[i]] != "remove" && there(name[i]) && INODE[name[i]] == INODE[path]) return " " name[i]
	return ""
}
function new_slot(path) { return area_of(parent(path)) ":" slot++ }
function existing(folder) {
	while (folder != "." && LK[folder] != "dir") folder = parent(folder)
	return folder
}
function device_of(folder) { return DEVICE[existing(folder)] }
function area_of(folder, device, top) {
	device = device_of(folder)
	if (device in AREAOF) return AREAOF[device]
	top = existing(folder)
	while (top != "." && device_of(parent(top)) == device) top = parent(top)
	AREA[areas] = top == "." ? ".bindery" : top "/.bindery"
	return AREAOF[device] = areas++
}
# Says how a slot is filled, and answers which one it is: a content of the payload lies in the slot of its own number.
function fill(path, s, of, a, key, m) {
	of = path in OF ? OF[path] : path
	a = s
	sub(/:.*/, "", a)
	lostx += LOSTX[path]
	lostf += LOSTF[path]
	if (path in MERGED) {
		needs_room(a, path)
		stage("merged " a " " number(s) " " MERGEDAS[path])
		attributes(a, number(s), NEW[path])
		return s
	}
	if ((path in DONOR) && device_of(parent(DONOR[path])) == device_of(parent(path))) { stage("link " a " " number(s) " " DONOR[path] " " NEW[path]); return s }
	if (SOURCE[of] ~ /^=/) return fill_from_store(path, s, of, a)
	key = a (path == of ? " " : " beside ") (NG[of] == "-" ? of : NG[of])
	if (key in SHARED) { stage("share " a " " SHARED[key] " " number(s) " " NEW[path]); return s }
	if (kind(NEW[path]) != "file") { SHARED[key] = number(s); stage("make " a " " number(s) " " NEW[path]); return s }
	m = SOURCE[of]
	needs_room(a, path)
	if ((a, m) in FILLED) { SHARED[key] = number(s); stage("copy " a " " m " " number(s)) }
	else { FILLED[a, m] = 1; SHARED[key] = m; s = a ":" m; stage("content " a " " m " " sha(NEW[path]) " " path) }
	attributes(a, number(s), NEW[path])
	return s
}
function needs_room(a, path) {
	NEED[a] += 4096 * int((size(NEW[path]) + 4095) / 4096)
	if (!(a in FIRST)) FIRST[a] = path
}
# A kept file comes back as what it was kept as; where its twin is still the same file, as another name of it.
function fill_from_store(path, s, of, a, from, was) {
	from = substr(SOURCE[of], 2)
	was = N[of]
	if (LK[TWIN[of]] == "file" && same(live(TWIN[of]), N[of])) { from = TWIN[of]; was = live(from) }
	if (!alike(was, NEW[path])) LATER[++laters] = "attr " path " " make(NEW[path], mode(was), owner(was), time(was), extras(was)) " " NEW[path]
	stage("link " a " " number(s) " " from " " was)
	return s
}
function number(s) { sub(/^[^:]*:/, "", s); return s }
function stage(line) { print line > (out "/stage"); stages++ }
# Slots that get the same owner, mode or time get it at once.
function attributes(a, s, node, o) {
	o = owner(node)
	sub(/,/, ":", o)
	batch("chown " a " " o, s)
	batch("chmod " a " " mode(node), s)
	batch("touch " a " " time(node), s)
	if (xattrs(node) != "") KEEPING[++keepings] = "xattr " a " " s " " node
}
function batch(key, s) {
	if (!(key in BATCH)) KEY[++keys] = key
	BATCH[key] = BATCH[key] " " s
}
function batches(pass, i, j, n, s, line) {
	for (pass = 1; pass <= 3; pass++) {
	if (pass == 3) for (i = 1; i <= keepings; i++) stage(KEEPING[i])
	for (i = 1; i <= keys; i++) {
		if (index(KEY[i], pass == 1 ? "chown" : pass == 2 ? "chmod" : "touch") != 1) continue
		n = split(BATCH[KEY[i]], s, " ")
		line = ""
		for (j = 1; j <= n; j++) {
			line = line " " s[j]
			if (j % 200 == 0 || j == n) { stage(KEY[i] line); line = "" }
		}
	}
	}
}
# Every folder in which a name changes gets a new time by that; in the end it shall be that of the release.
function folder_attributes(i, path, wanted, t) {
	for (i = 1; i <= paths; i++) { touch(P[i]); FOLDER[P[i]] = 1 }
	for (i = 1; i <= besides; i++) touch(Q[i])
	for (path in FOLDER) if (LK[path] == "dir" && (path in TOUCHED || (C[path] == "attr" && kind(NEW[path]) == "dir")) && !is_folder_going(path)) {
		wanted = C[path] == "attr" ? NEW[path] : live(path)
		t = time(wanted)
		if (path in TOUCHED) t = kind(N[path]) == "dir" && !(path in LINKOF) ? time(N[path]) : kind(ABOVE[path]) == "dir" ? time(ABOVE[path]) : t
		action("attr " path " " live(path) " " make(wanted, mode(wanted), owner(wanted), t, extras(wanted)))
	}
}
function touch(path) { if (C[path] != "" && C[path] != "attr") { TOUCHED[parent(path)] = 1; FOLDER[parent(path)] = 1; print existing(parent(path)) > (out "/folders") } }
# Files of bindery itself: digests of them mean nothing, and sizes are estimates.
function state_files(i, path, meta, old, node, s) {
	split(LA[AREA[0]], meta, ",")
	for (i = 1; i <= states; i++) {
		path = STATE[i]
		old = there(path) ? "file," LA[path] "," LS[path] "," zeros : ""
		if (STATEMODE[path] == "gone") { if (old != "") action("drop " path " 0:" slot++ " " old); continue }
		if (!there(parent(path)) && !(parent(path) in MADE)) {
			MADE[parent(path)] = 1
			action("mkdir " parent(path) " dir,0755," meta[2] "," meta[3] "," now ".000000000")
		}
		node = "file," STATEMODE[path] "," meta[2] "," meta[3] "," now ".000000000," STATESIZE[path] "," zeros
		s = STATESOURCE[path]
		if (s ~ /^=/) { stage("link 0 " slot " " substr(s, 2) " " node); s = slot++ }
		else if (s ~ /^[+]/) { s = slot++; stage("text 0 " s " " substr(STATESOURCE[path], 2)); attributes(0, s, node); NEED[0] += STATESIZE[path] + 4096 }
		else { stage("content 0 " s " - " path); attributes(0, s, node); NEED[0] += STATESIZE[path] + 4096 }
		action(old == "" ? "put " path " 0:" s " " node : "swap " path " 0:" s " " old " " node)
	}
}
