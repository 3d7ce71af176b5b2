# passwd(5), group(5) and their shadows by entry, as src/engine/client/apply/merge-accounts.ts merges them. Files are named by the
# environment (`base`, `ours`, `theirs`), and `of` is the path. Ends with 1 for a conflict, and for what is no such file.

function is_opaque(line) { return line == "" || line ~ /^[#+-]/ }

# Comments at the top stay there, and at the end the lines that ask NIS.
function read_entries(side, line, n, i, from, to, name, f) {
	while ((getline line <ENVIRON[side]) > 0) LINE[side, ++n] = line
	for (from = 1; from <= n && is_opaque(LINE[side, from]); from++);
	for (to = n; to >= from && is_opaque(LINE[side, to]); to--);
	if (from > n) exit 1
	for (i = from; i <= to; i++) {
		line = LINE[side, i]
		if (is_opaque(line) || line ~ /^:/) exit 1
		WIDTH[side] = i == from ? split(line, f, ":") : WIDTH[side]
		if (split(line, f, ":") != WIDTH[side] || WIDTH[side] < 3 || (side, f[1]) in ENTRY) exit 1
		ENTRY[side, f[1]] = line
		NAME[side, ++COUNT[side]] = f[1]
	}
	FROM[side] = from
	TO[side] = to
	SIZE[side] = n
}

# Somebody else has that number here.
function is_taken(number, i, f, other) {
	split(ENTRY["ours", NAME["ours", i]], other, ":")
	return other[number] "" == f ""
}

# Of fields that both sides changed, lists of names are joined; numbers stay, since files belong to them.
function merge_entry(before, here, entry, is_new, b, o, t, i, line) {
	split(before, b, ":")
	split(here, o, ":")
	split(entry, t, ":")
	if (WIDTH["ours"] != WIDTH["theirs"] || (!is_new && WIDTH["base"] != WIDTH["ours"])) exit 1
	for (i = 1; i <= WIDTH["ours"]; i++) {
		if (is_new && (i in NUMBER) && o[i] "" != t[i] "") exit 1
		if (!(i in NUMBER) && t[i] "" != b[i] "" && t[i] "" != o[i] "") {
			if (o[i] "" == b[i] "") o[i] = t[i]
			else if (i in LIST) o[i] = joined(o[i], b[i], t[i])
			else exit 1
		}
		line = line (i > 1 ? ":" : "") o[i]
	}
	return line
}

function joined(own, before, next_names, n, i, name, list) {
	n = split(own, name, ",")
	for (i = 1; i <= n; i++) if (name[i] != "") list = list (list == "" ? "" : ",") name[i]
	n = split(next_names, name, ",")
	for (i = 1; i <= n; i++)
		if (name[i] != "" && !index("," before ",", "," name[i] ",") && !index("," own ",", "," name[i] ",")) list = list (list == "" ? "" : ",") name[i]
	return list
}

BEGIN {
	file = ENVIRON["of"]
	sub(/.*\//, "", file)
	if (file == "passwd" || file == "master.passwd") own_number = NUMBER[3] = NUMBER[4] = 3
	if (file == "group") own_number = NUMBER[3] = 3
	if (file == "group") LIST[4] = 1
	if (file == "gshadow") LIST[3] = LIST[4] = 1
	read_entries("base")
	read_entries("ours")
	read_entries("theirs")
	for (i = 1; i <= COUNT["theirs"]; i++) {
		name = NAME["theirs", i]
		entry = ENTRY["theirs", name]
		was = ("base", name) in ENTRY
		if (("ours", name) in ENTRY) {
			MERGED[name] = merge_entry(was ? ENTRY["base", name] : entry, ENTRY["ours", name], entry, !was)
			continue
		}
		if (was) continue
		split(entry, field, ":")
		for (j = 1; own_number && j <= COUNT["ours"]; j++) if (is_taken(own_number, j, field[own_number])) exit 1
		added[++more] = entry
	}
	for (i = 1; i < FROM["ours"]; i++) print LINE["ours", i]
	for (i = 1; i <= COUNT["ours"]; i++) print ((NAME["ours", i] in MERGED) ? MERGED[NAME["ours", i]] : ENTRY["ours", NAME["ours", i]])
	for (i = 1; i <= more; i++) print added[i]
	for (i = TO["ours"] + 1; i <= SIZE["ours"]; i++) print LINE["ours", i]
}
