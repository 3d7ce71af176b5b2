import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Two trees are equal when mtree(1), diff(1), the groups of hard links and the extended attributes say so. Left out are
 * the client's own state, and of the folders that were made to hold it their presence and their parents' time. `but`:
 * words of mtree(1) that are not compared.
 */
export async function assertSameTree(actual: string, expected: string, but: readonly string[] = []): Promise<void> {
  const [seen, wanted] = await Promise.all([describeTree(actual, but), describeTree(expected, but)])
  const made = ['./var', './var/db'].filter((path) => seen.has(path) && !wanted.has(path))
  for (const path of made) seen.delete(path)
  for (const path of new Set(['./var/db/bindery', ...made].map((child) => child.replace(/\/[^/]*$/, '')))) {
    for (const tree of [seen, wanted]) if (tree.has(path)) tree.set(path, (tree.get(path) as string).replace(/ time=\S+/, ''))
  }
  assert.deepEqual(differences(seen, wanted), [])
  assert.deepEqual(await diffLines(actual, expected), [])
}

export function differences(seen: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): readonly string[] {
  const paths = [...new Set([...seen.keys(), ...wanted.keys()])].sort()
  return paths
    .filter((path) => seen.get(path) !== wanted.get(path))
    .map((path) => `${path}: ${String(seen.get(path))} instead of ${String(wanted.get(path))}`)
}

/** Path -> everything about it, as one line; the client's own state is left out. */
export async function describeTree(root: string, but: readonly string[] = []): Promise<Map<string, string>> {
  const tree = new Map<string, string>()
  const keywords = ['type', 'mode', 'uid', 'gid', 'size', 'link', 'device', 'time', 'sha256'].filter((word) => !but.includes(word))
  const flat = await shell(`mtree -c -k ${keywords.join()} -p "$1" | mtree -C -k ${keywords.join()}`, root)
  const links = await shell(`cd "$1" && find . ! -type d -links +1 -printf '%i %P\\0' | sort -z | tr '\\n\\0' '?\\n'`, root)
  const xattrs = await shell(`cd "$1" && getfattr -dRh -m - . 2>/dev/null`, root)
  for (const line of flat.split('\n').filter((text) => text !== '')) {
    const space = line.indexOf(' ')
    tree.set(line.slice(0, space), line.slice(space).trimEnd())
  }
  for (const path of tree.keys()) if (path === './var/db/bindery' || path.startsWith('./var/db/bindery/')) tree.delete(path)
  tree.set('hard links', linkGroups(links))
  tree.set(
    'extended attributes',
    xattrs
      .split('\n\n')
      .filter((block) => !block.startsWith('# file: var/db/bindery/'))
      .map((block) => block.split('\n').sort().join('\n'))
      .sort()
      .join('\n'),
  )
  return tree
}

/** Groups of names, without the inode numbers that make them groups. */
function linkGroups(lines: string): string {
  const groups = new Map<string, string[]>()
  for (const line of lines.split('\n').filter((text) => text !== '' && !text.includes(' var/db/bindery/'))) {
    const [inode, name] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]
    groups.set(inode, [...(groups.get(inode) ?? []), name])
  }
  return [...groups.values()]
    .map((names) => names.sort().join(' = '))
    .sort()
    .join('; ')
}

/** What `diff -r` says, but for its complaint that it cannot compare two FIFOs or two devices. */
async function diffLines(actual: string, expected: string): Promise<readonly string[]> {
  const text = await shell('diff -r --no-dereference -q "$1" "$2" || [ $? = 1 ]', actual, expected)
  return text
    .split('\n')
    .filter((line) => line !== '' && !/ is a (.*) while file .* is a \1$/.test(line))
    .filter((line) => !/^Only in \S*\/var(\/db)?: (db|bindery)$/.test(line))
}

async function shell(script: string, ...args: readonly string[]): Promise<string> {
  const options = { encoding: 'latin1', maxBuffer: 1 << 26, env: { ...process.env, LC_ALL: 'C' } } as const
  return (await promisify(execFile)('bash', ['-o', 'pipefail', '-c', script, 'bash', ...args], options)).stdout
}
