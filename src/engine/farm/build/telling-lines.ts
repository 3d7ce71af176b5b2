/**
 * The lines of a build's log that say why it failed. make(1) tells last, and least: what it ran has told before. So the first line of the
 * most telling kind is taken, with what stands around it.
 */

/** From the most telling kind to the least. */
const kinds: readonly RegExp[] = [
  // Compilers and linkers.
  /(?:^|[\s:])(?:fatal )?error: (?!.*ignored)|undefined (?:reference|symbol)|^ld(?:\.\w+)?: error|cannot find -l\S+|\berror\[E\d+\]/i,
  // patch(1), checksums, fetching.
  /^\d+ out of \d+ hunks? (?:failed|ignored)|hunk #\d+ failed|malformed patch|SHA256 .*(?:mismatch|failed)|checksum mismatch|Couldn't fetch/i,
  // configure, CMake, meson, and scripts that end with a word.
  /^configure: error|CMake Error|ERROR: Dependency|^(?:\S+: )*(?:fatal|panic|error|abort(?:ed)?)\b[:!]|Segmentation fault|No space left on device|command not found|: not found$|Traceback/i,
  // packaging.
  /^(?:Error|Fatal):? |does not exist$|No such file or directory/i,
  // make(1) itself, GNU's and BSD's.
  /\*\*\* (?:\[.*\] )?Error \d+|don't know how to make|No rule to make target|^\*\*\* /,
]

const linesBefore = 2
const linesAfter = 4
const longest = 240

/** At most seven lines; the last ones where nothing tells. */
export function tellingLines(log: string): readonly string[] {
  const lines = log.split('\n').map(shown)
  if (lines.at(-1) === '') lines.pop()
  const at = firstTelling(lines)
  if (at === undefined) return lines.slice(-(linesBefore + linesAfter))
  return lines.slice(Math.max(0, at - linesBefore), at + linesAfter + 1)
}

function firstTelling(lines: readonly string[]): number | undefined {
  for (const kind of kinds) {
    const found = lines.findIndex((line) => kind.test(line))
    if (found >= 0) return found
  }
  return undefined
}

/** Colours and the like are for terminals, and a terminal shall not do what a log says. */
function shown(line: string): string {
  const plain = line.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')
  return plain.length > longest ? `${plain.slice(0, longest)}…` : plain
}
