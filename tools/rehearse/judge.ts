import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What a tree is, path by path, as find(1) and sha256sum(1) see it: kind, mode, owner, size, time, link, content, hard links. */
export type Description = ReadonlyMap<string, string>

export async function describe(root: string): Promise<Description> {
  const [facts, sums] = await Promise.all([shell(root, facts$), shell(root, sums$)])
  const content = new Map(lines(sums).map((line) => [line.slice(66), line.slice(0, 64)]))
  const all = lines(facts).map((line) => line.split('\t') as [string, string, string, string, string])
  const groups = Map.groupBy(
    all.filter(([, , , kind]) => kind !== 'd'),
    ([, inode]) => inode,
  )
  return new Map(
    all.map(([path, inode, time, kind, rest]) => {
      const others = (groups.get(inode) ?? []).map(([name]) => name).filter((name) => name !== path)
      return [path, [kind, rest, kind === 'd' ? '' : time, content.get(path) ?? '', ...others.sort()].join(' ')]
    }),
  )
}

// The time of a folder is that of the newest name in it, whoever made that: see bindery-audit(1).
const facts$ = `find . -path ./var/db -prune -o -printf '%P\\t%i\\t%T@\\t%y\\t%m %U %G %l' \\( -type d -printf '\\n' -o -printf ' %s\\n' \\)`
const sums$ = `find . -path ./var/db -prune -o -type f -printf '%P\\0' | xargs -0 -r sha256sum`

/** What the system itself makes anew behind each update: neither compared nor counted. */
const generated = /^(?:etc\/ld\.so\.cache|var\/cache\/ldconfig(?:\/.*)?|usr\/lib\/modules\/[^/]+\/modules\.[a-z.]+)$/

export function differences(seen: Description, wanted: Description): readonly string[] {
  const paths = [...new Set([...seen.keys(), ...wanted.keys()])].filter((path) => !generated.test(path)).sort()
  return paths
    .filter((path) => seen.get(path) !== wanted.get(path))
    .map((path) => `${path}: ${seen.get(path) ?? 'missing'} instead of ${wanted.get(path) ?? 'nothing'}`)
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}

async function shell(cwd: string, script: string): Promise<string> {
  const options = { cwd, encoding: 'latin1', maxBuffer: 1 << 27, env: { ...process.env, LC_ALL: 'C' } } as const
  return (await promisify(execFile)('bash', ['-o', 'pipefail', '-c', script], options)).stdout
}
