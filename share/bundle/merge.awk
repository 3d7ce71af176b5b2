# The changes of both sides in one text, as src/engine/client/apply/merge-text.ts makes it, to the byte: what a text becomes must not
# depend on who merges it. Files are named by the environment (`base`, `ours`, `theirs`); `unended` names those whose last line
# has no end. Ends with 1 for a conflict, and then writes nothing.

# With its end: a last line without one is another line.
function read_lines(name, text, line, n, got) {
	while ((got = (getline line <ENVIRON[name])) > 0) text[++n] = line "\n"
	if (got < 0) exit 2
	if (n && index(" " ENVIRON["unended"] " ", " " name " ")) text[n] = substr(text[n], 1, length(text[n]) - 1)
	return n + 0
}

# What all three begin and end with needs no comparison.
function find_ends(shortest) {
	shortest = n < m["a"] ? n : m["a"]
	if (m["b"] < shortest) shortest = m["b"]
	while (head < shortest && o[head + 1] == a[head + 1] && o[head + 1] == b[head + 1]) head++
	while (tail < shortest - head && o[n - tail] == a[m["a"] - tail] && o[n - tail] == b[m["b"] - tail]) tail++
}

# What comparing costs the client at most; what is too much for it is not merged here either.
function effort(text, size, count, i, pairs, left, right) {
	for (i = head + 1; i <= size - tail; i++) count[text[i]]++
	for (i = head + 1; i <= n - tail; i++) if (o[i] in count) pairs += count[o[i]]
	left = n - head - tail
	right = size - head - tail
	return pairs * (left < right ? left : right)
}

# Hunt and McIlroy, "An algorithm for differential file comparison", 1976: of the sequences of each length, the one that ends first
# in the other text. Leaves in START, LEN, AT and MANY where old lines have others in their place, from the end to the beginning.
function compare(side, text, size, first, next_of, value, last, i, j, k, r, c, low, high, middle, ids, found) {
	for (j = size - tail; j > head; j--) {
		next_of[j] = first[text[j]]
		first[text[j]] = j
	}
	I[0] = J[0] = value[0] = head
	last[0] = 0
	k = 1
	for (i = head + 1; i <= n - tail; i++) {
		if (!(o[i] in first)) continue
		r = 0
		c = last[0]
		for (j = first[o[i]]; j != ""; j = next_of[j]) {
			if (value[r] >= j) continue
			low = r
			high = k - 1
			while (low < high) {
				middle = int((low + high + 1) / 2)
				if (value[middle] < j) low = middle
				else high = middle - 1
			}
			if (low + 1 < k && value[low + 1] == j) continue
			I[++ids] = i
			J[ids] = j
			CHAIN[ids] = last[low]
			last[r] = c
			value[r] = J[c]
			r = low + 1
			c = ids
			if (r == k) break
		}
		last[r] = c
		value[r] = J[c]
		if (r == k) k++
	}
	found = 0
	i = n - tail + 1
	j = size - tail + 1
	for (c = last[k - 1]; ; c = CHAIN[c]) {
		if (i - I[c] > 1 || j - J[c] > 1) {
			START[side, ++found] = I[c] + 1
			LEN[side, found] = i - I[c] - 1
			AT[side, found] = J[c] + 1
			MANY[side, found] = j - J[c] - 1
		}
		i = I[c]
		j = J[c]
		if (c == 0) break
	}
	left[side] = found
}

# The side whose next change comes first.
function next_side() {
	if (!left["a"] || !left["b"]) return left["a"] ? "a" : left["b"] ? "b" : ""
	return START["a", left["a"]] <= START["b", left["b"]] ? "a" : "b"
}

# Changes that overlap or touch are one.
function join_changes(side, start, end, from, to, skew, many, i, hunk) {
	while ((side = next_side()) != "") {
		split("", from)
		start = START[side, left[side]]
		end = start
		for (many = 0; side != "" && (!many || START[side, left[side]] <= end); side = next_side()) {
			hunk = left[side]--
			many++
			if (!(side in from)) from[side] = AT[side, hunk] + start - START[side, hunk]
			if (START[side, hunk] + LEN[side, hunk] > end) end = START[side, hunk] + LEN[side, hunk]
			to[side] = AT[side, hunk] + MANY[side, hunk]
			skew[side] = START[side, hunk] + LEN[side, hunk]
			chosen = side
		}
		take("o", done, start)
		for (side in from) to[side] += end - skew[side]
		if (many > 1) {
			chosen = "a"
			if (to["a"] - from["a"] != to["b"] - from["b"]) exit 1
			for (i = from["a"]; i < to["a"]; i++) if (a[i] != b[i - from["a"] + from["b"]]) exit 1
		}
		take(chosen, from[chosen], to[chosen])
		done = end
	}
	take("o", done, n + 1)
}

function take(side, from, to) {
	SIDE[++taken] = side
	FROM[taken] = from
	TO[taken] = to
}

function write(text, from, to, i) { for (i = from; i < to; i++) printf "%s", text[i] }

BEGIN {
	n = read_lines("base", o)
	m["a"] = read_lines("ours", a)
	m["b"] = read_lines("theirs", b)
	head = tail = 0
	find_ends()
	if (effort(a, m["a"]) + effort(b, m["b"]) > 300000000) exit 1
	compare("a", a, m["a"])
	compare("b", b, m["b"])
	done = 1
	join_changes()
	for (i = 1; i <= taken; i++) {
		if (SIDE[i] == "o") write(o, FROM[i], TO[i])
		else if (SIDE[i] == "a") write(a, FROM[i], TO[i])
		else write(b, FROM[i], TO[i])
	}
}
